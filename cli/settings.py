"""Where the command finds the server and its credential: HYTHE_* of the environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.errors import CliError, ExitCode

DEFAULT_URL = "http://127.0.0.1:8080"
PORTS = {"http": 80, "https": 443}


class Settings(BaseSettings):
    """All are optional: without them, the last `hythe login` counts."""

    model_config = SettingsConfigDict(env_prefix="HYTHE_", env_ignore_empty=True, extra="ignore", frozen=True)

    url: str = ""
    """Origin of the gateway, like https://hythe.example."""
    grpc: str = ""
    """host:port for gRPC when it is not the gateway's own."""
    user: str = ""
    password: SecretStr = SecretStr("")
    api_key: SecretStr = SecretStr("")
    """Goes before user and password."""
    ca_file: Path | None = None
    """PEM file of the authorities to trust instead of the system's."""


def read_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "HYTHE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise CliError(f"{name} is not usable: {first['msg']}.", ExitCode.USAGE) from error


def origin(url: str) -> str:
    """`url` as scheme://host[:port][/path] without a trailing slash; CliError when it is something else."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise CliError(f"{url!r} is no address of a gateway; it looks like {DEFAULT_URL}.", ExitCode.USAGE)
    try:
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError as error:
        raise CliError(f"{url!r} has no usable port.", ExitCode.USAGE) from error
    return url.rstrip("/")


def grpc_address(url: str) -> str:
    """host:port of the gateway, which takes gRPC where it takes REST."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or PORTS[parts.scheme]}"

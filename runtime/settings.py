"""The settings of a process, read from its environment here and nowhere else.

A service's own settings.py takes the classes it needs as bases and adds its own fields: `ProcessSettings` for
everything that runs, `Settings` for a gRPC service, `ObjectStoreSettings`, `QueueSettings` and `SealingSettings` for
what they name. Every name has the prefix `HYTHE_`. Nothing that grants access has a default.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.destinations import parsed_exemptions
from runtime.sealing import Sealer

PREFIX = "HYTHE_"
HIGHEST_PORT = 65535

EXIT_SECONDS = 20
"""What a process may need after its `drain_seconds` to end: background tasks, the audit log, the last spans.

Whoever stops one waits for both together before killing it: `terminationGracePeriodSeconds`, `stopwaitsecs`.
"""


def _check_address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > HIGHEST_PORT:
        message = "must be host:port"
        raise ValueError(message)
    return value


Address = Annotated[str, AfterValidator(_check_address)]
"""`host:port`."""


def _check_exemptions(value: str) -> str:
    parsed_exemptions(value)
    return value


Exemptions = Annotated[str, AfterValidator(_check_exemptions)]
"""A list of `runtime.destinations.parsed_exemptions`."""


def _check_collector(value: str) -> str:
    scheme, separator, place = value.partition("://")
    if value and (scheme not in {"http", "https"} or not separator or not place):
        message = "must be http://HOST:PORT, or https://… where it speaks TLS"
        raise ValueError(message)
    return value


CollectorUrl = Annotated[str, AfterValidator(_check_collector)]
"""Of an OTLP receiver, or empty."""


class ProcessSettings(BaseSettings):
    """What every process needs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    metrics_listen: Address = Field(description="Where Prometheus reads this process.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    otlp_endpoint: CollectorUrl = Field(
        "", description="Where spans go by OTLP over gRPC, such as http://collector:4317; without it nowhere."
    )
    trace_ratio: float = Field(1.0, ge=0, le=1, description="Part of the traces that begin here which are recorded.")
    database_url: SecretStr = Field(
        description="postgresql+psycopg://ROLE:PASSWORD@HOST:PORT/DATABASE of the own role."
    )
    database_pool: int = Field(10, ge=1, le=100, description="Most connections this process holds.")


class Settings(ProcessSettings):
    """What every gRPC service needs."""

    listen: Address = Field(description="Where the gRPC server listens.")
    reflection: bool = Field(False, description="Whether clients may list the services and their types.")
    audit_database_url: SecretStr = Field(description="As database_url, of the role that may only insert audit events.")
    identity_address: Address | None = Field(None, description="Where the identity service listens.")
    importer_address: Address | None = Field(None, description="Where the importer API listens.")
    status_address: Address | None = Field(None, description="Where the status service listens.")
    upload_address: Address | None = Field(None, description="Where the upload service listens.")
    token_issuer: str = Field("hythe", description="The `iss` that a token must carry.")
    token_audience: str = Field("hythe", description="The `aud` that a token must carry.")
    max_in_flight: int = Field(256, ge=1, description="Unary calls served at once; more are refused.")
    max_streams: int = Field(512, ge=1, description="Streaming calls served at once; more are refused.")
    unary_seconds: float = Field(5, gt=0, le=30, description="Deadline of a unary call whose client sets none.")
    unary_seconds_limit: float = Field(30, gt=0, description="Longest deadline that a client of a unary call may set.")
    drain_seconds: float = Field(20, ge=0, description="How long calls in flight may go on after SIGTERM.")


class ObjectStoreSettings(BaseSettings):
    """How to reach the object store, and where clients reach it through the gateway."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    s3_endpoint: Address = Field(description="The S3 API.")
    s3_secure: bool = Field(False, description="Whether the S3 API is spoken to by TLS.")
    s3_region: str = Field("us-east-1", description="Region in signatures.")
    s3_access_key: SecretStr = Field(description="Access key of this service.")
    s3_secret_key: SecretStr = Field(description="Its secret key.")
    s3_bucket: str = Field("hythe", description="Bucket of all files.")
    s3_prefix: str = Field("uploads", description="First part of every object's key.")
    public_url: HttpUrl = Field(description="Origin of the gateway, as clients see it.")


def _check_keys(value: SecretStr) -> SecretStr:
    try:
        Sealer(value.get_secret_value())
    except ValueError:
        message = "must be one or more keys of `Fernet.generate_key`, separated by commas"
        raise ValueError(message) from None
    return value


class SealingSettings(BaseSettings):
    """For a process that keeps secrets in the database which it must read again."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    secrets_key: Annotated[SecretStr, AfterValidator(_check_keys)] = Field(
        description="Seals secrets in the database; a new key goes before the old ones, separated by a comma."
    )


class QueueSettings(BaseSettings):
    """How to reach NATS."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    nats_url: SecretStr = Field(description="nats://USER:PASSWORD@HOST:PORT of this process's own user.")


S = TypeVar("S", bound=BaseSettings)


def load(kind: type[S]) -> S:
    """The settings of this process, or its end with one line for each that is missing or wrong."""
    try:
        return kind()
    except ValidationError as error:
        # The value itself is not printed: it may be a secret.
        lines = [
            f"{PREFIX}{'.'.join(map(str, item['loc'])).upper()}: {_reason(item['type'], item['msg'])}"
            for item in error.errors()
        ]
        raise SystemExit("\n".join(lines)) from None


def required(value: str | None, name: str) -> str:
    """A setting that is optional in the class and needed here; the process ends when it is not there."""
    if not value:
        raise SystemExit(f"{PREFIX}{name.upper()}: {_reason('missing', '')}")
    return value


def _reason(kind: str, message: str) -> str:
    return "is required and not set." if kind == "missing" else f"{message}."

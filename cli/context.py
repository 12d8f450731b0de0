"""What a command works with, made from the environment at its start: output, REST client, native client."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import httpx
import typer

from cli.errors import CliError, ExitCode
from cli.gateway import TIMEOUT, Anonymous, Gateway
from cli.output import Output
from cli.session import ApiKey, CredentialFile, TokenKeeper
from cli.settings import DEFAULT_URL, Settings, grpc_address, origin, read_settings
from hythe_client import SyncHytheClient


def home() -> Path:
    return Path(typer.get_app_dir("hythe"))


@dataclass
class Cli:
    """`transport` and `open_native` are other ones in tests."""

    settings: Settings = field(default_factory=read_settings)
    output: Output = field(default_factory=Output)
    home: Path = field(default_factory=home)
    transport: httpx.BaseTransport | None = None
    open_native: Callable[..., SyncHytheClient] = SyncHytheClient
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def logins(self) -> CredentialFile:
        """What `hythe login` keeps."""
        return CredentialFile(self.home / "credentials.json")

    @property
    def tokens(self) -> CredentialFile:
        """Tokens obtained with the password of the environment; a login of the environment leaves no other trace."""
        return CredentialFile(self.home / "tokens.json")

    @cached_property
    def url(self) -> str:
        if self.settings.url:
            return origin(self.settings.url)
        last = self.logins.last()
        return last.url if last and not self.has_own_credential else DEFAULT_URL

    @property
    def has_own_credential(self) -> bool:
        """Whether the environment says who speaks."""
        return bool(self.settings.api_key.get_secret_value() or self.settings.password.get_secret_value())

    @property
    def trust(self) -> ssl.SSLContext | bool:
        if self.settings.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            text = f"HYTHE_CA_FILE={self.settings.ca_file} cannot be used: {error}."
            raise CliError(text, ExitCode.USAGE) from error

    def anonymous(self, url: str) -> Gateway:
        http = httpx.Client(base_url=url, timeout=TIMEOUT, verify=self.trust, transport=self.transport)
        return Gateway(self._open.enter_context(http), Anonymous())

    @cached_property
    def credential(self) -> ApiKey | TokenKeeper:
        settings = self.settings
        if api_key := settings.api_key.get_secret_value():
            return ApiKey(api_key)
        if password := settings.password.get_secret_value():
            if not settings.user:
                raise CliError("HYTHE_PASSWORD is set without HYTHE_USER.", ExitCode.USAGE)
            return TokenKeeper(self.url, settings.user, password, self.tokens, self.anonymous(self.url))
        login = self.logins.last(self.url)
        if login is None:
            text = f"Nobody is logged in at {self.url}. Run `hythe login`, or set HYTHE_API_KEY."
            raise CliError(text, ExitCode.UNREACHABLE)
        return TokenKeeper(self.url, login.user, "", self.logins, self.anonymous(self.url))

    @cached_property
    def gateway(self) -> Gateway:
        return Gateway(self.anonymous(self.url).http, self.credential)

    @cached_property
    def native(self) -> SyncHytheClient:
        credential = self.credential
        client = self.open_native(
            self.settings.grpc or grpc_address(self.url),
            api_key=credential.api_key if isinstance(credential, ApiKey) else None,
            token=credential.token if isinstance(credential, TokenKeeper) else None,
            tls=(self.settings.ca_file or True) if self.url.startswith("https:") else False,
        )
        return self._open.enter_context(client)


def set_json_mode(context: typer.Context, value: bool) -> bool:
    if value:
        cli_of(context).output.json_mode = True
    return value


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.", callback=set_json_mode)]


def cli_of(context: typer.Context) -> Cli:
    found = context.find_object(Cli)
    if found is None:
        raise RuntimeError("The app's callback did not run.")
    return found

"""Who the command speaks as: an API key, a user and password of the environment, or the last `hythe login`.

A token lives for 15 minutes. It is renewed whenever a command finds it older than a third of that, and kept in a file
that only its owner reads. The password is never kept.
"""

from __future__ import annotations

import base64
import binascii
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from cli.errors import CliError, ExitCode
from cli.gateway import Gateway

# The life of a token that says nothing about it.
USUAL_LIFE_SECONDS = 900.0


class Login(msgspec.Struct, frozen=True):
    url: str
    user: str
    token: str
    # Seconds since the epoch, by this machine's clock.
    obtained_at: float
    expires_at: float

    def is_good(self, now: float) -> bool:
        # A token that ends within seconds may end on its way.
        return now < self.expires_at - 5

    def is_stale(self, now: float) -> bool:
        return now > self.obtained_at + (self.expires_at - self.obtained_at) / 3


class Kept(msgspec.Struct):
    """The content of the credential file: the last login first."""

    logins: list[Login] = []


class CredentialFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self, url: str = "") -> Login | None:
        """The last login, or the last one at `url`."""
        return next((login for login in self._read().logins if url in {"", login.url}), None)

    def find(self, url: str, user: str) -> Login | None:
        return next((login for login in self._read().logins if (login.url, login.user) == (url, user)), None)

    def put(self, login: Login) -> None:
        """Keep a login as the last one. Another process sees the file before or after, never between."""
        others = [one for one in self._read().logins if (one.url, one.user) != (login.url, login.user)]
        self._write(Kept([login, *others]))

    def replace(self, login: Login) -> None:
        """Keep a renewed login where the old one stood."""
        kept = [login if (one.url, one.user) == (login.url, login.user) else one for one in self._read().logins]
        self._write(Kept(kept))

    def remove(self, url: str = "") -> int:
        """Forget the logins at `url`, or all; gives how many there were."""
        logins = self._read().logins
        others = [one for one in logins if url not in {"", one.url}]
        self._write(Kept(others))
        return len(logins) - len(others)

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Kept)
        except (FileNotFoundError, NotADirectoryError):
            return Kept()
        except (OSError, msgspec.DecodeError) as error:
            text = f"{self.path} cannot be used ({error}). Remove it and log in again."
            raise CliError(text, ExitCode.UNREACHABLE) from error

    def _write(self, kept: Kept) -> None:
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.encode(kept))
            fresh.replace(self.path)
        except OSError as error:
            raise CliError(f"{self.path} cannot be written: {error.strerror}.", ExitCode.UNREACHABLE) from error


class ApiKey:
    """A credential that stays as it is."""

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key

    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.api_key}

    def renew(self) -> bool:
        return False


class TokenKeeper:
    """The token of one user at one gateway, renewed in time; with a password also obtained."""

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        file: CredentialFile,
        anonymous: Gateway,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url
        self.user = user
        self.password = password
        self.file = file
        self.anonymous = anonymous
        self.clock = clock
        self.login = file.find(url, user)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}

    def token(self) -> str:
        if self.login is None or not self.login.is_good(self.clock()):
            self.login = self.obtain()
        elif self.login.is_stale(self.clock()):
            self.login = self.refreshed(self.login)
        return self.login.token

    def renew(self) -> bool:
        if not self.password:
            return False
        self.login = self.obtain()
        return True

    def obtain(self) -> Login:
        if not self.password:
            raise CliError(f"The login at {self.url} is over. Run `hythe login`.", ExitCode.UNREACHABLE)
        token = self.anonymous.authenticate(self.user, self.password).token
        login = new_login(self.url, self.user, token, self.clock())
        # Kept to spare the next command a login, of which ten a minute are allowed. It works without, too.
        with suppress(CliError):
            self.file.put(login)
        return login

    def refreshed(self, login: Login) -> Login:
        """The same login with a new token, or as it is when the server does not give one now."""
        try:
            token = Gateway(self.anonymous.http, FixedToken(login.token)).refresh().token
        except CliError:
            # The token is still good. If it is refused too, the request that follows says so.
            return login
        renewed = new_login(self.url, self.user, token, self.clock())
        self.file.replace(renewed)
        return renewed


class FixedToken:
    def __init__(self, token: str) -> None:
        self.token = token

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def renew(self) -> bool:
        return False


class Claims(msgspec.Struct, frozen=True):
    exp: float = 0
    iat: float = 0


def new_login(url: str, user: str, token: str, now: float | None = None) -> Login:
    """A login that starts now. Its end is reckoned from the token's life, so the two clocks need not agree."""
    now = time.time() if now is None else now
    claims = read_claims(token)
    life = claims.exp - claims.iat if claims.exp > claims.iat > 0 else USUAL_LIFE_SECONDS
    return Login(url=url, user=user, token=token, obtained_at=now, expires_at=now + life)


def read_claims(token: str) -> Claims:
    """The claims of a JWT, unverified: they only tell when to renew."""
    try:
        payload = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Claims)
    except (IndexError, binascii.Error, msgspec.DecodeError):
        return Claims()

"""POSTs to URLs that users have given, where `runtime.destinations` allows it.

The connection goes to an address that was checked. Host and SNI stay those of the name, so certificates are verified as
ever. No redirect is followed, no proxy of the environment is used, no connection is used twice, and no body is read.
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import certifi
import httpx

from runtime.destinations import HIGHEST_PORT, Destinations, Forbidden, Unresolved

MAX_URL_LENGTH = 2_048
USER_AGENT = "Hythe"
PORTS = {"https": 443, "http": 80}


class BadUrl(Exception):
    """A URL that nothing is sent to; the words are for the user who gave it."""


class NotAnswered(Exception):
    """There was no answer; the words are for the user who gave the URL, and show nothing of our network."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The receiver's answer: HTTP status, and how long it asks to wait, in seconds."""

    status: int
    retry_after: float | None


class Outbound:
    """POSTs to URLs of users. `tls` is another one in tests."""

    def __init__(
        self,
        destinations: Destinations,
        *,
        allow_http: bool = False,
        timeout_seconds: float = 10,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._destinations = destinations
        self._allow_http = allow_http
        self._timeout = timeout_seconds
        self._client = httpx.AsyncClient(
            verify=tls or trusted(),
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_seconds,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            headers={"user-agent": USER_AGENT, "connection": "close"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    def check(self, text: str) -> httpx.URL:
        """The URL, if something may be sent there as far as can be told without asking for its addresses.

        Raises BadUrl.
        """
        if len(text) > MAX_URL_LENGTH:
            raise BadUrl(f"it is longer than {MAX_URL_LENGTH} characters")
        if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
            raise BadUrl("it has characters that must be encoded")
        try:
            url = httpx.URL(text)
            port, authority = url.port, urlsplit(text).netloc
        except (httpx.InvalidURL, ValueError):
            raise BadUrl("it is no URL") from None
        if "@" in authority:
            raise BadUrl("it must not contain a user name")
        check_url(url, allow_http=self._allow_http)
        if port is not None and not 0 < port <= HIGHEST_PORT:
            raise BadUrl("its port is none")
        if url.fragment:
            raise BadUrl("it must not have a fragment")
        try:
            self._destinations.check(host_of(url), port_of(url))
        except Forbidden as error:
            raise BadUrl(str(error)) from None
        return url

    async def post(self, text: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Sends the body, in the time that is set for all of it.

        Raises NotAnswered, also for a URL that is not allowed (any more).
        """
        try:
            async with asyncio.timeout(self._timeout):
                url = self.check(text)
                return await self._post(url, await self._addresses(url), body, headers)
        except BadUrl as error:
            raise NotAnswered(f"The URL is not allowed: {error}.") from None
        except (TimeoutError, httpx.TimeoutException):
            raise NotAnswered(f"No answer within {self._timeout:g} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise NotAnswered(words_for(error)) from error

    async def _addresses(self, url: httpx.URL) -> tuple[str, ...]:
        try:
            return await asyncio.to_thread(self._destinations.addresses, host_of(url), port_of(url))
        except Forbidden as error:
            raise BadUrl(str(error)) from None
        except Unresolved as error:
            raise NotAnswered(str(error)) from None

    async def _post(self, url: httpx.URL, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]) -> Answer:
        *others, last = addresses
        for address in others:
            try:
                return await self._post_to(address, url, body, headers)
            except httpx.ConnectError:
                # Nothing was sent.
                continue
        return await self._post_to(last, url, body, headers)

    async def _post_to(self, address: str, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        async with self._client.stream(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={**headers, "host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": host_of(url)},
        ) as response:
            return Answer(response.status_code, seconds_of(response.headers.get("retry-after", "")))


def check_url(url: httpx.URL, *, allow_http: bool) -> None:
    """What holds for each URL that is asked for on behalf of a user. Raises BadUrl."""
    if url.scheme not in PORTS or (url.scheme == "http" and not allow_http):
        raise BadUrl("it must begin with https://")
    if url.userinfo:
        raise BadUrl("it must not contain a user name")
    if not url.host:
        raise BadUrl("it names no host")


def host_of(url: httpx.URL) -> str:
    """As it is asked for and sent: a name beyond ASCII as xn--…, which `url.host` has decoded."""
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    """Of a URL that `check_url` has let pass."""
    return url.port or PORTS[url.scheme]


def trusted() -> ssl.SSLContext:
    """The authorities that browsers trust, and those of this machine."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def seconds_of(retry_after: str) -> float | None:
    """RFC 9110 §10.2.3: a number of seconds or a date; None for anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, moment.timestamp() - time.time())


def words_for(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "The TLS handshake failed, or the certificate is not good for the host."
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "The connection was refused."
    if isinstance(error, httpx.RemoteProtocolError):
        return "The answer is no HTTP, or was cut off."
    return "The connection broke."

"""HTTP to sources: to checked addresses, without redirects, proxies or cookies, with patience for busy servers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import httpx

from runtime.outbound import BadUrl, check_url, host_of, port_of, seconds_of
from services.fetcher.failures import SourceError, broken, limited, not_authenticated, refused, timed_out, tls_failed
from services.fetcher.way import Way

USER_AGENT = "Hythe"
TRIES = 5
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
"""A source that asks for more is left alone, until the next attempt at the whole import."""
TOO_MANY, UNAVAILABLE_FROM = 429, 500
NOT_AUTHENTICATED = (401, 403)
REDIRECTS = range(300, 400)
LARGEST_DOCUMENT = 16 << 20
PIECE_BYTES = 64 << 10


class Http:
    """One source's. It must be closed."""

    def __init__(self, way: Way, *, sleep: Any = time.sleep) -> None:
        self._way = way
        self._sleep = sleep
        self._bytes = 0
        self._client = httpx.Client(
            verify=way.tls(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(way.idle_seconds, connect=way.connect_seconds),
            headers={"user-agent": USER_AGENT},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextmanager
    def stream(
        self,
        method: str,
        url: str | httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> Iterator[httpx.Response]:
        """A good answer (2xx), its body not read yet. Raises SourceError.

        What a busy source refuses is tried again; a body that breaks off is not, for its rows are under way.
        """
        wanted = self._checked(url)
        response = self._opened(method, wanted, dict(headers or {}), json)
        try:
            yield response
        except httpx.HTTPError as error:
            raise _failure(error) from None
        finally:
            response.close()

    def pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """Its body, unpacked. Raises SourceError FETCH_LIMIT when all answers together are larger than is allowed.

        What becomes no row counts as well: it takes our time and our network.
        """
        for piece in response.iter_bytes(PIECE_BYTES):
            self._bytes += len(piece)
            if self._bytes > self._way.max_bytes:
                raise limited(f"The answers of the source have more than {self._way.max_bytes} bytes.")
            yield piece

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """A good answer of 16 MiB at most, read."""
        with self.stream("GET", url, headers=headers) as response:
            body = bytearray()
            for piece in self.pieces(response):
                body += piece
                if len(body) > LARGEST_DOCUMENT:
                    raise limited(f"An answer has more than {LARGEST_DOCUMENT} bytes.")
            return httpx.Response(
                response.status_code,
                headers=[(name, value) for name, value in response.headers.items() if name != "content-encoding"],
                content=bytes(body),
            )

    def _checked(self, url: str | httpx.URL) -> httpx.URL:
        parsed = url_of(url)
        try:
            check_url(parsed, allow_http=self._way.allow_http)
        except BadUrl as error:
            raise _forbidden(f"The URL is not allowed: {error}.") from None
        return parsed

    def _opened(self, method: str, url: httpx.URL, headers: dict[str, str], json: Any) -> httpx.Response:
        for number in range(TRIES):
            is_last = number == TRIES - 1
            try:
                response = self._sent(method, url, headers, json)
            except httpx.HTTPError as error:
                if is_last or not isinstance(error, httpx.TransportError):
                    raise _failure(error) from None
                self._sleep(FIRST_WAIT_SECONDS * 2**number)
                continue
            if response.is_success:
                return response
            response.close()
            wait = self._wait(response, number)
            if wait is None or wait > LONGEST_WAIT_SECONDS or is_last:
                raise _refusal(response)
            self._sleep(wait)
        raise AssertionError

    def _wait(self, response: httpx.Response, number: int) -> float | None:
        """Until the next try; None: there is none."""
        if response.status_code != TOO_MANY and response.status_code < UNAVAILABLE_FROM:
            return None
        asked = seconds_of(response.headers.get("retry-after", ""))
        return FIRST_WAIT_SECONDS * 2**number if asked is None else asked

    def _sent(self, method: str, url: httpx.URL, headers: dict[str, str], json: Any) -> httpx.Response:
        """Each time the name is resolved and checked anew, and an address that was checked is connected to."""
        *others, last = self._way.addresses(host_of(url), port_of(url))
        for address in others:
            try:
                return self._sent_to(address, method, url, headers, json)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                # Nothing was sent.
                continue
        return self._sent_to(last, method, url, headers, json)

    def _sent_to(self, address: str, method: str, url: httpx.URL, headers: dict[str, str], json: Any) -> httpx.Response:
        self._client.cookies.clear()
        request = self._client.build_request(
            method,
            url.copy_with(host=address),
            headers={**headers, "host": url.netloc.decode("ascii")},
            json=json,
            extensions={"sni_hostname": host_of(url)},
        )
        return self._client.send(request, stream=True)


def url_of(text: str | httpx.URL) -> httpx.URL:
    """Raises SourceError."""
    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise _forbidden("It is no URL.") from None


def _forbidden(why: str) -> SourceError:
    return SourceError("DESTINATION_FORBIDDEN", why)


def _refusal(response: httpx.Response) -> SourceError:
    status = response.status_code
    if status in NOT_AUTHENTICATED:
        return not_authenticated()
    if status in REDIRECTS:
        return SourceError("SOURCE_REFUSED", f"The source refers to another address (HTTP {status}); give that one.")
    if status == TOO_MANY or status >= UNAVAILABLE_FROM:
        asked = seconds_of(response.headers.get("retry-after", ""))
        return SourceError(
            "SOURCE_UNAVAILABLE", f"The source answers with HTTP {status}.", is_retryable=True, retry_after=asked
        )
    return SourceError("SOURCE_REFUSED", f"The source answers with HTTP {status}.")


def _failure(error: httpx.HTTPError) -> SourceError:
    cause: BaseException | None = error
    while cause is not None:
        if "SSL" in type(cause).__name__:
            return tls_failed()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return timed_out()
    if isinstance(error, httpx.ConnectError):
        return refused()
    if isinstance(error, httpx.DecodingError):
        return SourceError("SOURCE_INVALID", "The answer is not packed as it says.")
    return broken()

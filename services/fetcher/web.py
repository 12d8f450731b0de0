"""Reads an HTTP API that answers in JSON, page by page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from dialects.assets.source_settings import (
    CursorPaging,
    LinkPaging,
    NoPaging,
    OffsetPaging,
    PagePaging,
    RestAuth,
    RestSettings,
    Secrets,
)
from services.fetcher.answers import Answer
from services.fetcher.failures import SourceError
from services.fetcher.http import Http, url_of
from services.fetcher.way import Way

MOST_PAGES = 1_000_000
PIECE_BYTES = 64 << 10
LONGEST_CURSOR = 8_192


@dataclass(slots=True)
class Page:
    """What was seen of one: its records, the digest of its bytes, its cursor and the URL of the next."""

    records: int = 0
    digest: bytes = b""
    cursor: Any = None
    next_url: str = ""


def read(settings: RestSettings, secrets: Secrets, way: Way) -> Iterator[dict[str, Any]]:
    """The records of all pages. Raises SourceError, PAGING_LOOP among them."""
    with Http(way) as http:
        yield from _Reading(settings, secrets, http).rows()


class _Reading:
    def __init__(self, settings: RestSettings, secrets: Secrets, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._headers = {
            "accept": "application/json",
            **settings.headers,
            **credentials(settings.auth, secrets),
        }
        self._seen: set[bytes] = set()
        self._page = Page()

    def rows(self) -> Iterator[dict[str, Any]]:
        url: httpx.URL | None = first_url(self._settings)
        for number in range(MOST_PAGES):
            if url is None:
                return
            self._refuse_loop(url)
            before = self._page.digest
            yield from self._records(url)
            if self._page.records and self._page.digest == before:
                raise loop("Two pages in a row are the same: the source takes no notice of the paging.")
            url = next_url(self._settings, url, self._page, number + 1)
        raise loop(f"The source has more than {MOST_PAGES} pages.")

    def _refuse_loop(self, url: httpx.URL) -> None:
        digest = hashlib.sha256(str(url).encode()).digest()[:16]
        if digest in self._seen:
            raise loop("The source leads back to a page that was read already.")
        self._seen.add(digest)

    def _records(self, url: httpx.URL) -> Iterator[dict[str, Any]]:
        settings = self._settings
        cursor = settings.paging.selector if isinstance(settings.paging, CursorPaging) else ""
        answer = Answer(settings.selector, cursor)
        page = self._page = Page()
        body = settings.body if settings.method == "POST" else None
        with self._http.stream(settings.method, url, headers=self._headers, json=body) as response:
            hashing = hashlib.sha256()
            for record in answer.read(_hashed(response, hashing)):
                page.records += 1
                yield record
            page.digest = hashing.digest()
            page.cursor = answer.cursor
            page.next_url = response.links.get("next", {}).get("url", "")


def _hashed(response: httpx.Response, hashing: Any) -> Iterator[bytes]:
    for piece in response.iter_bytes(PIECE_BYTES):
        hashing.update(piece)
        yield piece


def credentials(auth: RestAuth, secrets: Secrets) -> dict[str, str]:
    """As headers."""
    match auth.kind:
        case "basic":
            pair = f"{auth.username}:{secrets.password}".encode()
            return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
        case "bearer":
            return {"authorization": f"Bearer {secrets.token}"}
        case "header":
            return {auth.header.lower(): secrets.token}
        case _:
            return {}


def first_url(settings: RestSettings) -> httpx.URL:
    url = url_of(settings.url)
    match settings.paging:
        case PagePaging() as paging:
            url = url.copy_set_param(paging.parameter, paging.first)
            return url.copy_set_param(paging.size_parameter, paging.size) if paging.size_parameter else url
        case OffsetPaging() as paging:
            url = url.copy_set_param(paging.parameter, 0)
            return url.copy_set_param(paging.size_parameter, paging.size) if paging.size_parameter else url
        case _:
            return url


def next_url(settings: RestSettings, url: httpx.URL, page: Page, number: int) -> httpx.URL | None:
    """Of the page after this one, which is the `number`th; None: it was the last."""
    match settings.paging:
        case NoPaging():
            return None
        case PagePaging() as paging:
            return url.copy_set_param(paging.parameter, paging.first + number) if page.records else None
        case OffsetPaging() as paging:
            is_full = page.records >= paging.size
            return url.copy_set_param(paging.parameter, number * paging.size) if is_full else None
        case CursorPaging() as paging:
            if page.cursor in (None, "", False):
                return None
            cursor = str(page.cursor)
            if len(cursor) > LONGEST_CURSOR:
                raise SourceError("SOURCE_INVALID", "The cursor of the next page is too long.")
            return url.copy_set_param(paging.parameter, cursor)
        case LinkPaging():
            return _linked(url, page.next_url) if page.next_url else None


def _linked(url: httpx.URL, text: str) -> httpx.URL:
    """On the same host: what is sent there are the credentials for it."""
    try:
        following = url.join(text)
    except (httpx.InvalidURL, ValueError):
        raise SourceError("SOURCE_INVALID", "The link to the next page is no URL.") from None
    if (following.scheme, following.host, following.port) != (url.scheme, url.host, url.port) or following.userinfo:
        raise SourceError("SOURCE_REFUSED", "The link to the next page leads to another host, which is not followed.")
    return following.copy_with(fragment=None)


def loop(message: str) -> SourceError:
    return SourceError("PAGING_LOOP", message)

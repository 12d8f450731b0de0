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
MOST_EMPTY_PAGES = 1_000
"""In a row: servers that filter after they have cut the pages may give some."""
LONGEST_CURSOR = 8_192


@dataclass(slots=True)
class Page:
    """What was seen of one: its records, the digest of its bytes, its cursor and the URL of the next.

    `number` and `start` are how many pages and records were before it.
    """

    number: int = 0
    start: int = 0
    records: int = 0
    digest: bytes = b""
    cursor: Any = None
    has_cursor: bool = False
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
        self._digest = b""
        self._empty_pages = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        url: httpx.URL | None = first_url(self._settings)
        page = Page()
        while url is not None:
            self._refuse_known(url)
            yield from self._records(url, page)
            self._refuse_endless(page)
            url = next_url(self._settings, url, page)
            page = Page(page.number + 1, page.start + page.records)

    def _refuse_endless(self, page: Page) -> None:
        if page.records and page.digest == self._digest:
            raise loop("Two pages in a row are the same: the source takes no notice of the paging.")
        self._digest = page.digest
        self._empty_pages = 0 if page.records else self._empty_pages + 1
        if self._empty_pages > MOST_EMPTY_PAGES:
            raise loop(f"The source has more than {MOST_EMPTY_PAGES} pages without records in a row.")
        if page.number >= MOST_PAGES:
            raise loop(f"The source has more than {MOST_PAGES} pages.")

    def _refuse_known(self, url: httpx.URL) -> None:
        digest = hashlib.sha256(str(url).encode()).digest()[:16]
        if digest in self._seen:
            raise loop("The source leads back to a page that was read already.")
        self._seen.add(digest)

    def _records(self, url: httpx.URL, page: Page) -> Iterator[dict[str, Any]]:
        settings = self._settings
        cursor = settings.paging.selector if isinstance(settings.paging, CursorPaging) else ""
        answer = Answer(settings.selector, cursor)
        body = settings.body if settings.method == "POST" else None
        with self._http.stream(settings.method, url, headers=self._headers, json=body) as response:
            hashing = hashlib.sha256()
            for record in answer.read(_hashed(self._http.pieces(response), hashing)):
                page.records += 1
                yield record
            page.digest = hashing.digest()
            page.cursor, page.has_cursor = answer.cursor, answer.has_cursor
            page.next_url = response.links.get("next", {}).get("url", "")


def _hashed(pieces: Iterator[bytes], hashing: Any) -> Iterator[bytes]:
    for piece in pieces:
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


def next_url(settings: RestSettings, url: httpx.URL, page: Page) -> httpx.URL | None:
    """Of the page after this one; None: it was the last. Raises SourceError.

    How many records a page should have says nothing: a server that gives fewer than it is asked for may have more.
    """
    match settings.paging:
        case NoPaging():
            return None
        case PagePaging() as paging:
            return url.copy_set_param(paging.parameter, paging.first + page.number + 1) if page.records else None
        case OffsetPaging() as paging:
            return url.copy_set_param(paging.parameter, page.start + page.records) if page.records else None
        case CursorPaging() as paging:
            return _at_cursor(url, paging, page)
        case LinkPaging():
            return _linked(url, page.next_url) if page.next_url else None


def _at_cursor(url: httpx.URL, paging: CursorPaging, page: Page) -> httpx.URL | None:
    if not page.has_cursor and not page.number and not paging.optional:
        why = f'There is no "{paging.selector}" in the first answer: nobody knows whether more pages follow.'
        raise SourceError("CURSOR_NOT_FOUND", why)
    # Not by equality: 0 is a cursor.
    if page.cursor is None or page.cursor is False or page.cursor == "":
        return None
    cursor = str(page.cursor)
    if len(cursor) > LONGEST_CURSOR:
        raise SourceError("SOURCE_INVALID", "The cursor of the next page is too long.")
    return url.copy_set_param(paging.parameter, cursor)


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

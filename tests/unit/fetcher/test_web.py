"""The end of a source in pages: what is one, what only looks like one, and what has none."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import certifi
import httpx
import pytest

from dialects.assets.source_settings import Secrets, read_settings
from runtime.destinations import Destinations
from services.fetcher import web
from services.fetcher.failures import SourceError
from services.fetcher.way import Way
from tests.addresses import PUBLIC

RECORDS = [{"Name": f"web{n}"} for n in range(7)]
LARGEST_PAGE = 2

Answering = Callable[[httpx.QueryParams], Any]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Any], list[dict[str, str]]]]:
    """Of a server that answers so: the records, and the queries that it was sent."""
    client = httpx.Client

    def reading(answer: Answering, max_bytes: int = 1 << 20, **settings: Any) -> tuple[list[Any], list[dict[str, str]]]:
        queries: list[dict[str, str]] = []

        def handle(request: httpx.Request) -> httpx.Response:
            queries.append(dict(request.url.params))
            body = gzip.compress(json.dumps(answer(request.url.params)).encode())
            return httpx.Response(200, content=body, headers={"content-encoding": "gzip"})

        monkeypatch.setattr(httpx, "Client", partial(client, transport=httpx.MockTransport(handle)))
        way = Way(Destinations(), allow_http=False, authorities=certifi.where(), max_bytes=max_bytes)
        given: Any = read_settings("rest", {"url": f"https://{PUBLIC}/hosts", **settings})
        return list(web.read(given, Secrets(), way)), queries

    return reading


def capped(query: httpx.QueryParams) -> list[Any]:
    """Gives two at most, whatever it is asked for."""
    size = min(int(query["limit"]), LARGEST_PAGE)
    start = int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * size
    return RECORDS[start : start + size]


@pytest.mark.parametrize(
    ("paging", "places"),
    [
        ({"kind": "offset", "size": 1_000}, ["0", "2", "4", "6", "7"]),
        ({"kind": "page", "sizeParameter": "limit", "size": 1_000}, ["1", "2", "3", "4", "5"]),
    ],
)
def test_a_server_that_gives_less_than_it_is_asked_for_is_read_to_its_end(
    read: Any, paging: dict[str, Any], places: list[str]
) -> None:
    records, queries = read(capped, paging=paging)
    assert records == RECORDS
    assert [each[paging["kind"]] for each in queries] == places


def by_cursor(cursors: dict[str, Any]) -> Answering:
    """A record on each page; the cursor of the next one stands in `next`."""

    def answer(query: httpx.QueryParams) -> Any:
        own = query.get("cursor", "")
        return {"data": [{"Name": own}], "next": cursors[own]}

    return answer


@pytest.mark.parametrize("last", [None, "", False])
def test_zero_is_a_cursor_and_nothing_is_the_end(read: Any, last: Any) -> None:
    settings = {"selector": "data", "paging": {"kind": "cursor"}}
    records, _ = read(by_cursor({"": 0, "0": "b", "b": last}), **settings)
    assert [each["Name"] for each in records] == ["", "0", "b"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"data": RECORDS}, "CURSOR_NOT_FOUND"),
        ({"data": RECORDS, "meta": {"next": "b"}}, "CURSOR_NOT_FOUND"),
        ({"data": RECORDS, "next": {"href": "/hosts?cursor=b"}}, "SOURCE_INVALID"),
        ({"data": RECORDS, "next": ["b"]}, "SOURCE_INVALID"),
        ({"data": RECORDS, "next": "b" * 9_000}, "SOURCE_INVALID"),
    ],
)
def test_a_cursor_that_is_not_found_is_no_last_page(read: Any, document: Any, code: str) -> None:
    with pytest.raises(SourceError) as failed:
        read(lambda _query: document, selector="data", paging={"kind": "cursor"})
    assert failed.value.code == code


def test_the_member_of_the_cursor_may_be_missing_on_the_last_page_and_by_the_users_word_on_the_first(read: Any) -> None:
    pages = {"": {"data": RECORDS[:3], "next": "b"}, "b": {"data": RECORDS[3:]}}
    paging: dict[str, Any] = {"kind": "cursor"}
    assert read(lambda query: pages[query.get("cursor", "")], selector="data", paging=paging)[0] == RECORDS
    paging = {"kind": "cursor", "optional": True}
    assert read(lambda _query: {"data": RECORDS}, selector="data", paging=paging)[0] == RECORDS


def test_empty_pages_have_an_end(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_EMPTY_PAGES", 3)
    asked: list[int] = []

    def answer(_query: httpx.QueryParams) -> Any:
        asked.append(len(asked))
        return {"data": RECORDS if len(asked) == 4 else [], "next": len(asked)}

    with pytest.raises(SourceError, match="in a row") as failed:
        read(answer, selector="data", paging={"kind": "cursor"})
    assert failed.value.code == "PAGING_LOOP"
    assert len(asked) == 8, "the records of the fourth page begin the count anew"


def test_bytes_that_become_no_rows_are_counted_over_all_pages(read: Any) -> None:
    def answer(query: httpx.QueryParams) -> Any:
        return {"data": [], "next": int(query.get("cursor", "0")) + 1, "noise": "x" * 400}

    with pytest.raises(SourceError) as failed:
        read(answer, max_bytes=1_000, selector="data", paging={"kind": "cursor"})
    assert (failed.value.code, "1000 bytes" in failed.value.message) == ("FETCH_LIMIT", True)

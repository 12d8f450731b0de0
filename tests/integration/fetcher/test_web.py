"""HTTP APIs in pages, of a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dialects.assets.source_settings import Secrets
from tests.integration.fetcher.api import Api, serving
from tests.integration.fetcher.quay import Quay

RECORDS = [{"Name": f"web{n}", "Cores": n} for n in range(7)]


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as made:
        made.records = RECORDS
        yield made


@pytest.mark.parametrize(
    ("path", "settings", "requests"),
    [
        ("/page", {"selector": "data.items", "paging": {"kind": "page"}}, 4),
        ("/offset", {"paging": {"kind": "offset", "size": 4}}, 3),
        ("/cursor", {"selector": "items", "paging": {"kind": "cursor", "selector": "meta.next"}}, 3),
        ("/link", {"paging": {"kind": "link"}}, 3),
    ],
)
async def test_all_pages_are_read_once(
    quay: Quay, api: Api, path: str, settings: dict[str, Any], requests: int
) -> None:
    row, landed = await quay.fetch_all("rest", {"url": api.url(path + "?kind=host"), **settings})
    assert row["error_code"] is None
    assert landed == RECORDS
    assert len(api.requests) == requests
    assert path == "/link" or {each.query["kind"] for each in api.requests} == {"host"}


async def test_a_rest_source_becomes_objects(quay: Quay, api: Api) -> None:
    await quay.source("rest", {"url": api.url("/link"), "paging": {"kind": "link"}})
    import_id = await quay.run()
    await quay.fetched(import_id)
    assert await quay.bench.attempt(import_id) == "succeeded"
    assert await quay.bench.engine.outcome(import_id) == {"inserted": 7}


@pytest.mark.parametrize(
    ("auth", "secrets", "header"),
    [
        ({"kind": "basic", "username": "u"}, Secrets(password="p"), ("authorization", "Basic dTpw")),
        ({"kind": "bearer"}, Secrets(token="t0ken"), ("authorization", "Bearer t0ken")),
        ({"kind": "header", "header": "X-Key"}, Secrets(token="t0ken"), ("x-key", "t0ken")),
    ],
)
async def test_credentials_go_with_every_page(
    quay: Quay, api: Api, auth: dict[str, str], secrets: Secrets, header: tuple[str, str]
) -> None:
    settings = {"url": api.url("/link"), "auth": auth, "headers": {"X-Own": "1"}, "paging": {"kind": "link"}}
    await quay.fetch_all("rest", settings, secrets)
    assert [each.headers[header[0]] for each in api.requests] == [header[1]] * 3
    assert {each.headers["x-own"] for each in api.requests} == {"1"}


async def test_a_body_is_posted_as_json(quay: Quay, api: Api) -> None:
    api.pages["/search"] = RECORDS
    _, landed = await quay.fetch_all("rest", {"url": api.url("/search"), "method": "POST", "body": {"a": [1]}})
    assert landed == RECORDS
    assert [each.body.replace(b" ", b"") for each in api.requests] == [b'{"a":[1]}']


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_server_is_asked_again(quay: Quay, api: Api, status: int) -> None:
    api.pages["/hosts"] = RECORDS
    api.refusals, api.refusal_headers = [status, status], {"retry-after": "0"}
    row, landed = await quay.fetch_all("rest", {"url": api.url("/hosts")})
    assert (landed, row["retries"], len(api.requests)) == (RECORDS, 0, 3)


async def test_a_server_that_asks_for_long_is_left_alone_for_that_long(quay: Quay, api: Api) -> None:
    api.refusals, api.refusal_headers = [429], {"retry-after": "200"}
    row, _ = await quay.fetch_all("rest", {"url": api.url("/hosts")})
    assert (row["retries"], len(api.requests)) == (1, 1)
    assert (row["not_before"] - row["updated_at"]).total_seconds() > 195


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "AUTHENTICATION_FAILED"), (403, "AUTHENTICATION_FAILED"), (404, "SOURCE_REFUSED"), (302, "SOURCE_REFUSED")],
)
async def test_other_refusals_are_final(quay: Quay, api: Api, status: int, code: str) -> None:
    api.pages["/elsewhere"] = RECORDS
    api.refusals, api.refusal_headers = [status], {"location": api.url("/elsewhere")}
    row, _ = await quay.fetch_all("rest", {"url": api.url("/hosts")}, Secrets(token="t0ken"))
    assert (row["state"], row["error_code"], len(api.requests)) == ("FAILED", code, 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "SOURCE_INVALID"),
        (b"", "SOURCE_INVALID"),
        (b'[{"a": 1}, {"a"', "SOURCE_INVALID"),
        (b'[{"a": 1}] trailing', "SOURCE_INVALID"),
        (b"[1, 2]", "SOURCE_INVALID"),
        (b"[" * 100 + b"]" * 100, "SOURCE_INVALID"),
        (b'{"error": "busy"}', ""),
        (b'"text"', "RECORDS_NOT_FOUND"),
    ],
)
async def test_an_answer_that_is_no_records_is_final(quay: Quay, api: Api, body: bytes, code: str) -> None:
    api.raw["/hosts"] = body
    row, landed = await quay.fetch_all("rest", {"url": api.url("/hosts")})
    if code:
        assert (row["state"], row["error_code"]) == ("FAILED", code)
        assert await quay.stored() == []
    else:
        assert landed == [{"error": "busy"}], "a lone object is one record"


async def test_an_answer_without_the_array_is_no_end_of_the_pages(quay: Quay, api: Api) -> None:
    api.raw["/hosts"] = b'{"error": "busy"}'
    row, _ = await quay.fetch_all("rest", {"url": api.url("/hosts"), "selector": "data"})
    assert (row["state"], row["error_code"]) == ("FAILED", "RECORDS_NOT_FOUND")


@pytest.mark.parametrize(
    ("document", "paging"),
    [
        (RECORDS, {"kind": "page"}),
        (RECORDS, {"kind": "offset", "size": 7}),
        ({"data": RECORDS, "next": "same"}, {"kind": "cursor"}),
    ],
)
async def test_pages_without_an_end_are_noticed(quay: Quay, api: Api, document: Any, paging: dict[str, Any]) -> None:
    api.pages["/hosts"] = document
    selector = "data" if isinstance(document, dict) else ""
    row, _ = await quay.fetch_all("rest", {"url": api.url("/hosts"), "selector": selector, "paging": paging})
    assert (row["state"], row["error_code"]) == ("FAILED", "PAGING_LOOP")
    assert len(api.requests) == 2
    assert await quay.stored() == []


async def test_http_needs_the_operators_word(quay: Quay, api: Api) -> None:
    row, _ = await quay.fetch_all("rest", {"url": api.url("/link")}, allow_http=False)
    assert (row["state"], row["error_code"], api.requests) == ("FAILED", "DESTINATION_FORBIDDEN", [])


async def test_a_large_answer_is_read_in_little_memory(quay: Quay, api: Api) -> None:
    row_text = b'{"Name": "x", "Text": "' + b"y" * 1_000 + b'"}'
    api.raw["/large"] = b'{"data": [' + b",".join([row_text] * 50_000) + b"]}"
    settings = {"url": api.url("/large"), "selector": "data"}
    row, _ = await quay.fetch_all("rest", settings, memory_bytes=300 << 20, max_rows=49_000)
    assert row["error_code"] == "FETCH_LIMIT", "by rows, not by memory"
    assert "rows" in row["error_message"]


@pytest.mark.parametrize(
    "body",
    [b'[{"Name": "' + b"y" * (40 << 20) + b'"}]', b'[{"Name": [' + b"[]," * (4 << 20) + b"[]]}]"],
    ids=["text", "items"],
)
async def test_a_record_without_an_end_ends_the_child_and_nothing_else(quay: Quay, api: Api, body: bytes) -> None:
    api.raw["/large"] = body
    row, _ = await quay.fetch_all("rest", {"url": api.url("/large")}, memory_bytes=300 << 20)
    assert (row["state"], row["error_code"]) == ("FAILED", "FETCH_LIMIT")


async def test_what_becomes_no_row_counts_as_well(quay: Quay, api: Api) -> None:
    api.raw["/noise"] = b'{"data": [], "noise": [' + b",".join([b"1"] * 100_000) + b"]}"
    row, _ = await quay.fetch_all("rest", {"url": api.url("/noise"), "selector": "data"}, max_bytes=100_000)
    assert (row["state"], row["error_code"]) == ("FAILED", "FETCH_LIMIT")


async def test_an_unknown_reader_is_told(quay: Quay) -> None:
    row, _ = await quay.fetch_all("custom", {"reader": "nowhere"})
    assert (row["state"], row["error_code"]) == ("FAILED", "READER_UNKNOWN")

"""One trace from trigger to flip: through outbox, message and worker, also where an import is handed over or fails."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runtime.otlp import record
from runtime.telemetry import configure_logging
from runtime.tracing import new_traceparent, trace_id_of
from tests.integration.importer.office import Office, eventually
from tests.integration.importer.replies import slow_replies
from tests.integration.importer.shop import LARGE_SCAN, Shop
from tests.scans import nessus

TRIGGER = new_traceparent()
SECRET = "nobody-may-read-this"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = record("test", SimpleSpanProcessor(exporter))
    yield exporter
    stop()


@pytest.fixture
async def traced(shop: Shop, office: Office) -> Shop:
    office.queue = shop.queue
    return shop


async def triggered(shop: Shop, data: bytes) -> UUID:
    """An import whose trigger was called with TRIGGER."""
    import_id = await shop.bench.triggered(data, traceparent=TRIGGER)
    await shop.bench.engine.admin.execute(
        "UPDATE outbox SET traceparent = %s WHERE import_id = %s", (TRIGGER, import_id)
    )
    return import_id


def named(spans: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    found: dict[str, list[ReadableSpan]] = {}
    for each in spans.get_finished_spans():
        found.setdefault(each.name, []).append(each)
    return found


def parents(spans: InMemorySpanExporter) -> dict[str, str | None]:
    """The name of each span's parent; None for the one of the trigger."""
    names = {each.context.span_id: each.name for each in spans.get_finished_spans()}
    return {each.name: names.get(each.parent.span_id) for each in spans.get_finished_spans() if each.parent}


def said(each: ReadableSpan) -> dict[str, Any]:
    return dict(each.attributes or {})


async def test_an_import_is_one_trace_from_its_trigger_to_its_flip(
    traced: Shop, office: Office, spans: InMemorySpanExporter
) -> None:
    import_id = await triggered(traced, nessus())
    assert await office.look() == [import_id]
    async with traced.working():
        await traced.until_settled(1)
    assert {f"{each.context.trace_id:032x}" for each in spans.get_finished_spans()} == {trace_id_of(TRIGGER)}
    assert parents(spans) == {
        "publish imports.small": None,
        "process imports.small": "publish imports.small",
        "claim": "process imports.small",
        "attempt": "process imports.small",
        "parse": "attempt",
        "stage": "attempt",
        "flip": "attempt",
        "merge": "flip",
    }
    (published,) = named(spans)["publish imports.small"]
    assert published.parent is not None
    assert f"{published.parent.span_id:016x}" == TRIGGER.split("-")[2]
    (attempt,) = named(spans)["attempt"]
    assert said(attempt)["hythe.import_id"] == str(import_id)
    assert (said(attempt)["hythe.attempt"], said(attempt)["hythe.ending"], attempt.links) == (1, "succeeded", ())
    assert "waiting for other merges" in {event.name for event in named(spans)["merge"][0].events}
    assert all(each.status.status_code.name == "UNSET" for each in spans.get_finished_spans())


async def test_an_import_that_is_handed_over_stays_in_its_trace_and_names_the_attempt_it_goes_on_from(
    traced: Shop, office: Office, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await triggered(traced, LARGE_SCAN)
    await office.look()
    with monkeypatch.context() as patched:
        slow_replies(patched)
        async with traced.working(chunk_records=100) as stop:
            await eventually(traced.has_checkpoint)
            stop.set()
    assert await office.look() == [import_id]
    async with traced.working():
        await traced.until(import_id, "SUCCEEDED")
    first, second = sorted(named(spans)["attempt"], key=lambda each: said(each)["hythe.attempt"])
    assert (said(first)["hythe.ending"], said(second)["hythe.ending"]) == ("drained", "succeeded")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert {f"{each.context.trace_id:032x}" for each in spans.get_finished_spans()} == {trace_id_of(TRIGGER)}
    # Who goes home is no error.
    assert first.status.status_code.name == "UNSET"
    assert {each.status.status_code.name for each in named(spans)["parse"]} == {"UNSET"}
    assert len(named(spans)["publish imports.small"]) == 2


async def test_a_message_without_a_trace_is_worked_on_in_the_trace_of_its_import(
    traced: Shop, spans: InMemorySpanExporter
) -> None:
    import_id = await triggered(traced, nessus())
    await traced.post(import_id)
    async with traced.working():
        await traced.until_settled(1)
    (attempt,) = named(spans)["attempt"]
    assert f"{attempt.context.trace_id:032x}" == trace_id_of(TRIGGER)
    assert f"{named(spans)['flip'][0].context.trace_id:032x}" == trace_id_of(TRIGGER)


async def test_a_file_that_is_refused_shows_in_its_trace_by_code_and_never_by_content(
    traced: Shop, office: Office, spans: InMemorySpanExporter
) -> None:
    import_id = await triggered(traced, b"<NessusClientData_v2><Report><" + SECRET.encode())
    await office.look()
    async with traced.working():
        await traced.until(import_id, "FAILED")
    code = (await traced.bench.row(import_id))["error_code"]
    (parse,), (attempt,) = named(spans)["parse"], named(spans)["attempt"]
    assert said(parse)["error.type"] == code
    assert said(attempt)["error.type"] == "FAILED"
    assert "flip" not in named(spans)
    text = "".join(each.to_json() for each in spans.get_finished_spans())
    assert SECRET not in text
    assert '"tenant' not in text


async def test_every_line_of_an_attempt_names_its_import_its_trace_and_its_span(
    traced: Shop, office: Office, spans: InMemorySpanExporter
) -> None:
    import_id = await triggered(traced, nessus())
    await office.look()
    written = io.StringIO()
    before = logging.getLogger().handlers
    configure_logging("worker")
    logging.getLogger().handlers[0].setStream(written)  # type: ignore[attr-defined] # A StreamHandler.
    try:
        async with traced.working():
            await traced.until_settled(1)
    finally:
        logging.getLogger().handlers = before
    known = {f"{each.context.span_id:016x}": each.name for each in spans.get_finished_spans()}
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    told = {line["event"]: line for line in lines if line.get("import_id") == str(import_id)}
    assert {name: known[line["span_id"]] for name, line in told.items()} == {
        "import started": "attempt",
        "file recognised": "parse",
        "import attempt ended": "attempt",
    }
    assert {line["trace_id"] for line in told.values()} == {trace_id_of(TRIGGER)}

"""Spans: their ids in log and header, what is recorded of them, and how they reach a collector."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deploy.local.collector import collecting
from runtime import otlp
from runtime.errors import NotFound
from runtime.messaging import processing, publishing
from runtime.otlp import record, start_tracing
from runtime.telemetry import configure_logging
from runtime.tracing import Kind, child_of, current_traceparent, new_traceparent, span, trace_id_of
from services.importer.engine.failures import Drained, ImportFailure

SAMPLED = 1
NOT_SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = record("test", SimpleSpanProcessor(exporter))
    yield exporter
    stop()


def by_name(exporter: InMemorySpanExporter) -> dict[str, Any]:
    return {each.name: each for each in exporter.get_finished_spans()}


def span_id_of(traceparent: str) -> str:
    return traceparent.split("-")[2]


def test_a_child_keeps_its_trace_and_has_its_own_span() -> None:
    parent = new_traceparent()
    child = child_of(parent)
    assert trace_id_of(child) == trace_id_of(parent) != ""
    assert child != parent
    assert child.endswith("-01")
    assert child_of(parent[:-2] + "00").endswith("-00"), "the sampling decision is the parent's"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff-x-y-z",
    ],
)
def test_what_is_no_trace_starts_one(text: str) -> None:
    trace = trace_id_of(child_of(text))
    assert len(trace) == 32
    assert trace != "0" * 32


def test_each_log_line_names_the_span_that_it_stands_in(capsys: Any) -> None:
    configure_logging("worker")
    log = structlog.get_logger("x")
    with structlog.contextvars.bound_contextvars(import_id="i-1"), span("outer") as outer:
        with span("inner") as inner:
            log.info("in")
        log.info("out")
    log.info("after")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, made in zip(lines, (inner, outer), strict=False):
        assert line["import_id"] == "i-1"
        assert f"{line['trace_id']}-{line['span_id']}" in made.traceparent
    assert not {"trace_id", "span_id", "import_id"} & lines[2].keys()
    assert current_traceparent() == ""


def test_nothing_of_the_sdk_is_loaded_without_a_collector() -> None:
    check = (
        "import sys, services.importer.worker_root, services.importer.main; from runtime.otlp import start_tracing; "
        "start_tracing('x', '', 1.0)(); sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_spans_are_recorded_with_parent_kind_attributes_and_events(recorded: InMemorySpanExporter) -> None:
    trace = new_traceparent()
    with span("outer", kind=Kind.SERVER, parent=trace, attributes={"a": 1}) as outer:
        outer.note({"b": True})
        with span("inner", span_id="0123456789abcdef") as inner:
            inner.event("half way")
    spans = by_name(recorded)
    assert spans["outer"].kind.name == "SERVER"
    assert dict(spans["outer"].attributes) == {"a": 1, "b": True}
    assert f"{spans['outer'].parent.span_id:016x}" == span_id_of(trace)
    assert spans["inner"].parent.span_id == spans["outer"].context.span_id
    assert f"{spans['inner'].context.span_id:016x}" == "0123456789abcdef"
    assert [event.name for event in spans["inner"].events] == ["half way"]
    assert {f"{each.context.trace_id:032x}" for each in spans.values()} == {trace_id_of(trace)}
    assert spans["outer"].resource.attributes["service.name"] == "test"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportFailure("XML_BROKEN", "the text of line 7 is secret"), "XML_BROKEN"),
        (NotFound("USER_NOT_FOUND", "secret"), "USER_NOT_FOUND"),
        (ValueError("secret"), "ValueError"),
        (Drained("secret"), ""),
    ],
)
def test_a_span_tells_an_error_by_its_code_and_never_by_its_text(
    recorded: InMemorySpanExporter, error: Exception, said: str
) -> None:
    with pytest.raises(type(error)), span("work"):
        raise error
    (made,) = recorded.get_finished_spans()
    assert dict(made.attributes or {}) == ({"error.type": said} if said else {})
    assert made.status.status_code.name == ("ERROR" if said else "UNSET")
    assert "secret" not in made.to_json()


def test_a_conclusion_stands_whatever_exception_comes_after_it(recorded: InMemorySpanExporter) -> None:
    def work() -> None:
        with span("work") as made:
            made.conclude()
            raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        work()
    assert recorded.get_finished_spans()[0].status.status_code.name == "UNSET"


def test_a_message_carries_the_span_that_published_it(recorded: InMemorySpanExporter) -> None:
    trace = new_traceparent()
    with publishing("imports.small", trace, {"n": 1}) as sent:
        headers = {"traceparent": sent.traceparent, "Nats-Msg-Id": "i:1"}
    with processing("imports.small", headers, num_delivered=2):
        pass
    spans = by_name(recorded)
    published, processed = spans["publish imports.small"], spans["process imports.small"]
    assert (published.kind.name, processed.kind.name) == ("PRODUCER", "CONSUMER")
    assert processed.parent.span_id == published.context.span_id
    assert processed.attributes["messaging.message.id"] == "i:1"
    assert processed.attributes["messaging.nats.message.num_delivered"] == 2
    assert {each.attributes["messaging.system"] for each in spans.values()} == {"nats"}


def test_a_part_of_the_traces_that_begin_here_is_recorded_and_every_one_that_was_elsewhere() -> None:
    exporter = InMemorySpanExporter()
    stop = record("test", SimpleSpanProcessor(exporter), ratio=0.0)
    try:
        with span("begins here") as begun:
            assert int(begun.traceparent[-2:], 16) & SAMPLED == 0
            with span("goes on here"):
                pass
        with span("began elsewhere", parent=new_traceparent()):
            pass
        with span("was not wanted elsewhere", parent=NOT_SAMPLED):
            pass
    finally:
        stop()
    assert list(by_name(exporter)) == ["began elsewhere"]


def test_the_last_spans_of_a_process_reach_the_collector_before_it_ends() -> None:
    taken: list[dict[str, Any]] = []
    trace = new_traceparent()
    with collecting("127.0.0.1:0", taken.append) as port:
        stop = start_tracing("worker", f"http://127.0.0.1:{port}", 1.0)
        with span("parse", parent=trace, link=trace, attributes={"n": 3}) as made:
            made.conclude("FAILED")
        stop()
        with span("after the end"):
            pass
    (one,) = taken
    assert (one["trace_id"], one["parent_span_id"]) == (trace_id_of(trace), span_id_of(trace))
    assert one["links"] == [{"trace_id": trace_id_of(trace), "span_id": span_id_of(trace)}]
    assert (one["service"], one["name"], one["error_type"], one["attributes"]["n"]) == ("worker", "parse", "FAILED", 3)


def test_a_collector_that_is_away_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "FLUSH_SECONDS", 0.2)
    stop = start_tracing("worker", "http://127.0.0.1:1", 1.0)
    began = time.monotonic()
    for _ in range(5_000):
        with span("work"):
            pass
    stop()
    assert time.monotonic() - began < 3

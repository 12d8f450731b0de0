"""Spans recorded by the OpenTelemetry SDK and sent to a collector by OTLP over gRPC.

Nothing of the SDK is loaded where no collector is set. What the collector does not take in time is dropped: an import
never waits for it. Certificates, headers and compression are set by the SDK's own `OTEL_EXPORTER_OTLP_…` variables,
and attributes of the process, such as its pod, by `OTEL_RESOURCE_ATTRIBUTES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from threading import Thread
from typing import TYPE_CHECKING, Any

from runtime import tracing
from runtime.tracing import Kind, Span, Value, parse

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span as SdkSpan

EXPORT_SECONDS = 5
"""How long the collector may take for a batch of spans."""
FLUSH_SECONDS = 3
"""How long a process that ends waits for the collector to take the last ones."""

_given_span_id: ContextVar[str] = ContextVar("span_id", default="")


def start_tracing(name: str, endpoint: str, ratio: float) -> Callable[[], None]:
    """Sends spans of the service `name` to `endpoint`, until the answer is called. An empty endpoint does nothing.

    `ratio` is the part of the traces that begin here which are recorded; one that began elsewhere is recorded when it
    was there.
    """
    if not endpoint:
        return lambda: None
    exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    return record(name, export.BatchSpanProcessor(exporter.OTLPSpanExporter(endpoint, timeout=EXPORT_SECONDS)), ratio)


def record(name: str, processor: SpanProcessor, ratio: float = 1.0) -> Callable[[], None]:
    """Hands every span that has ended to `processor`, until the answer is called."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  (half a second that only those with a collector pay)
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415

    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create({"service.name": name, "service.namespace": "hythe"}),
        id_generator=_ids(),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    tracing.record_with(_SdkTracer(provider.get_tracer("hythe")))

    def stop() -> None:
        tracing.record_with(None)
        # The SDK's own way to end may take half a minute when the collector is away.
        flush = Thread(target=provider.shutdown, name="otlp-flush", daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)

    return stop


def _ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

    class Ids(RandomIdGenerator):
        def generate_span_id(self) -> int:
            given = _given_span_id.get()
            return int(given, 16) if given else super().generate_span_id()

    return Ids()


class _SdkTracer:
    def __init__(self, tracer: Any) -> None:
        from opentelemetry import trace  # noqa: PLC0415

        self._tracer = tracer
        self._trace = trace
        self._nothing = trace.set_span_in_context(trace.INVALID_SPAN)

    def begin(
        self, name: str, kind: Kind, parent: str, attributes: Mapping[str, Value], link: str, span_id: str
    ) -> Span:
        trace = self._trace
        origin = self._context_of(parent)
        linked = self._context_of(link)
        around = trace.set_span_in_context(trace.NonRecordingSpan(origin)) if origin else self._nothing
        token = _given_span_id.set(span_id)
        try:
            begun = self._tracer.start_span(
                name,
                context=around,
                kind=trace.SpanKind[kind],
                attributes=attributes,
                links=[trace.Link(linked)] if linked else [],
            )
        finally:
            _given_span_id.reset(token)
        return _SdkSpan(begun, trace.Status(trace.StatusCode.ERROR))

    def _context_of(self, traceparent: str) -> Any:
        match = parse(traceparent)
        if match is None:
            return None
        flags = self._trace.TraceFlags(int(match[3], 16))
        return self._trace.SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=flags)


class _SdkSpan(Span):
    def __init__(self, begun: SdkSpan, failed: Any) -> None:
        context = begun.get_span_context()
        super().__init__(f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}")
        self._begun = begun
        self._failed = failed

    def note(self, attributes: Mapping[str, Value]) -> None:
        self._begun.set_attributes(attributes)

    def event(self, name: str) -> None:
        self._begun.add_event(name)

    def end(self) -> None:
        if self.error_type:
            self._begun.set_attribute("error.type", self.error_type)
            self._begun.set_status(self._failed)
        self._begun.end()

"""A collector of spans for one machine: takes them by OTLP over gRPC, and prints each as a line of JSON.

For `make up PROFILE=observability` and for tests. It keeps nothing; who wants to search runs a collector of their own.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ReceivedSpan

from deploy.local.instance import Instance
from deploy.local.ports import address
from deploy.local.probes import is_serving
from deploy.local.programs import SERVERS, Program, base_environment

NAME = "collector"
THREADS = 4

Take = Callable[[dict[str, Any]], None]
"""Gets one span at a time, as `described`."""


class _Traces(TraceServiceServicer):
    def __init__(self, take: Take) -> None:
        self._take = take

    def Export(  # noqa: N802 - the RPC's name
        self, request: ExportTraceServiceRequest, context: Any
    ) -> ExportTraceServiceResponse:
        for resource in request.resource_spans:
            service = plain(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                for each in scope.spans:
                    self._take(described(service, each))
        return ExportTraceServiceResponse()


def described(service: Any, received: ReceivedSpan) -> dict[str, Any]:
    """A span as JSON: ids in hexadecimal, times in UTC, durations in milliseconds."""
    attributes = plain(received.attributes)
    return {
        "trace_id": received.trace_id.hex(),
        "span_id": received.span_id.hex(),
        "parent_span_id": received.parent_span_id.hex(),
        "service": service,
        "name": received.name,
        "kind": ReceivedSpan.SpanKind.Name(received.kind).removeprefix("SPAN_KIND_"),
        "started_at": datetime.fromtimestamp(received.start_time_unix_nano / 1e9, UTC).isoformat(),
        "duration_ms": (received.end_time_unix_nano - received.start_time_unix_nano) / 1e6,
        "error_type": attributes.get("error.type", ""),
        "attributes": attributes,
        "events": [each.name for each in received.events],
        "links": [{"trace_id": each.trace_id.hex(), "span_id": each.span_id.hex()} for each in received.links],
    }


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes by name; a value is text, a number or a truth."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in attributes}


@contextmanager
def collecting(listen: str, take: Take) -> Iterator[int]:
    """Receives at host:port for as long as the block lasts; the port that it got."""
    server = grpc.server(ThreadPoolExecutor(THREADS))
    add_TraceServiceServicer_to_server(_Traces(take), server)  # type: ignore[no-untyped-call]
    checks = health.HealthServicer()
    checks.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    port = server.add_insecure_port(listen)
    server.start()
    try:
        yield port
    finally:
        server.stop(1).wait()


def program(instance: Instance) -> Program:
    listen = address(instance.ports.collector)
    return Program(
        name=NAME,
        group=SERVERS,
        command=(sys.executable, "-m", "deploy.local.collector", listen),
        is_ready=partial(is_serving, listen),
        environment=base_environment(instance),
        ports=(NAME,),
    )


def main() -> None:
    """Until SIGTERM or SIGINT."""
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    with collecting(sys.argv[1], lambda span: print(json.dumps(span, default=str), flush=True)):
        signal.sigwait(ending)


if __name__ == "__main__":
    main()

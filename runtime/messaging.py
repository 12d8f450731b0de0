"""Metrics and spans of messages, by the names of OpenTelemetry's semantic conventions (docs/observability.md)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from runtime.telemetry import DURATION_BUCKETS
from runtime.tracing import Kind, Span, Value, span

# Of work that a message asks for, which may go on for hours.
PROCESS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600)

OPERATION_DURATION = Histogram(
    "hythe_messaging_client_operation_duration_seconds",
    "From asking NATS for something (publish, ack, nak, term) to its answer.",
    ["messaging_operation_name", "messaging_destination_name", "error_type"],
    buckets=DURATION_BUCKETS,
)
SENT_MESSAGES = Counter(
    "hythe_messaging_client_sent_messages", "Messages that NATS has taken.", ["messaging_destination_name"]
)
CONSUMED_MESSAGES = Counter(
    "hythe_messaging_client_consumed_messages",
    "Messages that NATS has given to this process, repetitions too.",
    ["messaging_destination_name"],
)
PROCESS_DURATION = Histogram(
    "hythe_messaging_process_duration_seconds",
    "From the arrival of a message to the end of what it asks for.",
    ["messaging_destination_name", "error_type"],
    buckets=PROCESS_BUCKETS,
)

# The specification has no name for NATS, and lets others be written as they are.
SYSTEM = {"messaging.system": "nats"}


@contextmanager
def operation(name: str, destination: str) -> Iterator[None]:
    """Times one word with NATS. An error leaves as it came, and its class is counted."""
    began = time.perf_counter()
    failure = ""
    try:
        yield
    except Exception as error:
        failure = type(error).__name__
        raise
    finally:
        OPERATION_DURATION.labels(name, destination, failure).observe(time.perf_counter() - began)


@contextmanager
def publishing(destination: str, parent: str, attributes: Mapping[str, Value]) -> Iterator[Span]:
    """A span around the publishing of one message, whose `traceparent` the message carries."""
    told = {**_told("publish", "send", destination), **attributes}
    with span(f"publish {destination}", kind=Kind.PRODUCER, parent=parent, attributes=told) as made:
        yield made


@contextmanager
def processing(destination: str, headers: Mapping[str, str], num_delivered: int) -> Iterator[Span]:
    """A span around the work that one message asks for, as a child of the one that published it."""
    told = {**_told("process", "process", destination), "messaging.nats.message.num_delivered": num_delivered}
    if "Nats-Msg-Id" in headers:
        told["messaging.message.id"] = headers["Nats-Msg-Id"]
    began = time.perf_counter()
    parent = headers.get("traceparent", "")
    failure = ""
    try:
        with span(f"process {destination}", kind=Kind.CONSUMER, parent=parent, attributes=told) as made:
            yield made
            failure = made.error_type or ""
    except Exception as error:
        failure = type(error).__name__
        raise
    finally:
        PROCESS_DURATION.labels(destination, failure).observe(time.perf_counter() - began)


def _told(name: str, kind: str, destination: str) -> dict[str, Value]:
    return {
        **SYSTEM,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": destination,
    }

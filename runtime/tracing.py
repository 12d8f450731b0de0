"""Spans: what a call, a message and each step of the work is in its trace, and the ids that its log lines show.

A trace is carried by the W3C header `traceparent`: in a call, in the row of the import, in a message. Where nothing
records (`runtime.otlp`), a span is an id that is bound to the log and handed on, and nothing else.

A span carries what happened, never what was in a file: of an exception its code, not its text.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol

from structlog.contextvars import bound_contextvars

Value = str | int | float | bool

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16


class Kind(StrEnum):
    """What a span is at the border of a process, as OpenTelemetry names it."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Span:
    """A span that nobody records."""

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent
        """W3C trace context of this span, to hand on."""
        self.error_type: str | None = None
        """How it ended, once that is known: empty when well, else a code."""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Attributes that became known after its start."""

    def event(self, name: str) -> None:
        """Something that happened in it, now."""

    def conclude(self, error_type: str = "") -> None:
        """Says how it ended; an exception that leaves it afterwards changes nothing about that."""
        self.error_type = error_type

    def end(self) -> None:
        """It is over."""


class Tracer(Protocol):
    """Makes spans that are recorded."""

    def begin(
        self, name: str, kind: Kind, parent: str, attributes: Mapping[str, Value], link: str, span_id: str
    ) -> Span:
        """`parent` and `link` are traceparents or empty; a `span_id` that is given becomes the span's."""
        ...


class _Recording:
    tracer: Tracer | None = None


_current: ContextVar[str] = ContextVar("traceparent", default="")


def record_with(tracer: Tracer | None) -> None:
    """From now on the spans of this process go to `tracer`; None: nowhere."""
    _Recording.tracer = tracer


def current_traceparent() -> str:
    """Of the span that one stands in; empty outside of all."""
    return _current.get()


@contextmanager
def span(
    name: str,
    *,
    kind: Kind = Kind.INTERNAL,
    parent: str | None = None,
    attributes: Mapping[str, Value] | None = None,
    link: str = "",
    span_id: str = "",
) -> Iterator[Span]:
    """A span around the block, whose `trace_id` and `span_id` every log line in it shows.

    `parent` is a traceparent; None is the span one stands in. What is no traceparent starts a trace. `link` names a
    span that this one goes on from without being its child. An exception that leaves the block makes it a failed span,
    unless it says of itself that it is none (`is_fault`), or the block has concluded already.
    """
    given = _current.get() if parent is None else parent
    tracer = _Recording.tracer
    if tracer is None:
        made = Span(child_of(given, span_id))
    else:
        made = tracer.begin(name, kind, given, attributes or {}, link, span_id)
    _, trace_id, own_id, _ = made.traceparent.split("-")
    token = _current.set(made.traceparent)
    try:
        with bound_contextvars(trace_id=trace_id, span_id=own_id):
            yield made
    except Exception as error:
        if made.error_type is None and getattr(error, "is_fault", True):
            made.conclude(_type_of(error))
        raise
    finally:
        _current.reset(token)
        made.end()


def _type_of(error: Exception) -> str:
    """Our own word for it, else its class."""
    for name in ("reason", "code"):
        word = getattr(error, name, None)
        if isinstance(word, str) and word:
            return word
    return type(error).__name__


def new_traceparent() -> str:
    """The start of a trace, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def child_of(traceparent: str, span_id: str = "") -> str:
    """A new span of the same trace; a new trace when `traceparent` is not one."""
    own_id = span_id or secrets.token_hex(8)
    match = parse(traceparent)
    if match is None:
        return f"00-{secrets.token_hex(16)}-{own_id}-01"
    return f"00-{match[1]}-{own_id}-{match[3]}"


def parse(traceparent: str) -> re.Match[str] | None:
    """Trace id, span id and flags, in hexadecimal; None when it is no traceparent."""
    match = TRACEPARENT.fullmatch(traceparent)
    return None if match is None or match[1] == NO_TRACE or match[2] == NO_SPAN else match


def trace_id_of(traceparent: str) -> str:
    match = TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else ""

"""The child that reads one source: in a process of its own, with nothing of ours but what it reads.

It has no credential of the platform, and knows neither the database nor the object store. What drivers and parsers do
with the answers of a hostile server ends here: killing this process ends the fetch at any moment.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, BinaryIO

import msgspec

from dialects.assets.source_settings import SourceType, read_settings
from runtime.destinations import Destinations
from services.fetcher.failures import SourceError, limited
from services.fetcher.frames import HEAD, Failure, Kind, Order
from services.fetcher.values import line_of
from services.fetcher.way import Way

# Imported when needed: a driver takes half a second.
READERS: Mapping[SourceType, str] = {
    "database": "services.fetcher.databases",
    "ldap": "services.fetcher.directories",
    "rest": "services.fetcher.web",
    "custom": "services.fetcher.registered",
}
TRACE_FRAMES = 20


def main() -> None:
    """Reads its order, and says the rows on what was its standard output."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    out = os.fdopen(os.dup(1), "wb")
    # A reader that prints must not speak for us.
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes, order.memory_bytes))
    kind, last = _told(order, out)
    _say(out, kind, 0, last)
    out.flush()
    # No driver's clean-up may hold up the end, nor talk to its server once more.
    os._exit(0)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _told(order: Order, out: BinaryIO) -> tuple[Kind, bytes]:
    try:
        for rows, lines in framed(rows_of(order), order.frame_bytes, order.row_bytes):
            _say(out, Kind.LINES, rows, lines)
            out.flush()
    except SourceError as error:
        return Kind.FAILED, _encoded(error)
    except MemoryError:
        return Kind.FAILED, _encoded(limited("An answer of the source takes more memory than is allowed."))
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is told, and its place in our log
        frames = traceback.extract_tb(error.__traceback__)[-TRACE_FRAMES:]
        trace = f"{type(error).__name__}: " + " < ".join(f"{each.name}:{each.lineno}" for each in reversed(frames))
        return Kind.FAILED, _encoded(
            SourceError("READER_FAILED", f"Reading the source failed ({type(error).__name__}).", is_retryable=True),
            trace,
        )
    return Kind.DONE, b""


def rows_of(order: Order) -> Iterable[Mapping[str, Any]]:
    """What the source gives."""
    way = Way(
        Destinations(order.exemptions),
        order.allow_http,
        order.authorities,
        order.connect_seconds,
        order.idle_seconds,
        order.max_bytes,
    )
    rows: Iterable[Mapping[str, Any]] = import_module(READERS[order.type]).read(
        read_settings(order.type, order.settings), order.secrets, way
    )
    return rows


def framed(rows: Iterable[Mapping[str, Any]], frame_bytes: int, row_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Lines of rows, in frames of about this size: how many rows, and the lines. Raises SourceError FETCH_LIMIT."""
    lines: list[bytes] = []
    size = 0
    for number, row in enumerate(rows, start=1):
        line = line_of(row)
        if len(line) > row_bytes:
            raise limited(f"Row {number} has more than {row_bytes} bytes.")
        if lines and size + len(line) > frame_bytes:
            yield len(lines), b"".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield len(lines), b"".join(lines)


def _encoded(error: SourceError, trace: str = "") -> bytes:
    return msgspec.json.encode(Failure(error.code, error.message, error.is_retryable, error.retry_after, trace))


def _say(out: BinaryIO, kind: Kind, rows: int, data: bytes) -> None:
    out.write(HEAD.pack(kind, rows, len(data)))
    out.write(data)


if __name__ == "__main__":
    main()

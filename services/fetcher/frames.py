"""What the fetcher and the child that reads a source say to each other.

The order is one line of JSON on the child's standard input, which then stays open for as long as the fetcher lives.
Its answers are frames: kind, number of rows and length in bytes, then so many bytes.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import msgspec

from dialects.assets.source_settings import Secrets, SourceType

HEAD = struct.Struct(">BII")


class Kind(IntEnum):
    """LINES are whole lines of JSON, one row each. DONE and FAILED are the last frame."""

    LINES = 1
    DONE = 2
    FAILED = 3


class Order(msgspec.Struct, frozen=True):
    """What to read, and within which bounds. It holds secrets: it is never logged."""

    type: SourceType
    settings: dict[str, Any]
    secrets: Secrets
    exemptions: str
    allow_http: bool
    authorities: str
    """A file of certificates that are trusted."""
    frame_bytes: int
    row_bytes: int
    memory_bytes: int
    max_bytes: int
    connect_seconds: float
    idle_seconds: float


class Failure(msgspec.Struct, frozen=True):
    """As `SourceError`. `trace` is where in our code it was, for the log; it has no values in it."""

    code: str
    message: str
    is_retryable: bool = False
    retry_after: float | None = None
    trace: str = ""

"""Bounds of one attempt at one import."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.importer.engine.claims import KEEP_RESUMABLE


@dataclass(frozen=True, slots=True)
class Limits:
    """A chunk is written at the first of its three. `keep_resumable`: how long a retry may continue a failed import.

    `unpacked_bytes`: how large what is packed in an archive may be.
    """

    chunk_records: int = 5_000
    chunk_bytes: int = 8 * 1024 * 1024
    chunk_seconds: float = 10.0
    parser_memory_bytes: int = 1 << 30
    parser_cpu_seconds: int = 60
    unpacked_bytes: int = 10 << 30
    chunk_statement: timedelta = timedelta(seconds=60)
    drain_seconds: float = 20.0
    keep_resumable: timedelta = KEEP_RESUMABLE

"""Tells archives by their first bytes, and opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from services.importer.engine.archives.gzip import MAGIC, Gunzipped
from services.importer.engine.archives.meter import ArchiveLimits, Meter
from services.importer.engine.archives.source import Source
from services.importer.engine.archives.zip import BEGINNINGS, Member, members_of
from services.importer.formats.kit.format import ByteStream


def is_gzip(head: bytes) -> bool:
    return head.startswith(MAGIC)


def is_zip(head: bytes) -> bool:
    return head.startswith(BEGINNINGS)


def gunzipped(stream: ByteStream, limits: ArchiveLimits, on_bytes: Callable[[int], None]) -> ByteStream:
    """The content of a gzip file. `on_bytes` is told how many bytes have come out."""
    source = Source(stream)
    return Gunzipped(source, Meter(source, limits, on_bytes))


def members(stream: ByteStream, limits: ArchiveLimits, on_bytes: Callable[[int], None]) -> Iterator[Member]:
    """The members of a zip archive, each to be read before the next is asked for."""
    source = Source(stream)
    return members_of(source, Meter(source, limits, on_bytes))

"""Limits of what an archive may become, by the bytes that come out of it and never by what its headers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.importer.engine.archives.source import Source
from services.importer.formats.kit.format import DamagedFile


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """`total_bytes` is what all members may have together, `members` how many there may be.

    `ratio` is how many times larger than what was read of the archive they may be, from `free_bytes` on. Scans become
    2 to 44 times smaller by deflate (measured on some two hundred real exports); a bomb of one layer, 1,030 times.
    """

    total_bytes: int
    ratio: int = 200
    free_bytes: int = 16 * 1024 * 1024
    members: int = 1_000


class Meter:
    """Counts what comes out of one archive. `on_bytes` is told the sum each time."""

    def __init__(self, source: Source, limits: ArchiveLimits, on_bytes: Callable[[int], None]) -> None:
        self._source = source
        self._limits = limits
        self._on_bytes = on_bytes
        self._total = 0
        self._members = 0

    def count_bytes(self, count: int) -> None:
        """Raises `DamagedFile` (`ARCHIVE_TOO_LARGE`) beyond a limit."""
        self._total += count
        limits = self._limits
        if self._total > limits.total_bytes:
            raise self._too_large(f"holds more than {limits.total_bytes} bytes")
        if self._total > max(limits.free_bytes, limits.ratio * self._source.offset):
            raise self._too_large(f"becomes more than {limits.ratio} times larger when it is unpacked")
        self._on_bytes(self._total)

    def count_member(self) -> None:
        """Raises `DamagedFile` (`ARCHIVE_TOO_LARGE`) beyond a limit."""
        self._members += 1
        if self._members > self._limits.members:
            raise self._too_large(f"has more than {self._limits.members} members")

    def _too_large(self, what: str) -> DamagedFile:
        return DamagedFile("ARCHIVE_TOO_LARGE", f"The archive {what}.", self._source.position())

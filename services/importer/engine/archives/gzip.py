"""Reads gzip (RFC 1952): all members one after the other are one file. Zeros may follow, as tapes and disks leave them.

Checksum and length of each member are checked by zlib.
"""

from __future__ import annotations

from services.importer.engine.archives.inflation import GZIP, Inflation
from services.importer.engine.archives.meter import Meter
from services.importer.engine.archives.source import Source

MAGIC = b"\x1f\x8b"


class Gunzipped:
    """The content of a gzip file as a `ByteStream`."""

    def __init__(self, source: Source, meter: Meter) -> None:
        self._source = source
        self._meter = meter
        self._member: Inflation | None = Inflation(source, GZIP)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end. Raises `DamagedFile`."""
        while self._member is not None:
            data = self._member.read(size)
            if data:
                self._meter.count_bytes(len(data))
                return data
            self._member = self._next_member()
        return b""

    def _next_member(self) -> Inflation | None:
        following = self._source.peek(len(MAGIC))
        if following == MAGIC:
            return Inflation(self._source, GZIP)
        if following == MAGIC[:1]:
            raise self._source.truncated()
        self._source.pass_padding()
        return None

"""A stream that can be looked at before it is read."""

from __future__ import annotations

from services.importer.formats.kit.format import ByteStream

DRAINED_BYTES = 64 * 1024


class Lookahead:
    """A `ByteStream` that can also show its first bytes and be read to its end for nothing."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._seen = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        if self._seen:
            data, self._seen = self._seen[:size], self._seen[size:]
            return data
        return self._stream.read(size)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes without using them up; fewer when there are no more."""
        while len(self._seen) < size and (part := self._stream.read(size - len(self._seen))):
            self._seen += part
        return self._seen[:size]

    def drain(self) -> None:
        """Reads to the end what nobody has a use for."""
        while self.read(DRAINED_BYTES):
            pass

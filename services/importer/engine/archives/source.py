"""The bytes of an archive, read in amounts that its structure asks for."""

from __future__ import annotations

from services.importer.formats.kit.format import ByteStream, DamagedFile, Position

BLOCK_BYTES = 64 * 1024


class Source:
    """Reads a stream by blocks and can take back what was taken last. `offset` is how many bytes are taken."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._block = b""
        self._at = 0
        self.offset = 0

    def take(self, most: int) -> bytes:
        """At least one byte and at most `most`; none at the end of the stream."""
        if self._at == len(self._block):
            self._block, self._at = self._stream.read(BLOCK_BYTES), 0
        data = self._block[self._at : self._at + most]
        self._at += len(data)
        self.offset += len(data)
        return data

    def take_back(self, count: int) -> None:
        """The last `count` bytes of what `take` or `peek` gave last are as if they had not been taken."""
        self._at -= count
        self.offset -= count

    def exactly(self, size: int) -> bytes:
        """`size` bytes. Raises `DamagedFile` (`TRUNCATED`) when there are not so many."""
        parts = []
        while size:
            part = self.take(size)
            if not part:
                raise self.truncated()
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes without taking them; fewer at the end of the stream."""
        while len(self._block) - self._at < size and (more := self._stream.read(BLOCK_BYTES)):
            self._block, self._at = self._block[self._at :] + more, 0
        return self._block[self._at : self._at + size]

    def pass_padding(self) -> None:
        """Takes the rest, which must be zeros, as tapes and disks leave them. Raises `DamagedFile` otherwise."""
        while rest := self.take(BLOCK_BYTES):
            if rest.count(0) < len(rest):
                raise self.damaged("Something that is no part of the archive follows it.")

    def truncated(self) -> DamagedFile:
        return DamagedFile("TRUNCATED", "The archive ends in the middle.", self.position())

    def damaged(self, message: str) -> DamagedFile:
        return DamagedFile("ARCHIVE_DAMAGED", message, self.position())

    def position(self) -> Position:
        """Where the next byte is, in words: formats count offsets of what is inside."""
        return Position(path=f"byte {self.offset} of the archive")

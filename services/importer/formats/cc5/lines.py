"""The lines of a sync file, in portions, with the checksums of all that stands before its footer.

A portion is small: what is made of it must fit into the processor's cache.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from services.importer.formats.kit.encoding import Note, Utf8Blocks, encoding_of
from services.importer.formats.kit.format import ByteStream, DamagedFile, Position

LINE_BYTES = 1 << 20
_PORTION_BYTES = 48 << 10


class Portion(NamedTuple):
    """Whole lines. `first` is the number of the first one, from 1; `line_count` is how many there are.

    Each of them ends with a pipe and LF in `data`, so that every value has a pipe behind it.
    """

    data: bytes
    first: int
    line_count: int

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + self.line_count - 1

    def texts(self) -> list[str]:
        """The lines as they stand in the file; bytes that are not UTF-8 are lone surrogates in them (PEP 383)."""
        return self.data.decode("utf-8", "surrogateescape").split("|\n")[:-1]

    def behind(self, count: int) -> Portion:
        """What is left behind so many lines."""
        return Portion(self.data.split(b"\n", count)[-1], self.first + count, self.line_count - count)

    def halves(self) -> tuple[Portion, Portion]:
        """The same lines, which are two at least, in portions of about one size."""
        middle = len(self.data) // 2
        # The last line may begin in the first half.
        end = self.data.find(b"\n", middle, -1) + 1 or self.data.rfind(b"\n", 0, middle) + 1
        count = self.data.count(b"\n", 0, end)
        return Portion(self.data[:end], self.first, count), self.behind(count)


class Lines:
    """The portions of one file. Lines end with LF or CR LF.

    Raises `DamagedFile` (`LINE_TOO_LONG`).
    """

    def __init__(self, stream: ByteStream) -> None:
        self._blocks = Utf8Blocks(stream, _PORTION_BYTES)
        self._codec = "utf-8"
        self._number = 1
        self._sha256 = hashlib.sha256()
        self._crc32 = 0
        # Summed when the next is asked for: the footer may be in it.
        self._last, self._first = b"", 1

    @property
    def head(self) -> bytes:
        """How the file begins, once anything was read."""
        return self._blocks.head

    @property
    def notes(self) -> list[Note]:
        """What was replaced in a file that is not UTF-8."""
        return self._blocks.notes

    def __iter__(self) -> Iterator[Portion]:
        parts: list[bytes] = []
        size = 0
        for number, block in enumerate(self._blocks):
            if not number:
                self._begin()
            end = block.rfind(b"\n") + 1
            if end:
                parts.append(block[:end])
                yield self._portion(b"".join(parts))
                parts, size = [], 0
            parts.append(block[end:])
            size += len(block) - end
            if size > LINE_BYTES:
                self._refuse()
        if rest := b"".join(parts):
            yield self._portion(rest)

    def checksum(self, algorithm: str, number: int) -> str:
        """Hexadecimal, of all bytes before the line of this number, which is in the last portion; asked once.

        `algorithm` is sha256 or crc32.
        """
        self._sum_last(number - self._first)
        return self._sha256.hexdigest() if algorithm == "sha256" else f"{self._crc32:08x}"

    def _begin(self) -> None:
        """The checksums are those of the file, with its mark."""
        self._codec = encoding_of(self.head)[0]
        self._sum(self.head[: self._blocks.mark])

    def _portion(self, data: bytes) -> Portion:
        if len(data) > LINE_BYTES:
            self._check_lengths(data)
        self._sum_last()
        self._last, self._first = data, self._number
        if not data.endswith(b"\n"):
            data += b"\n"
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        piped = data.replace(b"\n", b"|\n")
        portion = Portion(piped, self._number, len(piped) - len(data))
        self._number += portion.line_count
        return portion

    def _check_lengths(self, data: bytes) -> None:
        for number, line in enumerate(data.split(b"\n"), self._number):
            if len(line) > LINE_BYTES:
                self._refuse(number)

    def _sum_last(self, lines: int = -1) -> None:
        """The last portion, or so many of its first lines."""
        data, self._last = self._last, b""
        if lines >= 0:
            data = b"".join(line + b"\n" for line in data.split(b"\n")[:lines])
        self._sum(data if self._codec == "utf-8" else data.decode("utf-8", "replace").encode(self._codec, "replace"))

    def _sum(self, data: bytes) -> None:
        self._sha256.update(data)
        self._crc32 = zlib.crc32(data, self._crc32)

    def _refuse(self, number: int = 0) -> None:
        message = f"A line has more than {LINE_BYTES} bytes."
        raise DamagedFile("LINE_TOO_LONG", message, Position(number or self._number))

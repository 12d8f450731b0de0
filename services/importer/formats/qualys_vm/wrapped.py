"""Undoes the double quoting of some VMDR exports, in which every row is one quoted cell of a table.

Such a row begins `"a,""b"",""c` and ends with three quotes. Quotes inside the cells are not always doubled once more,
so a cell ends where a quote stands before `,"` or at the end of the row, and nowhere else. Known from DefectDojo's
parser; no public file has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.importer.formats.kit.encoding import HEAD_BYTES
from services.importer.formats.kit.format import ByteStream

_WRAPPED = re.compile(rb'^(?:\xef\xbb\xbf)?"(?:QID|CVE),""', re.MULTILINE)
_READ_BYTES = 1 << 16
_ROW_LIMIT = 16 << 20


def unwrapped_head(head: bytes) -> bytes:
    """The first bytes of a file as the table they mean."""
    return b"".join(_rows(iter((head,)))) if _WRAPPED.search(head) else head


class Unwrapped:
    """A stream of the table that a file means: its own bytes, except where its rows are wrapped."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._rest = b""
        self._pieces: Iterator[bytes] | None = None

    def read(self, size: int, /) -> bytes:
        if self._pieces is None:
            self._pieces = self._begin()
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def _begin(self) -> Iterator[bytes]:
        head = b""
        while len(head) < HEAD_BYTES and (more := self._stream.read(_READ_BYTES)):
            head += more
        pieces = self._all(head)
        return _rows(pieces) if _WRAPPED.search(head[:HEAD_BYTES]) else pieces

    def _all(self, head: bytes) -> Iterator[bytes]:
        yield head
        while block := self._stream.read(_READ_BYTES):
            yield block


def _rows(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The rows of wrapped bytes, each as a row of a table. One that is not closed is given as it is."""
    row, quotes = b"", 0
    for line in _lines(pieces):
        row += line
        quotes += line.count(b'"')
        if quotes % 2 == 0 or len(row) > _ROW_LIMIT:
            yield _row(row)
            row, quotes = b"", 0
    if row:
        yield row


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    carried = b""
    for piece in pieces:
        *whole, carried = (carried + piece).split(b"\n")
        for each in whole:
            yield each + b"\n"
        if len(carried) > _ROW_LIMIT:
            yield carried
            carried = b""
    if carried:
        yield carried


def _row(row: bytes) -> bytes:
    content = row.rstrip(b"\r\n")
    end = row[len(content) :]
    if not (content.startswith(b'"') and content.endswith(b'"') and b',""' in content):
        return row
    first, _, others = content[1:-1].replace(b'""', b'"').partition(b',"')
    cells = (first.strip(b'"'), *others.removesuffix(b'"').split(b'","'))
    return b",".join(b'"' + cell.replace(b'""', b'"').replace(b'"', b'""') + b'"' for cell in cells) + end

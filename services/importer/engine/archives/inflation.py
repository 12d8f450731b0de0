"""Unpacks deflate as it is read, into no more than what is asked for at a time."""

from __future__ import annotations

import zlib

from services.importer.engine.archives.source import Source

RAW, GZIP = -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS

# zlib copies what it was given too much, so it is given little until the data turn out to be long: a million of tiny
# gzip members would otherwise cost a block each.
_FIRST_PIECE, _LARGEST_PIECE = 512, 16 * 1024


class Inflation:
    """One deflate stream: raw, or within the header and trailer of gzip, which are then checked.

    What follows it stays in the source. `packed_bytes` is how long it must be; None: as long as it turns out to be.
    """

    def __init__(self, source: Source, wrapping: int, packed_bytes: int | None = None) -> None:
        self._source = source
        self._inflate = zlib.decompressobj(wrapping)
        self._left = packed_bytes
        self._piece = _FIRST_PIECE
        self._may_hold_more = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end. Raises `DamagedFile`."""
        inflate = self._inflate
        while not inflate.eof:
            packed = inflate.unconsumed_tail or (b"" if self._may_hold_more else self._take())
            try:
                data = inflate.decompress(packed, size)
            except zlib.error as error:
                raise self._source.damaged(f"The packed data are damaged: {_reason(error)}.") from None
            # zlib may have taken all its input and not have had room for what it makes of it.
            self._may_hold_more = len(data) == size
            self._give_back_unused()
            if data:
                return data
        return b""

    def _take(self) -> bytes:
        most = self._piece if self._left is None else min(self._piece, self._left)
        self._piece = min(2 * self._piece, _LARGEST_PIECE)
        if not most:
            raise self._source.damaged("The packed data are longer than the archive says.")
        packed = self._source.take(most)
        if not packed:
            raise self._source.truncated()
        if self._left is not None:
            self._left -= len(packed)
        return packed

    def _give_back_unused(self) -> None:
        if not self._inflate.eof:
            return
        unused = len(self._inflate.unused_data)
        self._source.take_back(unused)
        if self._left is not None and self._left + unused:
            raise self._source.damaged("The packed data are shorter than the archive says.")


def _reason(error: zlib.error) -> str:
    """The reason in `Error -3 while decompressing data: invalid block type`."""
    return str(error).rpartition(": ")[2]

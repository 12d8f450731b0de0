"""The picture of what has none of its own."""

from __future__ import annotations

import struct
import zlib
from functools import cache

PNG = "image/png"
SIDE = 48


@cache
def blank_icon() -> bytes:
    """A transparent PNG of 48 by 48 pixels (https://www.w3.org/TR/png/): palette of one colour, one bit a pixel."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 1, 3, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(SIDE // 8)) * SIDE)
    chunks = ((b"IHDR", header), (b"PLTE", bytes(3)), (b"tRNS", b"\0"), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

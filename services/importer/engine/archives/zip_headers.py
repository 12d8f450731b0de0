"""The headers of zip (APPNOTE 6.3.10, sections 4.3 and 4.4), as bytes in a stream."""

from __future__ import annotations

import struct
from typing import NamedTuple

from services.importer.engine.archives.source import Source
from services.importer.formats.kit.values import clean, line

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DESCRIPTOR, SIGNATURES = b"PK\x07\x08", b"PK\x05\x05"
END_64, LOCATOR_64 = b"PK\x06\x06", b"PK\x06\x07"

ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000
DESCRIPTOR_FLAG = 0x0008
STORED, DEFLATED, AES = 0, 8, 99
METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "Zstandard",
    95: "XZ",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}

NAME_CHARACTERS = 200

_UTF8_FLAG = 0x0800
_IN_EXTRA = 0xFFFF_FFFF
_EXTRA_64 = 1
_LOCAL = struct.Struct("<HHHHHIIIHH")
_CENTRAL = struct.Struct("<HHHHHHIIIHHHHHII")
_FIELD = struct.Struct("<HH")


class Sums(NamedTuple):
    """What identifies the content of a member: CRC-32, and its sizes in bytes before and after it was packed."""

    crc: int
    size: int
    packed: int


class LocalHeader(NamedTuple):
    """What stands before a member. `said` are zeros where only the descriptor behind it knows."""

    name: str
    flags: int
    method: int
    said: Sums

    @property
    def has_descriptor(self) -> bool:
        return bool(self.flags & DESCRIPTOR_FLAG)

    @property
    def is_encrypted(self) -> bool:
        return bool(self.flags & ENCRYPTED_FLAGS) or self.method == AES


def read_local(source: Source) -> LocalHeader:
    """A local header, behind its signature."""
    _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack(source.exactly(_LOCAL.size))
    name = source.exactly(name_bytes)
    size, packed = _in_64_bits(source, source.exactly(extra_bytes), size, packed)
    codec = "utf-8" if flags & _UTF8_FLAG else "cp437"
    shown = line(clean(name.decode(codec, "replace")), NAME_CHARACTERS) or "(no name)"
    return LocalHeader(shown, flags, method, Sums(crc, size, packed))


def read_central(source: Source) -> tuple[int, Sums]:
    """An entry of the directory, behind its signature: where the member's local header is, and its sums."""
    fields = _CENTRAL.unpack(source.exactly(_CENTRAL.size))
    crc, packed, size, name_bytes, extra_bytes, comment_bytes = fields[6:12]
    source.exactly(name_bytes)
    extra = source.exactly(extra_bytes)
    source.exactly(comment_bytes)
    size, packed, offset = _in_64_bits(source, extra, size, packed, fields[15])
    return offset, Sums(crc, size, packed)


def descriptors(sums: Sums) -> tuple[bytes, ...]:
    """All forms in which a descriptor may say these sums: the signature is optional, the sizes have 32 or 64 bits."""
    long = struct.pack("<IQQ", sums.crc, sums.packed, sums.size)
    short = struct.pack("<III", sums.crc, sums.packed & _IN_EXTRA, sums.size & _IN_EXTRA)
    return DESCRIPTOR + long, DESCRIPTOR + short, long, short


def _in_64_bits(source: Source, extra: bytes, *values: int) -> list[int]:
    """These values, those that say so from the extra field of zip64, which has them in this order."""
    at, end = 0, 0
    while at + _FIELD.size <= len(extra):
        kind, length = _FIELD.unpack_from(extra, at)
        at += _FIELD.size
        if kind == _EXTRA_64:
            end = min(at + length, len(extra))
            break
        at += length
    found = []
    for value in values:
        if value != _IN_EXTRA:
            found.append(value)
            continue
        if at + 8 > end:
            raise source.damaged("A size that is said to have 64 bits is missing.")
        found.append(int.from_bytes(extra[at : at + 8], "little"))
        at += 8
    return found

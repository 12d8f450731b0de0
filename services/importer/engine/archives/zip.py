"""Reads the members of a zip archive one after the other by their local headers, then its directory.

The directory at the end is what other tools go by. Here it comes too late for that, so it must say the same as what was
read: a member that it does not list, or lists with other sums, means that the archive is damaged or made to deceive.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from services.importer.engine.archives import zip_headers as headers
from services.importer.engine.archives.inflation import RAW, Inflation
from services.importer.engine.archives.meter import Meter
from services.importer.engine.archives.source import Source
from services.importer.engine.archives.zip_headers import LocalHeader, Sums
from services.importer.engine.lookahead import Lookahead
from services.importer.formats.kit.format import ByteStream, DamagedFile

# A split archive of one piece, and one that began as such, have a signature of their own before the first header.
_MARKS = (b"PK00", headers.DESCRIPTOR)
BEGINNINGS = (headers.LOCAL, headers.END, *(mark + headers.LOCAL for mark in _MARKS))

_MARK_BYTES = 4
_LONGEST_DESCRIPTOR = 24
_END = struct.Struct("<HHHHIIH")
_END_64_BYTES = 1 << 16
_IN_END_64 = 0xFFFF


class Member(Lookahead):
    """One file of the archive, to be read before the next one is asked for."""

    def __init__(self, name: str, content: ByteStream) -> None:
        super().__init__(content)
        self.name = name


def members_of(source: Source, meter: Meter) -> Iterator[Member]:
    """The members in the order of the archive; what is left of one is passed over. Raises `DamagedFile`."""
    if source.peek(_MARK_BYTES) in _MARKS:
        source.exactly(_MARK_BYTES)
    found: dict[int, Sums] = {}
    offset = source.offset
    while (signature := source.exactly(len(headers.LOCAL))) == headers.LOCAL:
        meter.count_member()
        content = _Content(source, meter, headers.read_local(source))
        member = Member(content.header.name, content)
        yield member
        member.drain()
        found[offset] = content.sums
        offset = source.offset
    _check_directory(source, signature, found)


class _Content:
    """What is in a member. Its end is reached when `read` gives nothing; then its sums are right."""

    def __init__(self, source: Source, meter: Meter, header: LocalHeader) -> None:
        self._source = source
        self._meter = meter
        self._begins = source.offset
        self._is_over = False
        self._packed = _opened(source, header)
        self.header = header
        self.sums = Sums(0, 0, 0)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end. Raises `DamagedFile`."""
        data = self._packed.read(size)
        crc, length, _ = self.sums
        if data:
            self.sums = Sums(zlib.crc32(data, crc), length + len(data), 0)
            self._meter.count_bytes(len(data))
        elif not self._is_over:
            self._is_over = True
            self.sums = Sums(crc, length, self._source.offset - self._begins)
            self._check()
        return data

    def _check(self) -> None:
        if self.header.has_descriptor:
            following = self._source.peek(_LONGEST_DESCRIPTOR)
            descriptor = _descriptor_in(following, self.sums, self._source)
            if descriptor is None:
                raise self._source.damaged(f'The checksum or size of "{self.header.name}" is wrong.')
            self._source.exactly(len(descriptor))
        elif self.sums != self.header.said:
            raise self._source.damaged(f'The checksum or size of "{self.header.name}" is wrong.')


class _Stored:
    """A member that is not packed."""

    def __init__(self, source: Source, left: int) -> None:
        self._source = source
        self._left = left

    def read(self, size: int, /) -> bytes:
        if not self._left:
            return b""
        data = self._source.take(min(size, self._left))
        if not data:
            raise self._source.truncated()
        self._left -= len(data)
        return data


def _opened(source: Source, header: LocalHeader) -> ByteStream:
    if header.is_encrypted:
        raise DamagedFile("ARCHIVE_ENCRYPTED", f'"{header.name}" in the archive is encrypted.', source.position())
    is_unknown = header.has_descriptor and not header.said.packed
    if header.method == headers.DEFLATED:
        return Inflation(source, RAW, None if is_unknown else header.said.packed)
    if header.method != headers.STORED:
        method = headers.METHODS.get(header.method, "an unknown method")
        raise _unsupported(source, f'"{header.name}" is packed by {method} ({header.method}); deflate is read')
    if is_unknown and _descriptor_in(source.peek(_LONGEST_DESCRIPTOR), Sums(0, 0, 0), source) is None:
        raise _unsupported(source, f'"{header.name}" is stored, and its size stands behind it only')
    return _Stored(source, header.said.packed)


def _descriptor_in(following: bytes, sums: Sums, source: Source) -> bytes | None:
    """The descriptor of these sums that `following` begins with, if it does."""
    forms = headers.descriptors(sums)
    found = next((form for form in forms if following.startswith(form)), None)
    if found is None and any(form.startswith(following) for form in forms):
        raise source.truncated()
    return found


def _check_directory(source: Source, signature: bytes, found: dict[int, Sums]) -> None:
    count = len(found)
    while signature == headers.CENTRAL:
        offset, sums = headers.read_central(source)
        if found.pop(offset, None) != sums:
            raise source.damaged("The archive's directory lists something else than what is in it.")
        signature = source.exactly(len(signature))
    if found:
        raise source.damaged("The archive's directory does not list all that is in it.")
    if signature == headers.SIGNATURES:
        source.exactly(int.from_bytes(source.exactly(2), "little"))
        signature = source.exactly(len(signature))
    if signature == headers.END_64:
        size = int.from_bytes(source.exactly(8), "little")
        if size > _END_64_BYTES:
            raise source.damaged("The end of the archive's directory is larger than is allowed.")
        source.exactly(size)
        signature = source.exactly(len(signature))
    if signature == headers.LOCATOR_64:
        source.exactly(16)
        signature = source.exactly(len(signature))
    if signature != headers.END:
        raise source.damaged("What follows in the archive is neither a member nor its directory.")
    _check_end(source, count)


def _check_end(source: Source, count: int) -> None:
    disk, directory_disk, here, total, _, _, comment_bytes = _END.unpack(source.exactly(_END.size))
    source.exactly(comment_bytes)
    if not {disk, directory_disk} <= {0, _IN_END_64}:
        raise _unsupported(source, "It is one piece of a split archive")
    if here != total or total not in {count, _IN_END_64}:
        raise source.damaged("The archive's directory counts other members than those that are in it.")
    source.pass_padding()


def _unsupported(source: Source, what: str) -> DamagedFile:
    return DamagedFile("ARCHIVE_UNSUPPORTED", f"The archive cannot be read: {what}.", source.position())

"""Archives made for tests, and how they are read."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from services.importer.engine.archives import opening
from services.importer.engine.archives.meter import ArchiveLimits
from services.importer.formats.kit.format import ByteStream, DamagedFile

LIMITS = ArchiveLimits(total_bytes=1 << 30)
READ_BYTES = 10_000


class OneWay(io.RawIOBase):
    """A file that can only be written on, so that zipfile writes sizes behind members."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += data
        return len(data)


class Trickle:
    """A stream that gives so many bytes for each read."""

    def __init__(self, data: bytes, size: int) -> None:
        self._file = BytesIO(data)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._size))


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, comment: bytes = b"") -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def zipped_one_way(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, zip64: bool = False) -> bytes:
    """With descriptors behind the members."""
    file = OneWay()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
    return bytes(file.written)


def zeros_deflated(size: int) -> bytes:
    """This many zeros as raw deflate, 1,030 times smaller."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(size >> 20)]
    return b"".join((*parts, packer.flush()))


def unzipped(data: bytes | ByteStream, limits: ArchiveLimits = LIMITS) -> dict[str, bytes]:
    """The members by name, in their order."""
    stream = BytesIO(data) if isinstance(data, bytes) else data
    return {member.name: whole(member) for member in opening.members(stream, limits, ignore)}


def gunzipped(data: bytes | ByteStream, limits: ArchiveLimits = LIMITS) -> bytes:
    stream = BytesIO(data) if isinstance(data, bytes) else data
    return whole(opening.gunzipped(stream, limits, ignore))


def whole(stream: ByteStream) -> bytes:
    return b"".join(iter(lambda: stream.read(READ_BYTES), b""))


def refusal(read: Any, data: Any, limits: ArchiveLimits = LIMITS) -> tuple[str, str]:
    """Code and message of the `DamagedFile` that reading ends with; two empty strings when it does not."""
    try:
        read(data, limits)
    except DamagedFile as error:
        return error.code, error.message
    return "", ""


def ignore(_: int) -> None:
    pass

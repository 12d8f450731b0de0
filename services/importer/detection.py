"""Which sources take a file, judged by how it begins.

It is what the parser child asks of a file first, asked without an import. Nothing is parsed. Of a zip or gzip file the
content is judged, as far as the given bytes reach.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from runtime.errors import InvalidArgument
from services.importer.engine.archives import opening
from services.importer.engine.archives.meter import ArchiveLimits
from services.importer.formats.kit.format import ByteStream, DamagedFile
from services.importer.sources import FileFormat, Source, Sources

MAX_HEAD_BYTES = 256 * 1024
# What a format is shown of a file.
SNIFFED_BYTES = 4096
# What is passed over is inflated too; this takes some 50 ms.
_LIMITS = ArchiveLimits(total_bytes=16 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Detected:
    """One source that takes the file, and the format that recognised it; `member` is its name in a zip."""

    source: Source
    format: FileFormat
    is_assets_only: bool
    member: str = ""


@dataclass(frozen=True, slots=True)
class Detection:
    """What takes the file, the best first; and what it looks like, as the end of a sentence."""

    sources: tuple[Detected, ...]
    look: str


class Detector:
    """`recognise` gives the formats that take a file with this beginning, `look` says what it looks like."""

    def __init__(
        self, sources: Sources, recognise: Callable[[bytes], Sequence[FileFormat]], look: Callable[[bytes], str]
    ) -> None:
        self._sources = sources
        self._recognise = recognise
        self._look = look

    def detect(self, head: bytes) -> Detection:
        """Takes some time for an archive, so not in an event loop. Raises InvalidArgument for too many bytes."""
        if len(head) > MAX_HEAD_BYTES:
            raise InvalidArgument(
                "HEAD_TOO_LARGE", f"The first {MAX_HEAD_BYTES} bytes are enough.", limit=str(MAX_HEAD_BYTES)
            )
        shown = head[:SNIFFED_BYTES]
        if opening.is_gzip(head):
            content = _first_bytes(opening.gunzipped(io.BytesIO(head), _LIMITS, _ignore))
            return Detection(self._taking(content), f"a gzip file with {self._look(content)} in it")
        if opening.is_zip(head):
            return self._in_zip(head)
        return Detection(self._taking(shown), self._look(shown))

    def _in_zip(self, head: bytes) -> Detection:
        looks = []
        for name, content in _members(head):
            looks.append(f'{self._look(content)} ("{name}")')
            if taking := self._taking(content, name):
                return Detection(taking, f"a ZIP archive with {looks[-1]} in it")
        return Detection((), f"a ZIP archive with {looks[0]} in it" if looks else "a ZIP archive")

    def _taking(self, head: bytes, member: str = "") -> tuple[Detected, ...]:
        """Sources of findings first: what brings them brings the assets as well."""
        formats = self._recognise(head)
        found: dict[tuple[str, bool], FileFormat] = {}
        for each in formats:
            for slug in each.sources:
                found.setdefault((slug, False), each)
        for each in formats:
            for slug in each.asset_sources:
                found.setdefault((slug, True), each)
        return tuple(
            Detected(self._sources.get(slug), each, is_assets_only, member)
            for (slug, is_assets_only), each in found.items()
        )


def _members(head: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and beginning of each file in a zip, as far as `head` reaches."""
    try:
        for member in opening.members(io.BytesIO(head), _LIMITS, _ignore):
            if content := _first_bytes(member):
                yield member.name, content
    except DamagedFile:
        return


def _first_bytes(stream: ByteStream) -> bytes:
    """As many as a format is shown; fewer where the stream breaks off before."""
    content = b""
    try:
        while len(content) < SNIFFED_BYTES and (part := stream.read(SNIFFED_BYTES - len(content))):
            content += part
    except DamagedFile:
        # The file goes on behind what was sent; if it is damaged, its import says so.
        return content
    return content


def _ignore(_count: int) -> None:
    return None

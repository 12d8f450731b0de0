"""The values that `source` may have: which tool wrote a file, and so which formats are tried on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runtime.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A kind of file as people are told of it. `sources` bring it into a report, `asset_sources` without one.

    `title` is what such a file is called in messages ("a Nessus report"), `syntax` is xml, json, csv or html.
    """

    name: str
    title: str = ""
    syntax: str = ""
    extensions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    asset_sources: tuple[str, ...] = ()

    @property
    def is_assets_only(self) -> bool:
        return not self.sources


@dataclass(frozen=True, slots=True)
class Source:
    """One slug. `report_formats` go into a report, `asset_formats` bring client assets without one.

    `record_formats` bring records into a workspace.
    """

    slug: str
    display_name: str
    report_formats: tuple[FileFormat, ...] = ()
    asset_formats: tuple[FileFormat, ...] = ()
    record_formats: tuple[FileFormat, ...] = ()

    @property
    def is_assets_only(self) -> bool:
        return not self.report_formats and not self.record_formats

    @property
    def formats(self) -> tuple[FileFormat, ...]:
        return tuple(dict.fromkeys(self.report_formats + self.asset_formats + self.record_formats))

    @property
    def extensions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(extension for each in self.formats for extension in each.extensions))


class Sources:
    """All sources that can be read, by slug."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = {source.slug: source for source in sorted(sources, key=lambda source: source.slug)}

    def all(self) -> tuple[Source, ...]:
        return tuple(self._sources.values())

    def get(self, slug: str) -> Source:
        """One that is known to be there."""
        return self._sources[slug]

    def check(self, slug: str, *, for_report: bool) -> str:
        """The slug in lower case; InvalidArgument lists the known ones where it is not among them."""
        known = [
            source.slug for source in self.all() if (source.report_formats if for_report else source.asset_formats)
        ]
        wanted = slug.strip().lower()
        if wanted not in known:
            kind = "source" if for_report else "source of client assets"
            names = ", ".join(known)
            raise InvalidArgument(
                "UNKNOWN_SOURCE", f"There is no {kind} {slug[:64]!r}. Known are: {names}.", known=names
            )
        return wanted

    def check_records(self, slug: str) -> str:
        """The same for files of records."""
        known = [source.slug for source in self.all() if source.record_formats]
        wanted = slug.strip().lower()
        if wanted not in known:
            names = ", ".join(known)
            raise InvalidArgument(
                "FILE_TYPE_UNSUPPORTED", f"There is no file type {slug[:64]!r}. Known are: {names}.", known=names
            )
        return wanted

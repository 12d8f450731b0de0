"""The one list of formats, and which of them a source may be written in. A format that is not here does not exist.

A source is the slug of a tool in the public API. Its files are told apart by their first bytes, because several formats share a slug.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.importer.formats.burp import read as burp_read
from services.importer.formats.burp import walk as burp_walk
from services.importer.formats.kit.format import DamagedFile, Format, WrongFormat
from services.importer.formats.kit.looks import describe
from services.importer.formats.nessus import read as nessus_read
from services.importer.formats.nessus import walk as nessus_walk
from services.importer.formats.nmap import read as nmap_read
from services.importer.formats.nmap import walk as nmap_walk


@dataclass(frozen=True, slots=True)
class Source:
    """A slug, what people call its tool, and the names of the formats that are tried: into a report, and as client assets."""

    slug: str
    display_name: str
    report_formats: tuple[str, ...] = ()
    asset_formats: tuple[str, ...] = ()


FORMATS = (
    Format("nessus", "nessus", "findings", nessus_walk.sniff, nessus_walk.walk, nessus_read.read),
    Format("burp", "burp", "findings", burp_walk.sniff, burp_walk.walk, burp_read.read),
    Format("nmap", "nmap", "findings", nmap_walk.sniff, nmap_walk.walk, nmap_read.read),
    Format("nmap_assets", "nmap", "findings", nmap_walk.sniff, nmap_walk.walk, nmap_read.read_assets),
)

SOURCES = (
    Source("nessus", "Nessus", report_formats=("nessus",)),
    Source("burp", "Burp Suite", report_formats=("burp",)),
    Source("nmap", "Nmap", report_formats=("nmap",), asset_formats=("nmap_assets",)),
    Source("nmap-xml", "Nmap (Assets)", asset_formats=("nmap_assets",)),
)

_BY_NAME = {format_.name: format_ for format_ in FORMATS}
_BY_SLUG = {source.slug: source for source in SOURCES}


def resolve(slug: str, head: bytes, *, assets_only: bool = False) -> Format:
    """The format of a file that begins with `head`, among those of its source.

    Raises WrongFormat, which says what the file looks like instead, and DamagedFile for an empty one.
    """
    if not head:
        raise DamagedFile("EMPTY_FILE", "The file is empty.")
    source = _BY_SLUG[slug]
    names = source.asset_formats if assets_only else source.report_formats
    for name in names:
        if _BY_NAME[name].sniff(head):
            return _BY_NAME[name]
    raise WrongFormat(f"The file is no {source.display_name} export: it looks like {describe(head)}.")

"""What the walk over a Burp report hands to `read`: issues, with what they share kept once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from services.importer.formats.kit.addresses import Origin
from services.importer.formats.kit.encoding import Note
from services.importer.targets.findings.records import Asset, Finding


class Body(NamedTuple):
    """A request or response: text as it stands in the file, or bytes that were decoded from base64."""

    content: str | bytes
    is_base64: bool


@dataclass(slots=True)
class Exchange:
    """A request and its response; either may be missing."""

    request: Body | None = None
    response: Body | None = None


@dataclass(slots=True)
class Definition:
    """What all issues of a type have in common. `finding` is kept here once made: one object for all of them."""

    texts: dict[str, str]
    finding: Finding | None = None


@dataclass(slots=True)
class Site:
    """A host as issues name it, and what its URL says. `asset` is kept here once made."""

    url: str
    ip: str
    origin: Origin
    asset: Asset | None = None


@dataclass(slots=True)
class Issue:
    """One issue: `texts` are its simple elements, `events` those of an interaction or of an analysis of scripts."""

    definition: Definition
    site: Site
    texts: dict[str, str]
    details: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    events: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    notes: tuple[Note, ...] = ()

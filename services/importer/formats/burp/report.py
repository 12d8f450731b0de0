"""What the walks over Burp reports hand to `read`: issues, with what they share kept once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from services.importer.formats.kit.addresses import Origin, origin
from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.memo import Memo
from services.importer.targets.findings.records import Asset, Finding

# Elements of an issue that are the same for all issues of a type.
_SHARED = (
    "type",
    "name",
    "severity",
    "issueBackground",
    "remediationBackground",
    "references",
    "vulnerabilityClassifications",
)
_KNOWN_CHARACTERS = 4 << 20


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


class Shared:
    """The definitions and sites that were seen lately: equal ones are the same object."""

    def __init__(self) -> None:
        self._definitions: Memo[tuple[str, ...], Definition] = Memo(_KNOWN_CHARACTERS)
        self._sites: Memo[tuple[str, str], Site] = Memo(_KNOWN_CHARACTERS)

    def definition(self, texts: Mapping[str, str]) -> Definition:
        """What an issue with these texts has in common with all of its type."""
        shared = {name: texts.get(name, "") for name in _SHARED}
        if not shared["issueBackground"].strip():
            # Extensions often write nothing about the type, only about the issue.
            shared["issueDetail"] = texts.get("issueDetail", "")
        key = tuple(shared.values())
        known = self._definitions.get(key)
        if known is None:
            known = Definition(shared)
            self._definitions.put(key, known, sum(map(len, key)))
        return known

    def site(self, url: str, ip: str = "") -> Site:
        key = url, ip
        known = self._sites.get(key)
        if known is None:
            known = Site(*key, origin(url))
            self._sites.put(key, known, sum(map(len, key)) + 100)
        return known

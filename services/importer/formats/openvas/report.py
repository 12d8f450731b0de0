"""What the walk over an OpenVAS report hands to `read`: results, each with its test, and hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.node import Once
from services.importer.targets.findings.records import Score


class Test(NamedTuple):
    """A vulnerability test: what is the same for all its results. Lists are lines; the numbers are as written."""

    oid: str = ""
    name: str = ""
    family: str = ""
    summary: str = ""
    insight: str = ""
    affected: str = ""
    impact: str = ""
    detection: str = ""
    solution: str = ""
    solution_type: str = ""
    references: str = ""
    cves: str = ""
    bids: str = ""
    certs: str = ""
    epss_score: str = ""
    epss_percentile: str = ""
    others: str = ""
    scores: tuple[Score, ...] = ()


@dataclass(slots=True)
class Seen:
    """A `result` with the children that `read` uses, or a `host` with its details, which has no test."""

    element: Element
    test: Test | None
    once: Once
    notes: tuple[Note, ...]

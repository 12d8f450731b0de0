"""What the walk over an AppScan report hands to `read`, besides hosts: issues and types, with what they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.format import DamagedFile, Position
from services.importer.formats.kit.trees import KEPT_LIMIT, text_of
from services.importer.formats.kit.values import NAME_LIMIT, line
from services.importer.targets.findings.records import Severity

ISSUES, HOSTS = "issue-group", "scanned-hosts"


class Report:
    """Groups of definitions, which issues refer to by id: those that stand before the issues, or all of them."""

    def __init__(self, groups: Element) -> None:
        self._groups = list(groups)
        self._items: dict[tuple[str, str], Element] = {}
        for group in self._groups:
            for item in group.findall("item"):
                self._items.setdefault((group.tag, item.get("id", "").strip()), item)

    def find(self, group: str, reference: str) -> Element | None:
        """The item with this id in a group."""
        return self._items.get((group, reference))

    def items(self, group: str) -> Iterator[Element]:
        """All items of a group."""
        return (item for each in self._groups if each.tag == group for item in each.findall("item"))

    def name(self, group: str, reference: str) -> str:
        """The name of such an item, or its text; "" where there is none."""
        found = self.find(group, reference)
        if found is None:
            return ""
        return text_of(found, "name") or (found.text or "").strip()


class Issue(NamedTuple):
    """One issue. `url` and `entity` are what it refers to, None where the file has not said by then."""

    element: Element
    url: Element | None
    entity: Element | None


@dataclass(slots=True)
class Seen:
    """What the issues of a type say of it: the worst of them."""

    worst: Severity
    element: Element


@dataclass(slots=True)
class Sightings:
    """How many issues there are, and the types and late URLs that they name: few, however many issues."""

    count: int = 0
    types: dict[str, Seen] = field(default_factory=dict)
    late_urls: set[str] = field(default_factory=set)

    def add(self, reference: str, severity: Severity, slim: Element) -> None:
        """One more issue of a type; `slim` is the issue without its traffic."""
        seen = self.types.get(reference)
        if seen is None:
            self._check(len(self.types))
            self.types[reference] = Seen(severity, slim)
            return
        if severity < seen.worst:
            seen.worst, seen.element = severity, slim

    def add_late_url(self, reference: str) -> None:
        if reference not in self.late_urls:
            self._check(len(self.late_urls))
            self.late_urls.add(reference)

    @staticmethod
    def _check(count: int) -> None:
        if count >= KEPT_LIMIT:
            message = f"The issues name more than {KEPT_LIMIT} types or unknown URLs."
            raise DamagedFile("TOO_MANY_ELEMENTS", message, Position(path=ISSUES))


class Definitions(NamedTuple):
    """All types that issues named, when the document has ended."""

    report: Report
    sightings: Sightings


def reference_of(element: Element, name: str) -> str:
    """What an element's child refers to: `<issue-type><ref>x</ref></issue-type>` is "x"."""
    return line(text_of(element, f"{name}/ref"), NAME_LIMIT)

"""Where the records of a JSON source are: selectors (`disks`, `disks.files`) as a tree of names.

The elements of the array that a selector names are records. A lone object stands for an array of one. An array on the
way to another selector is gone through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.locators import Locator
from services.importer.formats.objects.mapping.records import RecordReader

SELECTOR_LIMIT, PARTS = 512, 32

_PART = re.compile(r"[^.\[\]]+")


class Found(NamedTuple):
    """A record: what it is, and its path in what it was found in (`[3].files[0]`)."""

    place: Place
    record: Any
    path: str


class Place:
    """A name on the way to records. `reader` is None where there are none at it."""

    def __init__(self, selector: str = "") -> None:
        self.selector = selector
        self.members: dict[str, Place] = {}
        self.reader: RecordReader | None = None
        self.locators: tuple[Locator, ...] = ()
        self.is_met = False

    def found(self, value: Any, path: str) -> Iterator[Found]:
        """The records in a value that stands here, outer ones before those within them."""
        self.is_met = True
        if isinstance(value, list):
            for at, each in enumerate(value):
                yield from self.found_in(each, f"{path}[{at}]")
        elif value is not None:
            yield from self.found_in(value, path)

    def found_in(self, element: Any, path: str) -> Iterator[Found]:
        """The records in one element of the array that stands here, itself among them."""
        if self.reader is not None:
            yield Found(self, element, path)
        if isinstance(element, dict):
            for name, place in self.members.items():
                if name in element:
                    yield from place.found(element[name], f"{path}.{name}" if path else name)
        elif isinstance(element, list) and self.reader is None:
            yield from self.found(element, path)

    def never_met(self) -> Iterator[str]:
        """The selectors here and below that have led to nothing."""
        if self.reader is not None and not self.is_met:
            yield self.selector
        for each in self.members.values():
            yield from each.never_met()


def place_of(readers: Mapping[str, RecordReader]) -> Place:
    """The tree of these selectors, beginning with "".

    Raises `InvalidMapping` (`SELECTOR_INVALID`, `LOCATOR_INVALID`).
    """
    root = Place()
    for selector, reader in readers.items():
        place = root
        for name in _names(selector):
            inner = f"{place.selector}.{name}" if place.selector else name
            place = place.members.setdefault(name, Place(inner))
        place.reader = reader
        place.locators = tuple(map(Locator, reader.locators))
    return root


def _names(selector: str) -> list[str]:
    if not selector:
        return []
    names = selector.replace("[*]", "").split(".")
    if len(selector) > SELECTOR_LIMIT or len(names) > PARTS or not all(map(_PART.fullmatch, names)):
        message = f'"{selector[:SELECTOR_LIMIT]}" is no selector: it must be names with full stops between them.'
        raise InvalidMapping("SELECTOR_INVALID", "selector", message)
    return names

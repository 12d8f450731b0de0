"""Locators of JSON: where in a record a value stands. `name`, `a.b`, `disks[*].files[*].name`, `disks[0].name`.

A name may have any characters; where a record has a member that is called as the whole locator, that is meant. Between
two names an array is gone through even without `[*]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping
from services.importer.formats.objects.mapping.texts import Values

LOCATOR_LIMIT = 512
PARTS = 32
FOUND_LIMIT = 10_000

_PART = re.compile(r"([^.\[\]]+)((?:\[(?:\*|[0-9]{1,6})\])*)(?:\.(?=.)|\Z)")
_INDEX = re.compile(r"\[(\*|[0-9]+)\]")

Cell = str | Values
"""What stands at a locator: one text, or several. Also empty ones."""

_ALL: Final = -1


class Locator:
    """Takes the texts at one place out of decoded records."""

    def __init__(self, locator: str) -> None:
        """Raises `InvalidMapping` (`LOCATOR_INVALID`)."""
        if not locator.strip() or len(locator) > LOCATOR_LIMIT:
            message = f"A locator must have 1 to {LOCATOR_LIMIT} characters."
            raise InvalidMapping("LOCATOR_INVALID", "", message)
        self._locator = locator
        self._steps = _steps(locator)

    def column(self, records: Sequence[dict[str, Any]]) -> list[Cell]:
        """Of each record. Raises `BadValue` where there is an object in the place of a value."""
        locator = self._locator
        if len(self._steps) > 1:
            return [self._cell(record) for record in records]
        values = [record.get(locator) for record in records]
        # Nearly always all of them are texts.
        return [value if value.__class__ is str else _cell(value, locator) for value in values]

    def _cell(self, record: dict[str, Any]) -> Cell:
        locator = self._locator
        if locator in record:
            return _cell(record[locator], locator)
        found = list(_at(record, self._steps))
        return _cell(found[0] if len(found) == 1 else found, locator)


def _steps(locator: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    at = 0
    while at < len(locator):
        part = _PART.match(locator, at)
        if part is None:
            raise InvalidMapping("LOCATOR_INVALID", "", f'"{locator}" is no locator: it must be like a.b or a[*].b.')
        steps.append(part[1])
        steps += [_ALL if index == "*" else int(index) for index in _INDEX.findall(part[2])]
        at = part.end()
    if len(steps) > PARTS:
        raise InvalidMapping("LOCATOR_INVALID", "", f"A locator has more than {PARTS} parts.")
    return tuple(steps)


def _at(value: Any, steps: tuple[str | int, ...]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if isinstance(value, dict):
            yield from _at(value.get(step), rest)
        elif isinstance(value, list):
            for each in value:
                yield from _at(each, steps)
    elif isinstance(value, list):
        for each in value if step == _ALL else value[step : step + 1]:
            yield from _at(each, rest)
    elif value is not None and step in {_ALL, 0}:
        # A lone value is an array of one.
        yield from _at(value, rest)


def _cell(value: Any, locator: str) -> Cell:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return tuple(_texts(value, locator))
    raise BadValue("VALUE_NOT_SCALAR", f'At "{locator}" there is an object and no value.')


def _texts(values: Iterable[Any], locator: str) -> Iterator[str]:
    count = 0
    for value in values:
        cell = _cell(value, locator)
        inner = (cell,) if isinstance(cell, str) else cell
        count += len(inner)
        if count > FOUND_LIMIT:
            raise BadValue("TOO_MANY_VALUES", f'At "{locator}" there are more than {FOUND_LIMIT} values.')
        yield from inner

"""A whole plan, made ready to be carried out."""

from __future__ import annotations

from collections.abc import Sequence

from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.records import RecordReader
from services.importer.formats.objects.mapping.settings import Settings, dialect_of, settings_of
from services.importer.formats.objects.mapping.types import TypeReader
from services.importer.targets.objects.plan import ObjectPlan, TypePlan

TYPES, ATTRIBUTES = 500, 20_000
# Cells that are remembered, of all attributes together and of one: some 30 MB at most, unless they are very many.
KNOWN_CELLS, KNOWN_OF_ONE, KNOWN_AT_LEAST = 60_000, 8_192, 16


def table_reader(plan: ObjectPlan) -> RecordReader:
    """What reads the rows of a table: all types are made of each row. Raises `InvalidMapping`."""
    _check(plan)
    dialect_of(plan)
    return _reader(plan.types, settings_of(plan, plan.multi_value_separator), _known(plan))


def array_readers(plan: ObjectPlan) -> dict[str, RecordReader]:
    """What reads the records of each array, by its selector. Raises `InvalidMapping`."""
    _check(plan)
    settings = settings_of(plan)
    selectors = dict.fromkeys(each.selector.strip() for each in plan.types)
    return {
        selector: _reader([each for each in plan.types if each.selector.strip() == selector], settings, _known(plan))
        for selector in selectors
    }


def _check(plan: ObjectPlan) -> None:
    if not 1 <= len(plan.types) <= TYPES:
        raise InvalidMapping("TYPES_INVALID", "", f"A mapping must have 1 to {TYPES} object types.")
    if _attributes_of(plan) > ATTRIBUTES:
        raise InvalidMapping("ATTRIBUTES_INVALID", "", f"A mapping must have no more than {ATTRIBUTES} attributes.")


def _attributes_of(plan: ObjectPlan) -> int:
    return sum(len(each.attributes) for each in plan.types)


def _known(plan: ObjectPlan) -> int:
    return max(KNOWN_AT_LEAST, min(KNOWN_OF_ONE, KNOWN_CELLS // max(1, _attributes_of(plan))))


def _reader(types: Sequence[TypePlan], settings: Settings, known: int) -> RecordReader:
    readers = []
    for number, each in enumerate(types):
        try:
            readers.append(TypeReader(each, number, settings, known))
        except InvalidMapping as error:
            raise error.within(each.name) from None
    return RecordReader(readers)

"""Makes of many records what each becomes, of all types that are mapped from them; or says why one cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from services.importer.formats.kit.format import RecordError
from services.importer.formats.objects.mapping.types import Columns, Made, TypeReader
from services.importer.targets.objects.records import ObjectsRecord, Skipped, SkipReason

# Where one of many cannot be used, so many parts of them are tried.
PARTS = 8


class Rejection(NamedTuple):
    """Why a record cannot be used: the arguments of `RecordError`, of the types that it would have become."""

    code: str
    field: str
    message: str
    value: str = ""
    raw: str = ""
    types: tuple[int, ...] = ()


Raw = tuple[ObjectsRecord, ...] | Rejection


def read(raw: Raw) -> Sequence[ObjectsRecord]:
    """The records of an item, which are mapped already. Raises its `RecordError`."""
    if raw.__class__ is Rejection:
        raise RecordError(*raw)
    return raw  # type: ignore[return-value]  # records, then


class RecordReader:
    """Of the records of one array, or the rows of a table. `locators` say which columns it is given, in this order."""

    def __init__(self, types: Sequence[TypeReader]) -> None:
        self._types = types
        self._names = {each.id: each.name for each in types}
        self._type_ids = tuple(dict.fromkeys(each.id for each in types))
        self.locators = tuple(dict.fromkeys(chain.from_iterable(each.locators for each in types)))
        self.needed_locators = tuple(dict.fromkeys(chain.from_iterable(each.needed_locators for each in types)))
        places = {locator: at for at, locator in enumerate(self.locators)}
        for each in types:
            each.bind(places)

    def cannot_be_read(self, code: str, field: str, message: str, value: str = "") -> Rejection:
        """A record that is none of any type."""
        return Rejection(code, field, message, value, "", self._type_ids)

    def read(self, columns: Columns, lines: Sequence[int]) -> Iterable[Raw]:
        """One for each record; `lines` are where they begin."""
        try:
            return self._read(columns, lines)
        except RecordError as error:
            if len(lines) == 1:
                return [self.cannot_be_read(error.code, error.field, error.message, error.value)]
        size = -(-len(lines) // PARTS)
        parts = [slice(begin, begin + size) for begin in range(0, len(lines), size)]
        return chain.from_iterable(self.read([each[part] for each in columns], lines[part]) for part in parts)

    def _read(self, columns: Columns, lines: Sequence[int]) -> Sequence[Raw]:
        made = [each.read(columns, lines) for each in self._types]
        rows: Made = made[0] if len(made) == 1 else [tuple(chain.from_iterable(row)) for row in zip(*made, strict=True)]
        return [self._unless_nothing(row) if row[0].__class__ is Skipped else row for row in rows]

    def _unless_nothing(self, records: tuple[ObjectsRecord, ...]) -> Raw:
        """What a record becomes that is no object of the first type."""
        empty = [each for each in records if isinstance(each, Skipped) and each.reason != SkipReason.FILTERED]
        if not empty or not all(isinstance(each, Skipped) for each in records):
            return records
        types = tuple(dict.fromkeys(each.type_id for each in empty))
        names = ", ".join(self._names[each] for each in types)
        reason = empty[0].reason
        what = "An identifier" if reason == SkipReason.IDENTIFIER_EMPTY else "The label"
        return Rejection(reason.value, "", f"{what} is empty, so this is no object of {names}.", types=types)

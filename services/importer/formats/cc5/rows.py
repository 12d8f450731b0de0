"""Rows 10 and 90 of a sync file, one by one: the only place that says what is wrong with one.

`many.py` reads plain rows faster and to the same effect; whatever it does not take comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, NoReturn

from services.importer.formats.cc5.values import KEY_TYPES, TYPES, BadValue, is_fit, json_text
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.syncfile import unescaped, values_of
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Delete, Header, RecordsRecord, Upsert, Upserts
from services.importer.targets.records.schemas import Expectations

UPSERT, DELETE = "10", "90"
COUNTED = frozenset({UPSERT, DELETE})

NO_EXPECTATIONS = Expectations()


class Rejection(NamedTuple):
    """Why a row cannot be used; the arguments of `RecordError`."""

    code: str
    field: str
    message: str
    value: str
    raw: str


Raw = tuple[RecordsRecord, ...] | Rejection | Upserts


def read(raw: Raw) -> Iterable[RecordsRecord]:
    """The records of an item, or of a run. Rows are mapped in portions, which is fast, so nothing is left to do."""
    if isinstance(raw, Rejection):
        raise RecordError(*raw)
    return raw.each() if isinstance(raw, Upserts) else raw


class Ready(str):
    """A value that is JSON as it is stored."""

    __slots__ = ()


class Column:
    """One column: how its values are read. `name` is the beginning of its member in a document (`"code":`)."""

    def __init__(self, code: str, type_: str, expected: Expectations) -> None:
        self.code = code
        self.type = type_
        self.name = json_text(code) + ":"
        self.is_required = code in expected.required
        self.is_closed = code in expected.vocabularies
        self._expected = expected
        self._read = TYPES[type_]
        self._read_key = KEY_TYPES[type_]

    def value(self, text: str) -> str:
        """A value that is not empty, as JSON; without escapes. Raises `RecordError`."""
        return self._checked(self._read, text)

    def key(self, text: str) -> str:
        """The same as part of a key: equal values are equal texts."""
        return self._checked(self._read_key, text)

    def _checked(self, read: Callable[[str], str], text: str) -> str:
        if text.__class__ is Ready:
            return text
        try:
            value = read(text)
        except BadValue as error:
            raise RecordError("TYPE_MISMATCH", self.code, str(error), text) from None
        if self.is_closed and not self._expected.allows(self.code, text):
            raise RecordError("VALUE_NOT_ALLOWED", self.code, "The value is none of those that are allowed.", text)
        return value


class Layout:
    """What rows 02 and 03 say of the rows below them.

    `keys` are the places of the key's columns. `ordered` are those of all columns as their members stand in a document:
    the first of the key, which is never empty, then the others as in the file.
    """

    def __init__(self, header: Header, demands: Demands) -> None:
        schema = demands.schema_of(header.entity_type, header.data_source)
        expected = schema.expectations(header.columns) if schema else NO_EXPECTATIONS
        self.columns = tuple(Column(code, type_, expected) for code, type_ in header.columns)
        codes = [column.code for column in self.columns]
        self.keys = tuple(codes.index(code) for code in header.keys)
        first = self.keys[0]
        self.ordered = (first, *(place for place in range(len(codes)) if place != first))

    def row(self, line: str, number: int) -> Raw:
        """Whatever a line below the header is, but not the footer and not blank."""
        try:
            return (self._row(line, number),)
        except RecordError as error:
            return rejection(error, line)

    def _row(self, line: str, number: int) -> RecordsRecord:
        row_type = line.partition("|")[0]
        if not is_fit(line):
            raise RecordError("INVALID_ENCODING", "", "The row is not valid UTF-8, or has a NUL character.")
        if row_type == UPSERT:
            values = values_of(line, len(self.columns))
            if values is None:
                self._refuse_count(line, len(self.columns))
            return self.upsert(list(map(unescaped, values)), number)
        if row_type == DELETE:
            values = values_of(line, len(self.keys))
            if values is None:
                self._refuse_count(line, len(self.keys))
            return self.deletion(list(map(unescaped, values)), number)
        raise RecordError("ROW_TYPE_UNKNOWN", "", "The row is of no type that has a meaning here.", row_type)

    def upsert(self, values: Sequence[str], number: int) -> Upsert:
        """The record of a row's values, without escapes. Raises `RecordError`."""
        key = self._key([values[at] for at in self.keys])
        members: list[str] = []
        # In the order of the file, so that the first error that is told is the first in the row.
        for column, value in zip(self.columns, values, strict=True):
            if not value and column.is_required:
                raise RecordError("REQUIRED_VALUE_MISSING", column.code, "A value that is required is empty.")
            members.append(column.name + column.value(value) if value else "")
        return Upsert(key, "{" + ",".join(filter(None, map(members.__getitem__, self.ordered))) + "}", number)

    def deletion(self, values: Sequence[str], number: int) -> Delete:
        """The record of a key's values, without escapes. Raises `RecordError`."""
        return Delete(self._key(values), number)

    def _key(self, values: Sequence[str]) -> str:
        parts = []
        for at, value in zip(self.keys, values, strict=True):
            if not value:
                raise RecordError("KEY_MISSING", self.columns[at].code, "A value of the primary key is empty.")
            parts.append(self.columns[at].key(value))
        return "[" + ",".join(parts) + "]"

    def _refuse_count(self, line: str, wanted: int) -> NoReturn:
        found = line.count("|")
        raise RecordError("FIELD_COUNT_MISMATCH", "", f"The row has {found} values where {wanted} are declared.", line)


def rejection(error: RecordError, line: str) -> Rejection:
    """The error with the row it is about."""
    return Rejection(error.code, error.field, error.message, _shown(error.value), _shown(line))


def _shown(text: str) -> str:
    """The text with U+FFFD for what no text can have."""
    return text if is_fit(text) else text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")

"""What is known of a kind of record beside what its file says: columns, which of them must be there, vocabularies.

A kind is a pair of entity type and data source. Fourteen are published (`published.py`); a workspace has its own beside
them, which replace the published one of the same pair. A pair without a schema is imported as its file declares it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

COLUMN_TYPES = ("string", "int", "number", "bool", "date", "datetime", "array", "list", "object")


class Presence(StrEnum):
    """What a file must have of a column. `COLUMN`: row 03 declares it, its values may be empty."""

    OPTIONAL = "optional"
    COLUMN = "column"
    VALUE = "value"


class SchemaColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """`values` is the vocabulary of a column of texts, whatever the case; empty: any value."""

    code: str
    type: str = "string"
    presence: Presence = Presence.OPTIONAL
    values: tuple[str, ...] = ()


class Expectations(msgspec.Struct, frozen=True):
    """What a schema asks of a file that declares certain columns.

    `missing` are codes of columns that should be declared: the file is refused for them. Of the others, `required`
    may not be empty, and `vocabularies` has the values that a text may have, case-folded. `retyped` are columns
    declared with another type: code, the declared type, the schema's.
    """

    missing: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    vocabularies: dict[str, frozenset[str]] = {}
    retyped: tuple[tuple[str, str, str], ...] = ()

    def allows(self, code: str, value: str) -> bool:
        """Whether a text that is not empty is in the vocabulary of its column."""
        vocabulary = self.vocabularies.get(code)
        return vocabulary is None or value.casefold() in vocabulary


class RecordSchema(msgspec.Struct, frozen=True):
    """The columns of one kind of record. A file may have more."""

    entity_type: str
    data_source: str
    columns: tuple[SchemaColumn, ...]

    @property
    def pair(self) -> tuple[str, str]:
        return self.entity_type, self.data_source

    def expectations(self, declared: Sequence[tuple[str, str]]) -> Expectations:
        """What it asks of a file whose row 03 declares these columns, as code and type."""
        types = dict(declared)
        present = [column for column in self.columns if column.code in types]
        return Expectations(
            missing=tuple(
                column.code
                for column in self.columns
                if column.presence is not Presence.OPTIONAL and column.code not in types
            ),
            required=frozenset(column.code for column in present if column.presence is Presence.VALUE),
            vocabularies={
                column.code: frozenset(value.casefold() for value in column.values)
                for column in present
                if column.values
            },
            retyped=tuple(
                (column.code, types[column.code], column.type)
                for column in present
                if types[column.code] != column.type
            ),
        )


def find_schema(schemas: Iterable[RecordSchema], entity_type: str, data_source: str) -> RecordSchema | None:
    """The first one of this pair; names are compared as they are written."""
    pair = (entity_type, data_source)
    return next((each for each in schemas if each.pair == pair), None)

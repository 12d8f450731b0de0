"""The record types of the objects target: what one record of a source becomes, by the mapping, and nothing else.

An item is one record of the source: a row, an element of an array. It becomes an object of each object type that is
mapped from such records; what is nested in it is items of its own. Records apply in the order of the source: where an
object comes several times, the last one counts.

Every text is valid Unicode without NUL.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from services.importer.targets.record import Caution, Record

__all__ = ["Caution", "Lookup", "ObjectRecord", "ObjectsRecord", "Remark", "SkipReason", "Skipped"]


class Lookup(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A reference to be looked up: the values for the placeholders of its attribute's query, in their order.

    An attribute that refers to several objects has one for each.
    """

    attribute_id: int
    values: tuple[str, ...]


class ObjectRecord(Record, frozen=True):
    """One object.

    `number` tells the objects of an item apart: the place of the type among those mapped from such records, from 0.
    `key` is the JSON array of the identifiers' values as texts, in the order of the attributes' ids, casefolded where
    the mapping ignores case; its SHA-256 (hex) when it has more than 255 characters. `label` are the first 1,024
    characters of the label attribute's first value; "" where the mapping has none. `document` is a JSON object
    of attribute id and value, without references and without what is empty: in the order of ids, no spaces, numbers in
    their shortest form; so equal values are equal texts. `cleared` are the attributes that are to be emptied,
    ascending. `lookups` are in the order of the attributes' ids. `line` counts from 1: where the record begins.
    """

    type_id: int
    number: int
    key: str
    label: str
    document: str
    cleared: tuple[int, ...]
    lookups: tuple[Lookup, ...]
    line: int


class SkipReason(StrEnum):
    """Why a record becomes no object of a type."""

    FILTERED = "FILTERED"
    IDENTIFIER_EMPTY = "IDENTIFIER_EMPTY"
    LABEL_EMPTY = "LABEL_EMPTY"


class Skipped(Record, frozen=True):
    """A record that is none of this type, though it is mapped to it: only counted.

    A record that is nothing at all, and not because it was filtered, is rejected instead, with that reason as its code
    (`RecordError.types` tells of which types).
    """

    type_id: int
    reason: SkipReason


class Remark(Record, frozen=True):
    """A caution about the file and not about one of its records; they stand behind all of those."""

    IS_ABOUT_FILE: ClassVar[bool] = True

    code: str
    message: str


ObjectsRecord = ObjectRecord | Skipped | Caution | Remark

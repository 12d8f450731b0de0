"""The record types of the records target: what a sync file (cc5, or its JSON twin) may say, and nothing else.

A file is a header, rows, a footer, in this order. Header and footer stand alone in their items, because a file may have
no row that can be used and its header is wanted all the same. They are about the file: only rows are counted. Rows
apply in file order: the last one of a key counts.

Every text is valid Unicode without NUL.
"""

from __future__ import annotations

from typing import ClassVar

from services.importer.targets.record import Caution, Record

__all__ = ["Caution", "Delete", "Footer", "Header", "RecordsRecord", "Upsert"]


class Header(Record, frozen=True):
    """Rows 00 to 03 of a file.

    `keys` are the codes of the primary key (row 02), `columns` code and type of each column (row 03) in file order.
    `workspace` and `bucket` are what row 01 says; the trigger has its own, and a file for another is refused before
    any row is read. `text` is the four rows verbatim, each ended by a line feed, 4 MiB at most: what the error file
    begins with. For a file of the JSON twin it is what those rows would be.
    """

    IS_ABOUT_FILE: ClassVar[bool] = True

    entity_type: str
    data_source: str
    customer: str
    file_type: str
    create_time: str
    reference_id: str
    action: str
    workspace: str
    bucket: str
    keys: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    text: str


class Upsert(Record, frozen=True):
    """A row 10: insert, or update by key.

    `key` is the JSON array of the key's values, in the order of row 02. `document` is a JSON object of the row's values
    (the key's too) without those that are empty: members sorted, no spaces, numbers in their shortest form; so equal
    values are equal texts. `cleared` are the codes of columns that are empty in this row, sorted; none where empty
    values are to be kept. `line` counts from 1 (of a file of the JSON twin: where the record begins).
    """

    key: str
    document: str
    cleared: tuple[str, ...]
    line: int


class Delete(Record, frozen=True):
    """A row 90: removes the record of this key, if there is one. `key` is as in `Upsert`."""

    key: str
    line: int


class Footer(Record, frozen=True):
    """The row 99: `count` is the control total, which has been compared; `validation` the validation code as it stands.

    A code that begins with `sha256:` or `crc32:` has been compared too.
    """

    IS_ABOUT_FILE: ClassVar[bool] = True

    count: int
    validation: str


RecordsRecord = Header | Upsert | Delete | Footer | Caution

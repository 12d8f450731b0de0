"""The record types of the records target: what a sync file (cc5, or its JSON twin) may say, and nothing else.

A file is a header, rows, a footer, in this order. Header and footer stand alone in their items, because a file may have
no row that can be used and its header is wanted all the same. They are about the file: only rows are counted. Rows
apply in file order: the last one of a key counts.

Every text is valid Unicode without NUL.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import ClassVar

from services.importer.targets.record import Caution, Record

__all__ = ["Caution", "Delete", "Footer", "Header", "RecordsRecord", "Upsert", "Upserts"]


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

    `key` is the JSON array of the key's values, in the order of row 02, without spaces, members sorted and numbers in
    their shortest form; so equal values are equal texts. `document` is a JSON object of the row's values (the key's
    too), on one line: a column that it does not have is empty in this row. `line` counts from 1 (of a file of the JSON
    twin: where the record begins).
    """

    key: str
    document: str
    line: int


class Upserts(Record, frozen=True):
    """Rows 10 of consecutive lines: `keys` and `documents` have a line for each, which is that of its `Upsert`.

    The lines have LF between them. `line` is that of the first row.
    """

    keys: str
    documents: str
    line: int

    def __len__(self) -> int:
        return self.keys.count("\n") + 1

    def behind(self, count: int) -> Upserts:
        """What is left behind so many of the rows, which are not all."""
        return Upserts(self.keys.split("\n", count)[count], self.documents.split("\n", count)[count], self.line + count)

    def each(self) -> Iterator[Upsert]:
        """The rows one by one."""
        return map(Upsert, self.keys.split("\n"), self.documents.split("\n"), count(self.line))


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


RecordsRecord = Header | Upsert | Upserts | Delete | Footer | Caution

"""Tables of Qualys VM whose rows are each one quoted cell."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO

import pytest

from services.importer.formats.qualys_vm.wrapped import Unwrapped, unwrapped_head

HEADER = b'"QID,""Title"",""Results"""\r\n'


def unwrapped(data: bytes, size: int = 1 << 16) -> bytes:
    stream = Unwrapped(BytesIO(data))
    return b"".join(iter(lambda: stream.read(size), b""))


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(unwrapped(data).decode(), newline="")))


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (b'"1,""a"",""b"""', ["1", "a", "b"]),
        (b'"1,"""",""b"""', ["1", "", "b"]),
        (b'"1,""a"",""cols=""3"", or more"""', ["1", "a", 'cols="3", or more']),
        (b'"1,""a"",""cols=""""3"""""""', ["1", "a", 'cols="3"']),
        (b'"1,""two\nlines"",""b"""', ["1", "two\nlines", "b"]),
    ],
    ids=["plain", "empty", "quotes", "doubled", "lines"],
)
def test_a_wrapped_row_has_its_cells(row: bytes, cells: list[str]) -> None:
    assert rows(HEADER + row + b"\r\n") == [["QID", "Title", "Results"], cells]


def test_a_table_that_is_not_wrapped_comes_as_it_is() -> None:
    data = b'"QID","Title"\n"1","says ""no"""\n'
    assert unwrapped(data, 3) == unwrapped_head(data) == data


def test_the_size_of_a_read_changes_nothing() -> None:
    data = HEADER + b'"1,""a"",""b""\n""c"""\n' * 500
    assert unwrapped(data, 1) == unwrapped(data)


def test_a_row_that_is_not_closed_stays_open() -> None:
    assert unwrapped(HEADER + b'"1,""a"",""b').endswith(b'"1,""a"",""b')

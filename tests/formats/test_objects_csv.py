"""Tables of objects: how they are written, and what is wrong with one."""

from __future__ import annotations

import csv
import json
from io import BytesIO, StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.importer.formats.kit.format import DamagedFile, WrongFormat
from services.importer.formats.objects.csv import FORMAT
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import ObjectRecord, Remark
from tests.formats.mapped import adapted, attribute, from_csv, one_value, plan_of, type_plan, values

PLAN = plan_of(one_value())


def refusal(data: str | bytes, plan: ObjectPlan = PLAN) -> tuple[str, int]:
    with pytest.raises(DamagedFile) as caught:
        from_csv(plan, data)
    return caught.value.code, caught.value.position.line


def positions(data: bytes, plan: ObjectPlan = PLAN) -> list[tuple[int, str]]:
    return [(position.line, position.path) for _, position in adapted(FORMAT, plan).walk(BytesIO(data))]


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-le"),
        ("UTF-16", "utf-16-be"),
        ("ISO-8859-1", "iso8859-1"),
        ("ISO-8859-15", "iso8859-15"),
        ("Windows-1250", "cp1250"),
        ("Windows-1252", "cp1252"),
        # A mark beats what is set.
        ("Windows-1252", "utf-8-sig"),
        ("UTF-8", "utf-16"),
    ],
)
def test_all_encodings_are_read(encoding: str, codec: str) -> None:
    text = "é" if codec != "cp1250" else "ő"
    data = f"n,v\r\nx,{text}\r\n".encode(codec)
    assert values(from_csv(plan_of(one_value(), encoding=encoding), data)) == [text]


def test_encodings_differ_where_they_do() -> None:
    data = b"n,v\nx,\xa4\n"
    found = [
        values(from_csv(plan_of(one_value(), encoding=each), data)) for each in ("ISO-8859-1", "ISO-8859-15", "UTF-8")
    ]
    assert found == [["¤"], ["€"], ["\ufffd"]]


def test_bytes_of_another_encoding_are_replaced_and_told() -> None:
    found = from_csv(PLAN, b"n,v\nx,a\xff\0b\ny,\x81\x82\n")
    assert values(found) == ["a\ufffd\ufffdb", "\ufffd\ufffd"]
    assert [(each.code, each.message[:2]) for each in found if isinstance(each, Remark)] == [("INVALID_TEXT", "4 ")]


@pytest.mark.parametrize(
    ("settings_", "text", "stored"),
    [
        ({"delimiter": ";"}, "n;v\nx;a,b\n", "a,b"),
        ({"delimiter": r"\t"}, "n\tv\nx\ta,b\n", "a,b"),
        ({"delimiter": "\t"}, "n\tv\nx\ta,b\n", "a,b"),
        ({"delimiter": "|"}, "n|v\nx|a\n", "a"),
        ({}, 'n,v\nx,"a,b"\n', "a,b"),
        ({}, 'n,v\nx,"say ""hi"""\n', 'say "hi"'),
        ({}, 'n,v\nx,"two\r\nlines"\n', "two\r\nlines"),
        ({}, 'n,v\nx,in"side\n', 'in"side'),
        ({"quote": "'"}, "n,v\nx,'a,\"b'\n", 'a,"b'),
        ({"quote": ""}, 'n,v\nx,"a\n', '"a'),
        ({}, "n,v\rx,a\r", "a"),
        ({}, "\n , \nn,v\n\nx,a\n,\n", "a"),
        ({}, ' n , v \n"x",a\n', "a"),
    ],
)
def test_a_table_is_written_as_is_set(settings_: dict[str, Any], text: str, stored: str) -> None:
    assert values(from_csv(plan_of(one_value(), **settings_), text)) == [stored]


@pytest.mark.parametrize(
    "cell",
    ["=1+2", "+1", "-1", "@SUM(A1)", "=cmd|'/C calc'!A0", '=HYPERLINK("http://192.0.2.1")', "\u202ea", "<script>"],
)
def test_what_looks_like_a_formula_is_text(cell: str) -> None:
    line = StringIO(newline="")
    csv.writer(line).writerow(["x", cell])
    assert values(from_csv(PLAN, "n,v\n" + line.getvalue())) == [cell]


def test_short_rows_have_empty_cells_and_long_ones_are_rejected() -> None:
    found = from_csv(PLAN, "n,v\na\nb,1,,\nc,1,2\nd,3\n")
    assert values(found) == [None, "1", "TOO_MANY_CELLS", "3"]
    assert found[2] == ("TOO_MANY_CELLS", "row", 4)
    assert values(from_csv(PLAN, "n,v\nc,1,2\nd,1,2\n")) == ["TOO_MANY_CELLS"] * 2


def test_a_header_that_comes_again_and_empty_rows_are_passed_over() -> None:
    data = b"n,v\na,1\n\n,,\nn,v\nb,2\n"
    assert values(from_csv(PLAN, data)) == ["1", "2"]
    assert positions(data) == [(2, "row 1"), (6, "row 2")]


def test_a_position_is_where_the_row_begins() -> None:
    assert positions(b'n,v\na,"1\n2"\n\nb,3\n') == [(2, "row 1"), (5, "row 2")]


def test_columns_may_come_in_any_order_and_others_are_passed_over() -> None:
    assert values(from_csv(PLAN, "other,v,more,n\n1,a,2,x\n")) == ["a"]


def test_a_column_that_is_not_there_is_a_remark() -> None:
    found = from_csv(PLAN, "n,V\nx,1\n")
    assert values(found) == [None]
    assert found[-1] == Remark("COLUMN_MISSING", 'The mapping reads columns that are not there: "v".')


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"N,v\n1,2\n", 'columns "n"; it has "N", "v"'),
        (b"n;v\n1;2\n", "looks like"),
        (b'{"n": "x"}', "JSON"),
        (b"<html><body>x</body></html>", "HTML"),
        (b"%PDF-1.7 xxxxxxxx", "PDF"),
        (b'<?xml version="1.0"?><hosts/>', "hosts"),
    ],
)
def test_a_file_without_the_columns_of_identifiers_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(WrongFormat, match=told):
        from_csv(PLAN, data)


def test_an_identifier_that_is_made_of_columns_needs_none_of_them_for_sure() -> None:
    both = attribute(1, "Name", mapping={"attributeLocators": ["a", "b"]})
    fixed = attribute(1, "Name", mapping={"attributeLocators": ["a"], "default": "x"})
    for each in (both, fixed):
        (found, remark) = from_csv(plan_of(type_plan(each)), "b\nx\n")
        assert (found.label, remark.code) == ("x", "COLUMN_MISSING")


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "EMPTY_FILE", 0),
        (b"\xef\xbb\xbf", "EMPTY_FILE", 0),
        (b" \r\n\t\n,,\n", "EMPTY_FILE", 0),
        (b"n,v,\nx,1,2\n", "HEADER_INVALID", 1),
        (b"\nn,,v\nx,1,2\n", "HEADER_INVALID", 2),
        (b"n,v,v\nx,1,2\n", "HEADER_COLUMN_REPEATED", 1),
        (b"n,v\nx,1\ny", "TRUNCATED", 3),
        (b'n,v\nx,"1\n2', "TRUNCATED", 2),
        (b"n,v" + b",c" * 2_000 + b"\n", "TOO_MANY_COLUMNS", 1),
        (b"n,v," + b"x" * 513 + b"\n", "HEADER_INVALID", 1),
        (b"n,v\nx," + b"y" * ((4 << 20) + 1) + b"\n", "TEXT_TOO_LARGE", 2),
        (b"n,v\nx," + b",".join([b"y" * (3 << 20)] * 6) + b"\n", "RECORD_TOO_LARGE", 2),
        (b'n,v\nx,"' + b"y" * (17 << 20), "RECORD_TOO_LARGE", 2),
    ],
)
def test_a_table_that_is_damaged_is_refused_with_its_line(data: bytes, code: str, line: int) -> None:
    assert refusal(data) == (code, line)


def test_columns_that_nobody_reads_may_come_twice() -> None:
    assert values(from_csv(PLAN, "n,v,c,c\nx,1,2,3\n")) == ["1"]


def test_rows_before_damage_come_out() -> None:
    items = adapted(FORMAT, PLAN).walk(BytesIO(b'n,v\na,1\nb,2\nc,"3'))
    assert values([*FORMAT.read(next(items).raw), *FORMAT.read(next(items).raw)]) == ["1", "2"]
    with pytest.raises(DamagedFile):
        next(items)


def test_a_file_of_a_header_alone_has_no_rows() -> None:
    assert from_csv(PLAN, "n,v\n") == from_csv(PLAN, "n,v") == []


def test_a_row_of_many_large_cells_is_read_apart() -> None:
    rows = "".join(f"{each},{'x' * 1_000_000}\n" for each in range(8))
    found = from_csv(PLAN, "n,v\n" + rows)
    assert [(each.line, len(each.document)) for each in found] == [(at + 2, 1_000_016) for at in range(8)]


CELLS = st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from('",\n\r;|'), max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), CELLS), max_size=30))
def test_what_a_writer_of_tables_writes_is_read(rows: list[tuple[int, str]]) -> None:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["n", "v"])
    writer.writerows((f"i{number}", cell) for number, cell in rows)
    found = [each for each in from_csv(PLAN, text.getvalue()) if isinstance(each, ObjectRecord)]
    # What XML forbids is replaced in every file.
    stored = [cell.strip().replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd") for _, cell in rows]
    assert [json.loads(each.document).get("2", "") for each in found] == stored


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_are_refused(data: bytes) -> None:
    for plan in (PLAN, plan_of(one_value(), encoding="UTF-16"), plan_of(one_value(), encoding="Windows-1250")):
        try:
            found = from_csv(plan, b"n,v\n" + data)
        except (DamagedFile, WrongFormat):
            continue
        json.dumps([repr(each) for each in found]).encode()

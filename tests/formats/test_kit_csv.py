from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from services.importer.formats.kit import csv as kit
from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.format import DamagedFile, Item, RecordError, WrongFormat
from services.importer.formats.kit.values import FIELD_COUNT, FIELD_LIMIT

WANTED = (frozenset({"Plugin ID", "Host"}), frozenset({"Plugin", "IP Address"}))
KNOWN = ("Plugin ID", "Plugin", "Host", "IP Address", "Name")
HEAD = "Plugin ID,Host,Name\n"


def items(data: str | bytes) -> list[Item]:
    return list(walk_csv(BytesIO(data.encode() if isinstance(data, str) else data), WANTED, KNOWN))


def rows(data: str | bytes) -> list[Row]:
    return [item.raw.value for item in items(data)]


def names(data: str | bytes) -> list[str]:
    return [row.get("Name") for row in rows(data)]


def notes(data: str | bytes) -> list[tuple[str, str]]:
    return [note for item in items(data) for note in item.raw.notes]


class Endless:
    """A stream of pieces that are made as they are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.given = pieces, 0

    def read(self, size: int, /) -> bytes:
        piece = next(self.pieces, b"")
        self.given += len(piece)
        return piece


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(delimiter: str, end: str) -> None:
    text = f'Plugin ID,Host,Name{end}1,a,"x{end}y"{end}2,b,z{end}'.replace(",", delimiter)
    assert names(text) == [f"x{end}y", "z"]


def test_columns_are_found_whatever_their_order_case_and_spelling() -> None:
    (row,) = rows('name," HOST ",plugin_id\nx,a,1\n')
    assert (row.get("Plugin ID"), row.get("Host"), row.get("Name")) == ("1", "a", "x")
    assert row.get("Missing", "pluginid") == "1"
    assert row.get("Missing") == ""
    assert row.has("PLUGIN-ID")
    assert not row.has("Missing")


def test_the_first_of_several_columns_that_has_a_text_is_taken() -> None:
    (row,) = rows("Plugin ID,Host,Name,Title,Name\n1,a, ,t,n\n")
    assert row.get("Name", "Title") == "n"
    assert row.get("Title", "Name") == "t"


def test_text_is_trimmed_unless_it_is_asked_for_as_it_is() -> None:
    (row,) = rows(HEAD + '1,a,"  x\n "\n')
    assert row.get("Name") == "x"
    assert row.exact("Name") == "  x\n "


def test_a_preamble_is_passed_over() -> None:
    assert names('sep=,\n"A report","of ""today"""\n\nHost\n' + HEAD + "1,a,x\n") == ["x"]
    assert names("\n" * (kit.HEADER_ROWS - 1) + HEAD + "1,a,x\n") == ["x"]
    with pytest.raises(WrongFormat):
        names("\n" * kit.HEADER_ROWS + HEAD + "1,a,x\n")


def test_repeated_headers_and_rows_without_text_are_no_items() -> None:
    assert names(HEAD + "1,a,x\n\n,,\n , ,\n" + HEAD + "2,b,y\n") == ["x", "y"]


def test_a_second_alternative_of_columns_is_a_header_too() -> None:
    assert names("Plugin,IP Address,Name\n1,192.0.2.1,x\n") == ["x"]


def test_quoted_cells_keep_quotes_delimiters_and_line_ends() -> None:
    assert names(HEAD + '1,a,"say ""no"", or\r\nnot"\n') == ['say "no", or\r\nnot']


def test_spaces_after_delimiters_do_not_hide_quotes() -> None:
    text = 'Plugin ID, Host, Name\n1, a, "x, y"\n'
    assert names(text + text) == ["x, y", "x, y"]


def test_separators_of_unicode_end_no_row() -> None:
    assert names(HEAD + "1,a,x\u2028y\x85z\n2,b,c\n") == ["x\u2028y\x85z", "c"]


def test_a_table_with_a_header_alone_has_no_items() -> None:
    for text in (HEAD, HEAD.rstrip(), HEAD + "\n\n"):
        assert items(text) == []


@pytest.mark.parametrize("data", [b"", b" \r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedFile) as caught:
        items(data)
    assert caught.value.code == "EMPTY_FILE"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"IP,Name\n1,2\n", "text"),
        (b"<a>\nPlugin ID,Host\n</a>", "XML"),
        (b'{"a":\nPlugin ID,Host\n}', "JSON"),
        (b"%PDF-1.7\n\0\xff", "PDF"),
        (b"PK\x03\x04" + bytes(range(256)), "ZIP"),
    ],
)
def test_a_file_without_the_header_is_refused_by_its_looks(data: bytes, told: str) -> None:
    with pytest.raises(WrongFormat, match=f"columns Host, Plugin ID; it looks like .*{told}"):
        items(data)
    assert header_of(data, WANTED) == ()


def test_the_header_is_found_in_the_first_bytes() -> None:
    text = "A report\nPlugin ID;Host;Other\n1;a;" + "x" * 5000
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
        assert header_of(text.encode(encoding)[:4096], WANTED) == ("Plugin ID", "Host", "Other")


def test_positions_count_lines_and_rows() -> None:
    found = [item.position for item in items("title\n\n" + HEAD + '1,a,"x\ny"\n\n2,b,z\n')]
    assert [(each.line, each.path) for each in found] == [(4, "row 1"), (7, "row 2")]


def test_short_rows_have_empty_cells() -> None:
    assert [row.get("Host") + row.get("Name") for row in rows(HEAD + "1\n2,b\n")] == ["", "b"]


def test_empty_columns_at_the_end_are_ignored() -> None:
    (row,) = rows("Plugin ID,Host,Name,,,\n1,a,x,,,,,\n")
    assert row.extra() == {}


def test_a_row_with_more_cells_than_the_header_is_an_error_for_its_reader_and_no_other() -> None:
    first, second, third = rows(HEAD + "1,a,x\n2,b,y,password\n3,c,z\n")
    for ask in (lambda: second.get("Name"), lambda: second.exact("Name"), second.extra):
        with pytest.raises(RecordError) as caught:
            ask()
        assert (caught.value.code, caught.value.value) == ("TOO_MANY_CELLS", "password")
    assert (first.get("Name"), third.get("Name")) == ("x", "z")


def test_unknown_columns_are_kept_by_name_and_told_once() -> None:
    data = "Plugin ID,Owner,Host,,Owner\n1,me,a,?,you\n2,,b,,\n"
    first, second = rows(data)
    assert first.extra() == {"Owner": "me\nyou", "Column 4": "?"}
    assert second.extra() == {}
    assert notes(data) == [
        ("UNKNOWN_COLUMNS", 'These columns are not known; their values are kept as fields: "Owner", "Owner".')
    ]
    told = next(walk_csv(BytesIO(data.encode()), WANTED, KNOWN, kept="in descriptions")).raw.notes
    assert "their values are kept in descriptions" in told[0].message


def test_a_header_that_is_refused_is_no_header() -> None:
    data = b"Plugin ID,Host,QID\n1,a,2\nHost,Plugin ID\nb,2\n"

    def check(names: frozenset[str]) -> bool:
        return "qid" not in names

    assert header_of(data, WANTED) == ("Plugin ID", "Host", "QID")
    assert header_of(data, WANTED, check) == ("Host", "Plugin ID")
    assert next(walk_csv(BytesIO(data), WANTED, KNOWN, check=check)).raw.value.get("Host") == "b"


def test_unknown_columns_are_bounded() -> None:
    count = FIELD_COUNT + 50
    head = ",".join(["Plugin ID", "Host", *(f"C{number}" for number in range(count))])
    (row,) = rows(f"{head}\n1,a,{'x' * (FIELD_LIMIT + 1)}{',y' * (count - 1)}\n")
    extra = row.extra()
    assert len(extra) == FIELD_COUNT
    assert extra["C0"] == "x" * (FIELD_LIMIT - 1) + "…"
    ((_, message),) = notes(f"{head}\n1,a\n")
    assert "the values of 100 in each row are kept" in message
    assert message.endswith("and 130 more.")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_of_unicode(encoding: str) -> None:
    data = (HEAD + "1,a,Größe “x” 東京\n" * 9_000).encode(encoding)
    assert set(names(data)) == {"Größe “x” 東京"}
    assert notes(data) == []


def test_what_is_not_utf_8_is_read_as_windows_1252() -> None:
    data = (HEAD + "1,a,plain\n" * 20_000 + "1,a,Größe “x”\n").encode("cp1252")
    assert names(data)[-1] == "Größe “x”"
    assert notes(data) == [("ASSUMED_ENCODING", "The file is not UTF-8; it was read as Windows-1252.")]


def test_a_bad_byte_in_utf_8_is_replaced() -> None:
    data = (HEAD + "1,a,Größe x\n").encode().replace(b"x", b"\xff")
    assert names(data) == ["Größe \ufffd"]
    assert [code for code, _ in notes(data)] == ["INVALID_TEXT"]


def test_nul_bytes_are_replaced() -> None:
    assert names(HEAD + "1,a,x\0y\n") == ["x\ufffdy"]
    assert [code for code, _ in notes(HEAD + "1,a,x\0y\n")] == ["INVALID_TEXT"]


def test_a_declaration_inside_a_cell_says_nothing_about_the_file() -> None:
    assert names(HEAD + "1,a,<?xml version='1.0' encoding='iso-8859-1'?>Größe\n")[0].endswith("Größe")


@pytest.mark.parametrize("text", ['1,a,x\n2,b,"y', '1,a,x\n2,b,"y\n\n', '"'])
def test_a_quote_that_is_not_closed_is_a_cut(text: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        items(HEAD + text)
    assert caught.value.code == "TRUNCATED"
    assert caught.value.position.line > 1


def test_a_short_last_row_without_line_end_is_a_cut() -> None:
    for text in ("1,a,x\n2,b", "1", "1,a,x\r\n2,b"):
        with pytest.raises(DamagedFile) as caught:
            items(HEAD + text)
        assert caught.value.code == "TRUNCATED"
    assert names(HEAD + "1,a,x\n2,b\n") == ["x", ""]
    assert names(HEAD + "1,a\n2,b") == ["", ""]
    assert names(HEAD + "1,a,x\n2,b,y") == ["x", "y"]


def test_rows_before_damage_are_given() -> None:
    walked = walk_csv(BytesIO((HEAD + '1,a,x\n2,b,"y').encode()), WANTED, KNOWN)
    assert next(walked).raw.value.get("Name") == "x"


def test_a_cell_of_the_limit_is_read_and_a_larger_one_is_refused() -> None:
    text = "x" * kit.CELL_LIMIT
    assert names(f'{HEAD}1,a,"{text}"\n') == [text]
    with pytest.raises(DamagedFile) as caught:
        names(f'{HEAD}1,a,y\n1,a,"{text}z"\n')
    assert (caught.value.code, caught.value.position.line) == ("TEXT_TOO_LARGE", 3)


@pytest.mark.parametrize("piece", [b"," * 65_536, b'"",' * 20_000, b'"' + b"\n" * 65_000 + b'",'])
def test_a_row_without_end_is_refused_before_it_fills_the_memory(piece: bytes) -> None:
    stream = Endless(iter([HEAD.encode(), *[piece] * 1_000]))
    with pytest.raises(DamagedFile) as caught:
        list(walk_csv(stream, WANTED, KNOWN))
    assert caught.value.code == "RECORD_TOO_LARGE"
    assert stream.given < 2 * kit.ROW_LIMIT


@pytest.mark.parametrize("size", [1, 7, 65_537])
def test_the_size_of_reads_changes_nothing(size: int) -> None:
    data = ("A\r\n" + HEAD + '1,"é\r\n☃",x\r\n' * 9_000).replace("\n", "\r\n").encode()[: None if size > 1 else 20_000]
    data = data[: data.rindex(b"x\r") + 3]
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    slow: list[Any] = [(*item.raw.value._cells, item.position) for item in walk_csv(Endless(pieces), WANTED, KNOWN)]
    assert slow == [(*item.raw.value._cells, item.position) for item in items(data)]

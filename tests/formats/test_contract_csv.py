"""What must hold for every table: order and spelling of its columns, delimiter and encoding are free."""

from __future__ import annotations

import csv
import random
import re
from contextlib import suppress
from io import BytesIO, StringIO

import pytest

from services.importer.formats.kit.csv import header_of
from services.importer.formats.kit.format import DamagedFile, Format, RecordError, WrongFormat
from services.importer.formats.registry import FORMATS
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding
from tests.formats.golden import items, samples

Table = list[list[str]]

TABLES = [each for each in FORMATS if each.syntax == "csv"]
EACH = pytest.mark.parametrize("format_", TABLES, ids=lambda each: each.name)


def table_of(format_: Format, text: str) -> Table:
    """The header and the rows below it; nothing for a table within a table."""
    for delimiter in ",;\t|":
        rows = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
        for number, row in enumerate(rows[:50]):
            if len(row) > 1 and format_.sniff(written([row])):
                return [row, *(each for each in rows[number + 1 :] if len(each) > 1)]
    return []


def written(table: Table, *, delimiter: str = ",", end: str = "\n", encoding: str = "utf-8") -> bytes:
    text = StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(table)
    return text.getvalue().encode(encoding)


EACH_SAMPLE = pytest.mark.parametrize(
    ("format_", "table"),
    [
        pytest.param(each, table, id=f"{each.name}-{sample.name}")
        for each in TABLES
        for sample in samples(each)
        if (table := table_of(each, sample.read_text("utf-8-sig")))
    ],
)
# They say how a file is written, not what is in it.
ABOUT_THE_INPUT = {"ASSUMED_ENCODING", "UNKNOWN_COLUMNS"}


def told(format_: Format, data: bytes) -> list[list[str]]:
    """What each row says: its records, or its error."""
    rows: list[list[str]] = []
    for raw, _ in format_.walk(BytesIO(data)):
        try:
            records = format_.read(raw)
            rows.append(
                [repr(each) for each in records if not isinstance(each, Caution) or each.code not in ABOUT_THE_INPUT]
            )
        except RecordError as error:
            rows.append([error.code, error.field, error.value])
    return rows


def cautions(format_: Format, data: bytes) -> list[str]:
    found: list[str] = []
    for raw, _ in format_.walk(BytesIO(data)):
        try:
            found += [each.code for each in format_.read(raw) if isinstance(each, Caution)]
        except RecordError:
            continue
    return found


def words(rows: list[list[str]]) -> list[list[str]]:
    """What rows say, whatever the order of their parts."""
    return [sorted(re.findall(r"\w+", " ".join(row))) for row in rows]


@EACH_SAMPLE
def test_the_order_of_columns_is_free(format_: Format, table: Table) -> None:
    width = len(table[0])
    order = list(range(width))
    # Columns without a name are called by their number.
    named = [at for at in order if table[0][at]]
    random.Random(3).shuffle(named)
    moved = iter(named)
    order = [next(moved) if table[0][at] else at for at in order]
    full = [[*row, *[""] * (width - len(row))] for row in table]
    shuffled = [[row[at] for at in order] + row[width:] for row in full]
    assert words(told(format_, written(shuffled))) == words(told(format_, written(full)))


@EACH_SAMPLE
def test_the_spelling_of_column_names_is_free(format_: Format, table: Table) -> None:
    for spell in (str.upper, str.lower, lambda name: f" {name} ", lambda name: name.replace(" ", "_")):
        known = [spell(name) if not is_unknown(format_, table, at) else name for at, name in enumerate(table[0])]
        assert told(format_, written([known, *table[1:]])) == told(format_, written(table))


def is_unknown(format_: Format, table: Table, at: int) -> bool:
    """Is the column one whose name is kept? A table without it has a caution less, or a shorter one."""

    def messages(columns: Table) -> list[str]:
        return [
            each.message
            for raw, _ in items(format_, BytesIO(written(columns)))
            for each in raw.cautions
            if each.code == "UNKNOWN_COLUMNS"
        ]

    name = table[0][at].strip()
    return bool(name) and any(f'"{name[:60]}"' in message for message in messages(table))


@EACH_SAMPLE
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_and_line_end_are_free(format_: Format, table: Table, delimiter: str, end: str) -> None:
    assert told(format_, written(table, delimiter=delimiter, end=end)) == told(format_, written(table))


@EACH_SAMPLE
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_the_encoding_is_free(format_: Format, table: Table, encoding: str) -> None:
    text = [[cell.encode("cp1252", "replace").decode("cp1252") for cell in row] for row in table]
    data = written(text, encoding=encoding)
    assert format_.sniff(data[:4096])
    assert told(format_, data) == told(format_, written(text))


@EACH_SAMPLE
def test_what_stands_before_the_header_is_passed_over(format_: Format, table: Table) -> None:
    data = written(table)
    before = b'"Example report","of ""today"""\n\n"Nobody, nowhere"\n'
    assert format_.sniff((before + data)[:4096])
    assert told(format_, before + data) == told(format_, data)


@EACH_SAMPLE
def test_empty_rows_and_columns_and_the_header_again_say_nothing(format_: Format, table: Table) -> None:
    width = max(map(len, table))
    wider = [[*row, *[""] * (width - len(row)), "", ""] for row in table]
    more = [wider[0], [""] * (width + 2), *wider[1:], wider[0], []]
    assert told(format_, written(more)) == told(format_, written(table))


@EACH_SAMPLE
def test_a_header_alone_is_a_table_without_rows(format_: Format, table: Table) -> None:
    assert told(format_, written(table[:1])) == []
    assert told(format_, written(table[:1]).rstrip()) == []


@EACH_SAMPLE
def test_columns_that_nobody_knows_are_kept_and_told_once(format_: Format, table: Table) -> None:
    wider = [[*row, *[""] * (len(table[0]) - len(row)), f"example value {number}"] for number, row in enumerate(table)]
    wider[0][-1] = "Column of Tomorrow"
    data = written(wider)
    found = cautions(format_, data)
    kept = [
        each
        for raw, _ in format_.walk(BytesIO(data))
        for each in records_or_none(format_, raw)
        if "Column of Tomorrow" in repr(each) and "example value" in repr(each)
    ]
    assert found.count("UNKNOWN_COLUMNS") == 1
    assert any(isinstance(each, Finding | Asset | AffectedAsset) for each in kept)


def records_or_none(format_: Format, raw: object) -> list[object]:
    try:
        return list(format_.read(raw))
    except RecordError:
        return []


@EACH_SAMPLE
def test_a_row_with_more_cells_than_the_header_is_rejected_alone(format_: Format, table: Table) -> None:
    data = written([*table, [*table[-1], *["more"] * len(table[0])]])
    rows = told(format_, data)
    assert rows[:-1] == told(format_, written(table))
    assert rows[-1][0] == "TOO_MANY_CELLS"


@EACH_SAMPLE
def test_a_cut_within_quotes_or_a_row_is_damage(format_: Format, table: Table) -> None:
    last = next((row for row in table[1:] if row[0].strip() and len(row) == len(table[0])), None)
    if last is None or min(map(len, table)) < len(table[0]):
        pytest.skip("The sample has short rows.")
    whole = [*table, last]
    quoted = StringIO(newline="")
    csv.writer(quoted, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(whole)
    text = quoted.getvalue().rstrip("\n")
    start = text.rindex(f'"{last[0]}","')
    for cut in (len(text) - 1, text.index('"', start) + 1, text.index('","', start) + 1):
        with pytest.raises(DamagedFile) as caught:
            told(format_, text[:cut].encode())
        assert caught.value.code == "TRUNCATED"
        assert caught.value.position.line > 1


@EACH
def test_cuts_anywhere_end_within_the_contract(format_: Format) -> None:
    for sample in samples(format_):
        data = sample.read_bytes()
        for point in range(1, 41):
            with suppress(WrongFormat, DamagedFile):
                told(format_, data[: len(data) * point // 41])


@EACH
def test_no_table_is_taken_by_a_format_of_another_tool(format_: Format) -> None:
    for sample in samples(format_):
        head = sample.read_bytes()[:4096]
        taken = {each.family for each in FORMATS if each.sniff(head)}
        assert taken == {format_.family}
        assert header_of(head, [()])

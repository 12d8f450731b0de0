"""Sync files that end too early, of any size and in both forms, and footers that lie by one: never all of a file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from bench.sync_files import cc5, cc5_json
from services.importer.formats.cc5 import json as twin
from services.importer.formats.cc5 import text
from services.importer.formats.cc5.header import CODE_LIMIT
from services.importer.formats.kit.format import DamagedFile, Format, RecordError, WrongFormat
from services.importer.formats.kit.values import NAME_LIMIT
from services.importer.targets.records.records import Footer
from tests.formats.golden import samples
from tests.formats.syncing import ROWS, sync_file, told

# Of some portions, whatever they have.
ROWS_OF_MANY = 3_000


def end_of(format_: Format, data: bytes) -> str:
    """How reading ends: the code of the refusal, or "" for a file that is whole."""
    is_closed = False
    try:
        for raw, _ in format_.walk(BytesIO(data)):
            for record in records_of(format_, raw):
                assert not is_closed, "something follows the footer"
                is_closed = isinstance(record, Footer)
    except WrongFormat:
        return "WRONG_FORMAT"
    except DamagedFile as error:
        assert not is_closed, "the footer was told, and then the file refused"
        return error.code
    assert is_closed, "the file ended without a footer, and nobody said so"
    return ""


def records_of(format_: Format, raw: Any) -> Iterator[Any]:
    try:
        yield from format_.read(raw)
    except RecordError:
        return


@pytest.mark.parametrize("sample", samples(twin.FORMAT), ids=lambda path: path.name)
def test_the_json_form_cut_anywhere_is_refused(sample: Path) -> None:
    data = sample.read_bytes().rstrip()
    codes = {end_of(twin.FORMAT, data[:length]) for length in range(len(data))}
    assert end_of(twin.FORMAT, data) == ""
    assert codes <= {"EMPTY_FILE", "WRONG_FORMAT", "TRUNCATED", "MALFORMED_JSON"}
    assert "TRUNCATED" in codes


@pytest.mark.parametrize(
    "rest", [b"x", b"{}", b', "footer": {"total": 1}', b"\x00"], ids=["word", "object", "member", "nul"]
)
def test_what_follows_the_json_form_refuses_it(rest: bytes) -> None:
    data = b"".join(cc5_json(3)).rstrip()
    assert end_of(twin.FORMAT, data) == ""
    assert end_of(twin.FORMAT, data + rest) in {"MALFORMED_JSON", "TRUNCATED"}


@pytest.mark.parametrize(
    ("whole", "cut"),
    [
        (b'"total": 3', b'"total": '),
        (b'"delete": []', b'"delete": ['),
        (b'"footer": {', b'"footer" {'),
        (b'"data": [', b'"data": [,'),
        (b'"footer"', b"footer"),
    ],
)
def test_the_json_form_that_is_no_json_is_refused(whole: bytes, cut: bytes) -> None:
    data = b"".join(cc5_json(3))
    assert whole in data
    assert end_of(twin.FORMAT, data.replace(whole, cut, 1)) in {"MALFORMED_JSON", "TRUNCATED"}


@pytest.fixture(scope="module")
def many() -> bytes:
    return b"".join(cc5(ROWS_OF_MANY))


def places(data: bytes) -> list[int]:
    """Anywhere, behind line ends, before them, and in all of the last rows."""
    rng = random.Random(7)
    header = data.index(b"\n10|") + 1
    ends = [at for at in range(header, len(data)) if data[at : at + 1] == b"\n"]
    chosen = [rng.randrange(header, len(data)) for _ in range(60)]
    for at in rng.sample(ends, 20):
        chosen += [at, at + 1]
    last = data.rindex(b"\n90|")
    return sorted({*chosen, *range(last, len(data.rstrip()) - 1)})


def test_a_large_file_cut_anywhere_is_refused(many: bytes) -> None:
    assert end_of(text.FORMAT, many) == ""
    for length in places(many):
        code = end_of(text.FORMAT, many[:length])
        assert code in {"FOOTER_MISSING", "FOOTER_INVALID", "FOOTER_COUNT_MISMATCH"}, length


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 99, 2_000])
def test_a_footer_that_lies_by_one_is_refused(count: int, by: int) -> None:
    rows = [f"10|F{number}|n|1|{{}}" for number in range(count)]
    assert told(sync_file(*rows))[-1] == Footer(count, "")
    code = end_of(text.FORMAT, sync_file(*rows, footer=f"99|{count + by}"))
    assert code == ("FOOTER_INVALID" if count + by < 0 else "FOOTER_COUNT_MISMATCH")


@pytest.mark.parametrize("gone", [0, 1, 700, 1_998, 1_999])
def test_a_row_that_is_lost_anywhere_is_missed(gone: int) -> None:
    rows = [f"10|F{number}|n|1|{{}}" if number % 9 else f"90|F{number}" for number in range(2_000)]
    left = rows[:gone] + rows[gone + 1 :]
    assert end_of(text.FORMAT, sync_file(*left, footer="99|2000")) == "FOOTER_COUNT_MISMATCH"
    again = rows[:gone] + rows[gone : gone + 1] * 2 + rows[gone + 1 :]
    assert end_of(text.FORMAT, sync_file(*again, footer="99|2000")) == "FOOTER_COUNT_MISMATCH"


@pytest.mark.parametrize("row", ["10", "90", "10|", "90|", "10|x", "90|x|y"])
def test_rows_of_no_use_are_in_the_control_total(row: str) -> None:
    assert end_of(text.FORMAT, sync_file(row, row, footer="99|2")) == ""
    assert end_of(text.FORMAT, sync_file(row, row, footer="99|1")) == "FOOTER_COUNT_MISMATCH"


@pytest.mark.parametrize(
    ("at", "limit", "row", "code"),
    [
        (0, NAME_LIMIT, "00|{}|cc5|20260102|ref", "HEADER_INVALID"),
        (0, NAME_LIMIT, "00|A|cc5|20260102|{}", "HEADER_INVALID"),
        (1, NAME_LIMIT, "01|{}|ws|bk|cc|upsert", "HEADER_INVALID"),
        (1, NAME_LIMIT, "01|e|ws|bk|cc|{}", "HEADER_INVALID"),
        (3, CODE_LIMIT, "03|entityId|{}", "HEADER_COLUMN_INVALID"),
    ],
)
def test_a_name_in_the_header_has_a_limit(at: int, limit: int, row: str, code: str) -> None:
    def ended(length: int) -> str:
        header = (*ROWS[:at], row.format("x" * length), *ROWS[at + 1 :])
        return end_of(text.FORMAT, sync_file(header=header))

    assert (ended(limit), ended(limit + 1)) == ("", code)

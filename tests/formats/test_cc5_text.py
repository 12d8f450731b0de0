"""The rules of the cc5 sync file, kept and broken in turn."""

from __future__ import annotations

import hashlib
import random
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.sync_files import cc5
from services.importer.formats.cc5 import text
from services.importer.formats.cc5.lines import LINE_BYTES
from services.importer.formats.cc5.text import FORMAT
from services.importer.formats.kit.format import DamagedFile, RecordError, WrongFormat
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Delete, Footer, Header, Upsert
from services.importer.targets.records.schemas import Presence, RecordSchema, SchemaColumn
from tests.formats.golden import DATA, outcome, samples
from tests.formats.spoiling import spoiled
from tests.formats.syncing import ROWS, adapted, cautions, sync_file, told

SAMPLE = DATA / "cc5" / "one-family.cc5txt"
ROW = '10|F1|Garcia|4|{"zip":"95814"}'
UPSERT = Upsert('["F1"]', '{"entityId":"F1","name":"Garcia","size":4,"data":{"zip":"95814"}}', 5)
SAMPLES = pytest.mark.parametrize("sample", samples(FORMAT), ids=lambda path: path.name)


def refused(data: bytes, demands: Demands | None = None) -> tuple[str, int]:
    with pytest.raises(DamagedFile) as caught:
        told(data, demands)
    return caught.value.code, caught.value.position.line


def test_a_row_is_a_document_with_a_key() -> None:
    assert told(sync_file(ROW)) == [UPSERT, Footer(1, "")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("pipe", ["", "|"])
def test_line_ends_the_mark_and_a_trailing_pipe_make_no_difference(end: str, mark: bytes, pipe: str) -> None:
    rows = [f"{row}{pipe}" for row in (ROW, "90|F0")]
    header = tuple(f"{row}{pipe}" for row in ROWS)
    data = mark + sync_file(*rows, header=header, footer=f"99|2{pipe}", end=end)
    assert told(data) == told(data.rstrip()) == [UPSERT, Delete('["F0"]', 6), Footer(2, "")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_every_encoding_gives_the_same_rows(encoding: str) -> None:
    data = sync_file("10|F1|Zürich|1|{}").decode().encode(encoding)
    assert FORMAT.sniff(data[:4096])
    assert told(data) == told(sync_file("10|F1|Zürich|1|{}"))


def test_blank_lines_are_passed_over_and_count_as_lines() -> None:
    assert told(sync_file("", ROW, "  ", "90|F0", footer="99|2\n\n  ")) == [
        Upsert(UPSERT.key, UPSERT.document, 6),
        Delete('["F0"]', 8),
        Footer(2, ""),
    ]


def test_the_last_value_may_be_empty_with_and_without_a_trailing_pipe() -> None:
    empty = Upsert('["F1"]', '{"entityId":"F1"}', 5)
    assert told(sync_file("10|F1|||"))[0] == told(sync_file("10|F1||||"))[0] == empty


def test_pipes_and_line_ends_come_out_of_their_escapes_in_keys_as_well() -> None:
    (found, *_) = told(sync_file("10|a#/#b|one#Enter#two#/#|1|{}"))
    assert isinstance(found, Upsert)
    assert found.key == '["a|b"]'
    assert '"name":"one\\r\\ntwo|"' in found.document


@pytest.mark.parametrize(
    ("type_", "written", "read"),
    [
        ("int", "007", "7"),
        ("int", "-0", "0"),
        ("int", "+9223372036854775807", "9223372036854775807"),
        ("int", "9223372036854775808", None),
        ("int", "1_000", None),
        ("int", "\u0661", None),
        ("number", "1.50", "1.5"),
        ("number", ".5", "0.5"),
        ("number", "-0.0", "0"),
        ("number", "1e3", "1000"),
        ("number", "0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("number", "1e999", None),
        ("number", "NaN", None),
        ("number", ".", None),
        ("bool", "1", "true"),
        ("bool", "false", "false"),
        ("bool", "True", None),
        ("date", "20240229", '"20240229"'),
        ("date", "20230229", None),
        ("date", "20260102235959", '"20260102235959"'),
        ("date", "20260102240000", None),
        ("date", "2026-01-02", None),
        ("datetime", "2026-01-02T03:04:05.1234567Z", '"2026-01-02T03:04:05.1234567Z"'),
        ("datetime", "2026-01-02T03:04:05+02:00", '"2026-01-02T03:04:05+02:00"'),
        ("datetime", "20260102", '"20260102"'),
        ("datetime", "2026-13-02T03:04:05Z", None),
        ("array", "a,b", '["a","b"]'),
        ("array", "a,,", '["a","",""]'),
        ("list", '[1.0, {"b":1,"a":2}]', '[1.0, {"b":1,"a":2}]'),
        ("list", '{"a":1}', None),
        ("list", "[1e999]", None),
        ("object", '{"b":1,"a":"\\u00e9"}', '{"b":1,"a":"\\u00e9"}'),
        ("object", '{"b": [1, 2.50], "a": "\\"x"} ', '{"b": [1, 2.50], "a": "\\"x"} '),
        ("object", '{"a":1e-65}', None),
        ("object", '{"a":"x\ty"}', None),
        ("object", '{"a":1}{"b":2}', None),
        ("object", '{"a":"\\u0000"}', None),
        ("object", '{"a":"\\ud800"}', None),
        ("object", "[" * 100_000, None),
        ("object", "{", None),
        ("string", "\t\x01\x7f", '"\\t\\u0001\x7f"'),
    ],
)
def test_values_are_read_by_the_type_of_their_column(type_: str, written: str, read: str | None) -> None:
    header = (*ROWS[:3], f"03|entityId|v: {type_}")
    # Alone, and among enough others that they are read together.
    for before in (0, 30):
        rows = [f"10|K{number}|" for number in range(before)]
        found = told(sync_file(*rows, f"10|F1|{written}", header=header))[before]
        expected = Upsert('["F1"]', f'{{"entityId":"F1","v":{read}}}', 5 + before)
        assert found == (expected if read else ("TYPE_MISMATCH", "v", 5 + before))


@pytest.mark.parametrize("pair", [('{"a":', "1}{}"), ('{"a":{}', '"b":{}},{}'), ("{}{}", "{"), ('{"a":"', '"}{}')])
def test_an_object_is_whole_in_its_own_row(pair: tuple[str, str]) -> None:
    rows = [f"10|K{number}|x|1|{{}}" for number in range(30)]
    rows[10:12] = [f"10|F{number}|x|1|{value}" for number, value in enumerate(pair)]
    found = told(sync_file(*rows))
    assert found[10:12] == [("TYPE_MISMATCH", "data", 15), ("TYPE_MISMATCH", "data", 16)]
    assert sum(isinstance(each, Upsert) for each in found) == 28


def test_a_document_is_one_line_whatever_its_values() -> None:
    rows = [f'10|K{number}|a#Enter#b|1|{{"a":#Enter#[1]}}' for number in range(30)]
    found = told(sync_file(*rows))
    assert found[29] == Upsert('["K29"]', '{"entityId":"K29","name":"a\\r\\nb","size":1,"data":{"a":[1]}}', 34)


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ("10|F1|Garcia|4", "FIELD_COUNT_MISMATCH", ""),
        ("10|F1|Garcia|4|{}|x", "FIELD_COUNT_MISMATCH", ""),
        ("10|F1|Garcia|4|{}||", "FIELD_COUNT_MISMATCH", ""),
        ("10||Garcia|4|{}", "KEY_MISSING", "entityId"),
        ("10|F1|Garcia|four|{}", "TYPE_MISMATCH", "size"),
        ("90|", "KEY_MISSING", "entityId"),
        ("90|F1|F2", "FIELD_COUNT_MISMATCH", ""),
        ("10|F1|a\0b|4|{}", "INVALID_ENCODING", ""),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_alone_with_its_text(row: str, code: str, field: str) -> None:
    data = sync_file(ROW, row, "90|F0")
    assert told(data) == [UPSERT, (code, field, 6), Delete('["F0"]', 7), Footer(3, "")]
    assert rejected_raw(data) == row.replace("\0", "\ufffd")


def rejected_raw(data: bytes) -> str:
    for raw, _ in FORMAT.walk(BytesIO(data)):
        try:
            FORMAT.read(raw)
        except RecordError as error:
            return error.raw
    raise AssertionError("no row was rejected")


def test_a_row_that_is_not_utf8_is_rejected_alone() -> None:
    data = sync_file(ROW, "10|F2|Z?rich|1|{}", "90|F0").replace(b"Z?rich", b"Z\xfcrich")
    assert told(data) == [UPSERT, ("INVALID_ENCODING", "", 6), Delete('["F0"]', 7), Footer(3, "")]


@pytest.mark.parametrize("row", ["11|x", "04|late", "100|F1|x", "hello", "03|a|b"])
def test_a_row_of_no_meaning_is_rejected_and_not_in_the_control_total(row: str) -> None:
    assert told(sync_file(ROW, row)) == [UPSERT, ("ROW_TYPE_UNKNOWN", "", 6), Footer(1, "")]


@pytest.mark.parametrize(
    ("at", "row", "code"),
    [
        (0, "00|AGENCY01|cc5|2026", "HEADER_INVALID"),
        (1, "01|wks_family|ws|bk|cc", "HEADER_INVALID"),
        (1, "01||ws|bk|cc|upsert", "HEADER_INVALID"),
        (1, "02|entityId", "HEADER_INVALID"),
        (2, "02|", "HEADER_INVALID"),
        (2, "02|entityId|entityId", "HEADER_INVALID"),
        (2, "02|other", "HEADER_KEY_NOT_DECLARED"),
        (3, "04|entityId", "HEADER_INVALID"),
        (3, "03|entityId|name|name", "HEADER_COLUMN_REPEATED"),
        (3, "03|entityId|na.me", "HEADER_COLUMN_INVALID"),
        (3, "03|entityId|_name", "HEADER_COLUMN_INVALID"),
        (3, "03|entityId||name", "HEADER_COLUMN_INVALID"),
        (3, "03|entityId|name: text", "HEADER_TYPE_UNKNOWN"),
        (3, "03|entityId|" + "|".join(f"c{number}" for number in range(2_000)), "TOO_MANY_COLUMNS"),
        (3, "03|entityId|na\0me", "HEADER_INVALID"),
    ],
)
def test_a_header_that_breaks_a_rule_refuses_the_file(at: int, row: str, code: str) -> None:
    header = (*ROWS[:at], row, *ROWS[at + 1 :])
    assert refused(sync_file("10|F1", header=header)) == (code, at + 1)


def test_two_thousand_columns_are_taken() -> None:
    header = (*ROWS[:3], "03|entityId|" + "|".join(f"c{number}" for number in range(1_999)))
    assert told(sync_file("10|F1" + "|x" * 1_999, header=header))[1] == Footer(1, "")


def test_rows_04_to_09_are_told_and_ignored() -> None:
    assert cautions(sync_file(header=(*ROWS, "04|x", "09|y"))) == ["METADATA_ROW_IGNORED"] * 2


def test_keys_that_do_not_come_first_and_reserved_names_are_told() -> None:
    header = (*ROWS[:3], "03|name|entityId|case_id")
    assert cautions(sync_file(header=header)) == ["COLUMN_RESERVED", "KEY_NOT_FIRST"]


def test_the_header_is_kept_as_it_stands() -> None:
    (raw, position), *_ = FORMAT.walk(BytesIO(sync_file(header=(*ROWS, "04|x"), end="\r\n")))
    header = next(iter(FORMAT.read(raw)))
    assert isinstance(header, Header)
    assert header.text == "".join(f"{row}\n" for row in ROWS)
    assert (header.reference_id, header.keys, position.line) == ("ref-1", ("entityId",), 1)


@pytest.mark.parametrize(
    ("footer", "code"),
    [
        ("", "FOOTER_MISSING"),
        ("99|1", "FOOTER_COUNT_MISMATCH"),
        ("99|3", "FOOTER_COUNT_MISMATCH"),
        ("99", "FOOTER_INVALID"),
        ("99|", "FOOTER_INVALID"),
        ("99|two", "FOOTER_INVALID"),
        ("99|-2", "FOOTER_INVALID"),
        ("99|2\n10|F3|x|1|{}", "FOOTER_NOT_LAST"),
        ("99|2\n99|2", "FOOTER_NOT_LAST"),
        ("99|2\n00|AGENCY01|cc5|2026|x", "FOOTER_NOT_LAST"),
        ("99|2|sha256:" + "0" * 64, "VALIDATION_CODE_MISMATCH"),
        ("99|2|sha256:", "VALIDATION_CODE_MISMATCH"),
        ("99|2|crc32:00000000", "VALIDATION_CODE_MISMATCH"),
    ],
)
def test_a_footer_that_lies_or_lacks_refuses_the_file(footer: str, code: str) -> None:
    assert refused(sync_file(ROW, "90|F0", footer=footer))[0] == code


def test_bad_rows_are_in_the_control_total() -> None:
    assert told(sync_file("10|F1", "90|", footer="99|2"))[-1] == Footer(2, "")


@pytest.mark.parametrize(("footer", "code"), [("", "FOOTER_MISSING"), ("99|7", "FOOTER_COUNT_MISMATCH")])
def test_a_job_may_do_without_the_footer(footer: str, code: str) -> None:
    data = sync_file(ROW, footer=footer)
    assert cautions(data, Demands(require_footer=False)) == [code]
    assert told(data, Demands(require_footer=False))[0] == UPSERT


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("rows", [1, 2_000])
def test_the_validation_code_is_of_all_bytes_before_the_footer(encoding: str, rows: int) -> None:
    text = sync_file(*[ROW] * rows, footer="").decode()
    before = text.encode(encoding)
    for code in (f"sha256:{hashlib.sha256(before).hexdigest().upper()}", f"CRC32:{zlib.crc32(before):08x}"):
        whole = (text + f"99|{rows}|{code}|\n").encode(encoding)
        assert told(whole)[-1] == Footer(rows, code)
        assert refused(whole.replace("Garcia".encode(encoding)[-2:], b"xx"[:2], 1))[0] in {
            "VALIDATION_CODE_MISMATCH",
            "HEADER_INVALID",
        }


def test_another_validation_code_is_kept_and_not_checked() -> None:
    assert told(sync_file(ROW, footer="99|1|batch 7"))[-1] == Footer(1, "batch 7")


@SAMPLES
def test_a_file_cut_anywhere_is_refused(sample: Path) -> None:
    data = sample.read_bytes().rstrip()
    begin, body, last = data.index(b"00|") + 3, data.index(b"\n", data.index(b"\n03|") + 1), data.rindex(b"99|")
    for end in range(begin, last + len(b"99|")):
        code, line = refused(data[:end])
        assert line > 0
        if end < data.index(b"\n03|"):
            assert code in {"TRUNCATED", "HEADER_INVALID"}, end
        elif end > body:
            assert code in {"FOOTER_MISSING", "FOOTER_INVALID"}, end


def test_a_line_may_have_a_mebibyte_and_no_more() -> None:
    room = LINE_BYTES - len("10|F1||1|{}\n")
    assert len(told(sync_file(f"10|F1|{'x' * room}|1|{{}}"))) == 2
    assert refused(sync_file(ROW, f"10|F1|{'x' * LINE_BYTES}|1|{{}}")) == ("LINE_TOO_LONG", 6)
    assert refused(sync_file(header=(*ROWS[:3], "03|" + "x" * LINE_BYTES))) == ("LINE_TOO_LONG", 4)


@pytest.mark.parametrize(
    ("demands", "told_code"),
    [
        (Demands(workspaces=("ws-demo", "an-id"), bucket="bk-demo"), ""),
        (Demands(workspaces=("other",)), "WORKSPACE_MISMATCH"),
        (Demands(bucket="other"), "WORKSPACE_MISMATCH"),
    ],
)
def test_a_file_for_another_workspace_is_refused_before_any_row(demands: Demands, told_code: str) -> None:
    if not told_code:
        assert told(sync_file(ROW), demands)[0] == UPSERT
        return
    with pytest.raises(DamagedFile) as caught:
        next(iter(adapted(demands).walk(BytesIO(sync_file(ROW)))))
    assert (caught.value.code, caught.value.position.line) == (told_code, 2)


def schema(*columns: SchemaColumn) -> Demands:
    return Demands(schemas=(RecordSchema("wks_family", "cc-test", columns),))


def test_a_schema_asks_for_columns_values_and_words() -> None:
    demands = schema(
        SchemaColumn("name", presence=Presence.VALUE, values=("new", "active")),
        SchemaColumn("size", "number"),
        SchemaColumn("comment"),
    )
    rows = [*[f"10|K{number}|new|1|{{}}" for number in range(30)], "10|F1|Active|1|{}", "10|F2|old|1|{}", "10|F3||1|{}"]
    found = told(sync_file(*rows), demands)
    assert found[0] == told(sync_file(header=ROWS), demands)[0]
    assert isinstance(found[31], Upsert)
    assert found[32:34] == [("VALUE_NOT_ALLOWED", "name", 36), ("REQUIRED_VALUE_MISSING", "name", 37)]
    assert cautions(sync_file(*rows), demands) == ["COLUMN_TYPE_DIFFERS"]


def test_a_column_that_a_schema_asks_for_refuses_the_file_where_it_is_missing() -> None:
    assert refused(sync_file(ROW), schema(SchemaColumn("tags", presence=Presence.COLUMN))) == (
        "HEADER_COLUMN_MISSING",
        4,
    )


@pytest.mark.parametrize("data", [b"10|F1\n", b"a|b|c\n1|2|3\n", b"00,AGENCY\n", b"{}"])
def test_a_file_without_a_row_00_is_of_another_kind(data: bytes) -> None:
    assert not FORMAT.sniff(data)
    with pytest.raises(WrongFormat):
        told(data)


BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def one_by_one(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[list[object]] | str:
    with monkeypatch.context() as patch:
        patch.setattr(text, "FEW", 1 << 30)
        return all_of(data)


def all_of(data: bytes) -> list[list[object]] | str:
    found: list[list[object]] = []
    try:
        found += outcome(FORMAT, BytesIO(data))
    except (DamagedFile, WrongFormat) as error:
        found.append([str(error)])
    return found


@BOUNDED
@given(seed=st.integers(0, 2**32))
def test_rows_read_together_say_what_they_say_alone(seed: int) -> None:
    rng = random.Random(seed)
    documents = [sample.read_bytes() for sample in samples(FORMAT)]
    documents.append(b"".join(cc5(rng.randint(20, 200), seed)))
    data = spoiled(rng.choice(documents), rng)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert all_of(data) == one_by_one(data, monkeypatch)


CELLS = st.sampled_from(
    ["", "F1", "x", '"', "\\", "#/#", "#Enter#", "#", "1", "007", "-0", "1.5", "true", "0", "20260102", "{}", "[]",
     '{"b":1,"a":2}', '{"a":"\\u0000"}', '{"a":"\\u00e9"}', '{"a":"\\""}', '{"a":', "1}", "1}{}", "{}{}", "{}, {}",
     "[1", '{"b":#Enter#1}', "{\t}", "[\x01]", "2]", "a,b", "é", "\t", "\x85", "\u2028", "new"]
)  # fmt: skip


@BOUNDED
@given(
    types=st.lists(st.sampled_from(["string", "int", "number", "bool", "date", "array", "list", "object"]), max_size=5),
    keys=st.integers(1, 2),
    cells=st.lists(st.lists(CELLS, min_size=3, max_size=8), min_size=1, max_size=40),
)
def test_any_rows_read_together_say_what_they_say_alone(types: list[str], keys: int, cells: list[list[str]]) -> None:
    columns = ["k1", "k2: int"][:keys] + [f"c{number}: {type_}" for number, type_ in enumerate(types)]
    header = (*ROWS[:2], "02|" + "|".join(f"k{number + 1}" for number in range(keys)), "03|" + "|".join(columns))
    width = len(columns)
    rows = ["|".join(["10", *(each * 3)[:width]]) for each in cells]
    data = sync_file(*rows, *rows[:1] * 10, header=header)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert all_of(data) == one_by_one(data, monkeypatch)

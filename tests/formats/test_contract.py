"""What must hold for every format of the registry, whatever its tool."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from bench.documents import DOCUMENTS, Stream
from services.importer import formats
from services.importer.formats import registry
from services.importer.formats.kit.format import DamagedFile, Format, RecordError, WrongFormat
from services.importer.formats.registry import FORMATS, TOLD
from services.importer.targets.findings.records import FindingsRecord, Record
from tests.formats.golden import files, golden_path, items, lines, outcome_of, samples

HEAD_BYTES = 4096
TRUNCATIONS = 20
RESIDENT_KILOBYTES = 60_000
# Memos fill up to their limits, however many items follow.
FLAT_KILOBYTES = 20_000

EACH = pytest.mark.parametrize("format_", FORMATS, ids=lambda each: each.name)
EACH_SAMPLE = pytest.mark.parametrize(
    ("format_", "sample"),
    [(each, sample) for each in FORMATS for sample in samples(each)],
    ids=lambda value: value.name,
)


# Files of two tools that nothing in them tells apart; the source that they are sent for decides.
SAME_LOOKS = ({"acunetix_360_json", "invicti_json"},)


def are_told_apart(one: Format, other: Format) -> bool:
    """Are these formats of different families, and is there a way to tell?"""
    return one.family != other.family and {one.name, other.name} not in SAME_LOOKS


class ByteByByte:
    """Gives one byte for each read, as a slow network may."""

    def __init__(self, data: bytes) -> None:
        self._left: Iterator[int] = iter(data)

    def read(self, size: int, /) -> bytes:
        return bytes(byte for byte in (next(self._left, None),) if byte is not None)


def records_of(format_: Format, data: bytes) -> list[FindingsRecord]:
    return [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]


def test_every_module_with_a_format_is_registered() -> None:
    found: set[str] = set()
    for module in pkgutil.walk_packages(formats.__path__, f"{formats.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            listed = value if isinstance(value, tuple) else (value,)
            found.update(each.name for each in listed if isinstance(each, Format))
    assert found == {each.name for each in (*FORMATS, *TOLD)}


def test_names_are_unique() -> None:
    assert len({each.name for each in (*FORMATS, *TOLD)}) == len(FORMATS) + len(TOLD) == len(registry.BY_NAME)


@EACH
def test_there_is_a_sample(format_: Format) -> None:
    assert samples(format_)


@pytest.mark.parametrize("family", sorted({each.family for each in FORMATS}))
def test_every_sample_of_a_family_is_sniffed(family: str) -> None:
    taken = {sample for each in FORMATS if each.family == family for sample in samples(each)}
    assert taken == set(files(family))


@EACH_SAMPLE
def test_nobody_elses_samples_are_sniffed(format_: Format, sample: Path) -> None:
    head = sample.read_bytes()[:HEAD_BYTES]
    assert [each.name for each in FORMATS if are_told_apart(each, format_) and each.sniff(head)] == []


@EACH
@pytest.mark.parametrize(
    "head", [b"", b"{}", b"a,b\n1,2\n", b"<html><body>", b"%PDF-1.7", b"PK\x03\x04", bytes(range(256))]
)
def test_what_is_no_report_is_not_sniffed(format_: Format, head: bytes) -> None:
    assert not format_.sniff(head)


@EACH_SAMPLE
def test_records_positions_errors_and_cautions_are_as_recorded(format_: Format, sample: Path) -> None:
    assert lines(format_, sample.read_bytes()) == golden_path(format_, sample).read_text("utf-8")


@EACH_SAMPLE
def test_the_same_bytes_give_the_same_records_in_the_same_order(format_: Format, sample: Path) -> None:
    data = sample.read_bytes()
    assert outcome_of(format_, data) == outcome_of(format_, data)


@EACH_SAMPLE
def test_reading_an_item_twice_gives_the_same_records(format_: Format, sample: Path) -> None:
    for raw, _ in format_.walk(BytesIO(sample.read_bytes())):
        try:
            first = tuple(format_.read(raw))
        except RecordError:
            with pytest.raises(RecordError):
                format_.read(raw)
        else:
            assert tuple(format_.read(raw)) == first


@EACH_SAMPLE
def test_one_byte_at_a_time_gives_the_same_records(format_: Format, sample: Path) -> None:
    data = sample.read_bytes()
    slow = [position for _, position in format_.walk(ByteByByte(data))]
    assert slow == [position for _, position in format_.walk(BytesIO(data))]


@EACH
def test_zero_one_and_many_items_are_all_given(format_: Format) -> None:
    none, one, many = (sum(1 for _ in items(format_, Stream(DOCUMENTS[format_.name](count)))) for count in (0, 1, 500))
    # Definitions that stand apart are items, too.
    assert (one - none, many - none) == (1, 500)


@EACH
def test_records_are_records_of_the_target(format_: Format) -> None:
    for raw, _ in format_.walk(Stream(DOCUMENTS[format_.name](200))):
        assert all(isinstance(record, Record) for record in format_.read(raw))


@EACH
def test_definitions_that_repeat_are_one_object(format_: Format) -> None:
    kept = [
        record
        for raw, _ in format_.walk(Stream(DOCUMENTS[format_.name](500)))
        for record in format_.read(raw)
        if record.IS_DEFINITION
    ]
    assert len({id(record) for record in kept}) == len(set(map(repr, kept)))


@EACH
def test_an_empty_file_is_damaged(format_: Format) -> None:
    for data in (b"", b" \r\n\t", b"\xef\xbb\xbf"):
        with pytest.raises(DamagedFile) as caught:
            records_of(format_, data)
        assert caught.value.code == "EMPTY_FILE"


@EACH_SAMPLE
def test_a_file_cut_anywhere_is_damaged(format_: Format, sample: Path) -> None:
    if format_.syntax == "csv":
        pytest.skip("A table has no end that could be missing: test_contract_csv.py.")
    if format_.syntax == "cc5":
        pytest.skip("What is missing behind the header is the footer: test_cc5_text.py.")
    data = sample.read_bytes().rstrip()
    for point in range(1, TRUNCATIONS + 1):
        with pytest.raises(DamagedFile) as caught:
            outcome_of(format_, data[: len(data) * point // (TRUNCATIONS + 1)])
        assert caught.value.code == "TRUNCATED"
        assert caught.value.position.line > 0


@EACH
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"issues": []}', "JSON"),
        (b"Plugin ID,CVE\n1,2\n", "text"),
        (b"<html><body>x</body></html>", "HTML"),
        (b'<?xml version="1.0"?><SomebodysReport/>', "SomebodysReport"),
        (b"%PDF-1.7 xxxxxxxxxxxxxxxx", "PDF"),
        (b"PK\x03\x04 xxxxxxxxxxxxxxxx", "ZIP"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(format_: Format, data: bytes, told: str) -> None:
    with pytest.raises(WrongFormat, match=told):
        records_of(format_, data)


@EACH
def test_a_sample_of_another_family_is_refused(format_: Format) -> None:
    for other in FORMATS:
        if are_told_apart(other, format_):
            with pytest.raises(WrongFormat):
                records_of(format_, samples(other)[0].read_bytes())


@EACH
def test_memory_is_flat_over_many_items(format_: Format) -> None:
    # `python -m bench formats` reads more of each.
    few, many = (peak_kilobytes(format_, count) for count in (2_000, 15_000))
    assert many < few + FLAT_KILOBYTES
    assert many < RESIDENT_KILOBYTES


def peak_kilobytes(format_: Format, count: int) -> int:
    """The largest resident size of a fresh process that reads this many items."""
    command = [sys.executable, "-m", "tests.formats.peak", format_.name, str(count)]
    found, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(found) >= count
    return int(peak)

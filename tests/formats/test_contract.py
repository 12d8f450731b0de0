"""What must hold for every format of the registry, whatever its tool."""

from __future__ import annotations

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
from services.importer.formats.registry import FORMATS
from services.importer.targets.findings.records import Caution, FindingsRecord, Record
from tests.formats.golden import golden_path, lines, outcome_of, samples

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


class ByteByByte:
    """Gives one byte for each read, as a slow network may."""

    def __init__(self, data: bytes) -> None:
        self._left: Iterator[int] = iter(data)

    def read(self, size: int, /) -> bytes:
        return bytes(byte for byte in (next(self._left, None),) if byte is not None)


def records_of(format_: Format, data: bytes) -> list[FindingsRecord]:
    return [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]


def test_every_format_package_is_registered() -> None:
    found = {module.name for module in pkgutil.iter_modules(formats.__path__)} - {"kit", "registry"}
    assert found == {each.walk.__module__.split(".")[-2] for each in FORMATS}


def test_names_are_unique() -> None:
    assert len({each.name for each in FORMATS}) == len(FORMATS) == len(registry.BY_NAME)


@EACH_SAMPLE
def test_own_samples_are_sniffed(format_: Format, sample: Path) -> None:
    assert format_.sniff(sample.read_bytes()[:HEAD_BYTES])


@EACH_SAMPLE
def test_nobody_elses_samples_are_sniffed(format_: Format, sample: Path) -> None:
    head = sample.read_bytes()[:HEAD_BYTES]
    assert [each.name for each in FORMATS if each.family != format_.family and each.sniff(head)] == []


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
    for count in (0, 1, 500):
        pieces = DOCUMENTS[format_.name](count)
        assert sum(1 for _ in format_.walk(Stream(pieces))) == count


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
        (b'<?xml version="1.0"?><NexposeReport/>', "NexposeReport"),
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
        if other.family != format_.family:
            with pytest.raises(WrongFormat):
                records_of(format_, samples(other)[0].read_bytes())


ROOTS = (b"NessusClientData_v2", b"issues", b"nmaprun")


def with_doctype(data: bytes, declared: str) -> bytes:
    """The document with this document type in place of its own."""
    root = next(name for name in ROOTS if b"<" + name in data)
    start = data.index(b"<" + root)
    return b'<?xml version="1.0"?>\n<!DOCTYPE ' + root + b" " + declared.encode() + b">" + data[start:]


BOMB = "<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@EACH
@pytest.mark.parametrize(
    "subset",
    [
        BOMB,
        "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
        "<!ENTITY x PUBLIC 'p' 'http://127.0.0.1:9/x'>",
        "<!ENTITY % p SYSTEM 'http://127.0.0.1:9/x'> %p;",
        "<!ENTITY harmless 'text'>",
        "<!ENTITY u SYSTEM 'x.gif' NDATA gif>",
    ],
    ids=["bomb", "file", "network", "parameter", "harmless", "unparsed"],
)
def test_any_entity_declaration_is_refused(format_: Format, subset: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        records_of(format_, with_doctype(samples(format_)[0].read_bytes(), f"[{subset}]"))
    assert caught.value.code == "ENTITY_FORBIDDEN"


@EACH
def test_a_document_type_without_entities_is_fine(format_: Format) -> None:
    data = b"".join(DOCUMENTS[format_.name](5))
    typed = with_doctype(data, "[<!ELEMENT x (#PCDATA)><!ATTLIST x y CDATA 'z'>]")
    assert records_of(format_, typed) == records_of(format_, data)


@EACH
def test_an_external_document_type_is_not_loaded(format_: Format) -> None:
    data = b"".join(DOCUMENTS[format_.name](5))
    typed = with_doctype(data, 'SYSTEM "http://127.0.0.1:9/x.dtd"')
    assert records_of(format_, typed) == records_of(format_, data)


@EACH
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"])
def test_every_encoding_gives_the_same_records(format_: Format, encoding: str) -> None:
    text = b"".join(DOCUMENTS[format_.name](20)).decode().replace("東京", "Tokyo").replace("テスト", "test")
    text = text.replace("“", '"').replace("”", '"')
    _, _, body = text.partition("?>")
    name = encoding.removesuffix("-sig")
    declared = f'<?xml version="1.0" encoding="{name}"?>{body}'
    assert records_of(format_, declared.encode(encoding)) == records_of(format_, text.encode())


@EACH
@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\x1b", b"\xef\xbf\xbf", b"&#0;", b"&#xD800;"]
)
def test_a_bad_byte_costs_no_record_and_is_told(format_: Format, bad: bytes) -> None:
    data = b"".join(DOCUMENTS[format_.name](30))
    place = {"nessus": b"<synopsis>", "burp": b"<issueDetail><![CDATA["}.get(format_.name, b'product="')
    at = data.index(place) + len(place)
    if format_.name == "burp" and bad.startswith(b"&"):
        at = data.index(b"<confidence>") + len(b"<confidence>")
    spoiled = data[:at] + bad + data[at:]
    clean, found = records_of(format_, data), records_of(format_, spoiled)
    cautions = [record for record in found if isinstance(record, Caution)]
    assert len(found) == len(clean) + len(cautions)
    assert [caution.code for caution in cautions] == ["INVALID_TEXT"]
    assert "\ufffd" in repr(found)


@EACH
def test_memory_is_flat_over_fifty_thousand_items(format_: Format) -> None:
    few, many = (peak_kilobytes(format_, count) for count in (2_000, 50_000))
    assert many < few + FLAT_KILOBYTES
    assert many < RESIDENT_KILOBYTES


def peak_kilobytes(format_: Format, count: int) -> int:
    """The largest resident size of a fresh process that reads this many items."""
    command = [sys.executable, "-m", "tests.formats.peak", format_.name, str(count)]
    found, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(found) == count
    return int(peak)

"""What must hold for every format that is JSON."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest

from bench.documents import DOCUMENTS
from services.importer.formats.kit.format import DamagedFile, Format, RecordError, WrongFormat
from services.importer.formats.registry import FORMATS
from services.importer.targets.findings.records import Caution, FindingsRecord
from tests.formats import bounds
from tests.formats.golden import samples

JSON = [each for each in FORMATS if each.syntax == "json"]
EACH = pytest.mark.parametrize("format_", JSON, ids=lambda each: each.name)
EACH_SAMPLE = pytest.mark.parametrize(
    ("format_", "sample"),
    [(each, sample) for each in JSON for sample in samples(each)],
    ids=lambda value: value.name,
)

# Where a text may be spoiled: templates of documents have it.
PLACE = b"A text like any other"
WRONG_KINDS = (
    b"null",
    b"true",
    b"-1.5e400",
    b"9" * 5_000,
    b'"text"',
    b"[]",
    b"{}",
    b"[null]",
    b'[[["x"]]]',
    b'{"": 1}',
)


def records_of(format_: Format, data: bytes) -> list[FindingsRecord]:
    return [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]


def document(format_: Format, count: int = 20) -> bytes:
    return b"".join(DOCUMENTS[format_.name](count))


@EACH_SAMPLE
def test_a_sample_cut_after_any_byte_is_truncated(format_: Format, sample: Path) -> None:
    data = sample.read_bytes().rstrip()
    for end in range(1, len(data), max(1, len(data) // 400)):
        with pytest.raises(DamagedFile) as caught:
            list(format_.walk(BytesIO(data[:end])))
        assert (caught.value.code, end) == ("TRUNCATED", end)
        assert caught.value.position.line == data[:end].count(b"\n") + 1


@EACH
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_gives_the_same_records(format_: Format, encoding: str) -> None:
    data = document(format_)
    assert records_of(format_, data.decode().encode(encoding)) == records_of(format_, data)


@EACH
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_is_sniffed(format_: Format, encoding: str) -> None:
    assert format_.sniff(document(format_).decode().encode(encoding)[:4096])


@EACH
@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\x1b", b"\xef\xbf\xbf", b"\\u0000", b"\\udc00", b"\\ud800 "]
)
def test_a_bad_byte_costs_no_record_and_is_told(format_: Format, bad: bytes) -> None:
    data = document(format_)
    spoiled = data.replace(PLACE, PLACE + bad, 1)
    assert spoiled != data
    clean, found = records_of(format_, data), records_of(format_, spoiled)
    cautions = [record for record in found if isinstance(record, Caution)]
    assert len(found) == len(clean) + len(cautions)
    assert [caution.code for caution in cautions] == ["INVALID_TEXT"]
    assert "\ufffd" in repr(found)
    for record in found:
        bounds.check(record)


@EACH
@pytest.mark.parametrize(
    ("more", "code"),
    [
        (b"}", "MALFORMED_JSON"),
        (b"{}", "MALFORMED_JSON"),
        (b"\0", "MALFORMED_JSON"),
        (b" \r\n\t", ""),
    ],
)
def test_nothing_but_white_space_may_follow(format_: Format, more: bytes, code: str) -> None:
    data = document(format_, 3)
    if not code:
        assert records_of(format_, data + more) == records_of(format_, data)
        return
    with pytest.raises(DamagedFile) as caught:
        records_of(format_, data + more)
    assert caught.value.code == code


@EACH
@pytest.mark.parametrize("depth", [300, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_refused(format_: Format, depth: int, opening: bytes, closing: bytes) -> None:
    deep = opening * depth + b"1" + closing * depth
    data = document(format_, 3)
    at = data.index(PLACE)
    begin, end = data.rindex(b'"', 0, at), data.index(b'"', at)
    for spoiled in (data[:begin] + deep + data[end + 1 :], opening * 100_000):
        with pytest.raises(DamagedFile) as caught:
            records_of(format_, spoiled)
        assert caught.value.code == "TOO_DEEP"


@EACH_SAMPLE
def test_values_of_wrong_kinds_end_within_the_contract(format_: Format, sample: Path) -> None:
    """Each value of each member is put in the place of another kind of value, one at a time."""
    data = sample.read_bytes()
    at = -1
    while (at := data.find(b'":', at + 1)) >= 0:
        end = min((found for sign in (b",", b"\n", b"}") if (found := data.find(sign, at)) >= 0), default=len(data))
        for wrong in WRONG_KINDS:
            spoiled = data[: at + 2] + b" " + wrong + (b" " if data[end : end + 1] == b"\n" else b"") + data[end:]
            _end_within_the_contract(format_, spoiled)


def _end_within_the_contract(format_: Format, data: bytes) -> None:
    """Records within their bounds, or one of the three outcomes that are no records; any other exception comes out."""
    with suppress(DamagedFile, WrongFormat):
        for raw, _ in format_.walk(BytesIO(data)):
            with suppress(RecordError):
                for record in format_.read(raw):
                    bounds.check(record)


@EACH
def test_a_huge_text_is_cut_and_costs_no_record(format_: Format) -> None:
    data = document(format_, 2)
    large = data.replace(PLACE, PLACE + b" wide" * 500_000, 1)
    for record in records_of(format_, large):
        bounds.check(record)
    found = [type(record) for record in records_of(format_, large) if not isinstance(record, Caution)]
    assert found == [type(record) for record in records_of(format_, data)]

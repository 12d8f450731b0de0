"""What must hold for the formats of objects, as tests/formats/test_contract.py has it for all others.

They are none of those, because nothing in a file of any columns tells that it is one: their source is told.
`python -m tests.formats.test_objects_contract` writes what is expected of the samples anew.
"""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import msgspec
import pytest

from bench.documents import Stream
from services.importer.formats import registry
from services.importer.formats.kit.format import DamagedFile, Format, WrongFormat
from services.importer.formats.registry import BY_NAME, FORMATS, OBJECT_SOURCES, TOLD
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import ObjectsRecord
from tests.formats.golden import DATA, golden_path, lines, outcome_of
from tests.formats.mapped import adapted
from tests.formats.objects_peak import PLAN, documents
from tests.formats.test_contract import FLAT_KILOBYTES, RESIDENT_KILOBYTES, TRUNCATIONS, ByteByByte

SAMPLES = {
    "servers-and-people.csv": "objects_csv",
    "disks-with-files.json": "objects_json",
    "one-chunk.chunk": "objects_chunk",
}
EACH_SAMPLE = pytest.mark.parametrize("name", SAMPLES)


def sample(name: str) -> tuple[Format, Path]:
    path = DATA / "objects" / name
    plan = msgspec.json.decode(path.with_name(f"{name}.plan.json").read_bytes(), type=ObjectPlan)
    return adapted(BY_NAME[SAMPLES[name]], plan), path


def test_they_are_found_by_their_source_alone() -> None:
    assert {source: formats[0].name for source, formats in OBJECT_SOURCES.items()} == {
        "objects-chunk": "objects_chunk",
        "objects-csv": "objects_csv",
        "objects-json": "objects_json",
    }
    assert not {each.name for each in TOLD} & {each.name for each in FORMATS}
    assert registry.resolve("objects-csv", b"a,b\n1,2\n").name == "objects_csv"
    assert registry.resolve("objects-json", b' [{"a": 1}]').name == "objects_json"
    assert registry.look(b"a,b\n1,2\n") == "text without a known structure"
    assert [each.name for each in registry.recognise(b'{"data": {}}')] == []
    with pytest.raises(WrongFormat, match="PDF"):
        registry.resolve("objects-json", b"%PDF-1.7")


@EACH_SAMPLE
def test_records_positions_errors_and_remarks_are_as_recorded(name: str) -> None:
    format_, path = sample(name)
    assert lines(format_, path.read_bytes()) == golden_path(format_, path).read_text("utf-8")


@EACH_SAMPLE
def test_one_byte_at_a_time_gives_the_same(name: str) -> None:
    format_, path = sample(name)
    data = path.read_bytes()
    slow = [(format_.name, position) for _, position in format_.walk(ByteByByte(data))]
    assert slow == [(format_.name, position) for _, position in format_.walk(BytesIO(data))]
    assert outcome_of(format_, data) == outcome_of(format_, data)


@EACH_SAMPLE
def test_records_come_through_the_frames_of_the_child_as_they_are(name: str) -> None:
    format_, path = sample(name)
    decoder = msgspec.msgpack.Decoder(list[ObjectsRecord])
    for raw, _ in format_.walk(BytesIO(path.read_bytes())):
        if raw.__class__ is tuple:
            assert decoder.decode(msgspec.msgpack.encode(format_.read(raw))) == list(format_.read(raw))


@EACH_SAMPLE
def test_a_plan_comes_through_the_database_as_it_is(name: str) -> None:
    _, path = sample(name)
    plan = msgspec.json.decode(path.with_name(f"{name}.plan.json").read_bytes(), type=ObjectPlan)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=ObjectPlan) == plan
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=ObjectPlan) == plan


@pytest.mark.parametrize("name", [each for each in SAMPLES if not each.endswith(".csv")])
def test_a_file_cut_anywhere_is_damaged(name: str) -> None:
    format_, path = sample(name)
    data = path.read_bytes().rstrip()
    for point in range(1, TRUNCATIONS + 1):
        with pytest.raises(DamagedFile) as caught:
            outcome_of(format_, data[: len(data) * point // (TRUNCATIONS + 1)])
        assert caught.value.code == "TRUNCATED"


@pytest.mark.parametrize("format_", TOLD, ids=lambda each: each.name)
def test_zero_one_and_many_records_are_all_given(format_: Format) -> None:
    for count in (0, 1, 255, 256, 257, 1_000):
        found = [raw for raw, _ in adapted(format_, PLAN).walk(Stream(documents(format_, count)))]
        assert len(found) == count


@pytest.mark.parametrize("format_", TOLD, ids=lambda each: each.name)
def test_memory_is_flat_over_fifty_thousand_records(format_: Format) -> None:
    few, many = (peak_kilobytes(format_, count) for count in (2_000, 50_000))
    assert many < few + FLAT_KILOBYTES
    assert many < RESIDENT_KILOBYTES


def peak_kilobytes(format_: Format, count: int) -> int:
    """The largest resident size of a fresh process that reads this many records."""
    command = [sys.executable, "-m", "tests.formats.objects_peak", format_.name, str(count)]
    found, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(found) == count
    return int(peak)


def main() -> None:
    """Writes what is expected of the samples."""
    for name in SAMPLES:
        format_, path = sample(name)
        golden_path(format_, path).write_text(lines(format_, path.read_bytes()), "utf-8")


if __name__ == "__main__":
    main()

from __future__ import annotations

import gzip
import random
import tracemalloc
from io import BytesIO

import pytest

from services.importer.engine.archives import opening
from services.importer.engine.archives.meter import ArchiveLimits
from tests.unit.importer.engine.archives.packing import LIMITS, Trickle, gunzipped, refusal, whole

TEXT = b"".join(b"line %d of a file\n" % number for number in range(20_000))
PACKED = gzip.compress(TEXT, mtime=0)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("text", [b"", b"x", TEXT, random.Random(1).randbytes(300_000)], ids=len)
def test_what_was_packed_comes_out(text: bytes, level: int) -> None:
    assert gunzipped(gzip.compress(text, level)) == text


def test_a_header_with_a_name_is_passed_over() -> None:
    file = BytesIO()
    with gzip.GzipFile("scan.nessus", "wb", fileobj=file) as packed:
        packed.write(TEXT)
    assert gunzipped(file.getvalue()) == TEXT


@pytest.mark.parametrize("padding", [0, 1, 511, 200_000])
def test_members_follow_each_other_and_zeros_them(padding: int) -> None:
    assert gunzipped(PACKED + gzip.compress(b"") + gzip.compress(b"more") + bytes(padding)) == TEXT + b"more"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_slow_stream_gives_the_same(size: int) -> None:
    assert gunzipped(Trickle(PACKED, size)) == TEXT


@pytest.mark.parametrize("size", [1, 3, 258, 70_000])
def test_a_reader_that_takes_little_gets_the_same(size: int) -> None:
    stream = opening.gunzipped(BytesIO(gzip.compress(TEXT[:9_000])), LIMITS, lambda _: None)
    assert b"".join(iter(lambda: stream.read(size), b"")) == TEXT[:9_000]


@pytest.mark.parametrize("end", [b"x", b"\n", b"\0\0x", b"PK\x03\x04", bytes(100_000) + b"x"])
def test_what_follows_and_is_no_gzip_is_damage(end: bytes) -> None:
    assert refusal(gunzipped, PACKED + end)[0] == "ARCHIVE_DAMAGED"


@pytest.mark.parametrize("point", range(1, 21))
def test_a_file_cut_anywhere_is_truncated(point: int) -> None:
    assert refusal(gunzipped, PACKED[: len(PACKED) * point // 21])[0] == "TRUNCATED"


@pytest.mark.parametrize("left", [1, 8, 9, 17])
def test_a_file_cut_at_its_very_ends_is_truncated(left: int) -> None:
    assert refusal(gunzipped, PACKED[:-left])[0] == "TRUNCATED"
    assert refusal(gunzipped, PACKED + b"\x1f\x8b\x08"[:left])[0] == "TRUNCATED"


def test_any_changed_byte_is_noticed() -> None:
    packed = gzip.compress(TEXT[:3_000], mtime=0)
    # Time, hints on packing, and the system that it was done on say nothing about the content.
    for at in set(range(2, len(packed))) - set(range(4, 10)):
        spoiled = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]
        assert refusal(gunzipped, spoiled)[0] in {"ARCHIVE_DAMAGED", "TRUNCATED"}, at


def test_the_message_says_what_and_where() -> None:
    spoiled = PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:]
    assert refusal(gunzipped, spoiled)[1] == "The packed data are damaged: incorrect data check."


def test_a_bomb_ends_early_and_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(100 << 20), 9)
    tracemalloc.start()
    try:
        assert refusal(drained, bomb)[0] == "ARCHIVE_TOO_LARGE"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


def test_the_limits_are_on_what_comes_out() -> None:
    limit = ArchiveLimits(total_bytes=len(TEXT))
    assert refusal(gunzipped, PACKED, limit) == ("", "")
    code, message = refusal(gunzipped, PACKED + gzip.compress(b"x"), limit)
    assert (code, message) == ("ARCHIVE_TOO_LARGE", f"The archive holds more than {len(TEXT)} bytes.")
    ratio = ArchiveLimits(total_bytes=1 << 30, ratio=3, free_bytes=10_000)
    assert refusal(gunzipped, gzip.compress(TEXT[:10_000]), ratio) == ("", "")
    assert refusal(gunzipped, PACKED, ratio)[1].endswith("more than 3 times larger when it is unpacked.")


def test_a_hundred_thousand_empty_members_are_none() -> None:
    assert gunzipped(gzip.compress(b"", mtime=0) * 100_000) == b""


def test_how_much_came_out_is_told() -> None:
    told: list[int] = []
    assert whole(opening.gunzipped(BytesIO(PACKED), LIMITS, told.append)) == TEXT
    assert told == sorted(told)
    assert told[-1] == len(TEXT)


def drained(data: bytes, limits: ArchiveLimits) -> None:
    stream = opening.gunzipped(BytesIO(data), limits, lambda _: None)
    while stream.read(65_536):
        pass

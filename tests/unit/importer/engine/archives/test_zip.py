from __future__ import annotations

import random
import struct
import time
import tracemalloc
import zipfile
from io import BytesIO

import pytest

from services.importer.engine.archives import opening
from services.importer.engine.archives.meter import ArchiveLimits
from tests.unit.importer.engine.archives.packing import (
    LIMITS,
    Trickle,
    refusal,
    unzipped,
    whole,
    zeros_deflated,
    zipped,
    zipped_one_way,
)

TEXT = b"".join(b"line %d of a file\n" % number for number in range(3_000))
NOISE = random.Random(1).randbytes(20_000)
FILES = {"a.xml": TEXT, "docs/": b"", "docs/empty": b"", "docs/noise.bin": NOISE}
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def archives() -> dict[str, bytes]:
    """One of each kind, all with the same members."""
    stored_64 = BytesIO()
    with zipfile.ZipFile(stored_64, "w") as archive:
        for name, data in FILES.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return {
        "deflated": zipped(FILES),
        "stored": zipped(FILES, STORED),
        "with a comment": zipped(FILES, comment=b"x" * 60_000),
        "with descriptors": zipped_one_way(FILES),
        "with long descriptors": zipped_one_way(FILES, zip64=True),
        "with descriptors without signatures": placed(zipped_one_way(FILES).replace(b"PK\x07\x08", b"")),
        "of 64 bits": stored_64.getvalue(),
        "once split": placed(b"PK00" + zipped(FILES)),
        "padded": zipped(FILES) + bytes(1_000),
    }


def placed(data: bytes) -> bytes:
    """The archive whose directory says where its members are now."""
    out, local, central = bytearray(data), -1, -1
    while (central := out.find(b"PK\x01\x02", central + 1)) >= 0:
        local = out.index(b"PK\x03\x04", local + 1)
        struct.pack_into("<I", out, central + 42, local)
    return bytes(out)


EACH_KIND = pytest.mark.parametrize("kind", archives())


@EACH_KIND
def test_what_was_packed_comes_out(kind: str) -> None:
    assert unzipped(archives()[kind]) == FILES


@EACH_KIND
@pytest.mark.parametrize("size", [1, 4096])
def test_a_slow_stream_gives_the_same(kind: str, size: int) -> None:
    assert unzipped(Trickle(archives()[kind], size)) == FILES


@EACH_KIND
def test_what_is_left_of_a_member_is_passed_over(kind: str) -> None:
    found = [(member.name, member.peek(6)) for member in opening.members(BytesIO(archives()[kind]), LIMITS, ignore)]
    assert found == [(name, data[:6]) for name, data in FILES.items()]


@EACH_KIND
def test_an_archive_cut_anywhere_is_truncated(kind: str) -> None:
    data = archives()[kind].rstrip(b"\0") if kind == "padded" else archives()[kind]
    # The last field of the end is the length of the comment, whose zeros were stripped with the padding.
    points = [len(data) * point // 41 for point in range(1, 41)] + list(range(len(data) - 60, len(data)))
    for point in points:
        assert refusal(unzipped, data[:point])[0] == "TRUNCATED", point


def test_an_archive_of_nothing_has_no_members() -> None:
    assert unzipped(zipped({})) == {}
    assert unzipped(zipped({}, comment=b"nothing")) == {}


def test_names_are_read_as_they_were_written() -> None:
    names = ["übersicht.xml", "東京.xml", "plain.xml"]
    assert list(unzipped(zipped(dict.fromkeys(names, b"x")))) == names
    assert list(unzipped(zipped({"uber.xml": b"x"}).replace(b"uber", b"\x81ber"))) == ["über.xml"]


def test_a_name_is_one_short_line() -> None:
    (name,) = unzipped(zipped({"a\n\tb" + "x" * 5_000: b""}))
    assert len(name) == 200
    assert name.startswith("a b")


def spoiled(data: bytes, at: int, *, by: int = 0x55) -> bytes:
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def test_any_changed_byte_of_the_content_is_noticed() -> None:
    for data in (zipped({"a": TEXT[:2_000]}), zipped({"a": TEXT[:2_000]}, STORED), zipped_one_way({"a": TEXT[:2_000]})):
        begin, end = 31, data.index(b"PK\x01\x02")
        for at in range(begin, end):
            assert refusal(unzipped, spoiled(data, at))[0] in {"ARCHIVE_DAMAGED", "TRUNCATED"}, at


def test_a_changed_byte_anywhere_is_noticed_or_changes_nothing() -> None:
    data = zipped({"a": TEXT[:2_000], "b": NOISE[:50]})
    for at in range(len(data)):
        changed = spoiled(data, at)
        if not refusal(unzipped, changed)[0]:
            assert list(unzipped(changed).values()) == [TEXT[:2_000], NOISE[:50]], at


@pytest.mark.parametrize(("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")])
def test_another_method_is_refused_by_name(method: int, name: str) -> None:
    code, message = refusal(unzipped, zipped({"a.xml": TEXT}, method))
    assert code == "ARCHIVE_UNSUPPORTED"
    assert f'"a.xml" is packed by {name} ({method})' in message


@pytest.mark.parametrize(
    ("flag", "method"), [(1, DEFLATED), (0x41, DEFLATED), (0x2000, DEFLATED), (0, 99), (9, STORED)]
)
def test_an_encrypted_member_is_refused_by_name(flag: int, method: int) -> None:
    data = bytearray(zipped({"a.xml": TEXT}))
    struct.pack_into("<HH", data, 6, flag, method)
    code, message = refusal(unzipped, bytes(data))
    assert (code, message) == ("ARCHIVE_ENCRYPTED", '"a.xml" in the archive is encrypted.')


def test_a_member_that_is_stored_without_a_size_has_no_end_to_be_found() -> None:
    code, message = refusal(unzipped, zipped_one_way({"a.xml": TEXT}, STORED))
    assert code == "ARCHIVE_UNSUPPORTED"
    assert '"a.xml" is stored' in message
    assert unzipped(zipped_one_way({"a": b"", "b/": b""}, STORED)) == {"a": b"", "b/": b""}


def test_a_piece_of_a_split_archive_is_refused() -> None:
    data = bytearray(zipped({"a.xml": TEXT}))
    struct.pack_into("<HH", data, len(data) - 18, 1, 1)
    assert refusal(unzipped, bytes(data))[0] == "ARCHIVE_UNSUPPORTED"


def sizes_changed(data: bytes, *, packed: int = 0, size: int = 0) -> bytes:
    """What the first local header says of its member, by so much more."""
    out = bytearray(data)
    was_packed, was_size = struct.unpack_from("<II", out, 18)
    struct.pack_into("<II", out, 18, was_packed + packed, was_size + size)
    return bytes(out)


@pytest.mark.parametrize("change", [{"packed": 1}, {"packed": -1}, {"packed": 900_000_000}, {"size": 1}, {"size": -1}])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_a_size_that_is_not_true_is_damage(method: int, change: dict[str, int]) -> None:
    code, _ = refusal(unzipped, sizes_changed(zipped({"a": TEXT, "b": NOISE}, method), **change))
    assert code in {"ARCHIVE_DAMAGED", "TRUNCATED"}


def test_a_directory_that_does_not_say_what_was_read_is_damage() -> None:
    data = zipped({"a": TEXT, "b": NOISE, "c": b""})
    at = data.index(b"PK\x01\x02")
    next_at = data.index(b"PK\x01\x02", at + 1)
    lacking = data[:at] + data[next_at:]
    twice = data[:next_at] + data[at:next_at] + data[next_at:]
    elsewhere = spoiled(data, at + 42)
    other_sum = spoiled(data, at + 16)
    counted = spoiled(data, len(data) - 12)
    for changed in (lacking, twice, elsewhere, other_sum, counted):
        assert refusal(unzipped, changed)[0] == "ARCHIVE_DAMAGED"


@pytest.mark.parametrize("end", [b"x", b"PK\x03\x04", bytes(100_000) + b"x"])
def test_what_follows_the_archive_is_damage(end: bytes) -> None:
    assert refusal(unzipped, zipped(FILES) + end)[0] == "ARCHIVE_DAMAGED"


def test_bytes_between_members_are_damage() -> None:
    data = zipped({"a": b"x" * 50, "b": b"y" * 50}, STORED)
    at = data.index(b"PK\x03\x04", 4)
    assert refusal(unzipped, data[:at] + b"between" + data[at:])[0] == "ARCHIVE_DAMAGED"


def bomb(size: int) -> bytes:
    """A member of so many zeros whose headers say that it has ten."""
    packed = zeros_deflated(size)
    header = struct.pack("<HHHHHIIIHH", 20, 0, DEFLATED, 0, 0, 0, len(packed), 10, 1, 0)
    return b"PK\x03\x04" + header + b"x" + packed


@pytest.mark.parametrize("is_read", [True, False], ids=["read", "passed over"])
def test_a_bomb_ends_early_and_takes_no_memory_whatever_its_headers_say(is_read: bool) -> None:
    data = bomb(100 << 20)

    def reading(data: bytes, limits: ArchiveLimits) -> None:
        for member in opening.members(BytesIO(data), limits, ignore):
            while is_read and member.read(65_536):
                pass

    tracemalloc.start()
    began = time.monotonic()
    try:
        assert refusal(reading, data)[0] == "ARCHIVE_TOO_LARGE"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 5
    assert peak < 2 << 20


def test_many_small_bombs_are_one_bomb() -> None:
    data = zipped({"zeros": bytes(1 << 20)})
    member = data[: data.index(b"PK\x01\x02")]
    assert refusal(unzipped, member * 900)[0] == "ARCHIVE_TOO_LARGE"


def test_members_that_overlap_are_read_once() -> None:
    """Many entries of the directory for one member make a bomb for whoever goes by it."""
    data = zipped({"a": TEXT})
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    assert refusal(unzipped, data[:at] + data[at:end] * 500 + data[end:])[0] == "ARCHIVE_DAMAGED"


def test_the_limits_are_on_members_and_on_all_bytes_together() -> None:
    data = zipped(dict.fromkeys(map(str, range(10)), b"x" * 100), STORED)
    assert refusal(unzipped, data, ArchiveLimits(1_000, members=10)) == ("", "")
    code, message = refusal(unzipped, data, ArchiveLimits(1_000, members=9))
    assert (code, message) == ("ARCHIVE_TOO_LARGE", "The archive has more than 9 members.")
    code, message = refusal(unzipped, data, ArchiveLimits(999))
    assert (code, message) == ("ARCHIVE_TOO_LARGE", "The archive holds more than 999 bytes.")


def test_a_member_that_is_an_archive_is_not_opened() -> None:
    inner = zipped({"a.xml": TEXT})
    assert unzipped(zipped({"inner.zip": inner})) == {"inner.zip": inner}


def test_a_stored_archive_inside_hides_nothing() -> None:
    """Its headers stand in the outer one as they are."""
    inner = zipped({"a.xml": TEXT})
    assert list(unzipped(zipped({"inner.zip": inner, "b": b"1"}, STORED))) == ["inner.zip", "b"]


def test_what_begins_like_an_archive_is_known() -> None:
    assert all(opening.is_zip(data) for data in archives().values())
    assert opening.is_zip(zipped({}))
    assert not opening.is_zip(b"PK")
    assert not opening.is_zip(b"PKZIP is a program")
    assert opening.is_gzip(b"\x1f\x8b\x08")


def test_how_much_came_out_is_told() -> None:
    told: list[int] = []
    for member in opening.members(BytesIO(zipped(FILES)), LIMITS, told.append):
        whole(member)
    assert told == sorted(told)
    assert told[-1] == len(TEXT) + len(NOISE)


def ignore(_: int) -> None:
    pass

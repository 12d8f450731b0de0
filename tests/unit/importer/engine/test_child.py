"""What a parser child says of files that come in archives; its process and its limits are tested with the worker."""

from __future__ import annotations

import gzip
import zipfile
from io import BytesIO
from typing import Any

import msgspec
import pytest

from services.importer.engine.child import Parser, Pipe
from services.importer.engine.frames import LENGTH, Batch, Finished, Opened, Order, Refused, reply_decoder
from services.importer.formats import registry
from services.importer.formats.kit.format import Format
from services.importer.targets.findings.records import FindingsRecord
from tests.formats.golden import DATA
from tests.scans import nessus
from tests.unit.importer.engine.archives.packing import zipped, zipped_one_way

SCAN = nessus(hosts=3, plugins=4)
OTHER = nessus(hosts=2, plugins=4, first_plugin=50)
PDF = b"%PDF-1.7 " + bytes(100)


class Wire(Pipe):
    """A pipe whose other end is a test: `data` in frames of this size, and what was answered."""

    def __init__(self, data: bytes, frame_bytes: int = 1 << 20) -> None:
        pieces = [data[at : at + frame_bytes] for at in range(0, len(data), frame_bytes)]
        self._in = BytesIO(b"".join(LENGTH.pack(len(piece)) + piece for piece in (*pieces, b"")))
        self._decoder = reply_decoder(FindingsRecord)
        self.replies: list[Any] = []

    def receive(self, size: int) -> bytes:
        return self._in.read(size)

    def send(self, payload: bytes) -> None:
        self.replies.append(self._decoder.decode(payload))


def parsed(data: bytes, source: str = "nessus", *, frame_bytes: int = 1 << 20, **order: Any) -> list[Any]:
    """All replies of a child about this file."""
    wire = Wire(data, frame_bytes)
    Parser(wire, Order(source=source, **order), lambda _: None).run()
    return wire.replies


def items(replies: list[Any]) -> list[Any]:
    return [msgspec.to_builtins(item) for reply in replies if isinstance(reply, Batch) for item in reply.items]


def end(data: bytes, source: str = "nessus", **order: Any) -> Any:
    return parsed(data, source, **order)[-1]


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(SCAN),
        gzip.compress(SCAN[:700]) + gzip.compress(SCAN[700:]) + bytes(512),
        zipped({"scan.nessus": SCAN}),
        zipped({"scan.nessus": SCAN}, zipfile.ZIP_STORED),
        zipped_one_way({"scan.nessus": SCAN}),
    ],
    ids=["gzip", "gzip of two members", "zip", "stored", "with descriptor"],
)
@pytest.mark.parametrize("frame_bytes", [1, 1 << 20])
def test_a_packed_file_gives_what_the_file_gives(packed: bytes, frame_bytes: int) -> None:
    plain, found = parsed(SCAN), parsed(packed, frame_bytes=frame_bytes)
    assert items(found) == items(plain)
    assert [reply for reply in found if isinstance(reply, Opened)] == [Opened("nessus", "nessus", False)]
    assert found[-1] == Finished(12, len(packed), [])


def test_the_members_of_an_archive_are_one_import() -> None:
    found = parsed(zipped({"one.nessus": SCAN, "two.nessus": OTHER}))
    assert [ordinal for ordinal, *_ in items(found)] == list(range(1, 21))
    assert items(found)[:12] == items(parsed(SCAN))
    assert sum(isinstance(reply, Opened) for reply in found) == 1
    assert found[-1].read == 20


@pytest.mark.parametrize("resume_after", [0, 5, 12, 13, 20])
def test_it_goes_on_behind_a_checkpoint_in_whichever_member_that_was(resume_after: int) -> None:
    data = zipped({"one.nessus": SCAN, "readme": b"text", "two.nessus": OTHER})
    found = parsed(data, resume_after=resume_after)
    assert [ordinal for ordinal, *_ in items(found)] == list(range(resume_after + 1, 21))
    assert (found[-1].read, len(found[-1].cautions)) == (20, 1)


def test_what_the_source_does_not_take_is_left_out_and_named() -> None:
    files = {
        "export/": b"",
        "report.pdf": PDF,
        "export/scan.nessus": SCAN,
        "__MACOSX/export/._scan.nessus": b"\0\5\x16\7",
        "inner.zip": zipped({"scan.nessus": SCAN}),
        "other.gz": gzip.compress(SCAN),
        "empty.txt": b"",
        "nmap.xml": (DATA / "nmap" / "one-host.xml").read_bytes(),
    }
    found = parsed(zipped(files))
    assert items(found) == items(parsed(SCAN))
    told = (
        'Left out of the archive: "report.pdf" (a PDF document), "inner.zip" (a ZIP archive, not opened within '
        'another), "other.gz" (a gzip file, not opened within another), "empty.txt" (an empty file), '
        '"nmap.xml" (an Nmap report).'
    )
    assert found[-1].cautions == [("MEMBER_LEFT_OUT", told, 5)]


def test_of_many_that_are_left_out_ten_are_named() -> None:
    files = {f"{number}.pdf": PDF for number in range(37)}
    ((_, told, count),) = end(zipped({**files, "scan.nessus": SCAN})).cautions
    assert count == 37
    assert '"9.pdf"' in told
    assert told.endswith(" and 27 more.")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "no file"),
        ({"folder/": b"", "__MACOSX/x": b"x"}, "no file"),
        ({"a.pdf": PDF, "b": b"text"}, '"a.pdf" (a PDF document), "b" (text without a known structure)'),
        ({"inner.zip": zipped({"scan.nessus": SCAN})}, '"inner.zip" (a ZIP archive, not opened within another)'),
    ],
)
def test_an_archive_without_a_file_of_the_source_is_refused_by_what_it_holds(
    files: dict[str, bytes], told: str
) -> None:
    refused = end(zipped(files))
    assert (refused.code, refused.position) == ("WRONG_FORMAT", "")
    assert refused.message.startswith('The source "nessus" takes a Nessus report')
    assert refused.message.endswith(f"; the archive holds {told}.")


def test_files_of_several_tools_are_no_one_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_any(source: str, head: bytes, *, assets: bool) -> Format | None:
        return next((each for each in registry.FORMATS if each.sniff(head)), None)

    monkeypatch.setattr(registry, "find", find_any)
    refused = end(zipped({"a.nessus": SCAN, "b.xml": (DATA / "nmap" / "one-host.xml").read_bytes()}))
    message = 'The archive holds files of several tools: "a.nessus" is a Nessus report, "b.xml" is an Nmap report.'
    assert refused == Refused("ARCHIVE_MIXED", message, "b.xml")


@pytest.mark.parametrize(
    ("inside", "told"),
    [(PDF, "a PDF document"), (gzip.compress(SCAN), "a gzip file"), (b"x" * 257 + b"ustar\0", "a tar archive")],
)
def test_a_gzip_of_something_else_is_refused_by_what_is_in_it(inside: bytes, told: str) -> None:
    refused = end(gzip.compress(inside))
    assert (refused.code, refused.message.endswith(f"the file looks like {told}.")) == ("WRONG_FORMAT", True)


def test_a_gzip_of_nothing_is_an_empty_file() -> None:
    assert end(gzip.compress(b"")).code == "EMPTY_FILE"


def test_a_member_that_only_begins_like_a_report_is_refused_by_its_name() -> None:
    damaged = end(zipped({"good.nessus": SCAN, "cut.nessus": SCAN[:-40]}))
    assert damaged.code == "TRUNCATED"
    assert damaged.position.startswith("cut.nessus: line ")


def test_rejected_items_say_in_which_member_they_are() -> None:
    bad = SCAN.replace(b'pluginID="90001"', b'pluginID="x"')
    replies = parsed(zipped({"good.nessus": SCAN, "bad.nessus": bad}))
    rejected = [each for reply in replies if isinstance(reply, Batch) for each in reply.rejected]
    assert [each.ordinal for each in rejected] == [14, 18, 22]
    assert all(each.position.startswith("bad.nessus: line ") for each in rejected)


def test_damage_of_the_archive_is_placed_in_it() -> None:
    data = zipped({"scan.nessus": SCAN})
    cut = data.index(b"PK\x01\x02") - 100
    assert end(data[:cut]) == Refused(
        "TRUNCATED", "The archive ends in the middle.", f"scan.nessus: byte {cut} of the archive"
    )


def test_damage_behind_the_report_fails_the_import_all_the_same() -> None:
    data = gzip.compress(SCAN)
    assert end(data[:-8] + b"\0\0\0\0" + data[-4:]).code == "ARCHIVE_DAMAGED"
    assert end(data[:-4]).code == "TRUNCATED"
    assert end(zipped({"scan.nessus": SCAN})[:-30]).code == "TRUNCATED"


def test_what_a_report_has_no_use_for_counts_as_well() -> None:
    packed = gzip.compress(SCAN + b"\n" * 5_000)
    assert end(packed) == Finished(12, len(packed), [])
    assert end(packed, unpacked_bytes=len(SCAN) + 4_999).code == "ARCHIVE_TOO_LARGE"
    assert isinstance(end(packed, unpacked_bytes=len(SCAN) + 5_000), Finished)


@pytest.mark.parametrize("name", ["scan.nessus", "a.txt"])
def test_a_bomb_is_refused_whether_it_is_read_or_left_out(name: str) -> None:
    beginning = SCAN[:-40] if name == "scan.nessus" else b""
    bomb = zipped({"first.nessus": SCAN, name: beginning + b" " * (40 << 20)})
    assert end(bomb).code == "ARCHIVE_TOO_LARGE"
    assert end(gzip.compress(SCAN + b" " * (40 << 20))).code == "ARCHIVE_TOO_LARGE"


def test_how_much_came_out_is_told_on_the_way() -> None:
    told: list[int] = []
    Parser(Wire(zipped({"scan.nessus": SCAN, "x": bytes(9_000)})), Order(source="nessus"), told.append).run()
    assert told[-1] == len(SCAN) + 9_000

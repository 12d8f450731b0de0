from __future__ import annotations

import gzip
import io
import random
import zipfile
import zlib

import pytest

from runtime.errors import InvalidArgument
from services.importer.detection import MAX_HEAD_BYTES, Detection, Detector
from services.importer.formats.kit.looks import describe
from services.importer.sources import FileFormat, Source, Sources

REPORT = FileFormat("report", sources=("tool", "tool-old"), asset_sources=("tool-assets",))
ASSETS = FileFormat("assets", asset_sources=("tool-assets", "tool"))
OTHER = FileFormat("other", sources=("tool", "other"))
SOURCES = Sources(
    [
        Source("tool", "Tool", (REPORT, OTHER), (ASSETS,)),
        Source("tool-old", "Old tool", (REPORT,)),
        Source("other", "Other", (OTHER,)),
        Source("tool-assets", "Assets", (), (REPORT, ASSETS)),
    ]
)
XML = b"<?xml version='1.0'?><report/>"
NOISE = random.Random(1).randbytes(100_000)


def recognise(head: bytes) -> list[FileFormat]:
    assert len(head) <= 4096, "no format is shown more"
    known = {b"<report": [REPORT, ASSETS], b"<assets": [ASSETS], b"<both": [REPORT, OTHER]}
    return next((formats for word, formats in known.items() if word in head), [])


def detect(head: bytes) -> Detection:
    return Detector(SOURCES, recognise, describe).detect(head)


def found(detection: Detection) -> list[tuple[str, str, bool]]:
    return [(each.source.slug, each.format.name, each.is_assets_only) for each in detection.sources]


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def test_sources_of_findings_come_before_those_of_assets() -> None:
    detection = detect(XML)
    assert found(detection) == [
        ("tool", "report", False),
        ("tool-old", "report", False),
        ("tool-assets", "report", True),
        ("tool", "assets", True),
    ]
    assert detection.look == "XML with the root element <report>"


def test_a_source_is_named_once_with_the_format_it_would_use() -> None:
    assert found(detect(b"<both/>"))[:3] == [
        ("tool", "report", False),
        ("tool-old", "report", False),
        ("other", "other", False),
    ]


@pytest.mark.parametrize(("head", "look"), [(b"", "an empty file"), (b"%PDF-1.7", "a PDF document")])
def test_what_nobody_takes_is_told_by_its_look(head: bytes, look: str) -> None:
    assert detect(head) == Detection((), look)


def test_only_the_beginning_decides() -> None:
    assert detect(b"<x>" + b" " * 4096 + b"<report/>").sources == ()


def test_the_content_of_a_gzip_file_decides() -> None:
    detection = detect(gzip.compress(XML + NOISE)[:50_000])
    assert found(detection)[0] == ("tool", "report", False)
    assert detection.look == "a gzip file with XML with the root element <report> in it"
    assert detection.sources[0].member == ""


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_the_first_file_of_a_zip_that_is_known_decides(method: int) -> None:
    archive = zipped(("a/", b""), ("readme.txt", b"hi"), ("n.bin", NOISE), ("scan.xml", XML), method=method)
    detection = detect(archive)
    assert found(detection)[0] == ("tool", "report", False)
    assert detection.sources[0].member == "scan.xml"
    assert "scan.xml" in detection.look


def test_a_zip_is_judged_as_far_as_it_was_sent() -> None:
    archive = zipped(("a.bin", NOISE), ("scan.xml", XML), ("z.bin", NOISE))
    assert detect(archive[: len(archive) - 50_000]).sources[0].member == "scan.xml"
    assert detect(archive[:50_000]).sources == ()


def test_a_zip_of_which_nothing_is_known_says_what_is_in_it() -> None:
    assert detect(zipped(("a.pdf", b"%PDF-1.7"))) == Detection((), 'a ZIP archive with a PDF document ("a.pdf") in it')
    assert detect(zipped()) == Detection((), "a ZIP archive")
    assert detect(zipped(("scan.xml", XML))[:20]) == Detection((), "a ZIP archive")


def test_damage_is_no_error_here() -> None:
    archive = bytearray(zipped(("scan.xml", XML), ("b.xml", b"<x/>")))
    archive[35:60] = bytes(25)
    assert detect(bytes(archive)).sources == ()
    assert detect(b"\x1f\x8bnonsense").sources == ()


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zipped(("zeros", bytes(200 << 20)), ("scan.xml", XML))
    assert len(bomb) < MAX_HEAD_BYTES
    assert detect(bomb).sources == ()
    assert detect(zlib.compress(b"", wbits=31) * 10_000).sources == ()


def test_too_long_a_beginning_is_refused() -> None:
    detect(b"x" * MAX_HEAD_BYTES)
    with pytest.raises(InvalidArgument) as refusal:
        detect(b"x" * (MAX_HEAD_BYTES + 1))
    assert refusal.value.reason == "HEAD_TOO_LARGE"

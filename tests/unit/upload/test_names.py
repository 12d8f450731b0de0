from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidArgument
from services.upload.names import checked_file_name, new_cuid, new_key, safe_name

SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("burp_sample_small.xml", "burp_sample_small.xml"),
        ("scan.2024-01.nessus", "scan.2024-01.nessus"),
        ("my scan (1).nessus", "my_scan_1.nessus"),
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\a.xml", "a.xml"),
        ("übersicht.xml", "ubersicht.xml"),
        ("報告.nessus", "file.nessus"),
        (".nessus", "file.nessus"),
        ("..", "file"),
        ("a\r\nb%00.xml", "a_b_00.xml"),
    ],
)
def test_a_name_becomes_one_safe_segment(file_name: str, expected: str) -> None:
    assert safe_name(file_name) == expected


@given(st.text(max_size=400))
def test_any_name_gives_a_segment_that_needs_no_escaping(file_name: str) -> None:
    name = safe_name(file_name)
    assert SEGMENT.fullmatch(name)
    assert len(name.encode()) <= 255


def test_a_long_name_is_cut_and_keeps_its_suffix() -> None:
    assert safe_name("x" * 400 + ".nessus") == "x" * 248 + ".nessus"


def test_a_key_is_a_cuid_and_the_name() -> None:
    cuid, _, name = new_key("a.nessus").partition("/")
    assert re.fullmatch(r"c[0-9a-z]{24}", cuid)
    assert name == "a.nessus"


def test_keys_do_not_repeat() -> None:
    assert len({new_cuid() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    ("file_name", "reason"),
    [("", "FIELD_REQUIRED"), ("  ", "FIELD_REQUIRED"), ("x" * 256, "FIELD_TOO_LONG"), ("a\0b", "FIELD_NOT_TEXT")],
)
def test_a_name_that_cannot_be_kept_is_refused(file_name: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        checked_file_name(file_name)
    assert refusal.value.reason == reason


def test_a_name_of_255_characters_is_kept_as_it_is() -> None:
    assert checked_file_name("ü" * 255) == "ü" * 255

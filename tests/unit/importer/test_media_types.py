from __future__ import annotations

import pytest

from services.importer.media_types import media_type


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("burp_sample_small.xml", "text/xml"),
        ("A.NESSUS", "text/xml"),
        ("a.b.json", "application/json"),
        ("file", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("a.exe", "application/octet-stream"),
    ],
)
def test_the_suffix_tells_the_media_type(file_name: str, expected: str) -> None:
    assert media_type(file_name) == expected

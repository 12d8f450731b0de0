from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dialects.plextrac.uploads import MultipartBody, multipart_body, parts_json, upload_json
from runtime.errors import InvalidArgument
from services.upload.model import Part


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"name": "a", "size": 6e9}, MultipartBody("a", 6_000_000_000, "", 0)),
        ({"fileName": "a", "size": "12", "partSize": 5.0}, MultipartBody("a", 12, "", 5)),
        ({"filename": "a", "size": 1, "sha256": "AB", "partSize": None}, MultipartBody("a", 1, "AB", 0)),
        ({}, MultipartBody("", 0, "", 0)),
    ],
)
def test_a_body_is_read_leniently(payload: dict[str, Any], expected: MultipartBody) -> None:
    assert multipart_body(payload) == expected


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"size": 1.5}, "INVALID_SIZE"),
        ({"size": -1}, "INVALID_SIZE"),
        ({"size": "1e9"}, "INVALID_SIZE"),
        ({"size": "٣"}, "INVALID_SIZE"),
        ({"size": True}, "INVALID_SIZE"),
        ({"size": [1]}, "INVALID_SIZE"),
        ({"size": 1e300}, "INVALID_SIZE"),
        ({"size": float("inf")}, "INVALID_SIZE"),
        ({"size": float("nan")}, "INVALID_SIZE"),
        ({"size": "9" * 30}, "INVALID_SIZE"),
        ({"partSize": "big"}, "INVALID_PART_SIZE"),
        ({"name": 5}, "FIELD_NOT_TEXT"),
        ({"sha256": 5}, "FIELD_NOT_TEXT"),
    ],
)
def test_what_is_no_number_of_bytes_is_refused(payload: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        multipart_body(payload)
    assert refusal.value.reason == reason


def test_large_numbers_are_texts_and_what_is_not_there_is_null() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_900, UTC)
    parts = [Part(1, 0, 5), Part(2, 5, 6_000_000_000, "https://x/?s", at)]
    assert parts_json("k", parts, 3) == {
        "status": "success",
        "key": "k",
        "parts": [
            {"number": 1, "offset": "0", "size": "5", "uploaded": True, "url": None, "expiresAt": None},
            {
                "number": 2,
                "offset": "5",
                "size": "6000000000",
                "uploaded": False,
                "url": "https://x/?s",
                "expiresAt": "2026-01-02T03:04:05.678Z",
            },
        ],
        "next": 3,
    }
    assert parts_json("k", [], 0)["next"] is None
    assert upload_json("k", size_bytes=7, part_size=5, part_count=2, is_uploaded=False) == {
        "status": "success", "key": "k", "size": "7", "partSize": "5", "partCount": 2, "uploaded": False,
    }  # fmt: skip

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from services.importer.job_message import JobMessage, decode, encode

IMPORT = UUID("0190a5f0-0000-7000-8000-000000000001")
GOOD = {"tenant": 7, "import_id": str(IMPORT), "version": 1}


def test_a_message_is_read_as_it_was_written() -> None:
    assert decode(encode(JobMessage(7, IMPORT))) == JobMessage(7, IMPORT)


def test_ids_and_a_version_are_all_that_travels() -> None:
    assert json.loads(encode(JobMessage(7, IMPORT))) == GOOD


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff\xfe",
        b"null",
        b"[]",
        b'"' + b"x" * 1_000_000 + b'"',
        b"[" * 100_000,
        b'{"tenant":' + b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
    ids=["empty", "bytes", "null", "list", "long", "deep", "deep inside", "deep objects"],
)
def test_bytes_that_are_no_message_are_none(data: bytes) -> None:
    assert decode(data) is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": 0},
        {"tenant": "7"},
        {"tenant": 0},
        {"tenant": -1},
        {"tenant": 2**31},
        {"tenant": 10**40},
        {"tenant": True},
        {"import_id": "5"},
        {"import_id": None},
        {"password": "hunter2"},
    ],
    ids=str,
)
def test_what_is_not_exactly_ours_is_none(change: dict[str, Any]) -> None:
    assert decode(json.dumps(GOOD | change).encode()) is None

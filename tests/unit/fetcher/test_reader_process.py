"""What a child says that is not ours any more."""

from __future__ import annotations

import struct
import sys
from typing import Any

import pytest

from dialects.assets.source_settings import Secrets
from services.fetcher import reader_process
from services.fetcher.frames import Order
from services.fetcher.reader_process import Lines, reading
from services.importer.engine.failures import RetryableFailure

ORDER = Order(
    type="rest",
    settings={},
    secrets=Secrets(),
    exemptions="",
    allow_http=False,
    authorities="",
    frame_bytes=100,
    row_bytes=20,
    memory_bytes=1 << 30,
    max_bytes=1 << 20,
    connect_seconds=1,
    idle_seconds=1,
)
SAYING = "import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1])); sys.stdout.flush(); sys.stdin.read()"


def frame(kind: int, rows: int, length: int, data: bytes = b"") -> bytes:
    return struct.pack(">BII", kind, rows, length) + data


async def lines_of(monkeypatch: pytest.MonkeyPatch, said: bytes) -> list[Lines]:
    """Of a child that says this and then stays."""
    monkeypatch.setattr(reader_process, "COMMAND", (sys.executable, "-S", "-c", SAYING, said.hex()))
    async with reading(ORDER, lambda: None) as lines:
        return [each async for each in lines]


async def test_a_frame_may_be_as_large_as_a_frame_and_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    said = frame(1, 1, 120, b"x" * 120) + frame(2, 0, 0)
    assert await lines_of(monkeypatch, said) == [Lines(1, b"x" * 120)]


@pytest.mark.parametrize(
    "said",
    [
        frame(1, 1, 121, b"x" * 121),
        frame(1, 1, 0xFFFFFFFF),
        frame(3, 0, 0xFFFFFFFF),
        frame(0, 0, 0),
        frame(4, 0, 0),
        frame(3, 0, 2, b"{}"),
        frame(3, 0, 2, b"\xff["),
    ],
)
async def test_what_is_no_frame_ends_the_child(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """At once: nothing is waited for, nor kept, that is longer than a frame can be."""
    with pytest.raises(RetryableFailure) as failed:
        await lines_of(monkeypatch, said)
    told: Any = failed.value
    assert (told.code, "understands" in told.message) == ("READER_CRASHED", True)

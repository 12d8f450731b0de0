"""JSON documents of any length, written piece by piece.

What is written last closes the document: when an error ends the stream before that, nobody can take it for a whole one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

PIECE_BYTES = 64 * 1024

R = TypeVar("R")

encode = msgspec.json.encode


async def write_array(batches: AsyncIterator[Sequence[R]], shape: Callable[[R], Any]) -> AsyncGenerator[bytes, None]:
    """An array of each row's shape."""
    opening = b"["
    async for batch in batches:
        if batch:
            yield opening + b",".join([encode(shape(row)) for row in batch])
            opening = b","
    yield b"[]" if opening == b"[" else b"]"


async def write_object(
    head: Mapping[str, Any], member: str, entries: AsyncIterator[tuple[str, Any]]
) -> AsyncGenerator[bytes, None]:
    """`head`, which has members, and behind them one more that is an object of any number of entries."""
    yield encode(head)[:-1] + b"," + encode(member) + b":{"
    separator = b""
    async for key, value in entries:
        yield separator + encode(key) + b":" + encode(value)
        separator = b","
    yield b"}}"


async def cut_pieces(chunks: AsyncIterator[bytes], size: int = PIECE_BYTES) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of `size`; the last may be shorter."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)

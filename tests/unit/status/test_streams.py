"""JSON in pieces, and rows in groups."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, TypeVar

import pytest

from runtime.errors import InvalidArgument
from services.status.dialects.answers import MAX_ANSWER_BYTES, stream_json, struct
from services.status.grouping import Belongings, group_rows
from services.status.json_stream import cut_pieces, write_array, write_object
from services.status.model import Row

T = TypeVar("T")


async def stream(*items: T) -> AsyncGenerator[T, None]:
    for item in items:
        yield item


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("batches", [[], [[]], [[1]], [[1, 2], [], [3]]])
async def test_an_array_is_the_rows_of_all_batches(batches: list[list[int]]) -> None:
    text = await joined(write_array(stream(*batches), lambda number: {"n": number}))
    assert json.loads(text) == [{"n": number} for batch in batches for number in batch]


async def test_an_array_that_breaks_off_is_no_document() -> None:
    async def batches() -> AsyncGenerator[Sequence[int], None]:
        yield [1]
        raise ConnectionError

    chunks = write_array(batches(), str)
    sent = await anext(chunks)
    with pytest.raises(ConnectionError):
        await anext(chunks)
    with pytest.raises(json.JSONDecodeError):
        json.loads(sent)


@pytest.mark.parametrize("entries", [[], [("a", 1)], [("a", 1), ('"é', {"b": None})]])
async def test_an_object_has_its_long_member_last(entries: list[tuple[str, Any]]) -> None:
    text = await joined(write_object({"head": "}"}, "rest", stream(*entries)))
    assert json.loads(text) == {"head": "}", "rest": dict(entries)}


@pytest.mark.parametrize("chunks", [[], [b""], [b"abc"], [b"abcd"], [b"ab", b"cdefghijkl", b"m"]])
async def test_pieces_are_of_one_size_but_the_last(chunks: list[bytes]) -> None:
    pieces = [piece async for piece in cut_pieces(stream(*chunks), size=4)]
    assert b"".join(pieces) == b"".join(chunks)
    assert all(len(piece) == 4 for piece in pieces[:-1])
    assert all(pieces)


async def test_only_the_first_piece_says_that_it_is_json() -> None:
    bodies = [body async for body in stream_json(stream(b"x" * 70_000, b"y" * 70_000))]
    assert [body.content_type for body in bodies] == ["application/json", "", ""]


def test_a_document_that_is_too_long_for_a_message_is_refused_in_words() -> None:
    with pytest.raises(InvalidArgument) as raised:
        struct({"text": "x" * MAX_ANSWER_BYTES})
    assert raised.value.reason == "PAGE_TOO_LARGE"


def rows(*pairs: tuple[int, int]) -> list[Row]:
    return [{"owner": owner, "thing": thing} for owner, thing in pairs]


async def test_neighbours_are_grouped_across_batches() -> None:
    batches = stream(rows((1, 1), (1, 1)), [], rows((1, 1), (1, 2)), rows((2, 2)))
    groups = [len(group) async for group in group_rows(batches, "owner", "thing")]
    assert groups == [3, 1, 1]


async def test_each_owner_gets_its_groups_and_strangers_are_dropped() -> None:
    batches = stream(rows((1, 1), (2, 1), (2, 2), (3, 1), (5, 1)))
    belongings = Belongings(group_rows(batches, "owner", "thing"), "owner")
    found = {owner: [group[0]["thing"] async for group in belongings.of(owner)] for owner in (2, 4, 5, 6)}
    assert found == {2: [1, 2], 4: [], 5: [1], 6: []}


async def test_groups_that_are_left_unread_do_not_go_to_the_next_owner() -> None:
    belongings = Belongings(group_rows(stream(rows((1, 1), (1, 2), (2, 9))), "owner", "thing"), "owner")
    await anext(belongings.of(1))
    assert [group[0]["thing"] async for group in belongings.of(2)] == [9]

"""Server-sent events, as they are written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from runtime.errors import Unavailable
from services.status.dialects.events import stream_events, write_events
from services.status.model import Import
from services.status.settings import StatusSettings
from services.status.watching import Pace, Watching
from tests.unit.status.test_watching import DONE, PACE, QUEUED, RUNNING, Story, later, told


async def described(found: Import) -> dict[str, Any]:
    return {"state": found.state, "name": "a\r\n\nevent: end\u2028"}


async def changes(*states: Import | Exception) -> AsyncIterator[Import]:
    for state in states:
        if isinstance(state, Exception):
            raise state
        yield state


async def written(*states: Import | Exception) -> list[bytes]:
    return [piece async for piece in write_events(changes(*states), described)]


def read(piece: bytes) -> dict[str, str]:
    """One event as a browser reads it: lines of name and value, an empty line at its end."""
    assert piece.endswith(b"\n\n")
    lines = piece.decode().removesuffix("\n\n").split("\n")
    assert "" not in lines
    return dict(line.split(": ", 1) for line in lines)


async def test_each_state_is_an_event_and_the_end_is_one_too() -> None:
    first, second, third, end = await written(QUEUED, RUNNING, DONE)
    assert first.startswith(b"retry: 2000\n\n")
    events = [read(first.removeprefix(b"retry: 2000\n\n")), read(second), read(third)]
    assert [json.loads(event["data"])["state"] for event in events] == ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert {event["event"] for event in events} == {"import"}
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(set(ids))
    assert read(end)["event"] == "end"


async def test_no_two_events_have_the_same_id_whatever_the_clock_says() -> None:
    steps = [later(5, percent=1), later(5, percent=2), later(4, percent=3), later(6, percent=4)]
    first, *others, _ = await written(*steps)
    ids = [int(read(piece)["id"]) for piece in (first.removeprefix(b"retry: 2000\n\n"), *others)]
    assert ids == sorted(set(ids))


async def test_a_repeated_state_is_a_comment_and_no_event() -> None:
    pieces = await written(QUEUED, QUEUED, replace(QUEUED), RUNNING, RUNNING)
    assert [piece for piece in pieces if piece.startswith(b":")] == [b": heartbeat\n\n"] * 3
    assert len(pieces) == 6


async def test_no_text_of_an_import_ends_its_event() -> None:
    (piece, _) = await written(DONE)
    event = read(piece.removeprefix(b"retry: 2000\n\n"))
    assert json.loads(event["data"])["name"] == "a\r\n\nevent: end\u2028"
    assert b"\r" not in piece


async def test_a_watch_that_fails_has_no_end() -> None:
    events = write_events(changes(QUEUED, Unavailable("SHUTTING_DOWN", "")), described)
    assert b"event: import" in await anext(events)
    with pytest.raises(Unavailable):
        await anext(events)


async def test_the_first_message_says_what_the_stream_is() -> None:
    bodies = [body async for body in stream_events(write_events(changes(RUNNING, DONE), described))]
    assert [body.content_type for body in bodies] == ["text/event-stream", "", ""]


async def test_a_slow_reader_hears_the_latest_and_nothing_is_kept_for_them() -> None:
    steps = [later(number, state="RUNNING", percent=number) for number in range(1, 50)]
    watching = Watching(Story(*steps, DONE).fetch, PACE)
    stream = watching.watch(QUEUED, asyncio.Event())
    await anext(stream)
    second = await anext(stream)
    (poll,) = watching._polls.values()
    assert poll.task is not None
    await poll.task
    assert second.percent < 50
    assert await told(stream) == ["SUCCEEDED"]


def test_nobody_can_set_heartbeats_further_apart_than_the_contract_says() -> None:
    assert Pace().repeat < 15
    assert StatusSettings.model_fields["watch_repeat_seconds"].default < 15
    with pytest.raises(ValidationError, match="watch_repeat_seconds"):
        StatusSettings(watch_repeat_seconds=16)  # type: ignore[call-arg]

"""Watching, with a fetch that plays a story."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from runtime.context import RequestInfo, request_variable
from runtime.errors import Internal, NotFound, Unavailable
from services.status import watching
from services.status.model import Counters, Import
from services.status.watching import Pace, Watching

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
PACE = Pace(fast=0.001, slow=0.002, repeat=30)
QUEUED = Import(
    tenant_id=1,
    import_id=UUID(int=1),
    client_id=1,
    report_id=None,
    source="nessus",
    key="",
    file_name="",
    file_type="",
    file_size=0,
    state="QUEUED",
    percent=0,
    phase="queued",
    counters=Counters(),
    cautions=(),
    error_code=None,
    error_message=None,
    error_position=None,
    attempt=0,
    asset_tags=(),
    finding_tags=(),
    use_parser_actions=False,
    user_id=7,
    user_email="",
    cancel_requested=False,
    client_name="",
    report_name="",
    created_at=WHEN,
    updated_at=WHEN,
    started_at=None,
    ended_at=None,
)


def later(seconds: int, **changes: Any) -> Import:
    return replace(QUEUED, updated_at=WHEN + timedelta(seconds=seconds), **changes)


RUNNING = later(1, state="RUNNING", percent=50)
DONE = later(2, state="SUCCEEDED", percent=100)


class Story:
    """What each read of the import gives; the last chapter stays. An error is raised."""

    def __init__(self, *chapters: Import | Exception | None) -> None:
        self._chapters = list(chapters)
        self.reads = 0
        self.deadlines: list[float | None] = []

    async def fetch(self, tenant_id: int, import_id: UUID) -> Import | None:
        self.reads += 1
        request = request_variable.get(None)
        self.deadlines.append(request.deadline if request else None)
        chapter = self._chapters.pop(0) if len(self._chapters) > 1 else self._chapters[0]
        if isinstance(chapter, Exception):
            raise chapter
        return chapter


def watch(story: Story, imported: Import = QUEUED, pace: Pace = PACE) -> AsyncGenerator[Import, None]:
    return Watching(story.fetch, pace).watch(imported, asyncio.Event())


async def told(stream: AsyncGenerator[Import, None]) -> list[str]:
    return [found.state async for found in stream]


async def test_only_changes_are_told_until_the_end() -> None:
    story = Story(QUEUED, QUEUED, RUNNING, RUNNING, DONE)
    assert await told(watch(story)) == ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert story.reads == 5


async def test_a_terminal_import_is_not_read_again() -> None:
    story = Story(DONE)
    assert await told(watch(story, DONE)) == ["SUCCEEDED"]
    assert story.reads == 0


async def test_an_unchanged_import_is_told_again() -> None:
    stream = watch(Story(QUEUED), pace=Pace(0.001, 0.002, repeat=0.01))
    assert [(await anext(stream)).state for _ in range(3)] == ["QUEUED"] * 3
    await stream.aclose()


async def test_many_watchers_share_one_poller() -> None:
    gate = asyncio.Event()
    story = Story(DONE)

    async def fetch(tenant_id: int, import_id: UUID) -> Import | None:
        await gate.wait()
        return await story.fetch(tenant_id, import_id)

    everyone = Watching(fetch, PACE)
    streams = [everyone.watch(QUEUED, asyncio.Event()) for _ in range(20)]
    for stream in streams:
        await anext(stream)
    rest = [asyncio.create_task(told(stream)) for stream in streams]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*rest) == [["SUCCEEDED"]] * 20
    assert story.reads == 1


async def test_a_poller_stops_with_its_last_watcher() -> None:
    everyone = Watching(Story(QUEUED).fetch, PACE)
    streams = [everyone.watch(QUEUED, asyncio.Event()) for _ in range(2)]
    waiting = []
    for stream in streams:
        await anext(stream)
        waiting.append(asyncio.ensure_future(anext(stream)))
    await asyncio.sleep(0.01)
    (poll,) = everyone._polls.values()
    assert poll.task is not None
    for task in waiting:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert everyone._polls == {}
    with pytest.raises(asyncio.CancelledError):
        await poll.task


async def test_whoever_comes_late_hears_at_once_what_the_poller_knows() -> None:
    everyone = Watching(Story(DONE).fetch, PACE)
    first = everyone.watch(QUEUED, asyncio.Event())
    await anext(first)
    assert (await anext(first)).state == "SUCCEEDED"
    # The first has not gone yet, so its poller is the second's, and has no more to say.
    assert await told(everyone.watch(RUNNING, asyncio.Event())) == ["RUNNING", "SUCCEEDED"]
    await first.aclose()


async def test_whoever_was_told_of_a_later_time_still_hears_at_once_of_the_end() -> None:
    """The clock of a worker's transaction may be behind that of its progress."""
    everyone = Watching(Story(DONE).fetch, PACE)
    first = everyone.watch(QUEUED, asyncio.Event())
    await anext(first)
    assert (await anext(first)).state == "SUCCEEDED"
    async with asyncio.timeout(PACE.repeat / 2):
        assert await told(everyone.watch(later(5, state="RUNNING"), asyncio.Event())) == ["RUNNING", "SUCCEEDED"]
    await first.aclose()


async def test_a_drain_ends_a_watch_with_a_word_to_come_back() -> None:
    stopping = asyncio.Event()
    stream = Watching(Story(QUEUED).fetch, PACE).watch(QUEUED, stopping)
    await anext(stream)
    stopping.set()
    with pytest.raises(Unavailable) as raised:
        await anext(stream)
    assert raised.value.reason == "SHUTTING_DOWN"


async def test_a_short_outage_of_the_database_is_waited_for() -> None:
    outage = Unavailable("DATABASE_UNAVAILABLE", "")
    assert await told(watch(Story(outage, outage, RUNNING, outage, DONE))) == ["QUEUED", "RUNNING", "SUCCEEDED"]


async def test_a_long_outage_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "OUTAGE_SECONDS", 0.0)
    with pytest.raises(Unavailable):
        await told(watch(Story(Unavailable("DATABASE_UNAVAILABLE", ""))))


async def test_an_import_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound):
        await told(watch(Story(QUEUED, None)))


async def test_a_mistake_of_ours_ends_the_watch_too() -> None:
    with pytest.raises(Internal):
        await told(watch(Story(ZeroDivisionError())))


async def test_the_poller_does_not_take_over_the_deadline_of_the_call_that_came_first() -> None:
    token = request_variable.set(RequestInfo("id", "", "method", "", "peer", deadline=1.0))
    try:
        story = Story(DONE)
        await told(watch(story))
    finally:
        request_variable.reset(token)
    assert story.deadlines == [None]

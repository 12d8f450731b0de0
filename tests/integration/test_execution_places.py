"""Sources and places of a workspace: which runs of import sources have them, and what begins under the same rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import grpc
import pytest

from runtime.errors import FailedPrecondition, ServiceError
from services.importer.policy import Options
from tests.fakes.people import IMPORTER, calling
from tests.integration.execution_api import FILED, PUSHED, RULES, Runs, opened_runs
from tests.integration.import_api import refusal
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_EXECUTIONS")
BUSY = (grpc.StatusCode.FAILED_PRECONDITION, "IN_PROGRESS")
WHOLE = {"data": {"hosts": [{"name": "alpha"}]}, "completed": True}


@pytest.fixture
async def runs(database: Database, object_store: Bucket) -> AsyncIterator[Runs]:
    async with opened_runs(database, object_store) as runs:
        yield runs


async def fill(runs: Runs, free: int = 0) -> list[tuple[UUID, str]]:
    """Takes all places of the workspace but so many; the sources and their runs."""
    sources = [await runs.added("database") for _ in range(RULES.max_running - free)]
    return [(source, await runs.started(source)) for source in sources]


async def complete(runs: Runs, source: UUID, execution_id: str) -> None:
    await runs.sending(execution_id, WHOLE, source)


async def standing(runs: Runs, execution_id: str) -> tuple[str, bool, bool]:
    """State, whether it waits, whether the dispatcher knows of it."""
    row = await runs.row(execution_id)
    return row["state"], row["waits"], await runs.is_sent(execution_id)


async def retryable(runs: Runs) -> str:
    """A run of FILED that failed and could go on."""
    execution_id = await runs.started(FILED)
    await runs.end(execution_id, "FAILED")
    await runs.execute(
        "UPDATE imports SET resumable_until = now() + interval '1 hour' WHERE import_id = %s", execution_id
    )
    return execution_id


async def test_open_runs_keep_nobody_from_running(runs: Runs) -> None:
    for _ in range(RULES.max_running + 1):
        await runs.started(await runs.added())
    await fill(runs)
    assert await refusal(runs.calling("StartExecution", FILED)) == FULL
    # A run that is to be sent its data begins beside full places, too.
    assert (await runs.call("StartExecution"))["waits"] is False


async def test_a_run_whose_data_is_complete_waits_for_a_place_and_is_never_refused(runs: Runs) -> None:
    (busy, running), *_ = await fill(runs)
    sources = [await runs.added() for _ in range(2)]
    started = [await runs.started(source) for source in sources]
    for source, execution_id in zip(sources, started, strict=True):
        await complete(runs, source, execution_id)
        assert await standing(runs, execution_id) == ("QUEUED", True, False)
        # Its source is not free for that.
        assert await refusal(runs.calling("StartExecution", source)) == BUSY
    await runs.call("CancelExecution", busy, execution_id=running)
    assert [await standing(runs, each) for each in started] == [("QUEUED", False, True), ("QUEUED", True, False)]


async def test_of_runs_completed_at_once_so_many_run_as_there_are_places(runs: Runs) -> None:
    await fill(runs, free=1)
    sources = [await runs.added() for _ in range(4)]
    started = [await runs.started(source) for source in sources]
    await asyncio.gather(
        *(complete(runs, source, execution_id) for source, execution_id in zip(sources, started, strict=True))
    )
    found = [await standing(runs, each) for each in started]
    assert sorted(found) == [("QUEUED", False, True), *[("QUEUED", True, False)] * 3]


async def test_completions_and_cancels_at_once_neither_deadlock_nor_leave_a_place_unused(runs: Runs) -> None:
    full = await fill(runs)
    sources = [await runs.added() for _ in range(3)]
    started = [await runs.started(source) for source in sources]
    cancels = [runs.call("CancelExecution", source, execution_id=run) for source, run in full]
    completions = [complete(runs, source, run) for source, run in zip(sources, started, strict=True)]
    await asyncio.wait_for(asyncio.gather(*cancels, *completions), 30)
    await runs.openings.sweep()
    assert [await standing(runs, each) for each in started] == [("QUEUED", False, True)] * 3


async def test_runs_of_one_source_take_their_turns_in_the_order_of_their_start(runs: Runs) -> None:
    (busy, running), *_ = await fill(runs)
    first, second, third = [await runs.started(PUSHED, "importer", queue=True) for _ in range(3)]
    await complete(runs, PUSHED, first)
    # It waits for a place, and nobody passes it.
    await runs.openings.sweep()
    assert await standing(runs, second) == ("OPEN", True, False)
    await complete(runs, PUSHED, third)
    await runs.call("CancelExecution", busy, execution_id=running)
    assert await standing(runs, first) == ("QUEUED", False, True)
    await runs.call("CancelExecution", execution_id=first)
    assert await standing(runs, second) == ("OPEN", False, False)
    assert await standing(runs, third) == ("QUEUED", True, False)
    await complete(runs, PUSHED, second)
    assert await standing(runs, second) == ("QUEUED", False, True)


@pytest.mark.parametrize("how", ["CancelExecution", "FailExecution"])
async def test_the_end_of_an_open_run_lets_the_complete_one_behind_it_run(runs: Runs, how: str) -> None:
    first = await runs.started()
    second = await runs.started(PUSHED, "importer", queue=True)
    await complete(runs, PUSHED, second)
    await runs.call(how, execution_id=first, payload={"failureReason": "lost"} if how == "FailExecution" else {})
    assert await standing(runs, second) == ("QUEUED", False, True)


async def test_the_end_of_an_open_run_gives_no_place_that_it_had_not(runs: Runs) -> None:
    await fill(runs)
    first = await runs.started()
    second = await runs.started(PUSHED, "importer", queue=True)
    other = await runs.started(FILED, queue=True)
    await complete(runs, PUSHED, second)
    await runs.call("CancelExecution", execution_id=first)
    await runs.openings.sweep()
    assert [await standing(runs, each) for each in (second, other)] == [("QUEUED", True, False)] * 2


async def test_a_run_is_not_open_for_ever_whatever_its_client_sends(runs: Runs) -> None:
    execution_id = await runs.started()
    day = RULES.most_open
    await runs.execute("UPDATE imports SET created_at = now() - %s + interval '10 minutes'", day)
    await runs.sending(execution_id, {"data": {}})
    row = await runs.row(execution_id)
    assert row["open_until"] - row["created_at"] == day
    await runs.openings.sweep()
    assert (await runs.row(execution_id))["state"] == "OPEN"
    await runs.execute("UPDATE imports SET created_at = now() - %s", day)
    await runs.call("PutProgress", execution_id=execution_id, payload={"steps": {"total": 1, "current": 1}})
    await runs.openings.sweep()
    row = await runs.row(execution_id)
    assert (row["state"], row["error_code"]) == ("FAILED", "INGESTION_TOO_LONG")
    assert row["error_message"] == "A run may be open for 24 hours; no piece said that it was the last."


AGAIN: dict[str, Callable[[Runs, str], Any]] = {
    "retry": lambda runs, first: runs.repeats.retry(IMPORTER, first),
    "rerun": lambda runs, first: runs.repeats.rerun(IMPORTER, first),
}


async def test_an_earlier_run_begins_again_where_a_new_one_would(runs: Runs) -> None:
    first = await retryable(runs)

    async def refused() -> set[tuple[int, str]]:
        found = set()
        before = await runs.rows("SELECT import_id FROM imports")
        for again in AGAIN.values():
            with calling(IMPORTER), pytest.raises(ServiceError) as raised:
                await again(runs, first)
            found.add((raised.value.http_status, raised.value.reason))
        assert await runs.rows("SELECT import_id FROM imports") == before
        return found

    await runs.execute("UPDATE import_sources SET is_enabled = false WHERE import_source_id = %s", FILED)
    assert await refused() == {(409, "DISABLED")}
    await runs.execute("UPDATE import_sources SET is_enabled = true")
    busy = await runs.started(FILED)
    assert await refused() == {(409, "IN_PROGRESS")}
    await runs.end(busy)
    full = await fill(runs)
    assert await refused() == {(429, "TOO_MANY_EXECUTIONS")}
    for source, execution_id in full:
        await runs.call("CancelExecution", source, execution_id=execution_id)
    await runs.execute("DELETE FROM import_sources WHERE import_source_id = %s", FILED)
    assert await refused() == {(404, "IMPORT_SOURCE_NOT_FOUND")}


async def test_it_takes_a_place_of_the_workspace(runs: Runs) -> None:
    first = await retryable(runs)
    await fill(runs, free=1)
    other = await runs.added("database")
    for again in AGAIN.values():
        with calling(IMPORTER):
            made = str((await again(runs, first)).import_id)
        assert await standing(runs, made) == ("QUEUED", False, True)
        assert await refusal(runs.calling("StartExecution", other)) == FULL
        await runs.end(made, "FAILED")


async def test_starts_and_re_runs_at_once_take_no_more_places_than_there_are(runs: Runs) -> None:
    first = await retryable(runs)
    await fill(runs, free=1)
    others = [await runs.added("database") for _ in range(3)]
    with calling(IMPORTER):
        found = await asyncio.gather(
            *(runs.started(each) for each in others), runs.repeats.rerun(IMPORTER, first), return_exceptions=True
        )
    assert sum(not isinstance(each, BaseException) for each in found) == 1
    (row,) = await runs.rows("SELECT count(*) AS running FROM imports WHERE state = 'QUEUED' AND NOT waits")
    assert row["running"] == RULES.max_running


async def test_a_re_run_that_is_asked_for_twice_at_once_is_one(runs: Runs) -> None:
    first = await retryable(runs)
    with calling(IMPORTER):
        found = await asyncio.gather(*(runs.repeats.rerun(IMPORTER, first, request_id="once") for _ in range(3)))
        assert len({each.import_id for each in found}) == 1
        with pytest.raises(FailedPrecondition) as raised:
            await runs.repeats.rerun(IMPORTER, first, lambda _: Options(dry_run=True), request_id="another")
    assert raised.value.reason == "IN_PROGRESS"

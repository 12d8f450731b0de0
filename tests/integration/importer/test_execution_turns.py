"""Runs of import sources that wait, seen from the workers: each end of another one gives them their turn."""

from __future__ import annotations

import asyncio
from uuid import UUID

from sqlalchemy import text

from services.importer.engine import claims, ending
from services.importer.engine.claims import Refusal
from services.importer.model import State
from services.importer.store import assets_turns
from tests.integration.importer.workbench import LEASE, TENANT, Engine

WORKSPACE, SOURCE, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


async def run(engine: Engine, source: UUID = SOURCE, *, waits: bool = False) -> UUID:
    import_id = await engine.queued(
        import_source_id=source, workspace_id=WORKSPACE, waits=waits, client_id=0, report_id=None, target="objects"
    )
    if waits:
        await engine.admin.execute("DELETE FROM outbox WHERE import_id = %s", (import_id,))
    return import_id


async def end(engine: Engine, import_id: UUID, state: State = State.SUCCEEDED) -> None:
    async with engine.worker.transaction(TENANT) as connection:
        await ending.lock(connection, TENANT, import_id)
        await ending.end(connection, TENANT, import_id, state)


async def is_sent(engine: Engine, import_id: UUID) -> bool:
    query = "SELECT count(*) FROM outbox WHERE topic = 'run' AND import_id = %s"
    return bool(await engine.value(query, import_id))


async def waits(engine: Engine, import_id: UUID) -> bool:
    return bool(await engine.value("SELECT waits FROM imports WHERE import_id = %s", import_id))


async def claimed(engine: Engine, import_id: UUID) -> None:
    async with engine.worker.transaction(TENANT) as connection:
        await claims.claim(connection, TENANT, import_id, "test", LEASE)


async def test_the_end_of_a_run_queues_the_one_that_waits_longest(engine: Engine) -> None:
    first, second, third = await run(engine), await run(engine, waits=True), await run(engine, waits=True)
    await claimed(engine, first)
    await end(engine, first, State.FAILED)
    assert [await is_sent(engine, each) for each in (first, second, third)] == [False, True, False]
    assert [await waits(engine, each) for each in (second, third)] == [False, True]
    await claimed(engine, second)
    await end(engine, second)
    assert await is_sent(engine, third)


async def test_its_place_goes_to_another_source_when_its_own_has_no_run_that_waits(engine: Engine) -> None:
    first, other = await run(engine), await run(engine, OTHER, waits=True)
    await claimed(engine, first)
    await end(engine, first)
    assert await is_sent(engine, other)


async def test_a_source_that_runs_is_passed_over(engine: Engine) -> None:
    first, busy = await run(engine), await run(engine, OTHER)
    behind = await run(engine, OTHER, waits=True)
    await claimed(engine, first)
    await end(engine, first)
    assert await waits(engine, behind)
    await claimed(engine, busy)
    await end(engine, busy)
    assert await is_sent(engine, behind)


async def test_an_import_that_is_given_up_gives_its_place_on(engine: Engine) -> None:
    first, second = await run(engine), await run(engine, waits=True)
    await claimed(engine, first)
    await engine.admin.execute("UPDATE imports SET crashes = 2 WHERE import_id = %s", (first,))
    await engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    async with engine.worker.transaction(TENANT) as connection:
        assert await claims.claim(connection, TENANT, first, "test", LEASE) is Refusal.POISON
    assert await is_sent(engine, second)


async def test_an_undo_takes_no_place_and_gives_none(engine: Engine) -> None:
    first, second = await run(engine), await run(engine, waits=True)
    undo = await engine.queued(
        import_source_id=SOURCE, workspace_id=WORKSPACE, kind="undo", origin="undo", origin_import_id=first
    )
    await claimed(engine, undo)
    await end(engine, undo)
    assert await waits(engine, second)


async def test_ends_and_starts_at_once_neither_deadlock_nor_lose_a_turn(engine: Engine) -> None:
    """A flip holds the row of its import while it waits for the lock that a start holds."""

    async def start() -> None:
        async with engine.worker.transaction(TENANT) as connection:
            await assets_turns.lock_workspace(connection, TENANT, WORKSPACE)
            await asyncio.sleep(0.005)
            await assets_turns.turn_of(connection, TENANT, WORKSPACE, SOURCE)

    waiting = [await run(engine)] + [await run(engine, waits=True) for _ in range(8)]
    for import_id in waiting:
        assert await is_sent(engine, import_id)
        await claimed(engine, import_id)
        await asyncio.wait_for(asyncio.gather(start(), end(engine, import_id), start()), 10)
    assert await engine.value("SELECT count(*) FROM imports WHERE state = 'SUCCEEDED'") == len(waiting)


async def test_a_run_on_which_there_is_a_command_is_passed_over_without_waiting(engine: Engine) -> None:
    first, second, third = await run(engine), await run(engine, waits=True), await run(engine, OTHER, waits=True)
    await claimed(engine, first)
    async with engine.worker.transaction(TENANT) as connection:
        locking = text("SELECT FROM imports WHERE import_id = :id FOR NO KEY UPDATE")
        await connection.execute(locking, {"id": second})
        await asyncio.wait_for(end(engine, first), 10)
    assert [await waits(engine, each) for each in (second, third)] == [True, False]

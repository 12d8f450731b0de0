"""Undos that are refused, cancelled, disturbed or killed, and undos beside imports."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any
from uuid import UUID

import pytest

from services.importer.engine import heartbeat, undo_items
from services.importer.engine.attempt import Ending
from services.importer.engine.failures import Cancelled, Drained, FencedOut, ImportFailure, RetryableFailure
from services.importer.engine.flip import flip
from services.importer.engine.progress import Progress
from services.importer.targets.findings import target as findings_target
from services.importer.targets.findings.target import FindingsTarget
from tests.integration.importer.office import eventually
from tests.integration.importer.undoing import NOTHING, NoSignals, Undoer, assert_whole, dump, item
from tests.integration.importer.workbench import TENANT, Bench, Engine


@pytest.fixture
def undoer(engine: Engine) -> Undoer:
    return Undoer(engine)


async def cancel(engine: Engine, undo_id: UUID) -> None:
    await engine.admin.execute(
        "INSERT INTO import_requests (action, tenant_id, import_id, requested_by) VALUES ('cancel', %s, %s, 1)",
        (TENANT, undo_id),
    )


async def is_anybody_waiting(engine: Engine) -> bool:
    waiting = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool(await engine.value(waiting))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("undone_at = now()", "IMPORT_UNDONE"),
        ("state = 'FAILED'", "IMPORT_NOT_UNDOABLE"),
        ("dry_run = true, flip_number = NULL", "IMPORT_NOT_UNDOABLE"),
        ("duplicate_of = import_id, flip_number = NULL", "IMPORT_NOT_UNDOABLE"),
        ("kind = 'undo'", "IMPORT_NOT_UNDOABLE"),
        ("tenant_id = 2", "IMPORT_NOT_UNDOABLE"),
    ],
)
async def test_what_cannot_be_undone_says_so_and_stays(engine: Engine, undoer: Undoer, change: str, code: str) -> None:
    done = await engine.imported([item("10", "a")])
    undo_id = await undoer.queued(done)
    for child in ("import_inputs", "import_claims", "import_progress", "outbox"):
        await engine.admin.execute(f"DELETE FROM {child} WHERE import_id = %s".encode(), (done,))
    await engine.admin.execute(f"UPDATE imports SET {change} WHERE import_id = %s".encode(), (done,))
    before = await dump(engine)
    with pytest.raises(ImportFailure) as failure:
        await (await undoer.prepared(undo_id)).run()
    assert failure.value.code == code
    assert await dump(engine) == before


async def test_an_undone_import_is_not_undone_again(engine: Engine, undoer: Undoer) -> None:
    done = await engine.imported([item("10", "a")])
    dry = await undoer.queued(done, dry_run=True)
    await undoer.undo(done)
    with pytest.raises(ImportFailure, match="undone already"):
        await (await undoer.prepared(dry)).run()


async def test_a_cancel_before_the_last_statements_leaves_everything(engine: Engine, undoer: Undoer) -> None:
    done = await engine.imported([item("10", "a")])
    before = await dump(engine)
    undo_id = await undoer.queued(done)
    undoing = await undoer.prepared(undo_id)
    await cancel(engine, undo_id)
    with pytest.raises(Cancelled):
        await undoing.run()
    assert await dump(engine) == before
    assert await engine.value("SELECT undone_at FROM imports WHERE import_id = %s", done) is None
    assert await engine.value("SELECT count(*) FROM undo_items") == 0


async def test_a_cancel_can_be_asked_for_while_the_undo_is_at_work(
    engine: Engine, undoer: Undoer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command locks the import's row; nothing of the undo may hold that before its last statements."""
    done = await engine.imported([item("10", "a")])
    before = await dump(engine)
    undo_id = await undoer.queued(done)
    release = FindingsTarget.release

    async def cancelled_meanwhile(self: FindingsTarget, sql: Any) -> None:
        await release(self, sql)
        await engine.admin.execute("SET lock_timeout = '5s'")
        await engine.admin.execute("SELECT FROM imports WHERE import_id IN (%s, %s) FOR UPDATE", (undo_id, done))
        await cancel(engine, undo_id)

    monkeypatch.setattr(FindingsTarget, "release", cancelled_meanwhile)
    with pytest.raises(Cancelled):
        await (await undoer.prepared(undo_id)).run()
    assert await dump(engine) == before


async def test_an_undo_of_a_worker_that_goes_away_is_not_begun(engine: Engine, undoer: Undoer) -> None:
    undo_id = await undoer.queued(await engine.imported([item("10", "a")]))
    signals = NoSignals()
    signals.reason = Drained()
    with pytest.raises(Drained):
        await (await undoer.prepared(undo_id, signals)).run()
    assert await engine.value("SELECT count(*) FROM findings") == 1


async def test_a_row_that_is_edited_during_the_undo_is_not_lost(
    engine: Engine, undoer: Undoer, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await engine.imported([item("10", "a")])
    undo_id = await undoer.queued(done)
    undoing = await undoer.prepared(undo_id)
    write_report = undo_items.write_report

    async def edited_meanwhile(*args: Any) -> None:
        await write_report(*args)
        await engine.admin.execute("UPDATE findings SET title = 'Edited', updated_at = now()")

    with monkeypatch.context() as patched:
        patched.setattr(undo_items, "write_report", edited_meanwhile)
        with pytest.raises(RetryableFailure) as failure:
            await undoing.run()
    assert failure.value.code == "ROWS_CHANGED"
    await undoing.run()
    assert (await undoer.result(undo_id)).named("kept") == [("finding", "Edited", "EDITED")]


async def test_an_object_store_that_is_away_leaves_everything(engine: Engine, undoer: Undoer) -> None:
    undo_id = await undoer.queued(await engine.imported([item("10", "a")]))
    before = await dump(engine)
    undoing = await undoer.prepared(undo_id)
    undoer.objects.is_down = True
    with pytest.raises(RetryableFailure) as failure:
        await undoing.run()
    assert failure.value.code == "STORAGE_UNAVAILABLE"
    assert await dump(engine) == before


async def test_undos_and_imports_of_one_client_at_once_neither_deadlock_nor_lose(
    engine: Engine, undoer: Undoer
) -> None:
    items = [item(str(10 + n % 5), f"host{n % 20}", port=n % 3) for n in range(100)]
    done = [await engine.imported(items, finding_tags=["x"]) for _ in range(3)]
    target = FindingsTarget()
    claims = [await engine.claimed(await engine.queued(finding_tags=["x"])) for _ in range(3)]
    staged = [await engine.staged(claim, items) for claim in claims]
    undos = [await undoer.prepared(await undoer.queued(import_id)) for import_id in done]
    dry = await undoer.prepared(await undoer.queued(done[0], dry_run=True))
    async with asyncio.timeout(60):
        results = await asyncio.gather(
            *(each.run() for each in undos),
            *(
                flip(engine.worker, target, claim, staging, checkpoint, Progress(1, target.merge_steps))
                for claim, (staging, checkpoint) in zip(claims, staged, strict=True)
            ),
            dry.run(),
            return_exceptions=True,
        )
    # The dry undo may come too late, and no other may fail.
    assert [each for each in results[:-1] if each is not None] == []
    assert results[-1] is None or isinstance(results[-1], ImportFailure)
    await assert_whole(engine)
    assert await engine.value("SELECT count(*) FROM findings") == 5
    assert await engine.value("SELECT count(*) FROM tags") == 1
    for claim in claims:
        await undoer.undo(claim.job.import_id)
    assert await dump(engine) == NOTHING


async def test_a_tag_that_an_import_of_another_client_brings_meanwhile_is_not_lost(
    engine: Engine, undoer: Undoer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their locks differ: only the tag itself is between them."""
    done = await engine.imported([item("10", "a")], finding_tags=["x"])
    client = await engine.value("INSERT INTO clients (tenant_id, name) VALUES (1, 'c2') RETURNING client_id")
    other = dataclasses.replace(engine, client_id=client)
    claim = await other.claimed(await other.queued(finding_tags=["x"]))
    staging, checkpoint = await other.staged(claim, [item("10", "a")])
    target = FindingsTarget()
    flips: list[asyncio.Task[None]] = []
    release = FindingsTarget.release

    async def import_meanwhile(self: FindingsTarget, sql: Any) -> None:
        await release(self, sql)
        seen = Progress(1, target.merge_steps)
        flips.append(asyncio.create_task(flip(engine.worker, target, claim, staging, checkpoint, seen)))
        await eventually(lambda: is_anybody_waiting(engine))

    monkeypatch.setattr(FindingsTarget, "release", import_meanwhile)
    await undoer.undo(done)
    await flips[0]
    assert await engine.rows("SELECT tag, import_id FROM tags") == [{"tag": "x", "import_id": claim.job.import_id}]


async def test_a_tag_is_not_taken_from_an_import_of_another_client_that_is_about_to_commit(
    engine: Engine, undoer: Undoer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees that import yet, but it holds the tag."""
    done = await engine.imported([item("10", "a")], finding_tags=["x"])
    undoing = await undoer.prepared(await undoer.queued(done))
    client = await engine.value("INSERT INTO clients (tenant_id, name) VALUES (1, 'c2') RETURNING client_id")
    other = dataclasses.replace(engine, client_id=client)
    undos: list[asyncio.Task[None]] = []
    outcomes = findings_target._outcomes

    async def undo_meanwhile(*args: Any) -> Any:
        undos.append(asyncio.create_task(undoing.run()))
        await eventually(lambda: is_waiting_or_done(engine, undos[0]))
        return await outcomes(*args)

    monkeypatch.setattr(findings_target, "_outcomes", undo_meanwhile)
    second = await other.imported([item("10", "a")], finding_tags=["x"])
    await undos[0]
    assert await engine.rows("SELECT tag, import_id FROM tags") == [{"tag": "x", "import_id": second}]


async def is_waiting_or_done(engine: Engine, task: asyncio.Task[None]) -> bool:
    return task.done() or await is_anybody_waiting(engine)


async def test_nothing_of_an_undo_is_left_in_the_queue_or_the_leases(engine: Engine, undoer: Undoer) -> None:
    result = await undoer.undo(await engine.imported([item("10", "a")]))
    for table in ("import_leases", "import_requests"):
        assert await engine.value(f"SELECT count(*) FROM {table}") == 0
    topics = await engine.rows("SELECT topic FROM outbox WHERE import_id = %s", result.undo_id)
    assert [row["topic"] for row in topics] == ["ended"]


async def test_a_worker_runs_an_undo_as_it_runs_an_import(bench: Bench) -> None:
    engine, undoer = bench.engine, Undoer(bench.engine, bench.objects)
    done = await engine.imported([item("10", "a"), item("11", "b")])
    undo_id = await undoer.queued(done)
    assert await bench.attempt(undo_id) is Ending.SUCCEEDED
    assert await dump(engine) == NOTHING
    (row,) = await engine.rows("SELECT * FROM import_progress WHERE import_id = %s", undo_id)
    assert (row["percent"], row["phase"], row["read"], row["deleted"]) == (100, "done", 8, 8)
    assert len((await undoer.result(undo_id)).report) == 8
    await bench.assert_nothing_left()


async def test_an_undo_that_is_refused_is_failed_with_its_reason(bench: Bench) -> None:
    done = await bench.engine.imported([item("10", "a")])
    undoer = Undoer(bench.engine, bench.objects)
    dry = await undoer.queued(done, dry_run=True)
    await undoer.undo(done)
    assert await bench.attempt(dry) is Ending.FAILED
    row = await bench.row(dry)
    assert (row["state"], row["error_code"]) == ("FAILED", "IMPORT_UNDONE")
    await bench.assert_nothing_left()


async def test_a_heartbeat_cancels_an_undo_that_waits_for_another_merge(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    engine, undoer = bench.engine, Undoer(bench.engine, bench.objects)
    done = await engine.imported([item("10", "a")])
    before = await dump(engine)
    undo_id = await undoer.queued(done)
    async with engine.worker.transaction(TENANT) as connection:
        claim = await engine.claimed(undo_id)
        await FindingsTarget().lock(connection, claim.job)
        attempt = asyncio.create_task(bench.prepared(claim).run())
        await eventually(lambda: is_anybody_waiting(engine))
        await cancel(engine, undo_id)
        assert await attempt is Ending.CANCELLED
    assert await dump(engine) == before
    assert (await bench.row(undo_id))["state"] == "CANCELLED"
    # It may be undone after all.
    await undoer.undo(done)
    assert await dump(engine) == NOTHING


@pytest.mark.parametrize("step", ["write_report", "write_first"])
async def test_an_undo_whose_connection_is_killed_leaves_everything_and_is_done_by_the_next_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """As a kill -9 of the worker: PostgreSQL rolls back, and the report is written over."""
    engine, undoer = bench.engine, Undoer(bench.engine, bench.objects)
    done = await engine.imported([item("10", "a")])
    before = await dump(engine)
    undo_id = await undoer.queued(done)
    original = getattr(undo_items, step)

    async def killed(*args: Any) -> None:
        await original(*args)
        await engine.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'"
        )

    with monkeypatch.context() as patched:
        patched.setattr(undo_items, step, killed)
        assert await bench.attempt(undo_id) is Ending.RETRIED
    assert await dump(engine) == before
    await engine.admin.execute("UPDATE imports SET not_before = NULL")
    assert await bench.attempt(undo_id) is Ending.SUCCEEDED
    assert await dump(engine) == NOTHING


async def test_a_zombie_undo_writes_nothing(engine: Engine, undoer: Undoer) -> None:
    done = await engine.imported([item("10", "a")])
    before = await dump(engine)
    undo_id = await undoer.queued(done)
    zombie = await undoer.prepared(undo_id)
    await engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    successor = await undoer.prepared(undo_id)
    with pytest.raises(FencedOut):
        await zombie.run()
    assert await dump(engine) == before
    await successor.run()
    assert await dump(engine) == NOTHING

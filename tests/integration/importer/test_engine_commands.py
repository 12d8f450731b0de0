"""The commands of the API on imports that a worker has begun: what the one writes, the other must take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from runtime.errors import FailedPrecondition
from services.importer.commands import Commands
from services.importer.engine import heartbeat, janitor
from services.importer.engine.attempt import Ending
from services.importer.imports import Thresholds
from services.importer.model import State
from services.importer.repeats import Repeats
from services.importer.store.imports import SqlImportStore
from services.importer.targets.findings.target import FindingsTarget
from tests.fakes.people import ADMIN, calling
from tests.integration.importer.office import eventually
from tests.integration.importer.replies import after_reply
from tests.integration.importer.shop import LARGE_SCAN, LARGE_SCAN_ITEMS
from tests.integration.importer.workbench import Bench
from tests.integration.serving import connected
from tests.stack import Database


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlImportStore]:
    async with connected(database, "hythe_importer") as adapter:
        with calling(ADMIN):
            yield SqlImportStore(adapter)


@pytest.fixture
def commands(store: SqlImportStore) -> Commands:
    return Commands(store)


@pytest.fixture
def repeats(store: SqlImportStore, bench: Bench) -> Repeats:
    return Repeats(store, bench.objects, Thresholds(1 << 30, 1 << 20), timedelta(days=90), max_running_executions=4)


async def paused(bench: Bench, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """A large import that was paused in the middle of its file."""
    import_id = await bench.triggered(LARGE_SCAN)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)

    async def pause_and_wait() -> None:
        assert (await commands.pause(ADMIN, str(import_id))).pause_requested
        noticed = heartbeat.Heartbeat._note
        seen: list[bool] = []

        def note(self: heartbeat.Heartbeat, work: object, request: object) -> None:
            noticed(self, work, request)  # type: ignore[arg-type]  # passed on as it came
            if request is not None:
                seen.append(True)

        with monkeypatch.context() as patched:
            patched.setattr(heartbeat.Heartbeat, "_note", note)
            await eventually(lambda: _is_true(seen))

    with monkeypatch.context() as patched:
        after_reply(patched, 4, pause_and_wait)
        assert await bench.attempt(import_id, chunk_records=100) is Ending.PAUSED
    return import_id


async def _is_true(seen: list[bool]) -> bool:
    return bool(seen)


async def test_an_import_paused_by_a_command_goes_on_from_its_checkpoint_when_it_is_resumed(
    bench: Bench, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await paused(bench, commands, monkeypatch)
    assert (await commands.pause(ADMIN, str(import_id))).state is State.PAUSED
    staged = await bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    assert 0 < staged < LARGE_SCAN_ITEMS
    resumed = await commands.resume(ADMIN, str(import_id))
    assert (resumed.state, resumed.phase) == (State.QUEUED, "queued")
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": LARGE_SCAN_ITEMS}
    await bench.assert_nothing_left()


async def test_what_a_paused_import_has_staged_goes_after_its_cancel(
    bench: Bench, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await paused(bench, commands, monkeypatch)
    targets = {"findings": FindingsTarget()}
    assert await janitor.sweep(bench.engine.worker, targets) == 0
    assert (await commands.cancel(ADMIN, str(import_id))).state is State.CANCELLED
    assert await janitor.sweep(bench.engine.worker, targets) == 1
    await bench.assert_nothing_imported()


async def test_a_retry_by_command_takes_over_what_the_failed_import_has_staged(
    bench: Bench, commands: Commands, repeats: Repeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await paused(bench, commands, monkeypatch)
    with pytest.raises(FailedPrecondition, match="nothing to continue"):
        await repeats.retry(ADMIN, str(import_id))
    await bench.engine.admin.execute(
        "UPDATE imports SET state = 'FAILED', ended_at = now(), resumable_until = now() + interval '1 hour'"
    )
    staged = await bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    retry = await repeats.retry(ADMIN, str(import_id))
    assert await janitor.sweep(bench.engine.worker, {"findings": FindingsTarget()}) == 0
    claim = await bench.engine.claimed(retry.import_id)
    attempt = bench.prepared(claim)
    assert await attempt.run() is Ending.SUCCEEDED
    assert staged > 0
    assert await bench.engine.outcome(retry.import_id) == {"inserted": LARGE_SCAN_ITEMS}
    assert (await repeats.retry(ADMIN, str(import_id))).import_id == retry.import_id
    await bench.assert_nothing_left()


async def test_an_undo_by_command_takes_back_what_was_imported(bench: Bench, repeats: Repeats) -> None:
    import_id = await bench.triggered(LARGE_SCAN)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    dry = await repeats.undo(ADMIN, str(import_id), dry_run=True)
    assert await bench.attempt(dry.import_id) is Ending.SUCCEEDED
    assert await bench.engine.value("SELECT count(*) FROM findings") > 0
    undo = await repeats.undo(ADMIN, str(import_id))
    assert await bench.attempt(undo.import_id) is Ending.SUCCEEDED
    await bench.assert_nothing_imported()
    with pytest.raises(FailedPrecondition, match="taken back already"):
        await repeats.undo(ADMIN, str(import_id))
    again = await repeats.rerun(ADMIN, str(import_id))
    assert await bench.attempt(again.import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(again.import_id) == {"inserted": LARGE_SCAN_ITEMS}

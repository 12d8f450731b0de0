from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from runtime.errors import Unavailable
from services.importer.engine import claims, heartbeat, janitor, runner
from services.importer.engine.attempt import Attempt, Ending
from services.importer.engine.claims import Refusal, Request
from services.importer.engine.flip import flip
from services.importer.engine.heartbeat import Heartbeat
from services.importer.engine.staging import Staging
from services.importer.targets.findings.target import FindingsTarget
from tests.integration.importer.office import answered, eventually
from tests.integration.importer.replies import after_reply, record_orders
from tests.integration.importer.shop import LARGE_SCAN, LARGE_SCAN_ITEMS, Shop
from tests.integration.importer.workbench import LEASE, TENANT, Bench
from tests.scans import nessus


@dataclass
class Pauser:
    """Somebody who pauses imports, and knows when their worker has noticed."""

    bench: Bench
    noticed: list[Request | None] = field(default_factory=list)

    async def ask(self, import_id: UUID, action: str) -> None:
        await self.bench.ask(import_id, action)
        await self.until_noticed(Request(action))

    async def withdraw(self, import_id: UUID) -> None:
        await self.bench.engine.admin.execute("DELETE FROM import_requests WHERE import_id = %s", (import_id,))
        await self.until_noticed(None)

    async def until_noticed(self, request: Request | None) -> None:
        self.noticed.clear()
        await eventually(lambda: answered(request in self.noticed))

    async def resume(self, import_id: UUID) -> None:
        """As the API does."""
        admin = self.bench.engine.admin
        await admin.execute("UPDATE imports SET state = 'QUEUED' WHERE import_id = %s", (import_id,))
        await admin.execute(
            "INSERT INTO outbox (tenant_id, import_id, lane) VALUES (%s, %s, 'small')", (TENANT, import_id)
        )

    async def paused(self, import_id: UUID, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> int:
        """Pauses it in the middle of its file; answers the last item that is staged."""
        with monkeypatch.context() as patched:
            after_reply(patched, 4, lambda: self.ask(import_id, "pause"))
            assert await self.bench.attempt(import_id, **limits) is Ending.PAUSED
        return int(await self.bench.engine.value("SELECT ordinal FROM staging.checkpoints"))


@pytest.fixture
def pauser(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Pauser:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    pauser = Pauser(bench)
    original = Heartbeat._note

    def note(self: Heartbeat, work: Any, request: Request | None) -> None:
        original(self, work, request)
        pauser.noticed.append(request)

    monkeypatch.setattr(Heartbeat, "_note", note)
    return pauser


@pytest.mark.parametrize("chunk_records", [100, 10_000_000], ids=["small chunks", "one chunk in hand"])
async def test_a_paused_import_goes_on_from_there_and_stages_nothing_twice(
    bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch, chunk_records: int
) -> None:
    written = written_ordinals(monkeypatch)
    import_id = await bench.triggered(LARGE_SCAN)
    staged = await pauser.paused(import_id, monkeypatch, chunk_records=chunk_records, chunk_bytes=1 << 40)
    assert 0 < staged < LARGE_SCAN_ITEMS
    assert set(written) == set(range(1, staged + 1)), "the chunk in hand is saved"
    await assert_paused(bench, import_id)

    await pauser.resume(import_id)
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert [order.resume_after for order in orders] == [staged]
    assert set(written) == set(range(1, LARGE_SCAN_ITEMS + 1))
    assert set(written.values()) == {1}
    assert await bench.engine.outcome(import_id) == {"inserted": LARGE_SCAN_ITEMS}
    assert await bench.engine.value("SELECT count(*) FROM affected_assets") == LARGE_SCAN_ITEMS
    await bench.assert_nothing_left()


async def test_a_pause_after_the_last_chunk_is_one_before_the_merge(
    bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(nessus())
    with monkeypatch.context() as patched:
        act_after_last_chunk(patched, lambda: pauser.ask(import_id, "pause"))
        assert await bench.attempt(import_id) is Ending.PAUSED
    await assert_paused(bench, import_id)

    await pauser.resume(import_id)
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert orders == [], "the file is not read again"
    assert await bench.engine.outcome(import_id) == {"inserted": 6}


async def test_a_pause_during_the_flip_comes_too_late(
    bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(nessus())

    async def paused_flip(*everything: Any) -> None:
        await pauser.ask(import_id, "pause")
        await flip(*everything)

    monkeypatch.setattr(runner, "flip", paused_flip)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert (await bench.row(import_id))["state"] == "SUCCEEDED"
    assert await bench.engine.value("SELECT count(*) FROM import_requests") == 0


async def test_a_cancel_beats_a_pause(bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await bench.triggered(LARGE_SCAN)

    async def ask_both() -> None:
        await pauser.ask(import_id, "pause")
        await pauser.ask(import_id, "cancel")

    after_reply(monkeypatch, 4, ask_both)
    assert await bench.attempt(import_id) is Ending.CANCELLED
    assert (await bench.row(import_id))["state"] == "CANCELLED"
    await bench.assert_nothing_imported()


async def test_a_cancel_after_the_run_has_stopped_to_pause_is_not_lost(
    bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(LARGE_SCAN)
    after_reply(monkeypatch, 4, lambda: pauser.ask(import_id, "pause"))
    before_recording(monkeypatch, lambda: bench.ask(import_id, "cancel"))
    assert await bench.attempt(import_id) is Ending.CANCELLED
    assert (await bench.row(import_id))["state"] == "CANCELLED"
    await bench.assert_nothing_imported()


async def test_a_pause_withdrawn_in_time_changes_nothing(
    bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(LARGE_SCAN)

    async def think_twice() -> None:
        await pauser.ask(import_id, "pause")
        await pauser.withdraw(import_id)

    after_reply(monkeypatch, 4, think_twice)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": LARGE_SCAN_ITEMS}


async def test_a_pause_withdrawn_after_the_run_has_stopped_sends_the_import_back_to_the_queue(
    bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(LARGE_SCAN)

    async def withdraw() -> None:
        await bench.engine.admin.execute("DELETE FROM import_requests")

    with monkeypatch.context() as patched:
        after_reply(patched, 4, lambda: pauser.ask(import_id, "pause"))
        before_recording(patched, withdraw)
        assert await bench.attempt(import_id) is Ending.DRAINED
    row = await bench.row(import_id)
    assert (row["state"], row["retries"], row["crashes"]) == ("QUEUED", 0, 0)
    assert await bench.engine.value("SELECT count(*) FROM outbox WHERE topic = 'run'") == 1
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": LARGE_SCAN_ITEMS}


async def test_a_worker_that_goes_away_leaves_an_import_that_was_to_be_paused_paused(
    bench: Bench, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(LARGE_SCAN)
    draining = asyncio.Event()

    async def drain_and_pause() -> None:
        draining.set()
        await pauser.ask(import_id, "pause")

    after_reply(monkeypatch, 4, drain_and_pause)
    assert await bench.attempt(import_id, draining) is Ending.PAUSED
    await assert_paused(bench, import_id)


async def test_an_attempt_that_fails_while_a_pause_waits_ends_in_the_pause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(nessus())

    async def fail(*_: object) -> None:
        await bench.ask(import_id, "pause")
        raise Unavailable("DATABASE_UNAVAILABLE", "away")

    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", fail)
        assert await bench.attempt(import_id) is Ending.PAUSED
    await assert_paused(bench, import_id)


async def test_a_message_of_a_paused_import_is_dropped_and_the_import_stays_as_it_is(
    shop: Shop, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await shop.bench.triggered(LARGE_SCAN)
    await pauser.paused(import_id, monkeypatch)
    async with shop.bench.engine.worker.transaction(TENANT) as connection:
        assert isinstance(await claims.claim(connection, TENANT, import_id, "other", LEASE), Refusal)
    sequence = await shop.post(import_id)
    async with shop.working():
        assert await shop.until_settled(1) == [("ack", sequence)]
    await assert_paused(shop.bench, import_id)


async def test_a_running_worker_pauses_and_is_free_for_another_import(
    shop: Shop, pauser: Pauser, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused, next_one = await shop.bench.triggered(LARGE_SCAN), await shop.bench.triggered(nessus())
    after_reply(monkeypatch, 4, lambda: pauser.ask(paused, "pause"))
    await shop.post(paused)
    await shop.post(next_one)
    async with shop.working():
        assert [how for how, _ in await shop.until_settled(2)] == ["ack", "ack"]
    await assert_paused(shop.bench, paused)
    assert (await shop.bench.row(next_one))["state"] == "SUCCEEDED"


async def assert_paused(bench: Bench, import_id: UUID) -> None:
    """Nobody works on it, nobody is told to, and what is staged is kept whatever is swept."""
    row = await bench.row(import_id)
    assert (row["state"], row["ended_at"], row["not_before"]) == ("PAUSED", None, None)
    for table in ("import_leases", "import_requests", "outbox"):
        assert await bench.engine.value(f"SELECT count(*) FROM {table} WHERE import_id = %s", import_id) == 0
    assert await bench.engine.value("SELECT phase FROM import_progress WHERE import_id = %s", import_id) == "paused"
    target = FindingsTarget()
    assert await janitor.sweep(bench.engine.worker, {target.name: target}) == 0
    assert await bench.engine.value("SELECT count(*) FROM staging.checkpoints WHERE import_id = %s", import_id) == 1


def written_ordinals(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each item has been copied into staging."""
    ordinals: Counter[int] = Counter()
    original = Staging.write

    async def write(self: Staging, connection: Any, rows: Any, rejected: Any) -> None:
        await original(self, connection, rows, rejected)
        ordinals.update({row[2] for table_rows in rows.values() for row in table_rows})

    monkeypatch.setattr(Staging, "write", write)
    return ordinals


def act_after_last_chunk(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[None]]) -> None:
    original = runner.Runner._save

    async def save(self: runner.Runner, chunk: Any, digest: bytes | None = None) -> Any:
        kept = await original(self, chunk, digest)
        if digest is not None:
            await act()
        return kept

    monkeypatch.setattr(runner.Runner, "_save", save)


def before_recording(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[None]]) -> None:
    """Does something after the run has stopped and before its end is written down."""
    original = Attempt._record

    async def record(self: Attempt, write: Any) -> Ending:
        await act()
        return await original(self, write)

    monkeypatch.setattr(Attempt, "_record", record)

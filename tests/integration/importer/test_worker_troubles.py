"""Workers whose database, queue or fellow workers fail them, and imports that fail their workers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.errors import Unavailable
from runtime.jetstream import QueueUnavailable
from services.importer import metrics
from services.importer.engine import attempt, claims, runner
from services.importer.engine.claims import Claim
from services.importer.engine.failures import FencedOut
from services.importer.engine.flip import flip
from tests.fakes.jetstream import FakeDelivery
from tests.integration.importer.office import answered, eventually
from tests.integration.importer.replies import slow_replies
from tests.integration.importer.shop import LARGE_SCAN, Shop, value_of
from tests.integration.importer.workbench import LEASE, TENANT
from tests.scans import nessus


async def test_while_the_database_is_away_messages_go_back_for_later(shop: Shop) -> None:
    import_id = await shop.bench.triggered(nessus())
    sequence = await shop.post(import_id)
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", application_name="test")
    async with shop.working(nowhere):
        assert await shop.until_settled(1) == [("nak 5", sequence)]
    await nowhere.close()
    shop.queue.hide(sequence, 0)
    async with shop.working():
        await shop.until(import_id, "SUCCEEDED")


async def test_an_attempt_that_was_fenced_out_leaves_its_message_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_replies(monkeypatch)
    import_id = await shop.bench.triggered(LARGE_SCAN)
    sequence = await shop.post(import_id)
    fenced = value_of(metrics.FENCED_WRITES)
    async with shop.working(chunk_records=100):
        await shop.until(import_id, "RUNNING")
        taken = await take_over(shop, import_id)
        await eventually(lambda: answered(value_of(metrics.FENCED_WRITES) == fenced + 1))
        await eventually(lambda: answered(not metrics.RUNNING.labels("small")._value.get()))
    assert shop.queue.settled == []
    assert sequence in shop.queue.messages
    assert await shop.bench.engine.value("SELECT attempt FROM import_leases") == taken.attempt
    assert (await shop.bench.row(import_id))["state"] == "RUNNING"
    assert await shop.bench.engine.value("SELECT count(*) FROM findings") == 0


async def take_over(shop: Shop, import_id: UUID) -> Claim:
    async with asyncio.timeout(20):
        while True:
            await shop.bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
            async with shop.bench.engine.worker.transaction(TENANT) as connection:
                claimed = await claims.claim(connection, TENANT, import_id, "other", LEASE)
            if isinstance(claimed, Claim):
                return claimed
            await asyncio.sleep(0.02)


async def test_a_heartbeat_that_finds_the_lease_of_a_finished_import_gone_does_not_call_it_fenced(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the row that the flip deletes, and goes on when the flip has committed."""
    fenced, times_gone = value_of(metrics.FENCED_WRITES), 0
    renew = claims.renew

    async def noting(connection: AsyncConnection, held: Claim, lease: timedelta) -> None:
        nonlocal times_gone
        try:
            await renew(connection, held, lease)
        except FencedOut:
            times_gone += 1
            raise

    async def slow_to_return(*everything: Any) -> None:
        await flip(*everything)
        # At the second time the heartbeat has dealt with the first.
        await eventually(lambda: answered(times_gone >= 2))

    monkeypatch.setattr(claims, "renew", noting)
    monkeypatch.setattr(runner, "flip", slow_to_return)
    import_id = await shop.bench.triggered(nessus())
    sequence = await shop.post(import_id)
    async with shop.working(lease=timedelta(seconds=2)):
        assert await shop.until_settled(1) == [("ack", sequence)]
    assert (await shop.bench.row(import_id))["state"] == "SUCCEEDED"
    assert value_of(metrics.FENCED_WRITES) == fenced


async def test_a_retry_waits_its_time_whatever_messages_come(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await shop.bench.triggered(nessus())
    monkeypatch.setattr(runner, "flip", failing_flip)
    monkeypatch.setattr(attempt, "FIRST_RETRY_SECONDS", 300.0)
    await shop.post(import_id)
    async with shop.working():
        await shop.until_settled(1)
        await shop.post(import_id)
        assert [how for how, _ in await shop.until_settled(2)] == ["ack", "ack"]
    row = await shop.bench.row(import_id)
    assert (row["state"], row["retries"]) == ("QUEUED", 1)
    assert timedelta(seconds=200) < row["not_before"] - row["updated_at"] < timedelta(seconds=400)
    assert await shop.bench.engine.value("SELECT next_at FROM outbox") == row["not_before"]
    assert await shop.bench.engine.value("SELECT attempt FROM import_claims") == 1


async def test_crashes_are_counted_anew_once_a_checkpoint_was_made(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_replies(monkeypatch)
    import_id = await crashed_before(shop)
    async with shop.working(chunk_records=100):
        await shop.post(import_id)
        await eventually(shop.has_checkpoint)
        await eventually(lambda: counts_are(shop, import_id, crashes=0))


async def test_reading_without_a_checkpoint_is_no_progress(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that kills its worker before its first checkpoint would be tried for ever."""
    slow_replies(monkeypatch)
    import_id = await crashed_before(shop)

    async def has_read_much() -> bool:
        return bool(await shop.bench.engine.value("SELECT read > 3000 FROM import_progress"))

    async with shop.working(chunk_records=10_000_000, chunk_bytes=1 << 30, chunk_seconds=600):
        await shop.post(import_id)
        await eventually(has_read_much)
        assert await counts_are(shop, import_id, crashes=2)


async def crashed_before(shop: Shop) -> UUID:
    """A running import whose worker is dead, for the second time."""
    import_id = await shop.bench.triggered(LARGE_SCAN)
    await shop.bench.engine.claimed(import_id, owner="dead")
    await shop.bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    await shop.bench.engine.admin.execute("UPDATE imports SET crashes = 1")
    return import_id


async def counts_are(shop: Shop, import_id: UUID, **counts: int) -> bool:
    row = await shop.bench.row(import_id)
    return {name: row[name] for name in counts} == counts


async def test_retries_are_counted_anew_once_a_checkpoint_was_made(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "flip", failing_flip)
    import_id = await shop.bench.triggered(nessus())
    await shop.bench.engine.admin.execute("UPDATE imports SET retries = 4")
    await shop.post(import_id)
    async with shop.working():
        await shop.until_settled(1)
    assert await counts_are(shop, import_id, retries=1)


async def test_an_import_nobody_can_run_costs_the_others_nothing(shop: Shop) -> None:
    strange, good = await shop.bench.triggered(nessus()), await shop.bench.triggered(nessus())
    await shop.bench.engine.admin.execute("UPDATE imports SET target = 'later' WHERE import_id = %s", (strange,))
    await shop.post(strange)
    sequence = await shop.post(good)
    async with shop.working():
        assert await shop.until_settled(1) == [("ack", sequence)]
    assert (await shop.bench.row(strange))["state"] == "RUNNING", "its lease runs out, and three of those are the end"


async def test_an_import_is_given_up_after_three_dead_workers_and_counted(shop: Shop) -> None:
    poison, takeovers = value_of(metrics.POISON), value_of(metrics.TAKEOVERS)
    import_id = await crashed_before(shop)
    await shop.bench.engine.admin.execute("UPDATE imports SET crashes = 2")
    await shop.post(import_id)
    async with shop.working():
        assert [how for how, _ in await shop.until_settled(1)] == ["ack"]
    row = await shop.bench.row(import_id)
    assert (row["state"], row["error_code"]) == ("FAILED", "WORKER_CRASHED")
    assert (value_of(metrics.POISON), value_of(metrics.TAKEOVERS)) == (poison + 1, takeovers)


async def test_a_lost_acknowledgement_is_made_up_for_when_the_message_comes_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await shop.bench.triggered(nessus())
    sequence = await shop.post(import_id)
    with monkeypatch.context() as patched:
        patched.setattr(FakeDelivery, "ack_sync", unreachable)
        async with shop.working():
            await shop.until_settled(1)
    assert (await shop.bench.row(import_id))["state"] == "SUCCEEDED"
    shop.queue.hide(sequence, 0)
    async with shop.working():
        await shop.until_settled(2)
    assert not shop.queue.messages
    assert await shop.bench.engine.outcome(import_id) == {"inserted": 6}


async def unreachable(_: FakeDelivery) -> None:
    raise QueueUnavailable


async def failing_flip(*_: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")

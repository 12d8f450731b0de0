from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from runtime.database import Database
from runtime.errors import Unavailable
from runtime.jetstream import QueueUnavailable
from services.importer import metrics, worker
from services.importer.engine import attempt, claims, janitor, runner
from services.importer.engine.claims import Claim
from services.importer.engine.flip import flip
from services.importer.engine.staging import Staging
from services.importer.model import Lane
from services.importer.targets.findings.target import FindingsTarget
from tests.fakes.jetstream import FakeDelivery
from tests.integration.importer.office import Office, answered, eventually
from tests.integration.importer.replies import record_orders, slow_replies
from tests.integration.importer.shop import Shop
from tests.integration.importer.workbench import LEASE, TENANT, Bench
from tests.scans import nessus

LARGE_SCAN = nessus(hosts=400, plugins=40)
LARGE_SCAN_ITEMS = 16_000


@pytest.fixture
def shop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(worker, "FETCH_SECONDS", 0.1)
    monkeypatch.setattr(attempt, "BEAT_SECONDS", 0.02)
    return Shop(bench)


def value_of(counter: Any) -> float:
    return float(counter._value.get())


@asynccontextmanager
async def held_flips(monkeypatch: pytest.MonkeyPatch, held: set[UUID]) -> AsyncIterator[asyncio.Event]:
    """Flips of these imports wait for the event before they do anything."""
    go_on = asyncio.Event()

    async def held_flip(database: Any, target: Any, claim: Claim, *rest: Any) -> None:
        if claim.job.import_id in held:
            await go_on.wait()
        await flip(database, target, claim, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", held_flip)
        yield go_on


async def failing_flip(*_: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")


async def test_a_message_becomes_an_import_and_is_acknowledged_last(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await shop.bench.triggered(nessus())
    sequence = await shop.post(import_id)
    states = []
    acknowledge = FakeDelivery.ack_sync

    async def noting(self: FakeDelivery) -> None:
        states.append((await shop.bench.row(import_id))["state"])
        await acknowledge(self)

    monkeypatch.setattr(FakeDelivery, "ack_sync", noting)
    async with shop.working():
        assert await shop.until_settled(1) == [("ack", sequence)]
    assert states == ["SUCCEEDED"]
    assert not shop.queue.messages
    await shop.bench.assert_nothing_left()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff" * 1_000,
        b'{"tenant":1,"import_id":"' + b"a" * 1_000_000 + b'"}',
        b'{"tenant":1,"import_id":"0190a5f0-0000-7000-8000-000000000001","version":2}',
        b'{"tenant":99999999999,"import_id":"0190a5f0-0000-7000-8000-000000000001"}',
    ],
    ids=["empty", "random", "huge", "version", "tenant"],
)
async def test_what_is_no_job_message_is_removed_and_counted(shop: Shop, data: bytes) -> None:
    before = value_of(metrics.BAD_MESSAGES)
    bad = await shop.post_bytes(data)
    good = await shop.post(await shop.bench.triggered(nessus()))
    async with shop.working():
        assert await shop.until_settled(2) == [("term", bad), ("ack", good)]
    assert value_of(metrics.BAD_MESSAGES) == before + 1
    assert not shop.queue.messages


async def test_messages_of_unknown_finished_and_other_tenants_imports_are_dropped_without_effect(shop: Shop) -> None:
    finished, waiting = await shop.bench.triggered(nessus()), await shop.bench.triggered(nessus())
    await shop.bench.engine.admin.execute("UPDATE imports SET state = 'CANCELLED' WHERE import_id = %s", (finished,))
    await shop.post(uuid4())
    await shop.post(finished)
    await shop.post(waiting, tenant=2)
    async with shop.working():
        assert [how for how, _ in await shop.until_settled(3)] == ["ack"] * 3
    assert (await shop.bench.row(finished))["state"] == "CANCELLED"
    assert (await shop.bench.row(waiting))["state"] == "QUEUED"
    assert await shop.bench.engine.value("SELECT max(attempt) FROM import_claims") == 0
    assert not shop.queue.messages
    await shop.bench.assert_nothing_imported()


async def test_ten_messages_of_one_import_have_one_effect(shop: Shop) -> None:
    shop.slots = {Lane.SMALL: 3, Lane.LARGE: 1}
    import_id = await shop.bench.triggered(nessus(hosts=20, plugins=5))
    for _ in range(10):
        await shop.post(import_id)
    async with shop.working(), shop.working():
        assert [how for how, _ in await shop.until_settled(10)] == ["ack"] * 10
    assert not shop.queue.messages
    assert await shop.bench.engine.value("SELECT attempt FROM import_claims") == 1
    assert await shop.bench.engine.outcome(import_id) == {"inserted": 100}
    assert await shop.bench.engine.value("SELECT count(*) FROM affected_assets") == 100


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


async def test_a_worker_that_goes_away_hands_over_at_the_next_chunk_and_another_finishes(
    shop: Shop, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.queue = shop.queue
    import_id = await shop.bench.triggered(LARGE_SCAN)
    await office.look()
    with monkeypatch.context() as patched:
        slow_replies(patched)
        async with shop.working(chunk_records=100) as stop:
            await eventually(lambda: has_checkpoint(shop))
            stop.set()
    row = await shop.bench.row(import_id)
    assert (row["state"], row["crashes"], row["retries"]) == ("QUEUED", 0, 0)
    assert [how for how, _ in shop.queue.settled] == ["ack"], "the dispatcher sends another message"
    staged = await shop.bench.engine.value("SELECT ordinal FROM staging.checkpoints")

    orders = record_orders(monkeypatch)
    assert await office.look() == [import_id]
    async with shop.working():
        await shop.until(import_id, "SUCCEEDED")
    assert [order.resume_after for order in orders] == [staged]
    assert 0 < staged < LARGE_SCAN_ITEMS
    assert await shop.bench.engine.outcome(import_id) == {"inserted": LARGE_SCAN_ITEMS}


async def has_checkpoint(shop: Shop) -> bool:
    return bool(await shop.bench.engine.value("SELECT count(*) FROM staging.checkpoints"))


async def test_what_has_no_chunks_any_more_is_stopped_after_the_time_for_draining(
    shop: Shop, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.queue = shop.queue
    import_id = await shop.bench.triggered(nessus())
    await office.look()
    async with held_flips(monkeypatch, {import_id}), shop.working(drain_seconds=0.1) as stop:
        await eventually(lambda: has_checkpoint(shop))
        stop.set()
    row = await shop.bench.row(import_id)
    assert (row["state"], row["crashes"], row["retries"]) == ("QUEUED", 0, 0)
    assert await office.look() == [import_id]
    async with shop.working():
        await shop.until(import_id, "SUCCEEDED")


async def test_a_worker_stops_while_the_queue_is_away(shop: Shop) -> None:
    async with shop.working() as stop:
        shop.queue.is_down = True
        await asyncio.sleep(0.05)
        stop.set()
    assert shop.queue.settled == []


async def test_small_imports_never_wait_for_large_ones(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [await shop.bench.triggered(nessus(), lane="large") for _ in range(2)]
    small = [await shop.bench.triggered(nessus()) for _ in range(2)]
    async with held_flips(monkeypatch, set(large)) as go_on, shop.working():
        for import_id in large:
            await shop.post(import_id, lane="large")
        await shop.until(large[0], "RUNNING")
        for import_id in small:
            await shop.post(import_id)
        for import_id in small:
            await shop.until(import_id, "SUCCEEDED")
        assert [(await shop.bench.row(each))["state"] for each in large] == ["RUNNING", "QUEUED"]
        go_on.set()
        for import_id in large:
            await shop.until(import_id, "SUCCEEDED")


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
        await eventually(lambda: has_checkpoint(shop))
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


async def test_a_cancelled_import_ends_and_its_message_with_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_replies(monkeypatch)
    import_id = await shop.bench.triggered(LARGE_SCAN)
    sequence = await shop.post(import_id)
    async with shop.working(chunk_records=100):
        await shop.until(import_id, "RUNNING")
        await shop.bench.engine.admin.execute(
            "INSERT INTO import_cancellations (tenant_id, import_id, requested_by) VALUES (%s, %s, 1)",
            (TENANT, import_id),
        )
        assert await shop.until_settled(1) == [("ack", sequence)]
    assert (await shop.bench.row(import_id))["state"] == "CANCELLED"
    await shop.bench.assert_nothing_imported()


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


async def test_a_long_import_keeps_its_message_and_an_outage_of_the_queue_does_not_stop_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MESSAGE_BEAT_SECONDS", 0.0)
    beats = []
    original = FakeDelivery.in_progress

    async def in_progress(self: FakeDelivery) -> None:
        beats.append(shop.queue.is_down)
        await original(self)

    monkeypatch.setattr(FakeDelivery, "in_progress", in_progress)
    import_id = await shop.bench.triggered(nessus())
    await shop.post(import_id)
    async with held_flips(monkeypatch, {import_id}) as go_on, shop.working():
        await eventually(lambda: answered(beats.count(False) >= 3))
        shop.queue.is_down = True
        await eventually(lambda: answered(beats.count(True) >= 3))
        shop.queue.is_down = False
        go_on.set()
        await shop.until(import_id, "SUCCEEDED")


async def test_staging_of_imports_that_have_ended_is_swept_and_of_live_ones_kept(shop: Shop) -> None:
    engine, target = shop.bench.engine, FindingsTarget()
    ended, live = [await engine.claimed(await engine.queued()) for _ in range(2)]
    for claim in (ended, live):
        await engine.staged(claim, [])
    await engine.admin.execute("UPDATE imports SET state = 'FAILED' WHERE import_id = %s", (ended.job.import_id,))
    assert await janitor.sweep(engine.worker, {target.name: target}) == 1
    async with engine.worker.transaction(TENANT) as connection:
        assert not await Staging(TENANT, ended.job.import_id, target.templates).exists(connection)
        assert await Staging(TENANT, live.job.import_id, target.templates).exists(connection)
    assert await engine.value("SELECT import_id FROM staging.checkpoints") == live.job.import_id


async def unreachable(_: FakeDelivery) -> None:
    raise QueueUnavailable

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from services.importer import metrics
from services.importer.engine import janitor, slot
from services.importer.engine.staging import staged_imports
from services.importer.model import Lane
from services.importer.targets.findings.target import FindingsTarget
from tests.fakes.jetstream import FakeDelivery
from tests.integration.importer.office import Office, answered, eventually
from tests.integration.importer.replies import record_orders, slow_replies
from tests.integration.importer.shop import LARGE_SCAN, LARGE_SCAN_ITEMS, Shop, held_flips, value_of
from tests.integration.importer.workbench import TENANT
from tests.scans import nessus


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


async def test_a_worker_that_goes_away_hands_over_at_the_next_chunk_and_another_finishes(
    shop: Shop, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.queue = shop.queue
    import_id = await shop.bench.triggered(LARGE_SCAN)
    await office.look()
    with monkeypatch.context() as patched:
        slow_replies(patched)
        async with shop.working(chunk_records=100) as stop:
            await eventually(shop.has_checkpoint)
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


async def test_what_has_no_chunks_any_more_is_stopped_after_the_time_for_draining(
    shop: Shop, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.queue = shop.queue
    import_id = await shop.bench.triggered(nessus())
    await office.look()
    async with held_flips(monkeypatch, {import_id}), shop.working(drain_seconds=0.1) as stop:
        await eventually(shop.has_checkpoint)
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


async def test_a_cancelled_import_ends_and_its_message_with_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_replies(monkeypatch)
    import_id = await shop.bench.triggered(LARGE_SCAN)
    sequence = await shop.post(import_id)
    async with shop.working(chunk_records=100):
        await shop.until(import_id, "RUNNING")
        await shop.bench.engine.admin.execute(
            "INSERT INTO import_requests (action, tenant_id, import_id, requested_by) VALUES ('cancel', %s, %s, 1)",
            (TENANT, import_id),
        )
        assert await shop.until_settled(1) == [("ack", sequence)]
    assert (await shop.bench.row(import_id))["state"] == "CANCELLED"
    await shop.bench.assert_nothing_imported()


async def test_a_long_import_keeps_its_message_and_an_outage_of_the_queue_does_not_stop_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "MESSAGE_BEAT_SECONDS", 0.0)
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
        assert await staged_imports(connection) == {live.job.import_id: TENANT}
    assert await engine.value("SELECT import_id FROM staging.checkpoints") == live.job.import_id

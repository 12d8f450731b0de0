from __future__ import annotations

import asyncio
import json
import math
from datetime import timedelta
from typing import Any

import pytest

from runtime.errors import Unavailable
from runtime.jetstream import QueueUnavailable
from runtime.tracing import new_traceparent, trace_id_of
from services.importer import dispatch_store, dispatcher, metrics
from services.importer.engine import claims, ending
from services.importer.model import Lane, State
from services.importer.store import backlog
from services.importer.store.outbox import CHANNEL
from tests.integration.importer.office import Office, answered, eventually, has_rows, import_of
from tests.integration.importer.workbench import LEASE, TENANT
from tests.integration.serving import connected
from tests.stack import Database

OTHER_TENANT = 2
LATE = 60
"""Seconds that `Office.backlog` has waited."""


async def test_an_import_is_sent_once_and_its_message_holds_ids_only(office: Office) -> None:
    import_id = await office.engine.queued()
    trace = new_traceparent()
    await office.engine.admin.execute("UPDATE outbox SET traceparent = %s", (trace,))
    assert await office.look() == [import_id]
    (message,) = office.queue.messages.values()
    assert json.loads(message.data) == {"tenant": TENANT, "import_id": str(import_id), "version": 1}
    assert set(message.headers) == {"traceparent", "Nats-Msg-Id"}
    assert trace_id_of(message.headers["traceparent"]) == trace_id_of(trace)
    assert message.headers["traceparent"] != trace, "a span of its own"
    assert (await office.row(import_id))["stream_sequence"] == message.sequence
    assert await office.look() == []
    await office.make_due(import_id)
    assert await office.look() == []


async def test_each_lane_has_its_own_messages(office: Office) -> None:
    small, large = await office.engine.queued(lane="small"), await office.engine.queued(lane="large")
    await office.look()
    sent = {import_of(office.queue, message.sequence): message.lane for message in office.queue.messages.values()}
    assert sent == {small: "small", large: "large"}


async def test_a_tenant_has_no_more_at_the_workers_than_its_cap_until_one_ends(office: Office) -> None:
    office.limits[TENANT] = 2
    first, second, third = [await office.engine.queued() for _ in range(3)]
    elsewhere = await office.engine.queued(tenant=OTHER_TENANT)
    assert sorted(await office.look()) == sorted([first, second, elsewhere])
    await office.engine.claimed(first)
    assert await office.look() == [], "sent and not yet taken counts as much as running"
    async with office.engine.worker.transaction(TENANT) as connection:
        await ending.end(connection, TENANT, first, State.FAILED, "X", "x")
    assert await office.look() == [third]


async def test_nobody_waits_for_anothers_long_queue(office: Office) -> None:
    await office.backlog(TENANT, 1_000)
    await office.engine.admin.execute("UPDATE outbox SET next_at = next_at - interval '1 hour'")
    alone = await office.engine.queued(tenant=OTHER_TENANT)
    assert alone in await office.look()


async def test_many_tenants_at_their_caps_hide_nobody(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "BATCH", 5)
    for tenant in range(10, 17):
        office.limits[tenant] = 1
        await office.backlog(tenant, 3)
    await office.look()
    await office.look()
    assert len(office.queue.messages) == 7, "each tenant has one at the workers"
    alone = await office.engine.queued(tenant=OTHER_TENANT)
    assert await office.look() == [alone]


async def test_a_tenant_does_not_hold_every_slot_of_the_fetchers(office: Office) -> None:
    first, second, third, fourth = [await office.engine.queued(lane="fetch") for _ in range(4)]
    await office.engine.admin.execute(
        "UPDATE outbox SET next_at = now() - (interval '1 second' * (9 - array_position(%s::uuid[], import_id)))",
        ([first, second, third, fourth],),
    )
    file = await office.engine.queued(lane="small")
    elsewhere = await office.engine.queued(tenant=OTHER_TENANT, lane="fetch")
    assert set(await office.look()) == {first, second, file, elsewhere}
    claim = await office.engine.claimed(first)
    assert await office.look() == [], "sent and not yet taken counts as much as running"
    async with office.engine.worker.transaction(TENANT) as connection:
        await ending.hand_back(connection, TENANT, claim.job.import_id, timedelta(minutes=1), is_retry=True)
    assert await office.look() == [third], "what waits for its next attempt has no slot"
    await office.make_due(first)
    assert await office.look() == []
    await office.engine.admin.execute("UPDATE outbox SET lane = 'small' WHERE import_id = %s", (second,))
    assert await office.look() == [first], "what is landed has left its slot; what has begun goes before what has not"


async def test_fetches_that_are_held_back_hide_no_file_of_their_tenant(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "PER_TENANT", 3)
    fetches = [await office.engine.queued(lane="fetch") for _ in range(6)]
    await office.engine.admin.execute("UPDATE outbox SET next_at = now() - interval '1 minute'")
    file = await office.engine.queued(lane="small")
    sent = await office.look()
    assert (file in sent, len(set(sent) & set(fetches))) == (True, 2)


async def test_a_lost_import_is_not_hidden_by_the_queue_of_its_own_tenant(office: Office) -> None:
    office.limits[TENANT] = 1
    lost = await office.engine.queued()
    await office.look()
    await office.engine.claimed(lost)
    await office.backlog(TENANT, 300)
    await office.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    await office.make_due(lost)
    assert await office.look() == [lost]


async def test_an_import_that_was_handed_over_goes_before_what_never_ran(office: Office) -> None:
    office.limits[TENANT] = 1
    begun = await office.engine.queued()
    await office.look()
    claim = await office.engine.claimed(begun)
    await office.backlog(TENANT, 300)
    async with office.engine.worker.transaction(TENANT) as connection:
        await ending.hand_back(connection, TENANT, claim.job.import_id, timedelta(0), is_retry=False)
    assert await office.look() == [begun]


async def test_a_queue_that_is_away_loses_nothing(office: Office) -> None:
    imports = [await office.engine.queued() for _ in range(3)]
    office.queue.is_down = True
    with pytest.raises(QueueUnavailable):
        await office.dispatcher().look()
    assert not (await office.row(imports[0]))["dispatch_number"]
    office.queue.is_down = False
    assert sorted(await office.look()) == sorted(imports)


async def test_a_running_dispatcher_goes_on_when_the_queue_is_back(office: Office) -> None:
    office.poll_seconds = 0.05
    office.queue.is_down = True
    async with office.running():
        await office.engine.queued()
        await asyncio.sleep(0.2)
        office.queue.is_down = False
        await eventually(lambda: answered(len(office.queue.messages) == 1))


async def test_a_lost_message_is_sent_again_under_a_new_id_and_ever_later(office: Office) -> None:
    import_id = await office.engine.queued()
    await office.look()
    waits = [await office.wait_after_publish(import_id)]
    redrives = metrics.REDRIVES._value.get()
    for number in range(2, 8):
        office.queue.messages.clear()
        await office.make_due(import_id)
        assert await office.look() == [import_id]
        (message,) = office.queue.messages.values()
        assert message.headers["Nats-Msg-Id"] == f"{import_id}:{number}"
        waits.append(await office.wait_after_publish(import_id))
    assert waits == [60, 120, 240, 480, 600, 600, 600]
    assert metrics.REDRIVES._value.get() - redrives == 6


async def test_a_message_in_its_place_is_looked_at_every_minute(office: Office) -> None:
    """A wiped queue must be noticed within 90 seconds (J4), however long the import has waited."""
    import_id = await office.engine.queued()
    await office.look()
    for _ in range(3):
        await office.make_due(import_id)
        assert await office.look() == []
        (row,) = await office.engine.rows("SELECT extract(epoch FROM next_at - now())::float AS wait FROM outbox")
        assert 30 < row["wait"] <= 60


async def test_a_running_import_is_sent_again_when_its_lease_is_over_and_not_before(office: Office) -> None:
    import_id = await office.engine.queued()
    await office.look()
    claim = await office.engine.claimed(import_id)
    office.queue.messages.clear()
    await office.make_due(import_id)
    assert await office.look() == []
    lease_end = await office.engine.value("SELECT expires_at FROM import_leases")
    assert (await office.row(import_id))["next_at"] == lease_end

    async with office.engine.worker.transaction(TENANT) as connection:
        await claims.renew(connection, claim, 2 * LEASE)
    await office.make_due(import_id)
    assert await office.look() == [], "a renewed lease counts"

    await office.engine.admin.execute("UPDATE import_leases SET expires_at = now()")
    await office.make_due(import_id)
    assert await office.look() == [import_id]


async def test_an_import_without_a_lease_is_sent_again(office: Office) -> None:
    import_id = await office.engine.queued()
    await office.engine.claimed(import_id)
    await office.engine.admin.execute("DELETE FROM import_leases")
    await office.make_due(import_id)
    assert await office.look() == [import_id]


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "CANCELLED"])
async def test_the_row_of_a_finished_import_is_removed(office: Office, state: str) -> None:
    await office.engine.queued()
    await office.engine.admin.execute("UPDATE imports SET state = %s", (state,))
    assert await office.look() == []
    assert await office.engine.value("SELECT count(*) FROM outbox WHERE topic = 'run'") == 0


@pytest.mark.parametrize("state", ["OPEN", "PAUSED"])
async def test_what_is_open_or_paused_is_left_alone(office: Office, state: str) -> None:
    import_id = await office.engine.queued()
    await office.engine.admin.execute("UPDATE imports SET state = %s", (state,))
    assert await office.look() == []
    assert (await office.row(import_id))["dispatch_number"] == 0
    assert await office.engine.value("SELECT count(*) FROM outbox WHERE next_at > now()") == 1
    await office.engine.admin.execute("UPDATE imports SET state = 'QUEUED'")
    await office.make_due(import_id)
    assert await office.look() == [import_id]


async def test_a_death_between_publishing_and_noting_it_sends_the_same_message(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await office.engine.queued()
    await office.queue.ensure_streams()
    with monkeypatch.context() as patched:
        patched.setattr(dispatch_store, "mark_published", away)
        with pytest.raises(Unavailable):
            await office.dispatcher().look()
    assert await office.look() == [], "the queue knows the message id"
    assert (await office.row(import_id))["stream_sequence"] == 1

    await office.make_due(import_id)
    await office.engine.admin.execute("UPDATE outbox SET stream_sequence = NULL, dispatch_number = 0")
    office.queue._known.clear()
    assert await office.look() == [import_id], "a queue that has forgotten takes it twice; the worker drops one"
    assert len(office.queue.messages) == 2


async def test_a_worker_that_was_quicker_than_the_note_keeps_its_lease(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await office.engine.queued()
    mark = dispatch_store.mark_published

    async def late(*args: Any) -> None:
        await office.engine.claimed(import_id)
        await office.engine.admin.execute("UPDATE outbox SET next_at = now() + interval '1 hour'")
        await mark(*args)

    monkeypatch.setattr(dispatch_store, "mark_published", late)
    await office.look()
    row = await office.row(import_id)
    assert (row["next_at"] - row["published_at"]) > timedelta(minutes=50)


async def test_a_trigger_wakes_the_dispatcher(office: Office) -> None:
    listening = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN %%' AND datname = current_database()"
    async with office.running():
        await eventually(lambda: has_rows(office, listening))
        for number in range(1, 4):
            # It polls once a minute here, which is longer than this test waits.
            import_id = await office.engine.queued()
            await office.engine.admin.execute(f"NOTIFY {CHANNEL}".encode())
            await eventually(lambda: answered(len(office.queue.messages) == number))  # noqa: B023
            assert import_of(office.queue, number) == import_id


async def test_one_dispatcher_leads_and_another_takes_over_when_its_connection_dies(
    office: Office, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "STANDBY_SECONDS", 0.05)
    office.poll_seconds = 0.05
    # Of this database: the server has others, whose dispatchers have locks of their own.
    here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    locked = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND {here}"
    async with connected(database, "hythe_dispatch") as second:
        async with office.running(), office.running(second):
            await eventually(lambda: answered(office.queue.has_streams))
            leaders = []
            for number in range(3):
                ((leader,),) = [row.values() for row in await office.engine.rows(locked)]
                leaders.append(leader)
                await office.engine.admin.execute("SELECT pg_terminate_backend(%s)", (leader,))
                await office.engine.queued()
                await eventually(lambda: answered(len(office.queue.messages) == number + 1))  # noqa: B023
                await eventually(lambda: has_rows(office, locked))
            assert len(set(leaders)) == 3
        assert [message.headers["Nats-Msg-Id"][-2:] for message in office.queue.messages.values()] == [":1"] * 3
    assert await office.engine.rows(locked) == [], "who stops lets go"


async def test_what_waits_and_for_how_long_is_measured(office: Office) -> None:
    await office.backlog(TENANT, 2)
    await office.dispatcher().measure()
    assert metrics.OUTBOX_SIZE._value.get() == 2
    assert LATE <= metrics.OUTBOX_LAG._value.get() < LATE + 30
    await office.look()
    await office.dispatcher().measure()
    assert metrics.OUTBOX_LAG._value.get() == 0
    # What was resumed or handed back has a number; what its tenant's cap holds back is no fault of the dispatcher.
    await office.engine.admin.execute(
        "UPDATE outbox SET stream_sequence = NULL, next_at = now() - interval '1 minute' WHERE import_id = "
        "(SELECT import_id FROM outbox LIMIT 1)"
    )
    await office.dispatcher().measure()
    assert metrics.OUTBOX_LAG._value.get() >= LATE
    office.limits[TENANT] = 1
    await office.dispatcher().measure()
    assert metrics.OUTBOX_LAG._value.get() == 0


async def test_what_waits_is_seen_while_the_queue_is_away(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "MEASURE_SECONDS", 0)
    office.poll_seconds = 0.05
    asked = asyncio.Event()

    async def refuse(**_: object) -> None:
        asked.set()
        raise QueueUnavailable("away")

    monkeypatch.setattr(office.queue, "ensure_streams", refuse)
    async with office.running():
        await asked.wait()
        await office.backlog(TENANT, 1)
        await eventually(lambda: answered(metrics.OUTBOX_LAG._value.get() >= LATE))


async def test_what_waits_is_seen_when_nobody_leads_and_not_told_when_it_is_not_known(
    office: Office, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "MEASURE_SECONDS", 0)
    monkeypatch.setattr(dispatcher, "STANDBY_SECONDS", 0.05)
    async with (
        connected(database, "hythe_dispatch") as elsewhere,
        dispatch_store.lead(elsewhere) as leadership,
        office.running(),
    ):
        assert leadership is not None
        await office.backlog(TENANT, 1)
        await eventually(lambda: answered(metrics.OUTBOX_LAG._value.get() >= LATE))
        assert lanes_told()
        monkeypatch.setattr(backlog, "measured", away)
        await eventually(lambda: answered(math.isnan(metrics.OUTBOX_LAG._value.get())))
        assert not lanes_told()


async def test_a_lane_that_nobody_works_is_seen(office: Office) -> None:
    fetch = await office.engine.queued(lane="fetch")
    taken, put_off = await office.engine.queued(lane="large"), await office.engine.queued(lane="large")
    await office.engine.admin.execute(
        "UPDATE imports SET not_before = now() + interval '1 minute' WHERE import_id = %s", (put_off,)
    )
    await office.look()
    await office.engine.claimed(taken)
    await office.engine.admin.execute("UPDATE outbox SET published_at = now() - interval '90 seconds'")
    office.limits[TENANT] = 0
    await office.backlog(TENANT, 2)
    await office.look()
    await office.dispatcher().measure()
    assert {lane: metrics.QUEUED.labels(lane)._value.get() for lane in Lane} == {"fetch": 1, "large": 0, "small": 2}
    ages = {lane: metrics.QUEUED_SECONDS.labels(lane)._value.get() for lane in Lane}
    assert 90 <= ages.pop(Lane.FETCH) < 120
    assert ages == {"small": 0, "large": 0}
    await office.engine.claimed(fetch)
    await office.dispatcher().measure()
    assert metrics.QUEUED_SECONDS.labels("fetch")._value.get() == 0


def lanes_told() -> list[str]:
    return [sample.labels["lane"] for family in metrics.QUEUED.collect() for sample in family.samples]


async def away(*_: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")

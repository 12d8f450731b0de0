"""The end of an import as an event: once for every end, after its data can be read, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runtime.errors import Unavailable
from services.importer.engine import ending
from services.importer.events import event_id_of
from services.importer.model import State
from services.importer.store import events
from services.importer.store.imports import SqlImportStore
from tests.integration.importer.desk import ENDS, Desk
from tests.integration.importer.office import answered, eventually
from tests.integration.importer.undoing import Undoer
from tests.integration.importer.workbench import TENANT, Bench
from tests.scans import nessus

OTHER_TENANT = 2


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_an_end_at_a_worker_is_one_event_of_ids_and_states(desk: Desk, state: State) -> None:
    import_id = await desk.ended(state, "X" if state is State.FAILED else None)
    await desk.look()
    await desk.look()
    ended_at = await desk.office.engine.value("SELECT ended_at FROM imports")
    ((event_id, message),) = desk.office.queue.events.items()
    assert (event_id, message.lane) == (event_id_of(import_id), f"events.{TENANT}.{state.lower()}")
    assert json.loads(message.data) == {
        "event_id": event_id,
        "type": "import.ended",
        "tenant_id": TENANT,
        "import_id": str(import_id),
        "state": state,
        "kind": "import",
        "ended_at": ended_at.isoformat().replace("+00:00", "Z"),
    }
    assert await desk.count("SELECT count(*) FROM outbox") == 0


async def test_a_queued_import_that_is_cancelled_is_an_event(desk: Desk) -> None:
    import_id = await desk.office.engine.queued()
    async with SqlImportStore(desk.importer).session(TENANT) as session:
        await session.end_cancelled(import_id, "cancelled by a@b.c")
    await desk.look()
    (told,) = desk.published
    assert (told["import_id"], told["state"]) == (str(import_id), "CANCELLED")
    assert await desk.is_told()


async def test_every_real_end_is_one_event(desk: Desk, bench: Bench) -> None:
    """Of attempts that import, find a broken file, are cancelled, and only try; and of an undo."""
    hook = await desk.webhook()
    good = await bench.triggered(nessus())
    broken = await bench.triggered(nessus()[:-40])
    cancelled = await bench.triggered(nessus())
    await bench.ask(cancelled, "cancel")
    dry = await bench.triggered(nessus(first_plugin=70_000), dry_run=True)
    expected = {good: "SUCCEEDED", broken: "FAILED", cancelled: "CANCELLED", dry: "SUCCEEDED"}
    for import_id in expected:
        await bench.attempt(import_id)
        await desk.look()
    undo = (await Undoer(bench.engine).undo(good)).undo_id
    expected[undo] = "SUCCEEDED"
    await desk.look()
    await desk.look()
    assert [(told["import_id"], told["state"]) for told in desk.published] == [
        (str(import_id), state) for import_id, state in expected.items()
    ]
    assert [told["kind"] for told in desk.published] == ["import"] * 4 + ["undo"]
    assert await desk.deliveries() == sorted((hook, import_id) for import_id in expected)
    rows = await bench.engine.rows("SELECT import_id, payload FROM webhook_deliveries")
    told = {row["import_id"]: json.loads(row["payload"])["import"] for row in rows}
    assert {import_id for import_id, each in told.items() if each["dry_run"]} == {dry}
    assert told[undo]["origin_import_id"] == str(good)
    assert told[broken]["error"]["code"]
    assert told[good]["counters"]["inserted"] > 0
    assert await desk.is_told()


async def test_nobody_is_told_of_an_end_that_is_rolled_back(desk: Desk) -> None:
    import_id = await desk.office.engine.queued()
    claim = await desk.office.engine.claimed(import_id)
    async with desk.office.engine.worker.transaction(TENANT) as connection:
        await ending.end(connection, TENANT, claim.job.import_id, State.SUCCEEDED)
        await desk.look()
        assert desk.published == [], "nor of one that is not committed"
        await connection.rollback()
    await desk.look()
    assert desk.published == []


async def test_every_webhook_that_wants_an_end_gets_one_delivery_of_it(desk: Desk) -> None:
    mine = desk.office.engine.client_id
    every, client, failed = (
        await desk.webhook(),
        await desk.webhook(client_id=mine),
        await desk.webhook(states=("FAILED",)),
    )
    await desk.webhook(client_id=mine + 1)
    await desk.webhook(states=("CANCELLED", "SUCCEEDED"), client_id=mine + 1)
    silent = await desk.webhook()
    await desk.office.engine.admin.execute("UPDATE webhooks SET is_active = false WHERE webhook_id = %s", (silent,))
    await desk.webhook(OTHER_TENANT)
    good, bad = await desk.ended(), await desk.ended(State.FAILED, "X")
    await desk.look()
    await desk.look()
    assert await desk.deliveries() == sorted(
        [(every, good), (every, bad), (client, good), (client, bad), (failed, bad)]
    )
    waiting = await desk.office.engine.rows("SELECT * FROM outbox ORDER BY item_id")
    made = await desk.office.engine.rows("SELECT * FROM webhook_deliveries ORDER BY delivery_id")
    assert [(row["topic"], row["item_id"], row["lane"]) for row in waiting] == [
        ("webhook", row["delivery_id"], str(row["webhook_id"])) for row in made
    ]
    assert {row["state"] for row in made} == {"PENDING"}


async def test_another_tenants_webhook_hears_nothing(desk: Desk) -> None:
    theirs = await desk.webhook(OTHER_TENANT)
    await desk.ended()
    other = await desk.ended(tenant=OTHER_TENANT)
    await desk.look()
    assert await desk.deliveries() == [(theirs, other)]
    assert {told["tenant_id"] for told in desk.published} == {TENANT, OTHER_TENANT}


async def test_a_webhook_is_told_the_import_as_people_see_it(desk: Desk) -> None:
    await desk.webhook()
    import_id = await desk.ended(State.FAILED, "TRUNCATED")
    await desk.office.engine.admin.execute("UPDATE import_progress SET read = 7, rejected = 7")
    await desk.look()
    payload = json.loads(await desk.office.engine.value("SELECT payload FROM webhook_deliveries"))
    told = payload["import"]
    assert (payload["event_id"], payload["type"]) == (event_id_of(import_id), "import.ended")
    assert payload["created_at"] == told["end_time"]
    assert (told["import_id"], told["state"], told["source"], told["file_name"]) == (
        str(import_id),
        "FAILED",
        "nessus",
        "f",
    )
    assert (told["client_name"], told["report_name"]) == ("c", "r")
    assert told["error"] == {"code": "TRUNCATED", "message": "It went wrong.", "position": ""}
    assert (told["counters"]["read"], told["counters"]["rejected"], told["duplicate_of"]) == (7, 7, None)


async def test_without_nats_webhooks_are_told_and_the_event_follows_when_it_is_back(desk: Desk) -> None:
    hook = await desk.webhook()
    imports = [await desk.ended() for _ in range(3)]
    desk.office.queue.is_down = True
    await desk.announcer().look()
    assert await desk.deliveries() == sorted((hook, import_id) for import_id in imports)
    late = await desk.webhook()
    await desk.office.engine.admin.execute("UPDATE outbox SET next_at = now()")
    fourth = await desk.ended()
    await desk.announcer().look()
    assert (late, fourth) in await desk.deliveries(), "what is new goes before what only waits for the queue"

    desk.office.queue.is_down = False
    assert await desk.count(ENDS) == 4
    await desk.office.engine.admin.execute("UPDATE outbox SET next_at = now()")
    await desk.look()
    assert {told["import_id"] for told in desk.published} == {str(each) for each in [*imports, fourth]}
    assert await desk.is_told()
    assert await desk.deliveries() == sorted([*((hook, each) for each in [*imports, fourth]), (late, fourth)])


async def test_a_death_between_publishing_and_forgetting_repeats_the_same_event(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await desk.webhook()
    import_id = await desk.ended()
    with monkeypatch.context() as patched:
        patched.setattr(events, "forget_end", away)
        await desk.look()
    assert list(desk.office.queue.events) == [event_id_of(import_id)]
    assert await desk.count(ENDS) == 1
    published: list[str] = []
    publish = desk.office.queue.publish_event

    async def noting(*args: Any, event_id: str, **more: Any) -> int:
        published.append(event_id)
        return int(await publish(*args, event_id=event_id, **more))

    monkeypatch.setattr(desk.office.queue, "publish_event", noting)
    await desk.office.engine.admin.execute("UPDATE outbox SET next_at = now()")
    await desk.look()
    assert published == [event_id_of(import_id)]
    assert await desk.is_told()
    assert await desk.deliveries() == [(hook, import_id)]


async def test_an_end_that_another_process_tells_of_is_left_to_it(desk: Desk) -> None:
    hook = await desk.webhook()
    import_id = await desk.ended()
    async with desk.importer.transaction(TENANT) as connection:
        assert await events.take_end(connection, TENANT, import_id)
        await desk.look()
        assert desk.published == []
    await asyncio.gather(*(desk.look() for _ in range(4)))
    assert await desk.is_told()
    assert await desk.deliveries() == [(hook, import_id)]
    assert list(desk.office.queue.events) == [event_id_of(import_id)]


async def test_an_end_that_cannot_be_told_keeps_nobody_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = await desk.ended()
    good = await desk.ended()
    read = events.read_ended

    async def failing(connection: Any, tenant_id: int, import_id: UUID) -> Any:
        if import_id == odd:
            raise ValueError("odd")
        return await read(connection, tenant_id, import_id)

    monkeypatch.setattr(events, "read_ended", failing)
    await desk.look()
    assert [told["import_id"] for told in desk.published] == [str(good)]
    wait = await desk.office.engine.value("SELECT next_at - now() FROM outbox WHERE topic = 'ended'")
    assert timedelta(seconds=50) < wait <= timedelta(minutes=1)


async def test_a_running_dispatcher_tells_of_an_end_when_it_is_called(desk: Desk) -> None:
    office = desk.office
    await office.queue.ensure_streams()
    dispatcher = office.dispatcher(duties=[desk.announcer().run])
    stop = asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stop))
    try:
        await desk.ended()
        await eventually(desk.is_told)
        await eventually(lambda: answered(len(desk.published) == 1))
    finally:
        stop.set()
        await running


async def away(*_: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")

"""Deliveries to webhooks: at least once, signed, tried again, given up; nobody's slowness is anybody else's."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from runtime.errors import Unavailable
from services.importer import deliveries, metrics
from services.importer.deliveries import PER_WEBHOOK
from services.importer.events import event_id_of
from services.importer.model import State
from services.importer.store import deliveries as delivery_store
from tests.integration.importer.office import answered, eventually
from tests.integration.importer.postroom import PostRoom
from tests.receiver import GARBAGE, HANG, RESET, Reply

OTHER_TENANT = 2


async def test_an_end_is_sent_signed_and_noted(post_room: PostRoom) -> None:
    hook = await post_room.webhook(path="/a?b=c")
    import_id = await post_room.desk.ended(State.FAILED, "X")
    await post_room.desk.look()
    await post_room.deliver()
    (request,) = post_room.receiver.received
    (row,) = await post_room.log()
    assert (request.path, request.body.decode()) == ("/a?b=c", row["payload"])
    assert request.event["import"]["import_id"] == str(import_id)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["hythe-event"] == "import.ended"
    assert request.headers["hythe-event-id"] == event_id_of(import_id) == request.event["event_id"]
    assert request.delivery_id == str(row["delivery_id"])
    assert request.is_signed_by(post_room.secret)
    assert not request.is_signed_by(post_room.secret + "x")
    assert (row["webhook_id"], row["state"], row["attempts"], row["status_code"]) == (hook, "DELIVERED", 1, 200)
    assert (row["error"], row["next_at"]) == ("", None)
    assert row["attempted_at"] == row["delivered_at"] >= row["created_at"]
    assert await post_room.is_done()


@pytest.mark.parametrize(
    ("reply", "status_code", "words"),
    [
        (500, 500, "answered 500"),
        (404, 404, "answered 404"),
        (302, 302, "redirects are not followed"),
        (RESET, None, "broke|cut off"),
        (HANG, None, "No answer within"),
        (GARBAGE, None, "no HTTP"),
    ],
)
async def test_what_fails_is_noted_and_tried_again(
    post_room: PostRoom, reply: Reply, status_code: int | None, words: str
) -> None:
    await post_room.webhook()
    await post_room.announced()
    post_room.receiver.replies(iter([reply, 204]))
    post_room.receiver.reply_headers = {"location": post_room.receiver.url("/elsewhere")}
    await post_room.deliver()
    (row,) = await post_room.log()
    (waiting,) = await post_room.waiting()
    assert (row["state"], row["attempts"], row["status_code"]) == ("PENDING", 1, status_code)
    assert any(word in row["error"] for word in words.split("|"))
    assert waiting["next_at"] == row["next_at"]
    assert timedelta(seconds=8) <= row["next_at"] - row["attempted_at"] <= timedelta(seconds=12)
    await post_room.deliver()
    assert len(post_room.receiver.received) == 1, "it is not due yet"

    await post_room.make_due()
    await post_room.deliver()
    (row,) = await post_room.log()
    assert (row["state"], row["attempts"], row["status_code"], row["error"]) == ("DELIVERED", 2, 204, "")
    first, second = post_room.receiver.received
    assert (first.delivery_id, first.body, first.path) == (second.delivery_id, second.body, second.path)
    assert second.is_signed_by(post_room.secret)
    assert await post_room.is_done()


async def test_a_receiver_that_is_gone_for_good_is_asked_once(post_room: PostRoom) -> None:
    await post_room.webhook()
    await post_room.announced()
    post_room.receiver.answer = lambda _: 410
    await post_room.deliver()
    (row,) = await post_room.log()
    assert (row["state"], row["attempts"], row["status_code"], row["next_at"]) == ("FAILED", 1, 410, None)
    assert await post_room.is_done()


async def test_a_delivery_is_given_up_after_its_last_attempt(post_room: PostRoom) -> None:
    await post_room.webhook()
    await post_room.announced()
    post_room.receiver.answer = lambda _: 500
    given_up = metrics.DELIVERIES.labels("given_up")._value.get()
    for _ in range(4):
        await post_room.make_due()
        await post_room.deliver(webhook_attempts=3)
    (row,) = await post_room.log()
    assert (row["state"], row["attempts"], row["next_at"], row["delivered_at"]) == ("FAILED", 3, None, None)
    assert len(post_room.receiver.received) == 3
    assert await post_room.is_done()
    assert metrics.DELIVERIES.labels("given_up")._value.get() == given_up + 1


async def test_a_receiver_may_ask_for_a_longer_wait(post_room: PostRoom) -> None:
    await post_room.webhook()
    await post_room.announced()
    post_room.receiver.answer = lambda _: 503
    post_room.receiver.reply_headers = {"retry-after": "1000"}
    await post_room.deliver()
    (row,) = await post_room.log()
    assert row["next_at"] - row["attempted_at"] == timedelta(seconds=1_000)


async def test_a_receiver_that_fails_half_the_time_gets_every_event(post_room: PostRoom) -> None:
    """The log counts what the receiver has seen: no attempt is hidden, and none is invented."""
    dice = random.Random(3)
    bad: list[Reply] = [500, 503, 404, 302, RESET, HANG, GARBAGE]
    post_room.receiver.replies(iter(lambda: 200 if dice.random() < 0.5 else dice.choice(bad), None))
    hooks = [await post_room.webhook(), await post_room.webhook(path="/other")]
    quick = {"webhook_first_delay_seconds": 0.01, "webhook_last_delay_seconds": 0.05, "webhook_attempts": 100}
    async with post_room.delivering(**quick):
        await post_room.announced(15)
        await post_room.announced(5, state=State.FAILED, code="X")
        await eventually(post_room.is_done)
    log = await post_room.log()
    assert Counter((row["webhook_id"], row["state"]) for row in log) == {(hook, "DELIVERED"): 20 for hook in hooks}
    seen = Counter(request.delivery_id for request in post_room.receiver.received)
    assert seen == {str(row["delivery_id"]): row["attempts"] for row in log}
    assert seen.total() > len(log), "some had to be repeated"
    assert all(request.is_signed_by(post_room.secret) for request in post_room.receiver.received)
    assert {(request.event["event_id"], request.path) for request in post_room.receiver.received} == {
        (row["event_id"], path) for row in log for path in ("/hook", "/other")
    }


async def test_a_death_between_answer_and_note_repeats_the_delivery(
    post_room: PostRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post_room.webhook()
    await post_room.announced()
    with monkeypatch.context() as patched:
        patched.setattr(delivery_store, "end", away)
        await post_room.deliver()
    (row,) = await post_room.log()
    assert (row["state"], row["attempts"]) == ("PENDING", 0)
    await post_room.deliver()
    assert len(post_room.receiver.received) == 1, "somebody may still be at it"
    await post_room.make_due()
    await post_room.deliver()
    first, second = post_room.receiver.received
    assert first.delivery_id == second.delivery_id
    assert [row["state"] for row in await post_room.log()] == ["DELIVERED"]
    assert await post_room.is_done()


async def test_two_processes_at_once_make_a_delivery_once(post_room: PostRoom) -> None:
    await post_room.webhook()
    await post_room.announced(4)
    makers = [post_room.deliveries() for _ in range(4)]
    await asyncio.gather(*(maker.start_due() for maker in makers))
    await asyncio.gather(*(maker.close() for maker in makers))
    assert Counter(request.delivery_id for request in post_room.receiver.received).most_common(1)[0][1] == 1
    assert [row["attempts"] for row in await post_room.log()] == [1] * 4


async def test_who_is_late_in_noting_a_failure_does_not_undo_a_delivery(
    post_room: PostRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post_room.webhook()
    await post_room.announced()
    try_again = delivery_store.try_again

    async def late(*args: Any, **more: Any) -> None:
        monkeypatch.undo()
        await post_room.make_due()
        await post_room.deliver()
        await try_again(*args, **more)

    monkeypatch.setattr(delivery_store, "try_again", late)
    post_room.receiver.replies(iter([500, 200]))
    await post_room.deliver()
    (row,) = await post_room.log()
    assert (row["state"], row["status_code"], row["error"], row["next_at"]) == ("DELIVERED", 200, "", None)
    assert await post_room.is_done()


async def test_nothing_is_sent_to_a_webhook_that_was_removed(post_room: PostRoom) -> None:
    await post_room.webhook()
    await post_room.announced(3)
    await post_room.desk.office.engine.admin.execute("DELETE FROM webhooks")
    await post_room.deliver()
    assert post_room.receiver.received == []
    assert await post_room.is_done()


async def test_a_webhook_that_is_removed_while_it_is_told_leaves_nothing_behind(post_room: PostRoom) -> None:
    await post_room.webhook()
    await post_room.announced()
    post_room.receiver.answer = lambda _: HANG
    made = post_room.deliveries()
    await made.start_due()
    await eventually(lambda: answered(len(post_room.receiver.received) == 1))
    await post_room.desk.office.engine.admin.execute("DELETE FROM webhooks")
    await made.close()
    await post_room.make_due()
    await post_room.deliver()
    assert await post_room.is_done()


async def test_a_tenants_receiver_gets_events_of_that_tenant_only(post_room: PostRoom) -> None:
    await post_room.webhook(path="/mine")
    await post_room.webhook(OTHER_TENANT, path="/theirs")
    await post_room.announced(2)
    await post_room.announced(1, tenant=OTHER_TENANT)
    await post_room.deliver()
    told = Counter((request.path, request.event["import"]["tenant_id"]) for request in post_room.receiver.received)
    assert told == {("/mine", 1): 2, ("/theirs", OTHER_TENANT): 1}


async def test_a_slow_receiver_keeps_nobody_else_waiting(post_room: PostRoom) -> None:
    post_room.receiver.answer = lambda request: HANG if request.path == "/slow" else 200
    slow, quick = await post_room.webhook(path="/slow"), await post_room.webhook(path="/quick")
    theirs = await post_room.webhook(OTHER_TENANT, path="/theirs")
    await post_room.announced(30)
    await post_room.announced(1, tenant=OTHER_TENANT)
    office = post_room.desk.office

    def told(path: str) -> int:
        return sum(request.path == path for request in post_room.receiver.received)

    # The slow ones would take minutes: each hangs until this test is over.
    patient = post_room.with_timeout(60)
    made, stop = patient.deliveries(at_once=2 * PER_WEBHOOK), asyncio.Event()
    dispatcher = office.dispatcher(duties=[post_room.desk.announcer().run, made.run])
    running = asyncio.create_task(dispatcher.run(stop))
    try:
        await eventually(lambda: answered(told("/quick") == 30 and told("/theirs") == 1))
        await office.engine.queued()
        await office.engine.admin.execute("NOTIFY hythe_outbox")
        await eventually(lambda: answered(len(office.queue.messages) == 1))
    finally:
        stop.set()
        await running
        post_room.receiver.closing.set()
        await made.close()
    assert told("/slow") == PER_WEBHOOK
    states = Counter((row["webhook_id"], row["state"]) for row in await post_room.log())
    assert states[quick, "DELIVERED"] == 30
    assert states[theirs, "DELIVERED"] == 1
    assert states[slow, "PENDING"] == 30
    await patient.outbound.close()


async def test_no_more_are_made_at_once_than_the_setting_says(post_room: PostRoom) -> None:
    post_room.receiver.answer = lambda _: HANG
    for number in range(4):
        await post_room.webhook(path=f"/{number}")
    await post_room.announced(3)
    made = post_room.deliveries(at_once=5)
    assert [await made.start_due(), await made.start_due()] == [5, 0]
    await made.close()


async def test_what_is_cut_off_at_the_end_of_a_process_is_made_by_the_next(
    post_room: PostRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_room.receiver.replies(itertools.chain([HANG], itertools.repeat(200)))
    await post_room.webhook()
    await post_room.announced()
    patient = post_room.with_timeout(60)
    made = patient.deliveries()
    await made.start_due()
    await eventually(lambda: answered(len(post_room.receiver.received) == 1))
    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "CLOSE_SECONDS", 0)
        await made.close()
    await patient.outbound.close()
    assert [row["state"] for row in await post_room.log()] == ["PENDING"]
    await post_room.make_due()
    await post_room.deliver()
    assert [row["state"] for row in await post_room.log()] == ["DELIVERED"]


async def test_a_secret_sealed_by_another_key_is_said_to_be_unreadable_and_nothing_is_sent(post_room: PostRoom) -> None:
    await post_room.webhook()
    await post_room.announced()
    await post_room.desk.office.engine.admin.execute("UPDATE webhooks SET secret = 'x'")
    await post_room.deliver()
    (row,) = await post_room.log()
    assert (row["state"], row["attempts"]) == ("PENDING", 1)
    assert "secret cannot be read" in row["error"]
    assert post_room.receiver.received == []


async def test_a_url_that_is_not_allowed_any_more_gets_nothing(post_room: PostRoom) -> None:
    await post_room.webhook(url="http://169.254.169.254/latest/meta-data/")
    await post_room.announced()
    await post_room.deliver()
    (row,) = await post_room.log()
    assert (row["state"], row["error"]) == ("PENDING", "The URL is not allowed: the host is not public.")


async def test_an_oddity_of_one_delivery_keeps_no_other_waiting(
    post_room: PostRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, good = await post_room.webhook(path="/odd"), await post_room.webhook(path="/good")
    await post_room.announced()
    take = delivery_store.take

    async def failing(connection: Any, item: Any, lease: timedelta) -> Any:
        if item.lane == str(odd):
            raise ValueError("odd")
        return await take(connection, item, lease)

    monkeypatch.setattr(delivery_store, "take", failing)
    await post_room.deliver()
    assert {row["webhook_id"]: row["state"] for row in await post_room.log()} == {odd: "PENDING", good: "DELIVERED"}
    (waiting,) = await post_room.desk.office.engine.rows("SELECT next_at - now() AS wait FROM outbox")
    assert timedelta(seconds=50) < waiting["wait"] <= timedelta(minutes=1)


async def away(*_: object, **__: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")

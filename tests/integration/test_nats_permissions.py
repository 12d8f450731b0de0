"""The NATS users of the local stack: each does its own work with the real queue code, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from nats import connect as connect_to_nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from runtime.jetstream import JobQueue
from tests.stack import NatsServer


@pytest.fixture
async def dispatcher(nats_server: NatsServer) -> AsyncIterator[JobQueue]:
    await nats_server.wipe()
    queue = await JobQueue.connect(nats_server.url("dispatcher"), name="test")
    await queue.ensure_streams()
    yield queue
    await queue.close()


async def test_dispatcher_publishes_and_worker_takes_and_settles(nats_server: NatsServer, dispatcher: JobQueue) -> None:
    await dispatcher.ensure_streams(max_ack_pending=8)
    worker = await JobQueue.connect(nats_server.url("worker"), name="test")
    try:
        for lane in ("small", "large"):
            sequence = await dispatcher.publish(lane, b"{}", message_id=f"one-{lane}", headers={})
            assert await dispatcher.has_message(sequence)
            delivery = await worker.fetch(lane, timeout=5)
            assert delivery is not None
            assert delivery.sequence == sequence
            await delivery.in_progress()
            await delivery.nak()
            again = await worker.fetch(lane, timeout=5)
            assert again is not None
            await again.ack_sync()
            assert not await dispatcher.has_message(sequence)
    finally:
        await worker.close()


async def test_dispatcher_publishes_events_and_a_listener_reads_them(
    nats_server: NatsServer, dispatcher: JobQueue
) -> None:
    await dispatcher.publish_event("events.7.succeeded", b"{}", event_id="a", headers={"traceparent": "x"})
    # As docs/events.md has it.
    client = await connect_to_nats(nats_server.url("listener"), inbox_prefix=b"_INBOX_LISTENER")
    try:
        reader = await client.jetstream().pull_subscribe("events.7.>", durable="mine", stream="EVENTS")
        (message,) = await reader.fetch(1, timeout=5)
        assert (message.subject, message.data) == ("events.7.succeeded", b"{}")
        headers = message.headers or {}
        assert (headers["traceparent"], headers["Nats-Msg-Id"]) == ("x", "a")
        await message.ack_sync()
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("worker", "events.1.succeeded"),
        ("dispatcher", "$JS.API.STREAM.DELETE.EVENTS"),
        ("dispatcher", "$JS.API.STREAM.PURGE.EVENTS"),
        ("dispatcher", "$JS.API.CONSUMER.CREATE.EVENTS.mine"),
        ("listener", "events.1.succeeded"),
        ("listener", "imports.small"),
        ("listener", "$JS.API.STREAM.DELETE.EVENTS"),
        ("listener", "$JS.API.STREAM.UPDATE.EVENTS"),
        ("listener", "$JS.API.CONSUMER.CREATE.IMPORTS.mine"),
        ("listener", "$JS.API.CONSUMER.MSG.NEXT.IMPORTS.small"),
        ("worker", "imports.small"),
        ("worker", "$JS.API.STREAM.DELETE.IMPORTS"),
        ("worker", "$JS.API.STREAM.PURGE.IMPORTS"),
        ("worker", "$JS.API.STREAM.UPDATE.IMPORTS"),
        ("worker", "$JS.API.STREAM.MSG.GET.IMPORTS"),
        ("worker", "$JS.API.CONSUMER.DELETE.IMPORTS.small"),
        ("worker", "$JS.API.CONSUMER.CREATE.IMPORTS.mine"),
        ("worker", "other"),
        ("dispatcher", "$JS.API.STREAM.DELETE.IMPORTS"),
        ("dispatcher", "$JS.API.STREAM.PURGE.IMPORTS"),
        ("dispatcher", "$JS.API.STREAM.CREATE.OTHER"),
        ("dispatcher", "$JS.API.CONSUMER.MSG.NEXT.IMPORTS.small"),
        ("dispatcher", "other"),
    ],
)
@pytest.mark.usefixtures("dispatcher")
async def test_what_a_user_does_not_need_is_refused(nats_server: NatsServer, user: str, subject: str) -> None:
    refusals = await errors_of(nats_server.url(user), lambda client: client.publish(subject, b"{}"))
    assert any("permissions violation" in refusal and subject.lower() in refusal for refusal in refusals)


@pytest.mark.parametrize("user", ["worker", "dispatcher", "listener"])
async def test_nobody_listens_to_the_imports_of_others(nats_server: NatsServer, user: str) -> None:
    refusals = await errors_of(nats_server.url(user), lambda client: client.subscribe("imports.>"))
    assert any("permissions violation" in refusal for refusal in refusals)


async def test_a_listener_hears_no_answer_to_anybody_else(nats_server: NatsServer) -> None:
    refusals = await errors_of(nats_server.url("listener"), lambda client: client.subscribe("_INBOX.>"))
    assert any("permissions violation" in refusal for refusal in refusals)


@pytest.mark.parametrize("user", ["operator", "worker", "dispatcher", "listener"])
async def test_wrong_password_is_refused(nats_server: NatsServer, user: str) -> None:
    url = nats_server.url(user).replace(nats_server.stack.secrets.nats[user], "wrong")
    with pytest.raises(NatsError):
        await errors_of(url, lambda client: client.flush())


async def errors_of(url: str, act: Callable[[Client], Awaitable[object]]) -> list[str]:
    """What the server complains about, in lower case, while `act` is done."""
    complaints: list[str] = []
    complained = asyncio.Event()

    async def note(error: Exception) -> None:
        complaints.append(str(error).lower())
        complained.set()

    client = Client()
    try:
        await client.connect(url, error_cb=note, allow_reconnect=False)
        await act(client)
        await client.flush()
        async with asyncio.timeout(5):
            await complained.wait()
    finally:
        await client.close()
    return complaints

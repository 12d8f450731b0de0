"""What every job queue here promises, the fake as the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig

from deploy.local.nats import program
from runtime import jetstream
from runtime.jetstream import EVENTS, STREAM, JobQueue, QueueMisconfigured, QueueUnavailable
from runtime.streams import LANES, MAX_MESSAGE_BYTES
from tests.fakes.jetstream import FakeJobQueue
from tests.stack import NatsServer

SOON = 0.2
PATIENTLY = 20


class Queue:
    """The dispatcher's side and the worker's, which with the fake are one."""

    def __init__(self, dispatcher: Any, worker: Any) -> None:
        self.dispatcher = dispatcher
        self.worker = worker

    async def publish(self, lane: str, number: int, **headers: str) -> int:
        sequence = await self.dispatcher.publish(lane, b"%d" % number, message_id=f"id-{number}", headers=headers)
        return int(sequence)

    async def take(self, lane: str) -> Any:
        delivery = await self.worker.fetch(lane, timeout=PATIENTLY)
        assert delivery is not None
        return delivery


@asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[Queue]:
    await server.wipe()
    dispatcher = await JobQueue.connect(server.url("dispatcher"), name="dispatcher")
    worker = await JobQueue.connect(server.url("worker"), name="worker")
    yield Queue(dispatcher, worker)
    await dispatcher.close()
    await worker.close()


@pytest.fixture
async def real(nats_server: NatsServer) -> AsyncIterator[Queue]:
    async with connected(nats_server) as queue:
        yield queue


@pytest.fixture(params=["fake", "real"])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    if request.param == "fake":
        fake = FakeJobQueue()
        await fake.ensure_streams()
        yield Queue(fake, fake)
        return
    async with connected(request.getfixturevalue("nats_server")) as queue:
        await queue.dispatcher.ensure_streams()
        yield queue


async def test_a_message_arrives_as_it_was_sent(queue: Queue) -> None:
    sequence = await queue.publish("small", 1, traceparent="00-a-b-01")
    delivery = await queue.take("small")
    assert (delivery.data, delivery.sequence, delivery.num_delivered) == (b"1", sequence, 1)
    assert delivery.headers["traceparent"] == "00-a-b-01"


async def test_lanes_are_apart_and_in_order(queue: Queue) -> None:
    for number in range(3):
        await queue.publish("large", number)
    assert await queue.worker.fetch("small", timeout=SOON) is None
    assert [(await queue.take("large")).data for _ in range(3)] == [b"0", b"1", b"2"]


async def test_a_message_that_is_worked_on_is_nobody_elses(queue: Queue) -> None:
    await queue.publish("small", 1)
    await queue.take("small")
    assert await queue.worker.fetch("small", timeout=SOON) is None


async def test_a_waiting_fetch_gets_what_comes(queue: Queue) -> None:
    waiting = asyncio.create_task(queue.worker.fetch("small", timeout=PATIENTLY))
    await asyncio.sleep(SOON)
    await queue.publish("small", 1)
    delivery = await waiting
    assert delivery is not None
    assert delivery.data == b"1"


async def test_several_waiting_fetches_get_one_message_each(queue: Queue) -> None:
    waiting = [asyncio.create_task(queue.take("small")) for _ in range(5)]
    for number in range(5):
        await queue.publish("small", number)
    assert sorted([(await one).data for one in waiting]) == [b"0", b"1", b"2", b"3", b"4"]


async def test_an_acknowledged_message_is_gone(queue: Queue) -> None:
    sequence = await queue.publish("small", 1)
    delivery = await queue.take("small")
    assert await queue.dispatcher.has_message(sequence)
    await delivery.in_progress()
    assert await queue.dispatcher.has_message(sequence)
    await delivery.ack_sync()
    assert not await queue.dispatcher.has_message(sequence)


async def test_a_message_given_back_comes_again_and_counts(queue: Queue) -> None:
    await queue.publish("small", 1)
    await (await queue.take("small")).nak()
    again = await queue.take("small")
    assert (again.data, again.num_delivered) == (b"1", 2)


async def test_a_message_given_back_for_later_does_not_come_at_once(queue: Queue) -> None:
    await queue.publish("small", 1)
    await (await queue.take("small")).nak(delay=0.5)
    assert await queue.worker.fetch("small", timeout=SOON) is None
    assert (await queue.take("small")).data == b"1"


async def test_a_terminated_message_never_comes_again(queue: Queue) -> None:
    sequence = await queue.publish("small", 1)
    await (await queue.take("small")).term()
    assert await queue.worker.fetch("small", timeout=SOON) is None
    assert not await queue.dispatcher.has_message(sequence)


async def test_the_same_message_id_is_sent_once(queue: Queue) -> None:
    assert await queue.publish("small", 1) == await queue.publish("small", 1)
    await queue.take("small")
    assert await queue.worker.fetch("small", timeout=SOON) is None


async def test_a_late_acknowledgement_deletes_what_another_works_on(queue: Queue) -> None:
    sequence = await queue.publish("small", 1)
    first = await queue.take("small")
    await first.nak()
    second = await queue.take("small")
    await first.ack_sync()
    assert not await queue.dispatcher.has_message(sequence)
    await second.ack_sync()


async def test_a_sequence_that_never_was_is_not_there(queue: Queue) -> None:
    assert not await queue.dispatcher.has_message(10_000)
    assert not await queue.dispatcher.has_message(0)


async def test_a_message_waits_until_it_is_given_out(queue: Queue) -> None:
    first, second = await queue.publish("small", 1), await queue.publish("small", 2)
    await queue.take("small")
    assert [await queue.dispatcher.is_waiting("small", each) for each in (first, second, 10_000)] == [
        False,
        True,
        False,
    ]


async def test_a_removed_message_is_not_given_out(queue: Queue) -> None:
    first, second = await queue.publish("small", 1), await queue.publish("small", 2)
    for _ in ("it is there", "it is gone"):
        await queue.dispatcher.remove(first)
    assert not await queue.dispatcher.has_message(first)
    assert (await queue.take("small")).sequence == second


async def test_a_cancelled_fetch_takes_no_message_with_it(queue: Queue) -> None:
    for number in range(20):
        waiting = asyncio.create_task(queue.worker.fetch("small", timeout=PATIENTLY))
        await asyncio.sleep(0.01 * (number % 3))
        publishing = asyncio.create_task(queue.publish("small", number))
        await asyncio.sleep(0.0005 * number)
        waiting.cancel()
        await publishing
        try:
            delivery = await waiting
        except asyncio.CancelledError:
            delivery = await queue.take("small")
        assert delivery is not None
        assert delivery.data == b"%d" % number
        await delivery.ack_sync()


async def test_making_the_streams_again_changes_nothing(queue: Queue) -> None:
    sequence = await queue.publish("small", 1)
    await queue.dispatcher.ensure_streams()
    assert await queue.dispatcher.has_message(sequence)


async def test_an_event_of_the_same_id_is_published_once(queue: Queue) -> None:
    async def publish(event_id: str) -> int:
        return int(
            await queue.dispatcher.publish_event("events.1.failed", b"{}", event_id=event_id, headers={"a": "b"})
        )

    first, again, other = await publish("x"), await publish("x"), await publish("y")
    assert first == again != other


async def test_content_does_not_belong_into_a_message(real: Queue) -> None:
    await real.dispatcher.ensure_streams()
    with pytest.raises(ValueError, match="ids only"):
        await real.dispatcher.publish("small", b"x" * (MAX_MESSAGE_BYTES + 1), message_id="a", headers={})


async def test_the_stream_is_what_the_goals_say(real: Queue, nats_server: NatsServer) -> None:
    await real.dispatcher.ensure_streams(max_ack_pending=8)
    client = await nats.connect(nats_server.url())
    try:
        config = (await client.jetstream().stream_info(STREAM)).config
        assert config.subjects == ["imports.small", "imports.large", "imports.fetch"]
        assert (config.retention, config.storage, config.discard) == ("workqueue", "file", "new")
        assert (config.max_age, config.duplicate_window, config.max_msg_size) == (0, 120, 65_536)
        assert (config.max_msgs, config.max_bytes, config.num_replicas) == (-1, -1, 1)
        for lane in LANES:
            consumer = (await client.jetstream().consumer_info(STREAM, lane)).config
            assert (consumer.durable_name, consumer.filter_subject) == (lane, f"imports.{lane}")
            assert (consumer.ack_policy, consumer.ack_wait, consumer.max_deliver) == ("explicit", 60, 20)
            assert consumer.max_ack_pending == 8
    finally:
        await client.close()


async def test_the_events_are_kept_for_a_week_for_whoever_reads_them(real: Queue, nats_server: NatsServer) -> None:
    await real.dispatcher.ensure_streams()
    await real.dispatcher.publish_event("events.1.failed", b"{}", event_id="x", headers={})
    client = await nats.connect(nats_server.url())
    try:
        streams = client.jetstream()
        found = await streams.stream_info(EVENTS)
        config = found.config
        assert (config.subjects, found.state.messages) == (["events.>"], 1)
        assert (config.retention, config.storage, config.discard) == ("limits", "file", "old")
        assert (config.max_age, config.duplicate_window, config.max_msg_size) == (604_800, 3_600, 65_536)
        await streams.update_stream(config, max_age=86_400, max_msg_size=-1)
        await real.dispatcher.ensure_streams()
        mended = (await streams.stream_info(EVENTS)).config
        assert (mended.max_age, mended.max_msg_size) == (604_800, 65_536)
        await streams.delete_stream(EVENTS)
        with pytest.raises(QueueUnavailable):
            await real.dispatcher.publish_event("events.1.failed", b"{}", event_id="x", headers={})
        await real.dispatcher.ensure_streams()
        await real.dispatcher.publish_event("events.1.failed", b"{}", event_id="x", headers={})
    finally:
        await client.close()


async def test_what_differs_is_mended(real: Queue, nats_server: NatsServer) -> None:
    await real.dispatcher.ensure_streams()
    sequence = await real.publish("small", 1)
    client = await nats.connect(nats_server.url())
    try:
        streams = client.jetstream()
        found = (await streams.stream_info(STREAM)).config
        await streams.update_stream(found, duplicate_window=5, max_msg_size=-1)
        await streams.delete_consumer(STREAM, "large")
        await real.dispatcher.ensure_streams(max_ack_pending=20)
        config = (await streams.stream_info(STREAM)).config
        assert (config.duplicate_window, config.max_msg_size) == (120, 65_536)
        assert (await streams.consumer_info(STREAM, "small")).config.max_ack_pending == 20
        assert (await streams.consumer_info(STREAM, "large")).config.max_ack_pending == 20
    finally:
        await client.close()
    assert await real.dispatcher.has_message(sequence), "mending keeps what is queued"


async def test_a_stream_of_another_kind_is_not_used(real: Queue, nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url())
    try:
        await client.jetstream().add_stream(StreamConfig(name=STREAM, subjects=["imports.small", "imports.large"]))
    finally:
        await client.close()
    with pytest.raises(QueueMisconfigured, match="retention"):
        await real.dispatcher.ensure_streams()


async def test_without_a_stream_nothing_can_be_sent_and_nothing_comes(real: Queue) -> None:
    with pytest.raises(QueueUnavailable):
        await real.publish("small", 1)
    assert not await real.dispatcher.has_message(1)
    assert await real.worker.fetch("small", timeout=SOON) is None


async def test_a_fetch_goes_on_after_its_consumer_was_deleted_and_made_again(
    real: Queue, nats_server: NatsServer
) -> None:
    await real.dispatcher.ensure_streams()
    waiting = asyncio.create_task(real.worker.fetch("small", timeout=PATIENTLY))
    await asyncio.sleep(SOON)
    client = await nats.connect(nats_server.url())
    try:
        await client.jetstream().delete_consumer(STREAM, "small")
    finally:
        await client.close()
    assert await waiting is None, "it does not wait for what cannot come"
    await real.dispatcher.ensure_streams()
    await real.publish("small", 1)
    assert (await real.take("small")).data == b"1"


async def test_the_worker_can_neither_publish_nor_touch_the_stream(
    real: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is forbidden shows as no answer.
    monkeypatch.setattr(jetstream, "REQUEST_SECONDS", 1)
    await real.dispatcher.ensure_streams()
    sequence = await real.publish("small", 1)
    with pytest.raises(QueueUnavailable):
        await real.worker.publish("small", b"2", message_id="2", headers={})
    with pytest.raises(QueueUnavailable):
        await real.worker.has_message(sequence)
    assert (await real.take("small")).data == b"1", "and it works on after being refused"


async def test_a_wrong_password_is_unavailable_and_tried_again(nats_server: NatsServer) -> None:
    queue = await JobQueue.connect(nats_server.url("worker").replace("worker:", "worker:x"), name="worker")
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    await queue.close()


async def test_without_nats_everything_starts_and_says_so() -> None:
    queue = await JobQueue.connect("nats://127.0.0.1:1", name="test")
    with pytest.raises(QueueUnavailable) as failure:
        await queue.publish("small", b"1", message_id="1", headers={})
    assert failure.value.reason == "QUEUE_UNAVAILABLE"
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    assert await queue.fetch("small", timeout=SOON) is None
    await queue.close()


async def test_closing_while_a_fetch_waits_ends_it(real: Queue) -> None:
    await real.dispatcher.ensure_streams()
    waiting = asyncio.create_task(real.worker.fetch("small", timeout=PATIENTLY))
    await asyncio.sleep(SOON)
    async with asyncio.timeout(5):
        await real.worker.close()
        assert await waiting is None


async def test_a_server_that_comes_back_is_used_again(nats_server: NatsServer, real: Queue) -> None:
    await real.dispatcher.ensure_streams()
    await real.publish("small", 1)
    delivery = await real.take("small")
    waiting = asyncio.create_task(real.worker.fetch("small", timeout=PATIENTLY))
    await asyncio.sleep(SOON)
    nats_server.stack.supervisor.stop_program(program(nats_server.stack.instance))
    assert await waiting is None
    with pytest.raises(QueueUnavailable):
        await delivery.in_progress()
    with pytest.raises(QueueUnavailable):
        await real.publish("small", 2)
    nats_server.stack.run([program(nats_server.stack.instance)])
    async with asyncio.timeout(PATIENTLY):
        await until_it_answers(real)
    await real.publish("small", 2)
    assert (await real.take("small")).data == b"2"
    await delivery.ack_sync()
    assert not await real.dispatcher.has_message(delivery.sequence), "a delivery outlives its connection"


async def until_it_answers(queue: Queue) -> None:
    while True:
        try:
            await queue.dispatcher.ping()
            await queue.worker.ping()
        except QueueUnavailable:
            await asyncio.sleep(0.05)
        else:
            return

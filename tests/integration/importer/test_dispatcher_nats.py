"""The dispatcher over a NATS server that is stopped, wiped and meddled with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from deploy.local.nats import program
from runtime import streams
from runtime.jetstream import EVENTS, STREAM, JobQueue
from runtime.streams import LANES
from services.importer import dispatcher, job_message
from services.importer.job_message import JobMessage
from services.importer.store import events
from tests.integration.importer.desk import Desk
from tests.integration.importer.office import PATIENTLY, WORKER_SLOTS, Office, eventually
from tests.integration.importer.workbench import TENANT
from tests.stack import NatsServer

pytestmark = pytest.mark.usefixtures("_quick")


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "STREAM_CHECK_SECONDS", 0.1)


@asynccontextmanager
async def operator(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(server.url())
    try:
        yield client.jetstream()
    finally:
        await client.close()


@pytest.fixture
async def live(office: Office, nats_server: NatsServer) -> AsyncIterator[Office]:
    """The dispatcher on an empty NATS."""
    async with operator(nats_server) as streams:
        for stream in await streams.streams_info():
            await streams.delete_stream(stream.config.name or "")
    office.queue = await JobQueue.connect(nats_server.url("dispatcher"), name="dispatcher")
    office.poll_seconds = 0.05
    yield office
    await office.queue.close()


async def stored(server: NatsServer) -> list[JobMessage]:
    """What is in the stream; nothing while there is none."""
    async with operator(server) as streams:
        try:
            state = (await streams.stream_info(STREAM)).state
            found = [
                await streams.get_msg(STREAM, seq=number)
                for number in range(max(state.first_seq, 1), state.last_seq + 1)
            ]
        except NotFoundError:
            return []
    messages = [job_message.decode(message.data or b"") for message in found]
    return [message for message in messages if message is not None]


async def test_imports_are_sent_to_a_stream_that_is_made_for_them(live: Office, nats_server: NatsServer) -> None:
    queued = {await live.engine.queued(lane=lane) for lane in LANES}
    async with live.running():

        async def all_are_there() -> bool:
            return len(await stored(nats_server)) == len(LANES)

        await eventually(all_are_there)
    assert {message.import_id for message in await stored(nats_server)} == queued
    assert {message.tenant for message in await stored(nats_server)} == {TENANT}
    async with operator(nats_server) as streams:
        for lane in LANES:
            consumer = await streams.consumer_info(STREAM, lane)
            assert consumer.config.max_ack_pending == 2 * WORKER_SLOTS
            assert consumer.num_pending == 1


async def test_a_consumer_that_was_removed_is_made_again(live: Office, nats_server: NatsServer) -> None:
    async def is_there() -> bool:
        async with operator(nats_server) as streams:
            try:
                await streams.consumer_info(STREAM, "small")
            except NotFoundError:
                return False
            return True

    async with live.running():
        await eventually(is_there)
        async with operator(nats_server) as streams:
            await streams.delete_consumer(STREAM, "small")
        await eventually(is_there)


async def test_what_a_wiped_queue_has_lost_is_sent_again(live: Office, nats_server: NatsServer) -> None:
    imports = {await live.engine.queued() for _ in range(5)}

    async def all_there() -> bool:
        return {message.import_id for message in await stored(nats_server)} == imports

    async with live.running():
        await eventually(all_there)
        async with operator(nats_server) as streams:
            await streams.delete_stream(STREAM)
        # A minute later.
        await live.engine.admin.execute("UPDATE outbox SET next_at = now()")
        await eventually(all_there)
    assert await live.engine.value("SELECT min(dispatch_number) FROM outbox") == 2


async def test_what_was_triggered_while_nats_was_down_is_sent_when_it_is_back(
    live: Office, nats_server: NatsServer
) -> None:
    nats_program = program(nats_server.stack.instance)
    first = await live.engine.queued()

    async def sent() -> bool:
        return bool((await live.row(first))["dispatch_number"] == 1)

    async with live.running():
        await eventually(sent)
        nats_server.stack.supervisor.stop_program(nats_program)
        try:
            second = await live.engine.queued()
        finally:
            nats_server.stack.run([nats_program])

        async def both() -> bool:
            return {message.import_id for message in await stored(nats_server)} == {first, second}

        await eventually(both)


async def test_an_event_that_was_published_by_one_who_died_is_in_the_stream_once(
    live: Office, desk: Desk, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told() -> list[str]:
        async with operator(nats_server) as streams:
            last = (await streams.stream_info(EVENTS)).state.last_seq
            found = [await streams.get_msg(EVENTS, seq=number) for number in range(1, last + 1)]
        return [json.loads(message.data or b"")["import_id"] for message in found]

    await live.queue.ensure_streams()
    import_id = await desk.ended()
    published, dead = asyncio.Event(), asyncio.Event()

    async def dying(*_: object) -> None:
        published.set()
        await dead.wait()

    with monkeypatch.context() as patched:
        patched.setattr(events, "forget_end", dying)
        first = asyncio.create_task(desk.announcer().look())
        await asyncio.wait_for(published.wait(), PATIENTLY)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert await told() == [str(import_id)]
    assert not await desk.is_told()

    await live.engine.admin.execute("UPDATE outbox SET next_at = now()")
    async with live.running(duties=[desk.announcer().run]):
        await eventually(desk.is_told)
        second = await desk.ended()
        await eventually(desk.is_told)
    assert await told() == [str(import_id), str(second)]


async def test_events_of_an_outage_are_published_when_nats_is_back(
    live: Office, desk: Desk, nats_server: NatsServer
) -> None:
    nats_program = program(nats_server.stack.instance)
    await desk.webhook()
    async with live.running(duties=[desk.announcer().run]):
        await desk.ended()
        await eventually(desk.is_told)
        nats_server.stack.supervisor.stop_program(nats_program)
        try:
            import_id = await desk.ended()

            async def is_delivered() -> bool:
                return import_id in {each for _, each in await desk.deliveries()}

            await eventually(is_delivered)
            assert not await desk.is_told()
        finally:
            nats_server.stack.run([nats_program])
        await eventually(desk.is_told)
    async with operator(nats_server) as streams:
        assert (await streams.stream_info(EVENTS)).state.messages == 2
    assert len(await desk.deliveries()) == 2


async def test_an_import_whose_message_has_used_up_its_deliveries_is_sent_again(
    live: Office, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_DELIVER", 1)
    import_id = await live.engine.queued()
    worker = await JobQueue.connect(nats_server.url("worker"), name="worker")

    async def dispatched(times: int) -> bool:
        return bool((await live.row(import_id))["dispatch_number"] == times)

    try:
        async with live.running():
            await eventually(lambda: dispatched(1))
            delivery = await worker.fetch("small", timeout=PATIENTLY)
            assert delivery is not None
            # The database was away, say: nobody has claimed the import, and the queue will not give it out again.
            await delivery.nak()
            assert await worker.fetch("small", timeout=0.5) is None
            # A minute later.
            await live.engine.admin.execute("UPDATE outbox SET next_at = now()")
            await eventually(lambda: dispatched(2))
            again = await worker.fetch("small", timeout=PATIENTLY)
            assert again is not None
            assert job_message.decode(again.data) == JobMessage(TENANT, import_id)
            await again.ack_sync()
        assert await stored(nats_server) == [], "the message that was given out in vain is gone as well"
    finally:
        await worker.close()

"""The work queue on NATS JetStream: one stream `IMPORTS`, with a subject and a durable consumer for each lane.

Beside it, what has happened is published to the stream `EVENTS`, for others to read.

The queue may lose, repeat, delay or reorder any message, and nothing here hides that: PostgreSQL says what is to be
done. What stands here keeps a process running through every outage of NATS. A lost connection is replaced by a new
client, and pulling is our own, because nats-py's `fetch` can swallow a cancellation and make a later drain hang for 30
seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from runtime.errors import Unavailable
from runtime.messaging import CONSUMED_MESSAGES, SENT_MESSAGES, operation
from runtime.streams import (
    ACK_WAIT_SECONDS,
    EVENT_SUBJECTS,
    EVENTS,
    LANES,
    MAX_MESSAGE_BYTES,
    STREAM,
    QueueMisconfigured,
    ensure,
    subject_of,
)

__all__ = [
    "ACK_WAIT_SECONDS",
    "EVENTS",
    "LANES",
    "STREAM",
    "Delivery",
    "JobQueue",
    "QueueMisconfigured",
    "QueueUnavailable",
]

log = structlog.get_logger(__name__)

REQUEST_SECONDS = 5
FIRST_CONNECT_SECONDS = 2
RECONNECT_SECONDS = 0.5
PING_SECONDS = 10
RETRY_SECONDS = 1.0
"""How long a fetch that cannot work at the moment waits before it says that there is nothing."""
ANSWER_MARGIN_SECONDS = 2.0
"""The server ends a pull in time; this much later it is taken for gone."""

STATUS_DIGITS = 3
NO_MESSAGES = frozenset({"404", "408"})


class QueueUnavailable(Unavailable):
    """NATS does not answer, or not as it should; it may do so later. The cause is for the log."""

    def __init__(self, cause: str = "") -> None:
        super().__init__("QUEUE_UNAVAILABLE", "The queue does not answer at the moment.")
        self.cause = cause

    def __str__(self) -> str:
        return self.cause


class Delivery:
    """A message that was given to this process for `ACK_WAIT_SECONDS`. Each method raises QueueUnavailable."""

    def __init__(self, queue: JobQueue, message: Msg, lane: str) -> None:
        self._queue = queue
        self._subject = subject_of(lane)
        self._reply = message.reply
        self.data: bytes = message.data
        self.headers: Mapping[str, str] = message.headers or {}
        self.sequence: int = message.metadata.sequence.stream
        self.num_delivered: int = message.metadata.num_delivered

    async def in_progress(self) -> None:
        """Take it for another `ACK_WAIT_SECONDS`."""
        async with self._queue.client() as client:
            await client.publish(self._reply, b"+WPI")

    async def ack_sync(self) -> None:
        """Done; the message is deleted when this returns."""
        with operation("ack", self._subject):
            async with self._queue.client() as client:
                await client.request(self._reply, b"+ACK", timeout=REQUEST_SECONDS)

    async def nak(self, delay: float = 0) -> None:
        """Not done; to be delivered again after `delay` seconds."""
        payload = b"-NAK " + json.dumps({"delay": int(delay * 1e9)}).encode() if delay > 0 else b"-NAK"
        await self._settle("nak", payload)

    async def term(self) -> None:
        """Never to be delivered again."""
        await self._settle("term", b"+TERM")

    async def _settle(self, name: str, payload: bytes) -> None:
        with operation(name, self._subject):
            async with self._queue.client() as client:
                await client.publish(self._reply, payload)
                # Without the round trip a process that ends now could take the message with it.
                await client.flush(timeout=REQUEST_SECONDS)


class JobQueue:
    """A connection to NATS that is renewed for ever."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._pulls: set[asyncio.Queue[Msg | None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._troubled: set[str] = set()
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, url: str, *, name: str) -> JobQueue:
        """Give NATS a moment to answer; go on without it when it does not."""
        queue = cls(url, name=name)
        queue._keeper = asyncio.create_task(queue._keep_connected(), name="nats")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CONNECT_SECONDS):
                await queue._connected.wait()
        return queue

    async def close(self) -> None:
        await asyncio.gather(*self._endings, return_exceptions=True)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def ping(self) -> None:
        """Raises QueueUnavailable when NATS does not answer."""
        async with self.client() as client:
            await client.flush(timeout=REQUEST_SECONDS)

    async def ensure_streams(self, *, replicas: int = 1, max_ack_pending: int = 64) -> None:
        """Make the streams and their consumers what they must be; cheap enough to repeat, so that lost ones come back.

        `max_ack_pending` is twice the slots of all workers. Raises QueueMisconfigured when only a person can mend it.
        """
        async with self._jetstream() as jetstream:
            await ensure(jetstream, replicas=replicas, max_ack_pending=max_ack_pending)

    async def publish(self, lane: str, payload: bytes, *, message_id: str, headers: dict[str, str]) -> int:
        """The sequence in the stream. A message id that the stream remembers gives the sequence of the first."""
        subject = subject_of(lane)
        return await self._publish(STREAM, subject, payload, {**headers, "Nats-Msg-Id": message_id}, counted_as=subject)

    async def publish_event(self, subject: str, payload: bytes, *, event_id: str, headers: dict[str, str]) -> int:
        """As `publish`, to the stream `EVENTS`; the subject begins with `events.`."""
        # The subject of an event names its tenant, which is nothing for a label.
        carried = {**headers, "Nats-Msg-Id": event_id}
        return await self._publish(EVENTS, subject, payload, carried, counted_as=EVENT_SUBJECTS)

    async def _publish(
        self, stream: str, subject: str, payload: bytes, headers: dict[str, str], *, counted_as: str
    ) -> int:
        if len(payload) > MAX_MESSAGE_BYTES:
            message = f"a message carries ids only, not {len(payload)} bytes"
            raise ValueError(message)
        with operation("publish", counted_as):
            async with self._jetstream() as jetstream:
                acknowledgement = await jetstream.publish(subject, payload, stream=stream, headers=headers)
        SENT_MESSAGES.labels(counted_as).inc()
        return acknowledgement.seq

    async def has_message(self, sequence: int) -> bool:
        """Whether the stream still holds this message, delivered or not."""
        if sequence < 1:
            return False
        try:
            async with self._jetstream() as jetstream:
                await jetstream.get_msg(STREAM, seq=sequence)
        except NotFoundError:
            return False
        return True

    async def is_waiting(self, lane: str, sequence: int) -> bool:
        """Whether the stream holds this message and has not given it out yet.

        One that was given out and never settled comes again until its deliveries are used up; then it lies in the
        stream for ever, and nothing tells that apart.
        """
        if not await self.has_message(sequence):
            return False
        try:
            async with self._jetstream() as jetstream:
                delivered = (await jetstream.consumer_info(STREAM, lane)).delivered
        except NotFoundError:
            # Somebody has removed the consumer. The one that comes in its place begins with the first message.
            return True
        return delivered is None or sequence > delivered.stream_seq

    async def remove(self, sequence: int) -> None:
        """Takes a message out of the stream, if it is there."""
        # Deleting what is not there is an internal error to the server, and not told apart from others.
        if await self.has_message(sequence):
            async with self._jetstream() as jetstream:
                await jetstream.delete_msg(STREAM, sequence)

    async def fetch(self, lane: str, *, timeout: float) -> Delivery | None:  # noqa: ASYNC109 - the server keeps this time
        """One message, or None when there is none within `timeout` seconds or the queue cannot be asked."""
        try:
            async with asyncio.timeout(timeout):
                await self._connected.wait()
            async with self.client() as client:
                delivery = await self._pull(client, lane, timeout)
            self._troubled.discard(lane)
        except TimeoutError:
            return None
        except QueueUnavailable as error:
            if lane not in self._troubled:
                log.warning("fetch failed; going on trying", lane=lane, cause=str(error))
                self._troubled.add(lane)
            await asyncio.sleep(min(timeout, RETRY_SECONDS))
            return None
        return delivery

    async def _pull(self, client: Client, lane: str, expires: float) -> Delivery | None:
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._pulls.add(arrived)
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=arrived.put)
        answered = False
        try:
            request = json.dumps({"batch": 1, "expires": int(expires * 1e9)}).encode()
            await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{lane}", request, reply=inbox)
            async with asyncio.timeout(expires + ANSWER_MARGIN_SECONDS):
                message = await arrived.get()
            answered = True
            return self._read(message, lane)
        finally:
            self._pulls.discard(arrived)
            if answered:
                with contextlib.suppress(NatsError):
                    await subscription.unsubscribe()
            else:
                await self._abandon(subscription, arrived, lane)

    def _read(self, message: Msg | None, lane: str) -> Delivery | None:
        if message is None:
            raise QueueUnavailable("the connection was lost")
        headers = message.headers or {}
        if "Status" not in headers:
            CONSUMED_MESSAGES.labels(subject_of(lane)).inc()
            return Delivery(self, message, lane)
        # nats-py may leave what follows the number in the same value.
        status = headers["Status"][:STATUS_DIGITS]
        if status in NO_MESSAGES:
            return None
        raise QueueUnavailable(f"status {status} {headers.get('Description', '')}".strip())

    async def _abandon(self, subscription: Subscription, arrived: asyncio.Queue[Msg | None], lane: str) -> None:
        """Begin to end a pull that nobody waits for any more; a second cancellation does not stop it."""
        ending = asyncio.create_task(self._give_back(subscription, arrived, lane), name="nats-give-back")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        await asyncio.shield(ending)

    async def _give_back(self, subscription: Subscription, arrived: asyncio.Queue[Msg | None], lane: str) -> None:
        """What comes for a pull that was given up goes back at once, and not after ACK_WAIT_SECONDS.

        `unsubscribe` alone would drop a message that is on its way when the server hears of it; `drain` keeps the
        subscription for that round trip.
        """
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(REQUEST_SECONDS):
                await subscription.drain()  # type: ignore[no-untyped-call]
        while not arrived.empty():
            message = arrived.get_nowait()
            if message is not None and "Status" not in (message.headers or {}):
                with contextlib.suppress(QueueUnavailable):
                    await Delivery(self, message, lane).nak()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """The present connection; what goes wrong with it is QueueUnavailable."""
        if self._client is None:
            raise QueueUnavailable("not connected")
        try:
            yield self._client
        except NotFoundError:
            raise
        except (NatsError, OSError) as error:
            # A publish that is forbidden shows as a timeout; the reason comes by _on_error.
            raise QueueUnavailable(f"{type(error).__name__}: {error}") from error

    @contextlib.asynccontextmanager
    async def _jetstream(self) -> AsyncIterator[JetStreamContext]:
        async with self.client() as client:
            yield client.jetstream(timeout=REQUEST_SECONDS)

    async def _keep_connected(self) -> None:
        while True:
            closed = asyncio.Event()
            client = Client()
            try:
                await self._connect(client, closed)
                self._client = client
                self._connected.set()
                log.info("nats connected")
                await closed.wait()
            except (NatsError, OSError) as error:
                log.warning("nats not reached", cause=f"{type(error).__name__}: {error}")
            finally:
                self._forget()
                await self._close_client(client)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connect(self, client: Client, closed: asyncio.Event) -> None:
        async def on_closed() -> None:
            closed.set()

        await client.connect(
            self._url,
            name=self._name,
            allow_reconnect=False,
            connect_timeout=REQUEST_SECONDS,
            ping_interval=PING_SECONDS,
            error_cb=_on_error,
            closed_cb=on_closed,
            disconnected_cb=on_closed,
        )

    def _forget(self) -> None:
        self._client = None
        self._connected.clear()
        for arrived in self._pulls:
            arrived.put_nowait(None)

    async def _close_client(self, client: Client) -> None:
        # `drain` waits for every subscription and can hang; nothing here has anything left to say.
        with contextlib.suppress(NatsError, OSError):
            await client.close()


async def _on_error(error: Exception) -> None:
    log.warning("nats error", cause=f"{type(error).__name__}: {error}")

"""A slot of a worker or of a fetcher: the messages of a lane, one after the other, and that each of them is settled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter

from runtime.jetstream import Delivery, JobQueue, QueueUnavailable
from runtime.messaging import processing
from runtime.streams import subject_of
from runtime.tracing import Span
from services.importer import job_message
from services.importer.job_message import JobMessage
from services.importer.model import Lane

log = structlog.get_logger(__name__)

FETCH_SECONDS = 5.0
# A lease of 60 s is renewed four times; the queue's own clock (60 s) is satisfied more often than that.
MESSAGE_BEAT_SECONDS = 15.0

Take = Callable[[JobMessage, Delivery, Span], Awaitable[None]]
"""Does what a message asks for, and settles it; the span is around all of that."""


async def serve(queue: JobQueue, lane: Lane, stop: asyncio.Event, take: Take, bad_messages: Counter) -> None:
    """Takes messages until `stop` is set, whatever one of them does. `bad_messages` counts those that are none."""
    while not stop.is_set():
        delivery = await queue.fetch(lane, timeout=FETCH_SECONDS)
        if delivery is None:
            continue
        try:
            if stop.is_set():
                await delivery.nak()
            else:
                await _handle(lane, delivery, take, bad_messages)
        except QueueUnavailable as error:
            # The import's state is in the database; the message comes again, finds that, and is dropped.
            log.warning("a message could not be settled", error=str(error))
        except Exception:
            # Other imports are in hand. This one's lease runs out, which counts as a crash; three are the end.
            log.exception("an import ended its slot", sequence=delivery.sequence)


async def _handle(lane: Lane, delivery: Delivery, take: Take, bad_messages: Counter) -> None:
    message = job_message.decode(delivery.data)
    if message is None:
        bad_messages.inc()
        log.error("not a job message", sequence=delivery.sequence)
        await delivery.term()
        return
    with (
        structlog.contextvars.bound_contextvars(import_id=str(message.import_id), tenant_id=message.tenant),
        processing(subject_of(lane), delivery.headers, delivery.num_delivered) as processed,
    ):
        processed.note({"hythe.import_id": str(message.import_id)})
        await take(message, delivery, processed)


class MessageBeat:
    """Tells the queue now and then that a message is being worked on; an outage of the queue is no reason to stop."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._beat_at = time.monotonic()

    async def __call__(self) -> None:
        if time.monotonic() - self._beat_at < MESSAGE_BEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        try:
            await self._delivery.in_progress()
        except QueueUnavailable as error:
            log.warning("the queue could not be told of progress", error=str(error))

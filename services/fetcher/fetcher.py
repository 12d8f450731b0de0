"""The fetcher: message -> claim -> read and land -> hand over -> ack. It merges nothing and serves no requests."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import structlog
from uuid_utils.compat import uuid7

from runtime.errors import ServiceError
from runtime.failpoints import failpoint
from runtime.jetstream import Delivery, JobQueue, QueueUnavailable
from runtime.messaging import processing
from runtime.objects import ObjectStore
from runtime.sealing import Sealer
from runtime.streams import subject_of
from runtime.tracing import Span, span
from services.fetcher import metrics
from services.fetcher.attempt import Attempt, Bounds
from services.fetcher.store import Ending, FetchStore
from services.importer import job_message
from services.importer.engine.claims import Claim
from services.importer.engine.spans import attempt_span
from services.importer.model import Lane

log = structlog.get_logger(__name__)

FOLDER = "fetched"
FETCH_SECONDS = 5.0
MESSAGE_BEAT_SECONDS = 15.0
DATABASE_AWAY_SECONDS = 5.0
# Endings that the span of an attempt shows as errors, and as which.
FAILED_ATTEMPTS = {Ending.FAILED: "FAILED", Ending.RETRIED: "RETRIED"}


class Fetcher:
    """Slots, each reading one source at a time."""

    def __init__(
        self, store: FetchStore, objects: ObjectStore, queue: JobQueue, sealer: Sealer, bounds: Bounds, *, slots: int
    ) -> None:
        self._store = store
        self._objects = objects
        self._queue = queue
        self._sealer = sealer
        self._bounds = bounds
        self._slots = slots
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then gives back what is in hand."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._slots):
                group.create_task(self._work(stop))

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            delivery = await self._queue.fetch(Lane.FETCH, timeout=FETCH_SECONDS)
            if delivery is None:
                continue
            try:
                if stop.is_set():
                    await delivery.nak()
                else:
                    await self._handle(delivery, stop)
            except QueueUnavailable as error:
                # The import's state is in the database; the message comes again, finds that, and is dropped.
                log.warning("a message could not be settled", error=str(error))
            except Exception:
                # Others are in hand. This one's lease runs out, which counts as a crash; three are the end.
                log.exception("an import ended its fetcher's slot", sequence=delivery.sequence)

    async def _handle(self, delivery: Delivery, stop: asyncio.Event) -> None:
        message = job_message.decode(delivery.data)
        if message is None:
            metrics.BAD_MESSAGES.inc()
            log.error("not a job message", sequence=delivery.sequence)
            await delivery.term()
            return
        with (
            structlog.contextvars.bound_contextvars(import_id=str(message.import_id), tenant_id=message.tenant),
            processing(subject_of(Lane.FETCH), delivery.headers, delivery.num_delivered) as processed,
        ):
            processed.note({"hythe.import_id": str(message.import_id)})
            await self._process(message, delivery, stop, processed)

    async def _process(
        self, message: job_message.JobMessage, delivery: Delivery, stop: asyncio.Event, processed: Span
    ) -> None:
        try:
            with span("claim"):
                claimed = await self._store.claim(message.tenant, message.import_id, self._owner)
            if isinstance(claimed, Claim):
                await self._run(claimed, delivery, stop)
                return
            processed.note({"hythe.refusal": claimed.value})
            log.info("not claimed", refusal=claimed.value)
            await delivery.ack_sync()
        except QueueUnavailable:
            raise
        except ServiceError as error:
            processed.conclude(error.reason)
            log.warning("could not claim", error=str(error))
            await delivery.nak(delay=DATABASE_AWAY_SECONDS)

    async def _run(self, claim: Claim, delivery: Delivery, stop: asyncio.Event) -> None:
        with structlog.contextvars.bound_contextvars(attempt=claim.attempt), attempt_span(claim) as spanned:
            ending = await self._attempt(claim, delivery, stop)
            spanned.note({"hythe.ending": ending})
            spanned.conclude(FAILED_ATTEMPTS.get(ending, ""))
        if ending is Ending.FENCED:
            # Whoever took over owns the message now.
            return
        failpoint("ack.before")
        await delivery.ack_sync()

    async def _attempt(self, claim: Claim, delivery: Delivery, stop: asyncio.Event) -> Ending:
        log.info("fetch started", is_takeover=claim.is_takeover)
        began = time.monotonic()
        # A key of its own for each attempt: one that was taken for dead writes beside the next, not over it.
        folder = self._objects.object_key(f"{FOLDER}/{claim.job.tenant_id}/{claim.job.import_id}/{uuid7()}")
        beat = _MessageBeat(delivery)
        attempt = Attempt(self._store, self._objects, self._sealer, claim, folder, self._bounds, stop, beat)
        with metrics.FETCHING.track_inprogress():
            ending = await attempt.run()
        seconds = time.monotonic() - began
        metrics.FETCHES.labels(attempt.type, ending).inc()
        metrics.FETCH_DURATION.observe(seconds)
        log.info("fetch ended", ending=ending, type=attempt.type, seconds=round(seconds, 3))
        return ending


class _MessageBeat:
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

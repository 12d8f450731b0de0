"""The fetcher: message -> claim -> read and land -> hand over -> ack. It merges nothing and serves no requests."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from functools import partial
from itertools import product

import structlog
from uuid_utils.compat import uuid7

from dialects.assets.source_settings import FETCHED_TYPES
from runtime.errors import ServiceError
from runtime.failpoints import failpoint
from runtime.jetstream import Delivery, JobQueue, QueueUnavailable
from runtime.objects import ObjectStore
from runtime.sealing import Sealer
from runtime.tracing import Span, span
from services.fetcher import metrics
from services.fetcher.attempt import UNKNOWN_TYPE, Attempt, Bounds
from services.fetcher.store import Ending, FetchStore
from services.importer.engine import slot
from services.importer.engine.claims import Claim
from services.importer.engine.spans import attempt_span
from services.importer.job_message import JobMessage
from services.importer.model import Lane

log = structlog.get_logger(__name__)

FOLDER = "fetched"
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
        for type_, ending in product((UNKNOWN_TYPE, *FETCHED_TYPES), Ending):
            metrics.FETCHES.labels(type_, ending)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._slots):
                take = partial(self._take, stop)
                group.create_task(slot.serve(self._queue, Lane.FETCH, stop, take, metrics.BAD_MESSAGES))

    async def _take(self, stop: asyncio.Event, message: JobMessage, delivery: Delivery, processed: Span) -> None:
        failpoint("fetch.taken")
        try:
            with span("claim"):
                claimed = await self._store.claim(message.tenant, message.import_id, self._owner)
            if isinstance(claimed, Claim):
                await self._run(claimed, delivery, stop)
                return
            processed.note({"hythe.refusal": claimed.value})
            log.info("not claimed", refusal=claimed.value)
            failpoint("fetch.before_refusal")
            await delivery.ack_sync()
        except QueueUnavailable:
            raise
        except ServiceError as error:
            processed.conclude(error.reason)
            log.warning("could not claim", error=str(error))
            failpoint("fetch.before_nak")
            await delivery.nak(delay=DATABASE_AWAY_SECONDS)
            failpoint("fetch.after_nak")

    async def _run(self, claim: Claim, delivery: Delivery, stop: asyncio.Event) -> None:
        with structlog.contextvars.bound_contextvars(attempt=claim.attempt), attempt_span(claim) as spanned:
            ending = await self._attempt(claim, delivery, stop)
            spanned.note({"hythe.ending": ending})
            spanned.conclude(FAILED_ATTEMPTS.get(ending, ""))
        if ending is Ending.FENCED:
            # Whoever took over owns the message now.
            return
        failpoint("fetch.before_ack")
        await delivery.ack_sync()
        failpoint("fetch.after_ack")

    async def _attempt(self, claim: Claim, delivery: Delivery, stop: asyncio.Event) -> Ending:
        log.info("fetch started", is_takeover=claim.is_takeover)
        began = time.monotonic()
        # A key of its own for each attempt: one that was taken for dead writes beside the next, not over it.
        folder = self._objects.object_key(f"{FOLDER}/{claim.job.tenant_id}/{claim.job.import_id}/{uuid7()}")
        beat = slot.MessageBeat(delivery)
        attempt = Attempt(self._store, self._objects, self._sealer, claim, folder, self._bounds, stop, beat)
        with metrics.FETCHING.track_inprogress():
            ending = await attempt.run()
        seconds = time.monotonic() - began
        metrics.FETCHES.labels(attempt.type, ending).inc()
        metrics.FETCH_DURATION.observe(seconds)
        log.info("fetch ended", ending=ending, type=attempt.type, seconds=round(seconds, 3))
        return ending

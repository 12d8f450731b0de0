"""The worker: message -> claim -> run -> ack. It parses nothing itself and serves no requests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import structlog

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.failpoints import failpoint
from runtime.jetstream import Delivery, JobQueue, QueueUnavailable
from runtime.objects import ObjectStore
from runtime.tracing import Span, span
from services.importer import metrics
from services.importer.engine import claims, janitor, slot
from services.importer.engine.attempt import Attempt, Ending
from services.importer.engine.claims import Claim, Refusal
from services.importer.engine.limits import Limits
from services.importer.engine.runner import Gate
from services.importer.engine.spans import attempt_span
from services.importer.engine.target import Target
from services.importer.job_message import JobMessage
from services.importer.model import Lane

log = structlog.get_logger(__name__)

DATABASE_AWAY_SECONDS = 5.0
JANITOR_SECONDS = 60.0
# Endings that the span of an attempt shows as errors, and as which.
FAILED_ATTEMPTS = {Ending.FAILED: "FAILED", Ending.RETRIED: "RETRIED"}


class Worker:
    """Slots in two lanes, each running one import at a time."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        queue: JobQueue,
        targets: Mapping[str, Target],
        *,
        lease: timedelta,
        slots: Mapping[Lane, int],
        limits: Limits,
        gate: Gate | None = None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._queue = queue
        self._targets = targets
        self._lease = lease
        self._slots = slots
        self._limits = limits
        self._gate = gate
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then hands over what is in hand at its next chunk."""
        for ending in Ending:
            metrics.JOB_DURATION.labels(ending)
        async with asyncio.TaskGroup() as group:
            for lane, count in self._slots.items():
                for _ in range(count):
                    take = partial(self._take, lane, stop)
                    group.create_task(slot.serve(self._queue, lane, stop, take, metrics.BAD_MESSAGES))
            group.create_task(self._tidy(stop))

    async def _tidy(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await janitor.sweep(self._database, self._targets)
            except ServiceError as error:
                log.warning("staging could not be swept", error=str(error))
            except Exception:
                # Such as two workers that sweep the same table. What is left is there at the next sweep.
                log.exception("staging could not be swept")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), JANITOR_SECONDS)

    async def _take(
        self, lane: Lane, stop: asyncio.Event, message: JobMessage, delivery: Delivery, processed: Span
    ) -> None:
        failpoint("worker.fetched")
        try:
            with span("claim"):
                claimed = await self._claim(message)
            if isinstance(claimed, Claim):
                await self._run(lane, claimed, delivery, stop)
                return
            processed.note({"hythe.refusal": claimed.value})
            log.info("not claimed", refusal=claimed.value)
            metrics.POISON.inc(int(claimed is Refusal.POISON))
            failpoint("refusal.before_ack")
            await delivery.ack_sync()
        except QueueUnavailable:
            raise
        except ServiceError as error:
            processed.conclude(error.reason)
            log.warning("could not claim", error=str(error))
            failpoint("nak.before")
            await delivery.nak(delay=DATABASE_AWAY_SECONDS)
            failpoint("nak.after")

    async def _claim(self, message: JobMessage) -> Claim | Refusal:
        async with self._database.transaction(message.tenant) as connection:
            claimed = await claims.claim(
                connection, message.tenant, message.import_id, self._owner, self._lease, self._limits.keep_resumable
            )
            failpoint("claim.before_commit")
        failpoint("claim.after_commit")
        return claimed

    async def _run(self, lane: Lane, claim: Claim, delivery: Delivery, stop: asyncio.Event) -> None:
        with structlog.contextvars.bound_contextvars(attempt=claim.attempt), attempt_span(claim) as spanned:
            ending = await self._attempt(lane, claim, delivery, stop)
            spanned.note({"hythe.ending": ending})
            spanned.conclude(FAILED_ATTEMPTS.get(ending, ""))
        if ending is Ending.FENCED:
            # Whoever took over owns the message now.
            return
        failpoint("ack.before")
        await delivery.ack_sync()
        failpoint("ack.after")

    async def _attempt(self, lane: Lane, claim: Claim, delivery: Delivery, stop: asyncio.Event) -> Ending:
        metrics.TAKEOVERS.inc(int(claim.is_takeover))
        if claim.attempt == 1:
            metrics.QUEUE_AGE.labels(lane).observe(claim.queued_seconds)
        log.info("import started", target=claim.target, size_bytes=claim.size, is_takeover=claim.is_takeover)
        began = time.monotonic()
        beat = slot.MessageBeat(delivery)
        target = self._targets[claim.target]
        with metrics.RUNNING.labels(lane).track_inprogress():
            attempt = Attempt(self._database, self._objects, target, claim, self._limits, stop, beat, self._gate)
            ending = await attempt.run()
        seconds = time.monotonic() - began
        metrics.JOB_DURATION.labels(ending).observe(seconds)
        log.info("import attempt ended", ending=ending, seconds=round(seconds, 3))
        return ending

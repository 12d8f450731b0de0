"""The dispatcher: sends queued imports to the workers, and sends again what got lost.

One replica is active. What else only one may do runs beside it as a duty: telling of ends, removing what is old.

The outbox has a row for each import that is not finished, with the time at which to look at it next. Looking
decides from the database alone; NATS may lose, repeat, delay or reorder anything and costs seconds. Caps are
applied here, so what is in the stream may run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import structlog
from cachetools import TTLCache

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.failpoints import failpoint
from runtime.jetstream import JobQueue, QueueUnavailable
from runtime.messaging import publishing
from runtime.notifications import Listener
from runtime.streams import subject_of
from runtime.tracing import Value
from services.importer import dispatch_store, job_message, metrics
from services.importer.dispatch_store import Due, Leadership
from services.importer.model import State
from services.importer.settings import DispatchSettings
from services.importer.store import backlog
from services.importer.store.outbox import DISPATCHES_OF_A_ROW
from services.importer.waiting import wait, wait_for_either

log = structlog.get_logger(__name__)

BATCH = 500
PER_TENANT = 100
STANDBY_SECONDS = 2.0
STREAM_CHECK_SECONDS = 15.0
MAX_DOUBLINGS = 10
QUIET_SECONDS = 0.01
LIMIT_SECONDS = 5.0
MEASURE_SECONDS = 1.0

Limits = Callable[[int], Awaitable[int]]
"""The number of imports that a tenant may have at the workers."""

Duty = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, or until it is cancelled because another replica leads."""


class Dispatcher:
    """Relay and sweeper, and the duties of the active replica."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        listener: Listener,
        limits: Limits,
        duties: Sequence[Duty],
        settings: DispatchSettings,
    ) -> None:
        self._database = database
        self._queue = queue
        self._listener = listener
        self._limits = limits
        self._duties = duties
        self._settings = settings
        self._known_limits: TTLCache[int, int] = TTLCache(maxsize=10_000, ttl=LIMIT_SECONDS)
        self._measured_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Waits to be the active one, and is that until `stop` or until the database is lost."""
        listening = asyncio.create_task(self._listener.run(stop))
        try:
            while not stop.is_set():
                try:
                    # Whoever stands by measures, too: what waits is seen when nobody leads, and no old figure stays.
                    await self.measure()
                    await self._lead(stop)
                except ServiceError as error:
                    log.warning("dispatching was interrupted", error=str(error))
                await wait(stop, STANDBY_SECONDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _lead(self, stop: asyncio.Event) -> None:
        async with dispatch_store.lead(self._database) as leadership:
            if leadership is None:
                return
            log.info("dispatching")
            duties = [asyncio.ensure_future(duty(stop)) for duty in self._duties]
            try:
                await self._relay(stop, leadership)
            finally:
                for duty in duties:
                    duty.cancel()
                await asyncio.gather(*duties, return_exceptions=True)

    async def _relay(self, stop: asyncio.Event, leadership: Leadership) -> None:
        check_stream_at = 0.0
        while not stop.is_set():
            self._listener.event.clear()
            # The lock lives as long as this connection; without it another replica has taken over.
            await leadership.check()
            try:
                # Again and again: a consumer that somebody has removed takes no message and refuses none.
                if time.monotonic() >= check_stream_at:
                    await self._ensure_streams()
                    check_stream_at = time.monotonic() + STREAM_CHECK_SECONDS
                has_more = await self.look()
            except QueueUnavailable as error:
                log.warning("the queue does not answer", error=str(error))
                check_stream_at, has_more = 0.0, False
                await wait(stop, self._settings.dispatch_poll_seconds)
            # After the look, and also when the queue is away: what could be sent and was not is what waits.
            await self.measure()
            if not has_more:
                await wait_for_either(stop, self._listener.event, self._settings.dispatch_poll_seconds)
                # Many triggers in a row are one look.
                await wait(stop, QUIET_SECONDS)

    async def _ensure_streams(self) -> None:
        await self._queue.ensure_streams(
            replicas=self._settings.stream_replicas, max_ack_pending=2 * self._settings.worker_slots
        )

    async def look(self) -> bool:
        """Looks at everything that is due, once. True when there may be more that could be sent now."""
        async with self._database.transaction(None) as connection:
            in_flight = await dispatch_store.in_flight(connection)
        full = await self._full(in_flight)
        async with self._database.transaction(None) as connection:
            items = await dispatch_store.due(
                connection, full, PER_TENANT, BATCH, fetches_per_tenant=self._settings.max_running_fetches
            )
        sent = 0
        for item in items:
            sent += await self._look_at(item, in_flight)
        return sent >= min(PER_TENANT, BATCH)

    async def measure(self) -> None:
        """Sets the gauges of what waits, once in a while. Raises ServiceError; they tell of nothing then."""
        now = time.monotonic()
        if now - self._measured_at < MEASURE_SECONDS:
            return
        self._measured_at = now
        try:
            async with self._database.transaction(None) as connection:
                in_flight = await dispatch_store.in_flight(connection)
            full = await self._full(in_flight)
            async with self._database.transaction(None) as connection:
                found = await backlog.measured(connection, full, self._settings.max_running_fetches)
        except ServiceError:
            metrics.forget_backlog()
            raise
        metrics.OUTBOX_SIZE.set(found.size)
        metrics.OUTBOX_LAG.set(found.lag_seconds)
        metrics.SCHEDULE_LAG.set(found.schedule_lag_seconds)
        for lane, queue in found.lanes.items():
            metrics.QUEUED.labels(lane).set(queue.imports)
            metrics.QUEUED_SECONDS.labels(lane).set(queue.oldest_seconds)
        for topic, count in found.rows.items():
            metrics.OUTBOX_ROWS.labels(topic).set(count)

    async def _full(self, in_flight: Mapping[int, int]) -> list[int]:
        """Tenants that have as many imports at the workers as they may."""
        return [tenant_id for tenant_id, count in in_flight.items() if count >= await self._limit_of(tenant_id)]

    async def _limit_of(self, tenant_id: int) -> int:
        """A tenant's cap, asked for once in a while and not for each of its thousand imports."""
        limit = self._known_limits.get(tenant_id)
        if limit is None:
            limit = self._known_limits[tenant_id] = await self._limits(tenant_id)
        return limit

    async def _look_at(self, item: Due, in_flight: dict[int, int]) -> bool:
        """What to do with one import. True when it was sent to the workers."""
        match item.state:
            case State.RUNNING:
                return await self._look_at_running(item)
            case State.QUEUED:
                return await self._look_at_queued(item, in_flight)
            case State.OPEN | State.PAUSED:
                # Whoever closes or resumes it makes it due.
                await self._later(item, timedelta(seconds=self._settings.dispatch_last_delay_seconds))
            case _:
                async with self._database.transaction(item.tenant_id) as connection:
                    await dispatch_store.forget(connection, item)
        return False

    async def _look_at_running(self, item: Due) -> bool:
        async with self._database.transaction(item.tenant_id) as connection:
            lease_end = await dispatch_store.lease_end(connection, item)
            if lease_end is not None:
                await dispatch_store.look_again(connection, item, lease_end)
                return False
        log.warning("the lease of an import is over", import_id=str(item.import_id))
        return await self._send(item)

    async def _look_at_queued(self, item: Due, in_flight: dict[int, int]) -> bool:
        if item.stream_sequence is not None:
            if await self._queue.is_waiting(item.lane, item.stream_sequence):
                await self._later(item, delay_after(item.dispatch_number, self._settings))
                return False
            log.warning("a message is lost, or was given out in vain", import_id=str(item.import_id))
            # One that the queue will not give out again would lie there for ever.
            await self._queue.remove(item.stream_sequence)
            return await self._send(item)
        if in_flight.get(item.tenant_id, 0) >= await self._limit_of(item.tenant_id):
            # It stays due; the end of another import of the tenant calls us.
            return False
        in_flight[item.tenant_id] = in_flight.get(item.tenant_id, 0) + 1
        return await self._send(item)

    async def _send(self, item: Due) -> bool:
        """Publishes with a message id of its own for each dispatch: a repeated one would be dropped as a duplicate."""
        failpoint("dispatch.before_publish")
        about: dict[str, Value] = {"hythe.import_id": str(item.import_id), "hythe.dispatch": item.dispatch_number + 1}
        with publishing(subject_of(item.lane), item.traceparent, about) as sent:
            sequence = await self._queue.publish(
                item.lane,
                job_message.encode(job_message.JobMessage(item.tenant_id, item.import_id)),
                message_id=f"{item.import_id}:{item.dispatch_number + 1}",
                headers={"traceparent": sent.traceparent},
            )
        failpoint("dispatch.after_publish")
        metrics.PUBLISHED.labels(item.lane).inc()
        if item.dispatch_number:
            metrics.REDRIVES.inc()
        next_look = delay_after(item.dispatch_number + 1, self._settings)
        async with self._database.transaction(item.tenant_id) as connection:
            await dispatch_store.mark_published(connection, item, sequence, next_look)
            failpoint("dispatch.before_commit")
        failpoint("dispatch.after_commit")
        return True

    async def _later(self, item: Due, delay: timedelta) -> None:
        async with self._database.transaction(item.tenant_id) as connection:
            await dispatch_store.look_again(connection, item, delay)


def delay_after(dispatches: int, settings: DispatchSettings) -> timedelta:
    """Until the next look at an import that was sent so often: doubles from the first delay to the last.

    A row that was made anew, for a resumed import, counts from a multiple of DISPATCHES_OF_A_ROW.
    """
    before = (dispatches - 1) % DISPATCHES_OF_A_ROW
    doubled = settings.dispatch_first_delay_seconds * 2 ** min(before, MAX_DOUBLINGS)
    return timedelta(seconds=min(doubled, settings.dispatch_last_delay_seconds))

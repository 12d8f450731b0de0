"""Tells of imports that have ended: on NATS, and by making a delivery for each webhook that wants to know.

The row of the outbox is written in the transaction that ends the import, so there is one for each end, and nobody is
told before the data can be read. It goes when NATS has the event. Deliveries are made once, in the same transaction as
the note that they are; an outage of NATS delays nothing but NATS. A death in between repeats the publishing under the
same message id.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.failpoints import failpoint
from runtime.jetstream import JobQueue, QueueUnavailable
from runtime.messaging import publishing
from runtime.streams import EVENT_SUBJECTS
from services.importer import dispatch_store, metrics
from services.importer.dispatch_store import Telling
from services.importer.events import Ended, event_id_of, notice_of, subject_of
from services.importer.store import events
from services.importer.waiting import wait_for_either

log = structlog.get_logger(__name__)

BATCH = 500
PER_TENANT = 100
AGAIN = timedelta(seconds=5)
"""Until an end that NATS did not take is tried again."""
PUT_OFF = timedelta(minutes=1)
"""The same of one that fails for another reason."""


class Announcer:
    """A duty of the active dispatcher. It sees what is due in all tenants, and reads each end as its tenant."""

    def __init__(
        self, dispatch: Database, database: Database, queue: JobQueue, called: asyncio.Event, *, poll_seconds: float
    ) -> None:
        self._dispatch = dispatch
        self._database = database
        self._queue = queue
        self._called = called
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Tells until `stop`."""
        while not stop.is_set():
            self._called.clear()
            has_more = False
            try:
                has_more = await self.look()
            except ServiceError as error:
                log.warning("ends of imports could not be looked for", error=str(error))
            except Exception:
                # Nobody waits for this task; without it nobody would hear of anything again.
                log.exception("telling of ends failed")
            if not has_more:
                await wait_for_either(stop, self._called, self._poll_seconds)

    async def look(self) -> bool:
        """Tells of every end that is due, once. True when there may be more."""
        async with self._dispatch.transaction(None) as connection:
            ends = await dispatch_store.due_ends(connection, per_tenant=PER_TENANT, limit=BATCH)
        is_queue_up = True
        for end in ends:
            if not is_queue_up and end.dispatch_number:
                continue
            try:
                await self._tell(end, publish=is_queue_up)
            except QueueUnavailable as error:
                # The others of this look need not wait for it as well; their webhooks are told.
                is_queue_up = False
                log.warning("an event could not be published", import_id=str(end.import_id), error=str(error))
            except ServiceError as error:
                log.warning("an end could not be told", import_id=str(end.import_id), error=str(error))
                return False
            except Exception:
                log.exception("an end cannot be told", import_id=str(end.import_id))
                await self._put_off(end)
        return len(ends) >= min(PER_TENANT, BATCH) and is_queue_up

    async def _tell(self, end: Telling, *, publish: bool) -> None:
        ended = await self._make_deliveries(end)
        if ended is None or not publish:
            return
        failpoint("announce.before_publish")
        await self._publish(end, ended)
        failpoint("announce.after_publish")
        async with self._database.transaction(end.tenant_id) as connection:
            await events.forget_end(connection, end.tenant_id, end.import_id)
            failpoint("announce.before_forgetting")
        failpoint("announce.after_forgetting")

    async def _make_deliveries(self, end: Telling) -> Ended | None:
        """What has ended; None when somebody else tells of it."""
        async with self._database.transaction(end.tenant_id) as connection:
            is_new = await events.take_end(connection, end.tenant_id, end.import_id)
            if is_new is None:
                return None
            ended = await events.read_ended(connection, end.tenant_id, end.import_id)
            if is_new:
                await events.make_deliveries(connection, ended)
            await events.look_again(connection, end.tenant_id, end.import_id, AGAIN)
            failpoint("announce.before_commit")
        failpoint("announce.after_commit")
        return ended

    async def _publish(self, end: Telling, ended: Ended) -> None:
        # A collector is no place for the subject itself, which names the tenant.
        about = {"hythe.import_id": str(ended.import_id), "hythe.state": ended.state}
        with publishing(EVENT_SUBJECTS, end.traceparent, about) as sent:
            await self._queue.publish_event(
                subject_of(ended),
                notice_of(ended),
                event_id=event_id_of(ended.import_id),
                headers={"traceparent": sent.traceparent},
            )
        metrics.EVENTS_PUBLISHED.labels(ended.state).inc()

    async def _put_off(self, end: Telling) -> None:
        """One end that cannot be told must not keep the others waiting."""
        with contextlib.suppress(ServiceError):
            async with self._dispatch.transaction(None) as connection:
                await dispatch_store.put_off(connection, end, PUT_OFF)

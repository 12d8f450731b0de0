"""The audit trail: who did what and who was refused, written beside the work and never silently lost.

An event is queued when its call has ended and written in batches by one task, again and again until the database takes
it. When the queue is full, or the process ends before the database is back, the event goes to the log as an error,
whole, and a metric counts it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import structlog
from sqlalchemy import Table, insert
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from runtime.database import Database, set_tenant
from runtime.errors import DeadlineExceeded, Unavailable
from runtime.telemetry import AUDIT_EVENTS

log = structlog.get_logger(__name__)

NOBODYS_TENANT = 0
QUEUE_EVENTS = 10_000
BATCH_EVENTS = 200
FLUSH_SECONDS = 5.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One call. `object` has ids of what was touched, never contents, passwords or URLs."""

    tenant_id: int
    user_id: int | None
    service: str
    method: str
    outcome: str
    """OK, or the name of the gRPC status."""
    reason: str
    request_id: str
    object: Mapping[str, str] = field(default_factory=dict)


class AuditLog(Protocol):
    """What a server needs of it."""

    def record(self, event: AuditEvent) -> None:
        """Never waits and never fails."""
        ...

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class AuditWriter(Protocol):
    """Where events are kept."""

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """All of them or none."""
        ...


class AuditTable:
    """Events in a table, by a role that may insert and nothing else."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table

    async def write(self, events: Sequence[AuditEvent]) -> None:
        by_tenant: dict[int, list[AuditEvent]] = defaultdict(list)
        for event in events:
            by_tenant[event.tenant_id].append(event)
        async with self._database.transaction(None) as connection:
            for tenant_id, batch in by_tenant.items():
                await set_tenant(connection, tenant_id)
                # `inline`: the role may not read back the ids that RETURNING would ask for.
                await connection.execute(insert(self._table).inline(), [_row(event) for event in batch])


def _row(event: AuditEvent) -> dict[str, Any]:
    # PostgreSQL stores every character but NUL.
    row = {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in asdict(event).items()
    }
    return {**row, "object": {name: value.replace("\0", "\ufffd") for name, value in event.object.items()}}


class AuditTrail:
    """The queue between calls and the writer."""

    def __init__(self, writer: AuditWriter) -> None:
        self._writer = writer
        self._queue: asyncio.Queue[AuditEvent] = asyncio.Queue(QUEUE_EVENTS)
        self._task: asyncio.Task[None] | None = None

    def record(self, event: AuditEvent) -> None:
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            _give_up([event], "the queue is full")

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="audit")

    async def stop(self) -> None:
        """Write what is queued, for a few seconds at most."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._queue.join()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        _give_up(self._take(QUEUE_EVENTS), "the process ends")

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get(), *self._take(BATCH_EVENTS - 1)]
            await self._write(batch)
            for _ in batch:
                self._queue.task_done()

    def _take(self, most: int) -> list[AuditEvent]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    async def _write(self, batch: Sequence[AuditEvent]) -> None:
        try:
            await self._write_when_possible(batch)
            AUDIT_EVENTS.labels(outcome="written").inc(len(batch))
        except asyncio.CancelledError:
            _give_up(batch, "the process ends")
            raise
        except Exception as error:  # noqa: BLE001 - nothing may end the task that writes
            if len(batch) == 1:
                _give_up(batch, repr(error))
                return
            await self._write_singly(batch)

    async def _write_singly(self, batch: Sequence[AuditEvent]) -> None:
        """One event that the database will never take must not keep the others out."""
        for number, event in enumerate(batch):
            try:
                await self._write([event])
            except asyncio.CancelledError:
                _give_up(batch[number + 1 :], "the process ends")
                raise

    async def _write_when_possible(self, batch: Sequence[AuditEvent]) -> None:
        attempts = AsyncRetrying(
            retry=retry_if_exception_type((Unavailable, DeadlineExceeded)),
            wait=wait_exponential(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS),
            before_sleep=_note_retry,
        )
        await attempts(self._writer.write, batch)


def _note_retry(state: RetryCallState) -> None:
    AUDIT_EVENTS.labels(outcome="retried").inc()
    log.warning("audit events not written yet", attempts=state.attempt_number)


def _give_up(events: Sequence[AuditEvent], cause: str) -> None:
    for event in events:
        log.error("audit event not stored", cause=cause, event_lost=_row(event))
    AUDIT_EVENTS.labels(outcome="lost").inc(len(events))

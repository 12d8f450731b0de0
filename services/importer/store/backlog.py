"""How much waits for the workers: what a dispatcher measures of all tenants, at the same cost as a look at them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.assets import import_schedules
from schema.importer import imports, outbox
from services.importer.dispatch_store import IMPORT_OF_ROW, is_held_back
from services.importer.model import Lane, State
from services.importer.store.outbox import Topic


@dataclass(frozen=True, slots=True)
class LaneQueue:
    """What waits in a lane: imports that are queued and not put off, and how long the one that was sent longest ago.

    0 seconds: nothing waits that was sent.
    """

    imports: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, of all tenants."""

    size: int
    """Imports that are not finished."""
    lag_seconds: float
    """How long the oldest import waits that might be sent and was not; 0: there is none."""
    lanes: Mapping[Lane, LaneQueue]
    rows: Mapping[Topic, int]
    """Of the outbox."""
    schedule_lag_seconds: float
    """How late the schedule is whose time came first and that has not fired; 0: there is none."""


async def measured(connection: AsyncConnection, full: Collection[int], fetches_per_tenant: int) -> Backlog:
    """Imports that wait for others of their tenant wait for no dispatcher: of those that are `full`, and fetches."""
    rows = await _rows_by_topic(connection)
    return Backlog(
        size=rows[Topic.RUN],
        lag_seconds=await _lag(connection, full, fetches_per_tenant),
        lanes=await _lanes(connection),
        rows=rows,
        schedule_lag_seconds=await _schedule_lag(connection),
    )


async def _lag(connection: AsyncConnection, full: Collection[int], fetches_per_tenant: int) -> float:
    # Rows that were made anew or handed back count from when they became due, not from when the import was triggered.
    query = (
        select(_seconds_since(func.min(outbox.c.next_at)))
        .join(imports, IMPORT_OF_ROW)
        .where(
            outbox.c.topic == Topic.RUN,
            outbox.c.stream_sequence.is_(None),
            outbox.c.next_at <= func.now(),
            outbox.c.tenant_id.not_in(full),
            ~is_held_back(fetches_per_tenant),
            imports.c.state == State.QUEUED,
        )
    )
    return float((await connection.execute(query)).scalar_one())


async def _schedule_lag(connection: AsyncConnection) -> float:
    query = select(_seconds_since(func.min(import_schedules.c.next_at))).where(
        import_schedules.c.is_active, import_schedules.c.next_at <= func.now()
    )
    return float((await connection.execute(query)).scalar_one())


async def _lanes(connection: AsyncConnection) -> dict[Lane, LaneQueue]:
    was_sent = outbox.c.stream_sequence.is_not(None)
    oldest = func.min(outbox.c.published_at).filter(was_sent)
    query = (
        select(
            outbox.c.lane,
            func.count().label("imports"),
            _seconds_since(oldest).label("seconds"),
        )
        .join(imports, IMPORT_OF_ROW)
        .where(
            outbox.c.topic == Topic.RUN,
            imports.c.state == State.QUEUED,
            or_(imports.c.not_before.is_(None), imports.c.not_before <= func.now()),
        )
        .group_by(outbox.c.lane)
    )
    found = {row.lane: LaneQueue(row.imports, float(row.seconds)) for row in await connection.execute(query)}
    return {lane: found.get(lane, LaneQueue(0, 0)) for lane in Lane}


async def _rows_by_topic(connection: AsyncConnection) -> dict[Topic, int]:
    query = select(outbox.c.topic, func.count().label("rows")).group_by(outbox.c.topic)
    found = {row.topic: row.rows for row in await connection.execute(query)}
    return {topic: found.get(topic, 0) for topic in Topic}


def _seconds_since(moment: ColumnElement[datetime]) -> ColumnElement[Decimal]:
    """0 where there is no such moment."""
    return func.coalesce(func.extract("epoch", func.now() - moment), 0)

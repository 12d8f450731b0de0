"""How much waits for the workers: what the active dispatcher measures of all tenants."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import imports, outbox
from services.importer.model import Lane, State
from services.importer.store.outbox import Topic


@dataclass(frozen=True, slots=True)
class LaneQueue:
    """What waits in a lane: imports that are queued and not put off, and how long the one that was sent longest ago.

    0 seconds: nothing waits that was sent.
    """

    imports: int
    oldest_seconds: float


async def unfinished(connection: AsyncConnection) -> tuple[int, float]:
    """How many imports are not finished, and how long the oldest one waits that no worker was told of."""
    query = select(
        func.count(),
        func.coalesce(
            func.extract("epoch", func.now() - func.min(outbox.c.created_at).filter(outbox.c.dispatch_number == 0)), 0
        ),
    ).where(outbox.c.topic == Topic.RUN)
    size, lag = (await connection.execute(query)).one()
    return int(size), float(lag)


async def queues(connection: AsyncConnection) -> dict[Lane, LaneQueue]:
    """What waits in each lane."""
    was_sent = outbox.c.stream_sequence.is_not(None)
    oldest = func.min(outbox.c.published_at).filter(was_sent)
    query = (
        select(
            outbox.c.lane,
            func.count().label("imports"),
            func.coalesce(func.extract("epoch", func.now() - oldest), 0).label("seconds"),
        )
        .join(imports, and_(imports.c.tenant_id == outbox.c.tenant_id, imports.c.import_id == outbox.c.import_id))
        .where(
            outbox.c.topic == Topic.RUN,
            imports.c.state == State.QUEUED,
            or_(imports.c.not_before.is_(None), imports.c.not_before <= func.now()),
        )
        .group_by(outbox.c.lane)
    )
    found = {row.lane: LaneQueue(row.imports, float(row.seconds)) for row in await connection.execute(query)}
    return {lane: found.get(lane, LaneQueue(0, 0)) for lane in Lane}


async def rows_by_topic(connection: AsyncConnection) -> dict[Topic, int]:
    """How many rows of each topic the outbox has."""
    query = select(outbox.c.topic, func.count().label("rows")).group_by(outbox.c.topic)
    found = {row.topic: row.rows for row in await connection.execute(query)}
    return {topic: found.get(topic, 0) for topic in Topic}

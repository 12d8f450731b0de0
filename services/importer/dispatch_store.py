"""Queries of the dispatcher.

As the role `hythe_dispatch` it sees ids, tenants and states of all tenants, and nothing else of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Subquery,
    Update,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.importer import import_leases, imports, outbox
from services.importer.model import Lane, State
from services.importer.store.outbox import Topic

RELAY_LOCK = 0x4879_7468_65  # "Hythe"
IMPORT_OF_ROW = and_(imports.c.tenant_id == outbox.c.tenant_id, imports.c.import_id == outbox.c.import_id)
IS_IN_FLIGHT = and_(
    outbox.c.topic == Topic.RUN,
    or_(
        imports.c.state == State.RUNNING,
        and_(imports.c.state == State.QUEUED, outbox.c.stream_sequence.is_not(None)),
    ),
)
"""At the workers: running, or sent and not yet taken."""


@dataclass(frozen=True, slots=True)
class Due:
    """An import whose turn it is to be looked at."""

    tenant_id: int
    import_id: UUID
    lane: str
    state: State
    dispatch_number: int
    stream_sequence: int | None
    traceparent: str


@dataclass(frozen=True, slots=True)
class Telling:
    """Something that is due to be told: an end, to everybody; or one delivery, to the webhook that is its lane."""

    tenant_id: int
    import_id: UUID
    item_id: UUID
    topic: Topic
    lane: str
    dispatch_number: int
    traceparent: str


class Leadership:
    """The lock of the one active dispatcher, held by an open transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def check(self) -> None:
        """Raises when the connection that holds the lock is lost."""
        await self._connection.execute(select(1))


@asynccontextmanager
async def lead(database: Database) -> AsyncIterator[Leadership | None]:
    """Holds the lock for the length of the block; None when another replica has it."""
    async with database.transaction(None) as connection:
        found = await connection.execute(select(func.pg_try_advisory_xact_lock(RELAY_LOCK)))
        yield Leadership(connection) if found.scalar_one() else None


async def due(
    connection: AsyncConnection,
    full: Collection[int],
    per_tenant: int,
    limit: int,
    fetches_per_tenant: int,
) -> list[Due]:
    """What is due, at most `per_tenant` of each tenant so that nobody's long queue hides another's first import.

    What was sent before comes first, so that no queue hides a lost import of its own tenant. Of the tenants that are
    `full`, nothing else comes at all. Of the lane `fetch`, a tenant has no more than `fetches_per_tenant` at the
    fetchers, with those that come now; what is held back for that hides none of its other imports.
    """
    is_new = outbox.c.dispatch_number == 0
    ranked = (
        select(
            outbox,
            func.row_number()
            .over(partition_by=outbox.c.tenant_id, order_by=(is_new, outbox.c.next_at, outbox.c.import_id))
            .label("rank"),
        )
        .where(outbox.c.topic == Topic.RUN, outbox.c.next_at <= func.now(), ~and_(is_new, outbox.c.tenant_id.in_(full)))
        .where(~is_held_back(fetches_per_tenant))
        .subquery()
    )
    query = (
        select(ranked, imports.c.state)
        .join(imports, and_(imports.c.tenant_id == ranked.c.tenant_id, imports.c.import_id == ranked.c.import_id))
        .where(ranked.c.rank <= per_tenant)
        .order_by(ranked.c.rank, ranked.c.next_at)
        .limit(limit)
    )
    return [
        Due(
            row["tenant_id"],
            row["import_id"],
            row["lane"],
            State(row["state"]),
            row["dispatch_number"],
            row["stream_sequence"],
            row["traceparent"],
        )
        for row in (await connection.execute(query)).mappings()
    ]


def is_held_back(fetches_per_tenant: int) -> ColumnElement[bool]:
    """Whether a row of the outbox is a fetch that waits for another one of its tenant."""
    held = _held_fetches(fetches_per_tenant)
    return exists().where(held.c.tenant_id == outbox.c.tenant_id, held.c.import_id == outbox.c.import_id)


def _held_fetches(per_tenant: int) -> Subquery:
    """Imports of the lane `fetch` that are not sent yet and for which their tenant has no place left."""
    is_new = outbox.c.dispatch_number == 0
    order = (is_new, outbox.c.next_at, outbox.c.import_id)
    waiting = (
        select(
            outbox.c.tenant_id,
            outbox.c.import_id,
            func.row_number().over(partition_by=outbox.c.tenant_id, order_by=order).label("place"),
        )
        .join(imports, IMPORT_OF_ROW)
        .where(outbox.c.topic == Topic.RUN, outbox.c.lane == Lane.FETCH, outbox.c.next_at <= func.now())
        .where(imports.c.state == State.QUEUED, outbox.c.stream_sequence.is_(None))
        .subquery()
    )
    sent = (
        select(outbox.c.tenant_id, func.count().label("fetches"))
        .join(imports, IMPORT_OF_ROW)
        .where(outbox.c.lane == Lane.FETCH, IS_IN_FLIGHT)
        .group_by(outbox.c.tenant_id)
        .subquery()
    )
    return (
        select(waiting.c.tenant_id, waiting.c.import_id)
        .outerjoin(sent, sent.c.tenant_id == waiting.c.tenant_id)
        .where(waiting.c.place + func.coalesce(sent.c.fetches, 0) > per_tenant)
        .subquery()
    )


async def due_ends(connection: AsyncConnection, per_tenant: int, limit: int) -> list[Telling]:
    """Imports whose end is to be told, of each tenant those first that nobody was told of."""
    is_known = outbox.c.dispatch_number > 0
    rank = func.row_number().over(
        partition_by=outbox.c.tenant_id, order_by=(is_known, outbox.c.next_at, outbox.c.import_id)
    )
    ranked = _due(Topic.ENDED).add_columns(rank.label("rank")).subquery()
    query = select(ranked).where(ranked.c.rank <= per_tenant).order_by(ranked.c.rank, ranked.c.next_at).limit(limit)
    return [_telling(row) for row in (await connection.execute(query)).mappings()]


async def due_deliveries(
    connection: AsyncConnection,
    full_tenants: Collection[int],
    full_lanes: Collection[tuple[int, str]],
    per_lane: int,
    limit: int,
) -> list[Telling]:
    """Deliveries to be made, the oldest of each webhook first. Of what is `full`, nothing comes at all."""
    lane = tuple_(outbox.c.tenant_id, outbox.c.lane)
    rank = func.row_number().over(
        partition_by=(outbox.c.tenant_id, outbox.c.lane), order_by=(outbox.c.next_at, outbox.c.item_id)
    )
    ranked = (
        _due(Topic.WEBHOOK)
        .add_columns(rank.label("rank"))
        .where(outbox.c.tenant_id.not_in(full_tenants), lane.not_in(full_lanes))
        .subquery()
    )
    query = select(ranked).where(ranked.c.rank <= per_lane).order_by(ranked.c.rank, ranked.c.next_at).limit(limit)
    return [_telling(row) for row in (await connection.execute(query)).mappings()]


def _due(topic: Topic) -> Select[Any]:
    return select(outbox).where(outbox.c.topic == topic, outbox.c.next_at <= func.now())


def _telling(row: RowMapping) -> Telling:
    return Telling(
        row["tenant_id"],
        row["import_id"],
        row["item_id"],
        Topic(row["topic"]),
        row["lane"],
        row["dispatch_number"],
        row["traceparent"],
    )


async def put_off(connection: AsyncConnection, item: Telling, delay: timedelta) -> None:
    """Sets when it is due next, whatever became of it."""
    await connection.execute(
        update(outbox)
        .where(
            outbox.c.tenant_id == item.tenant_id,
            outbox.c.import_id == item.import_id,
            outbox.c.topic == item.topic,
            outbox.c.item_id == item.item_id,
        )
        .values(next_at=func.now() + delay)
    )


async def in_flight(connection: AsyncConnection) -> dict[int, int]:
    """How many imports of each tenant are at the workers: running, or sent and not yet taken."""
    query = (
        select(outbox.c.tenant_id, func.count().label("imports"))
        .join(imports, IMPORT_OF_ROW)
        .where(IS_IN_FLIGHT)
        .group_by(outbox.c.tenant_id)
    )
    return {row.tenant_id: row.imports for row in await connection.execute(query)}


async def lease_end(connection: AsyncConnection, item: Due) -> datetime | None:
    """When the lease on a running import ends, if that is still to come. Under the tenant's own policy."""
    query = select(import_leases.c.expires_at).where(
        import_leases.c.tenant_id == item.tenant_id,
        import_leases.c.import_id == item.import_id,
        import_leases.c.expires_at > func.now(),
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def look_again(connection: AsyncConnection, item: Due, at: datetime | timedelta) -> None:
    """Sets when an import is due next."""
    when = func.now() + at if isinstance(at, timedelta) else at
    await connection.execute(_row(item).values(next_at=when))


async def mark_published(connection: AsyncConnection, item: Due, sequence: int, next_look: timedelta) -> None:
    """Notes the PubAck of a dispatch; another dispatch in between keeps its own."""
    await connection.execute(
        _row(item)
        .where(outbox.c.dispatch_number == item.dispatch_number)
        .values(
            dispatch_number=item.dispatch_number + 1,
            stream_sequence=sequence,
            published_at=func.now(),
            next_at=func.greatest(outbox.c.next_at, func.now() + next_look),
        )
    )


def _row(item: Due) -> Update:
    return update(outbox).where(*_at(item))


def _at(item: Due) -> tuple[ColumnElement[bool], ...]:
    return outbox.c.tenant_id == item.tenant_id, outbox.c.import_id == item.import_id, outbox.c.topic == Topic.RUN


async def forget(connection: AsyncConnection, item: Due) -> None:
    """Removes the row of an import that is finished."""
    await connection.execute(delete(outbox).where(*_at(item)))


async def tenants_with_imports(connection: AsyncConnection) -> list[int]:
    """Every tenant that has an import, by jumping from one to the next in the index instead of reading every row."""
    query = text(
        """
        WITH RECURSIVE each(tenant_id) AS (
            (SELECT tenant_id FROM imports ORDER BY tenant_id LIMIT 1)
            UNION ALL
            SELECT (SELECT i.tenant_id FROM imports i WHERE i.tenant_id > each.tenant_id ORDER BY i.tenant_id LIMIT 1)
            FROM each WHERE each.tenant_id IS NOT NULL)
        SELECT tenant_id FROM each WHERE tenant_id IS NOT NULL
        """
    )
    return list((await connection.execute(query)).scalars())

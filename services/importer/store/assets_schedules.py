"""Queries on schedules of import sources, and what the dispatcher asks of all tenants about sources' runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, any_, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.assets import import_schedules, import_sources
from schema.importer import imports, outbox
from services.importer.assets.firing import Due
from services.importer.assets.recurrence import Frequency
from services.importer.assets.schedules import Schedule
from services.importer.assets.turns import RunnableSource
from services.importer.model import State
from services.importer.store.assets_executions import SqlRunSession
from services.importer.store.assets_turns import source_of, source_query
from services.importer.store.outbox import Topic

NOT_OURS = ("workspace_id", "created_at", "updated_at")


class SqlScheduleStore:
    """The `ScheduleStore` and the `FiringStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_source(self, tenant_id: int, import_source_id: UUID) -> Schedule | None:
        async with self._database.transaction(tenant_id) as connection:
            return await _one(connection, _schedules(tenant_id, import_source_id))

    async def find(self, tenant_id: int, schedule_id: UUID) -> Schedule | None:
        query = _schedules(tenant_id).where(import_schedules.c.schedule_id == schedule_id)
        async with self._database.transaction(tenant_id) as connection:
            return await _one(connection, query)

    @asynccontextmanager
    async def session(self, tenant_id: int) -> AsyncIterator[SqlScheduleSession]:
        async with self._database.transaction(tenant_id) as connection:
            yield SqlScheduleSession(connection, tenant_id)


class SqlScheduleSession(SqlRunSession):
    """The `ScheduleSession` and the `FiringSession` of one transaction."""

    async def lock_source(self, import_source_id: UUID) -> RunnableSource | None:
        """Also against others that change its schedule."""
        query = source_query(self._tenant_id, import_source_id).with_for_update(key_share=True)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else source_of(row)

    async def of_source(self, import_source_id: UUID) -> Schedule | None:
        return await _one(self._connection, _schedules(self._tenant_id, import_source_id))

    async def put(self, schedule: Schedule) -> Schedule:
        values = {name: value for name, value in asdict(schedule).items() if name not in NOT_OURS}
        row = insert(import_schedules).values(tenant_id=self._tenant_id, **values)
        await self._connection.execute(
            row.on_conflict_do_update(
                index_elements=[import_schedules.c.tenant_id, import_schedules.c.schedule_id],
                set_={**values, "updated_at": func.now()},
            )
        )
        query = _schedules(self._tenant_id).where(import_schedules.c.schedule_id == schedule.schedule_id)
        return _schedule_of((await self._connection.execute(query)).one())

    async def remove(self, schedule_id: UUID) -> None:
        await self._connection.execute(
            delete(import_schedules).where(
                import_schedules.c.tenant_id == self._tenant_id, import_schedules.c.schedule_id == schedule_id
            )
        )

    async def take(self, schedule_id: UUID, seen: datetime, next_at: datetime | None) -> bool:
        moved = await self._connection.execute(
            update(import_schedules)
            .where(
                import_schedules.c.tenant_id == self._tenant_id,
                import_schedules.c.schedule_id == schedule_id,
                import_schedules.c.is_active,
                import_schedules.c.next_at == seen,
            )
            .values(next_at=next_at, is_active=next_at is not None)
        )
        return moved.rowcount == 1

    async def note(self, schedule_id: UUID, *, import_id: UUID | None, error: str) -> None:
        values: dict[str, Any] = {"fired_at": func.now(), "last_error": error}
        if import_id is not None:
            values["last_import_id"] = import_id
        await self._connection.execute(
            update(import_schedules)
            .where(import_schedules.c.tenant_id == self._tenant_id, import_schedules.c.schedule_id == schedule_id)
            .values(**values)
        )


class SqlRunWatch:
    """What the dispatcher's role sees of all tenants: ids and times, and nothing of a source or a run."""

    def __init__(self, dispatch: Database) -> None:
        self._dispatch = dispatch

    async def due(self, limit: int, without: Collection[UUID] = ()) -> list[Due]:
        """What is due and not in `without`, the first of each tenant before the second of any."""
        columns = (import_schedules.c.tenant_id, import_schedules.c.schedule_id, import_schedules.c.next_at)
        order = (import_schedules.c.next_at, import_schedules.c.schedule_id)
        rank = func.row_number().over(partition_by=import_schedules.c.tenant_id, order_by=order)
        # One parameter, however many there are.
        left = literal(list(without), ARRAY(import_schedules.c.schedule_id.type))
        ranked = (
            select(*columns, rank.label("rank"))
            .where(
                import_schedules.c.is_active,
                import_schedules.c.next_at <= func.now(),
                ~(import_schedules.c.schedule_id == any_(left)),
            )
            .subquery()
        )
        query = (
            select(ranked.c.tenant_id, ranked.c.schedule_id, ranked.c.next_at)
            .order_by(ranked.c.rank, ranked.c.next_at)
            .limit(limit)
        )
        async with self._dispatch.transaction(None) as connection:
            return [Due(*row) for row in (await connection.execute(query)).all()]

    async def overdue(self, limit: int) -> list[tuple[int, UUID]]:
        query = (
            select(imports.c.tenant_id, imports.c.import_id)
            .where(imports.c.state == State.OPEN, imports.c.open_until < func.now())
            .order_by(imports.c.open_until)
            .limit(limit)
        )
        async with self._dispatch.transaction(None) as connection:
            return [(row.tenant_id, row.import_id) for row in (await connection.execute(query)).all()]

    async def tenants_with_waiting(self) -> list[int]:
        """Those with imports that are open, or queued without the dispatcher knowing of them."""
        is_known = (
            select(outbox.c.import_id)
            .where(
                outbox.c.tenant_id == imports.c.tenant_id,
                outbox.c.import_id == imports.c.import_id,
                outbox.c.topic == Topic.RUN,
            )
            .exists()
        )
        query = (
            select(imports.c.tenant_id)
            .distinct()
            .where(imports.c.state.in_((State.OPEN, State.QUEUED)), ~is_known)
            .order_by(imports.c.tenant_id)
        )
        async with self._dispatch.transaction(None) as connection:
            return list((await connection.execute(query)).scalars())


def _schedules(tenant_id: int, import_source_id: UUID | None = None) -> Select[Any]:
    query = (
        select(import_schedules, import_sources.c.workspace_id)
        .join(
            import_sources,
            (import_sources.c.tenant_id == import_schedules.c.tenant_id)
            & (import_sources.c.import_source_id == import_schedules.c.import_source_id),
        )
        .where(import_schedules.c.tenant_id == tenant_id)
        # A source has one; of several, which nothing makes, the oldest.
        .order_by(import_schedules.c.schedule_id)
        .limit(1)
    )
    return query if import_source_id is None else query.where(import_schedules.c.import_source_id == import_source_id)


async def _one(connection: AsyncConnection, query: Select[Any]) -> Schedule | None:
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _schedule_of(row)


def _schedule_of(row: Row[Any]) -> Schedule:
    members = {name: value for name, value in row._mapping.items() if name != "tenant_id"}  # noqa: SLF001 - public
    return Schedule(**{**members, "frequency": Frequency(row.frequency), "cron": row.cron or ""})

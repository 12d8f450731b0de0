"""Queries on import sources, and what is shown with them: their runs and their schedule."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.assets import import_schedules, import_sources, mapping_changes
from schema.importer import imports
from schema.upload import files
from services.importer.assets.object_types import ObjectSchema, SchemaChanges, SchemaState
from services.importer.assets.sources import ImportSource, MappingChange, NewSource, Run, Schedule
from services.importer.engine.statements import Statements
from services.importer.model import LIVE, Kind
from services.importer.store import assets_types
from services.importer.targets.objects.identities import (
    ForeignIdentity,
    ForeignLabel,
    foreign_identities,
    foreign_labels,
)

KEPT_CHANGES = 100
"""Of the mapping of one source."""
HIDDEN = frozenset({"tenant_id", "secret"})
# Documents are large, and not shown in lists.
WITHOUT_DOCUMENT = (
    *(each for each in import_sources.columns if each.name != "document"),
    null().label("document"),
)


class SqlSourceSession:
    """The `SourceSession` of a transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: int, source: ImportSource, secret: bytes | None) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self.source = source
        self.sealed_secret = secret

    async def state(self, external_ids: frozenset[str]) -> SchemaState:
        return await assets_types.read_state(
            self._connection, self._tenant_id, self.source.object_schema_id, external_ids
        )

    async def apply(self, changes: SchemaChanges) -> None:
        await assets_types.apply_changes(self._connection, self._tenant_id, self.source.object_schema_id, changes)

    async def update(self, values: Mapping[str, Any]) -> None:
        mine = _is(self._tenant_id, self.source.import_source_id)
        await self._connection.execute(update(import_sources).where(mine).values(**values, updated_at=func.now()))
        (row,) = (await self._connection.execute(_with_runs(mine))).all()
        self.source, self.sealed_secret = _source(row), row.secret

    async def add_change(self, resource_id: UUID, result: str, message: str) -> None:
        of_source = and_(
            mapping_changes.c.tenant_id == self._tenant_id,
            mapping_changes.c.import_source_id == self.source.import_source_id,
        )
        await self._connection.execute(
            insert(mapping_changes).values(
                tenant_id=self._tenant_id,
                resource_id=resource_id,
                import_source_id=self.source.import_source_id,
                result=result,
                message=message,
            )
        )
        # Their ids are in the order of time.
        latest = (
            select(mapping_changes.c.resource_id)
            .where(of_source)
            .order_by(mapping_changes.c.resource_id.desc())
            .limit(KEPT_CHANGES)
        )
        await self._connection.execute(
            delete(mapping_changes).where(of_source, mapping_changes.c.resource_id.not_in(latest))
        )

    async def foreign_identities(self, type_ids: frozenset[int]) -> Sequence[ForeignIdentity]:
        return await foreign_identities(self._statements(), type_ids)

    async def foreign_labels(self) -> Sequence[ForeignLabel]:
        return await foreign_labels(self._statements())

    def _statements(self) -> Statements:
        parameters = {
            "tenant": self._tenant_id,
            "source": self.source.import_source_id,
            "schema": self.source.object_schema_id,
        }
        return Statements(self._connection, {}, parameters)

    async def has_waiting(self) -> bool:
        query = select(imports.c.import_id).where(
            imports.c.tenant_id == self._tenant_id,
            imports.c.import_source_id == self.source.import_source_id,
            imports.c.waits,
            imports.c.state.in_(LIVE),
        )
        return await self._connection.scalar(query.limit(1)) is not None

    async def delete(self) -> None:
        await self._connection.execute(delete(import_sources).where(_is(self._tenant_id, self.source.import_source_id)))


class SqlSourceStore:
    """The `SourceStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def schemas(self, tenant_id: int, workspace_id: UUID) -> list[ObjectSchema]:
        async with self._database.transaction(tenant_id) as connection:
            return await assets_types.all_schemas(connection, tenant_id, workspace_id)

    async def add_schema(
        self, tenant_id: int, workspace_id: UUID, name: str, key: str, description: str, *, most: int
    ) -> ObjectSchema | None:
        async with self._database.transaction(tenant_id) as connection:
            return await assets_types.add_schema(connection, tenant_id, workspace_id, name, key, description, most=most)

    async def has_schema(self, tenant_id: int, workspace_id: UUID, object_schema_id: int) -> bool:
        async with self._database.transaction(tenant_id) as connection:
            return await assets_types.has_schema(connection, tenant_id, workspace_id, object_schema_id)

    async def has_file(self, tenant_id: int, key: str) -> bool:
        query = select(files.c.key).where(files.c.tenant_id == tenant_id, files.c.key == key)
        async with self._database.transaction(tenant_id) as connection:
            return await connection.scalar(query) is not None

    async def add(self, tenant_id: int, new: NewSource, *, most: int) -> bool:
        others = select(func.count()).where(
            import_sources.c.tenant_id == tenant_id, import_sources.c.workspace_id == new.workspace_id
        )
        async with self._database.transaction(tenant_id) as connection:
            # Two at once would both count before either is there.
            await assets_types.lock_schemas(connection, tenant_id, new.workspace_id)
            if (await connection.scalar(others) or 0) >= most:
                return False
            await connection.execute(
                insert(import_sources).values(
                    tenant_id=tenant_id,
                    import_source_id=new.import_source_id,
                    workspace_id=new.workspace_id,
                    object_schema_id=new.object_schema_id,
                    user_id=new.user_id,
                    **new.values,
                )
            )
            return True

    async def find(self, tenant_id: int, workspace_id: UUID, import_source_id: UUID) -> ImportSource | None:
        mine = and_(_is(tenant_id, import_source_id), import_sources.c.workspace_id == workspace_id)
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(_with_runs(mine))).one_or_none()
        return None if row is None else _source(row)

    async def all(self, tenant_id: int, workspace_id: UUID, object_schema_id: int | None = None) -> list[ImportSource]:
        wanted = and_(import_sources.c.tenant_id == tenant_id, import_sources.c.workspace_id == workspace_id)
        if object_schema_id is not None:
            wanted = and_(wanted, import_sources.c.object_schema_id == object_schema_id)
        async with self._database.transaction(tenant_id) as connection:
            rows = await connection.execute(
                _with_runs(wanted, *WITHOUT_DOCUMENT).order_by(import_sources.c.import_source_id)
            )
            return [_source(row) for row in rows]

    @asynccontextmanager
    async def changing(
        self, tenant_id: int, workspace_id: UUID, import_source_id: UUID
    ) -> AsyncIterator[SqlSourceSession | None]:
        mine = and_(_is(tenant_id, import_source_id), import_sources.c.workspace_id == workspace_id)
        async with self._database.transaction(tenant_id) as connection:
            await assets_types.lock_schemas(connection, tenant_id, workspace_id)
            locked = select(import_sources.c.import_source_id).where(mine).with_for_update()
            if await connection.scalar(locked) is None:
                yield None
                return
            # In a statement of its own, which sees what was committed while the lock was waited for.
            row = (await connection.execute(_with_runs(mine))).one()
            yield SqlSourceSession(connection, tenant_id, _source(row), row.secret)

    async def change(self, tenant_id: int, import_source_id: UUID, resource_id: UUID) -> MappingChange | None:
        change = mapping_changes.c
        query = select(change.resource_id, change.result, change.message, change.created_at).where(
            change.tenant_id == tenant_id,
            change.import_source_id == import_source_id,
            change.resource_id == resource_id,
        )
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else MappingChange(*row)

    async def note_token(self, tenant_id: int, import_source_id: UUID, at: datetime | None) -> None:
        async with self._database.transaction(tenant_id) as connection:
            await connection.execute(
                update(import_sources).where(_is(tenant_id, import_source_id)).values(token_created_at=at)
            )


def _is(tenant_id: int, import_source_id: UUID) -> ColumnElement[bool]:
    return and_(import_sources.c.tenant_id == tenant_id, import_sources.c.import_source_id == import_source_id)


def _with_runs(wanted: ColumnElement[bool], *columns: ColumnElement[Any]) -> Select[Any]:
    """Sources with the run that has not ended, the latest one, and the schedule that fires next."""
    of_source = and_(
        imports.c.tenant_id == import_sources.c.tenant_id,
        imports.c.import_source_id == import_sources.c.import_source_id,
        imports.c.kind == Kind.IMPORT,
    )
    run = select(imports.c.import_id, imports.c.state, imports.c.is_scheduled).where(of_source)
    running = run.where(~imports.c.waits, imports.c.state.in_(LIVE)).limit(1).lateral("running")
    latest = run.order_by(imports.c.import_id.desc()).limit(1).lateral("latest")
    schedule = (
        select(import_schedules)
        .where(
            import_schedules.c.tenant_id == import_sources.c.tenant_id,
            import_schedules.c.import_source_id == import_sources.c.import_source_id,
            import_schedules.c.is_active,
        )
        .order_by(import_schedules.c.next_at.asc().nulls_last(), import_schedules.c.schedule_id)
        .limit(1)
        .lateral("schedule")
    )
    return (
        select(
            *(columns or import_sources.columns),
            *(each.label(f"running_{each.name}") for each in running.c),
            *(each.label(f"latest_{each.name}") for each in latest.c),
            *(
                schedule.c[name].label(f"schedule_{name}")
                for name in ("schedule_id", "frequency", "start_at", "next_at", "created_at")
            ),
        )
        .select_from(import_sources)
        .outerjoin(running, running.c.import_id.is_not(None))
        .outerjoin(latest, latest.c.import_id.is_not(None))
        .outerjoin(schedule, schedule.c.schedule_id.is_not(None))
        .where(wanted)
    )


def _source(row: Row[Any]) -> ImportSource:
    return ImportSource(
        **{each.name: getattr(row, each.name) for each in import_sources.columns if each.name not in HIDDEN},
        has_secret=row.secret is not None,
        running=_run(row, "running"),
        latest=_run(row, "latest"),
        schedule=_schedule(row),
    )


def _run(row: Row[Any], which: str) -> Run | None:
    import_id = getattr(row, f"{which}_import_id")
    if import_id is None:
        return None
    return Run(import_id, getattr(row, f"{which}_state"), getattr(row, f"{which}_is_scheduled"))


def _schedule(row: Row[Any]) -> Schedule | None:
    if row.schedule_schedule_id is None:
        return None
    return Schedule(
        row.schedule_schedule_id,
        row.schedule_frequency,
        row.schedule_start_at,
        row.schedule_next_at,
        row.schedule_created_at,
    )

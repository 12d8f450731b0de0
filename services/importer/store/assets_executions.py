"""Queries on the runs of import sources, beside those that all imports have (imports.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from runtime.database import Database
from schema.assets import import_sources
from schema.importer import execution_numbers, import_claims, import_inputs, import_progress, imports
from services.importer.assets.runs import NewRun, OpenRun, Piece, RunnableSource, SourceType, Turn
from services.importer.imports import NO_CLIENT
from services.importer.model import Kind, Lane, State, TargetName
from services.importer.snapshot import Snapshot
from services.importer.store import assets_turns
from services.importer.store.imports import SqlImportSession
from services.importer.store.outbox import announce_end
from services.importer.store.snapshots import snapshot_of, snapshot_query
from services.importer.store.triggers import option_columns

JSON_MEDIA_TYPE = "application/json"
CSV_MEDIA_TYPE = "text/csv"
SOURCE_COLUMNS = ("import_source_id", "workspace_id", "name", "type", "is_enabled", "plan", "file_key")


class SqlRunStore:
    """The `RunStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def source(self, tenant_id: int, import_source_id: UUID) -> RunnableSource | None:
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(source_query(tenant_id, import_source_id))).one_or_none()
        return None if row is None else source_of(row)

    async def find(self, tenant_id: int, import_source_id: UUID, import_id: UUID) -> Snapshot | None:
        query = snapshot_query().where(
            imports.c.tenant_id == tenant_id,
            imports.c.import_id == import_id,
            imports.c.import_source_id == import_source_id,
        )
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else snapshot_of(row)

    async def waiting_workspaces(self, tenant_id: int) -> list[UUID]:
        query = (
            select(imports.c.workspace_id)
            .distinct()
            .where(
                imports.c.tenant_id == tenant_id,
                imports.c.state.in_((State.OPEN, State.QUEUED)),
                imports.c.import_source_id.is_not(None),
                imports.c.waits,
            )
        )
        async with self._database.transaction(tenant_id) as connection:
            return list((await connection.execute(query)).scalars())

    @asynccontextmanager
    async def session(self, tenant_id: int) -> AsyncIterator[SqlRunSession]:
        async with self._database.transaction(tenant_id) as connection:
            yield SqlRunSession(connection, tenant_id)


class SqlRunSession(SqlImportSession):
    """The `RunSession` of one transaction."""

    async def lock_source(self, import_source_id: UUID) -> RunnableSource | None:
        query = source_query(self._tenant_id, import_source_id).with_for_update(read=True)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else source_of(row)

    async def turn(self, source: RunnableSource) -> Turn:
        at = self._tenant_id, source.workspace_id
        await assets_turns.lock_workspace(self._connection, *at)
        return await assets_turns.turn_of(self._connection, *at, source.import_source_id)

    async def add_run(self, new: NewRun) -> None:
        key = {"tenant_id": self._tenant_id, "import_id": new.import_id}
        await self._connection.execute(insert(imports).values(**key, **_columns_of(new)))
        await self._connection.execute(insert(import_claims).values(**key))
        phase = {State.FAILED: "failed"}.get(new.state, "queued")
        await self._connection.execute(insert(import_progress).values(**key, phase=phase))
        if new.file is not None:
            file = new.file
            row = insert(import_inputs).values(
                **key, number=0, object_key=file.object_key, etag=file.etag, size=file.size
            )
            await self._connection.execute(row)
        if new.state is State.QUEUED and not new.waits:
            await assets_turns.queue(self._connection, self._tenant_id, new.import_id)
        if new.state.is_terminal:
            await announce_end(self._connection, self._tenant_id, new.import_id)

    async def lock_open(self, import_source_id: UUID, import_id: UUID) -> OpenRun | None:
        locking = (
            select(imports.c.state, imports.c.waits, imports.c.file_size)
            .where(
                *self._is(imports, import_id),
                imports.c.import_source_id == import_source_id,
                imports.c.kind == Kind.IMPORT,
            )
            .with_for_update(key_share=True)
        )
        row = (await self._connection.execute(locking)).one_or_none()
        if row is None:
            return None
        last = select(func.max(import_inputs.c.number)).where(*self._is(import_inputs, import_id))
        number = await self._connection.scalar(last)
        return OpenRun(State(row.state), row.waits, row.file_size, 0 if number is None else number + 1)

    async def digest_of(self, import_id: UUID, chunk_id: str) -> bytes | None:
        query = select(import_inputs.c.digest).where(
            *self._is(import_inputs, import_id), import_inputs.c.chunk_id == chunk_id
        )
        digest: bytes | None = await self._connection.scalar(query)
        return digest

    async def add_piece(self, import_id: UUID, number: int, piece: Piece) -> None:
        await self._connection.execute(
            insert(import_inputs).values(
                tenant_id=self._tenant_id,
                import_id=import_id,
                number=number,
                object_key=piece.object_key,
                etag=piece.etag,
                size=piece.size,
                chunk_id=piece.chunk_id or None,
                digest=piece.digest,
            )
        )
        await self._change(import_id, file_size=imports.c.file_size + piece.size)

    async def keep_open(self, import_id: UUID, life: timedelta) -> None:
        await self._change(import_id, open_until=func.now() + life)

    async def close(self, import_id: UUID, lane: Lane, *, waits: bool) -> None:
        await self._change(import_id, state=State.QUEUED, lane=lane, open_until=None)
        if not waits:
            await assets_turns.queue(self._connection, self._tenant_id, import_id)

    async def end_failed(self, import_id: UUID, code: str, message: str) -> None:
        await self._end(import_id, State.FAILED, code, message)

    async def tell_progress(self, import_id: UUID, told: Mapping[str, Any]) -> None:
        await self._change(import_id, told_progress=dict(told))

    async def is_overdue(self, import_id: UUID) -> bool:
        query = (
            select(imports.c.import_id)
            .where(
                *self._is(imports, import_id),
                imports.c.state == State.OPEN,
                imports.c.open_until < func.clock_timestamp(),
            )
            .with_for_update(key_share=True)
        )
        return (await self._connection.execute(query)).one_or_none() is not None

    async def pass_on(self, workspace_id: UUID, limit: int) -> int:
        await assets_turns.lock_workspace(self._connection, self._tenant_id, workspace_id)
        free = limit - await assets_turns.places_taken(self._connection, self._tenant_id, workspace_id)
        given = 0
        while given < free and await assets_turns.pass_on(self._connection, self._tenant_id, workspace_id):
            given += 1
        return given

    async def _change(self, import_id: UUID, **values: Any) -> None:
        await self._connection.execute(
            update(imports).where(*self._is(imports, import_id)).values(**values, updated_at=func.now())
        )


def source_query(tenant_id: int, import_source_id: UUID) -> Select[Any]:
    return select(*(import_sources.c[name] for name in SOURCE_COLUMNS)).where(
        import_sources.c.tenant_id == tenant_id, import_sources.c.import_source_id == import_source_id
    )


def source_of(row: Row[Any]) -> RunnableSource:
    return RunnableSource(**{**row._mapping, "type": SourceType(row.type)})  # noqa: SLF001 - SQLAlchemy's public name


def _columns_of(new: NewRun) -> dict[str, Any]:
    """Of the row of `imports`."""
    code, message = new.failure or (None, None)
    return {
        "client_id": NO_CLIENT,
        "target": TargetName.OBJECTS,
        "source": new.source.type.format_source,
        "key": new.file.key if new.file else "",
        "file_name": new.file.name if new.file else new.source.name,
        "file_type": CSV_MEDIA_TYPE if new.source.type is SourceType.CSV else JSON_MEDIA_TYPE,
        "file_size": new.file.size if new.file else 0,
        "lane": new.lane,
        "state": new.state,
        "error_code": code,
        "error_message": message,
        "ended_at": func.now() if new.state.is_terminal else None,
        "workspace_id": new.source.workspace_id,
        "import_source_id": new.source.import_source_id,
        "plan": new.source.plan,
        "execution_number": execution_numbers.next_value(),
        "is_scheduled": new.is_scheduled,
        "waits": new.waits,
        "needs_fetch": new.source.type.is_fetched,
        "open_until": None if new.open_for is None else func.now() + new.open_for,
        "user_id": new.runner.user_id,
        "user_email": new.runner.user_email,
        "traceparent": new.runner.traceparent,
        **option_columns(new.options),
    }

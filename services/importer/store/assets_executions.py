"""Queries on the runs of import sources, beside those that all imports have (imports.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from dialects.assets.source_settings import FETCHED_TYPES
from runtime.database import Database
from schema.importer import execution_numbers, import_claims, import_inputs, import_progress, imports
from services.importer.assets.runs import NewRun, OpenRun, Piece, format_source
from services.importer.assets.turns import RunnableSource
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


class SqlRunStore:
    """The `RunStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def source(self, tenant_id: int, import_source_id: UUID) -> RunnableSource | None:
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(assets_turns.source_query(tenant_id, import_source_id))).one_or_none()
        return None if row is None else assets_turns.source_of(row)

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

    async def keep_open(self, import_id: UUID, life: timedelta, most: timedelta) -> None:
        until = func.least(func.now() + life, imports.c.created_at + most)
        await self._change(import_id, open_until=until)

    async def close(self, import_id: UUID, lane: Lane, *, waits: bool) -> None:
        await self._change(import_id, state=State.QUEUED, lane=lane, open_until=None, waits=waits)
        if not waits:
            await assets_turns.queue(self._connection, self._tenant_id, import_id)

    async def end_failed(self, import_id: UUID, code: str, message: str) -> None:
        await self._end(import_id, State.FAILED, code, message)

    async def tell_progress(self, import_id: UUID, told: Mapping[str, Any]) -> None:
        await self._change(import_id, told_progress=dict(told))

    async def overdue_for(self, import_id: UUID) -> timedelta | None:
        query = (
            select(func.clock_timestamp() - imports.c.created_at)
            .where(
                *self._is(imports, import_id),
                imports.c.state == State.OPEN,
                imports.c.open_until < func.clock_timestamp(),
            )
            .with_for_update(key_share=True)
        )
        age: timedelta | None = await self._connection.scalar(query)
        return age

    async def pass_on(self, workspace_id: UUID, limit: int) -> int:
        at = self._connection, self._tenant_id, workspace_id
        await assets_turns.lock_workspace(*at)
        given = await assets_turns.open_next(*at)
        for _ in range(limit - await assets_turns.places_taken(*at)):
            if not await assets_turns.give_place(*at):
                break
            given += 1
        return given

    async def _change(self, import_id: UUID, **values: Any) -> None:
        await self._connection.execute(
            update(imports).where(*self._is(imports, import_id)).values(**values, updated_at=func.now())
        )


def _columns_of(new: NewRun) -> dict[str, Any]:
    """Of the row of `imports`."""
    code, message = new.failure or (None, None)
    return {
        "client_id": NO_CLIENT,
        "target": TargetName.OBJECTS,
        "source": format_source(new.source.type),
        "key": new.file.key if new.file else "",
        "file_name": new.file.name if new.file else new.source.name,
        "file_type": CSV_MEDIA_TYPE if new.source.type == "csv" else JSON_MEDIA_TYPE,
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
        "needs_fetch": new.source.type in FETCHED_TYPES,
        "open_until": None if new.open_for is None else func.now() + new.open_for,
        "user_id": new.runner.user_id,
        "user_email": new.runner.user_email,
        "traceparent": new.runner.traceparent,
        **option_columns(new.options),
    }

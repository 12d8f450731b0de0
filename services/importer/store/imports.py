"""Queries of the import commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.failpoints import failpoint
from schema.importer import import_inputs, import_leases, import_progress, import_requests, imports, outbox
from services.importer.assets.turns import RunnableSource, Turn
from services.importer.model import LIVE, Kind, Origin, State, sources_of
from services.importer.ports import Earlier, Facts, Locked, Lookup, StoredInput
from services.importer.snapshot import NewImport, Snapshot
from services.importer.store import assets_turns
from services.importer.store.locking import lock_import
from services.importer.store.outbox import Topic, announce_end, call_dispatcher, unused_dispatch_number
from services.importer.store.snapshots import snapshot_of, snapshot_query
from services.importer.store.triggers import (
    EARLIER_IMPORT,
    NAMED_THINGS,
    QUEUE_COPY,
    QUEUE_IMPORT,
    QUEUE_UNDO,
    given,
    given_import,
)


class SqlImportStore:
    """The `ImportStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def facts(self, tenant_id: int, lookup: Lookup) -> Facts:
        async with self._database.transaction(tenant_id) as connection:
            values = given(tenant_id=tenant_id, **asdict(lookup))
            row = (await connection.execute(NAMED_THINGS, values)).one()
            earlier = None
            if lookup.request_id:
                earlier = (await connection.execute(EARLIER_IMPORT, values)).one_or_none()
        return Facts(
            file_name=row.file_name,
            client_name=row.client_name,
            report_name=row.report_name,
            max_file_bytes=row.max_file_bytes,
            earlier=Earlier(*earlier) if earlier else None,
            file_sha256=row.file_sha256,
            declared_size=row.declared_size or 0,
            file_age=row.file_age or timedelta(),
        )

    async def is_read(self, tenant_id: int, object_key: str) -> bool:
        reading = select(import_inputs.c.import_id).where(
            import_inputs.c.tenant_id == tenant_id,
            import_inputs.c.object_key == object_key,
            import_inputs.c.purged_at.is_(None),
        )
        async with self._database.transaction(tenant_id) as connection:
            return bool(await connection.scalar(select(reading.exists())))

    async def insert(self, tenant_id: int, new: NewImport) -> datetime | None:
        async with self._database.transaction(tenant_id) as connection:
            created_at: datetime | None = await connection.scalar(QUEUE_IMPORT, given_import(tenant_id, new))
            failpoint("trigger.before_commit")
        failpoint("trigger.after_commit")
        return created_at

    async def read(self, tenant_id: int, import_id: UUID) -> Snapshot:
        async with self.session(tenant_id) as session:
            return await session.read(import_id)

    @asynccontextmanager
    async def session(self, tenant_id: int) -> AsyncIterator[SqlImportSession]:
        async with self._database.transaction(tenant_id) as connection:
            yield SqlImportSession(connection, tenant_id)
            failpoint("command.before_commit")
        failpoint("command.after_commit")


class SqlImportSession:
    """The `ImportSession` of one transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: int) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def lock(self, import_id: UUID) -> Locked | None:
        return await lock_import(self._connection, self._tenant_id, import_id)

    async def end_cancelled(self, import_id: UUID, message: str) -> None:
        await self._end(import_id, State.CANCELLED, "CANCELLED", message)

    async def _end(self, import_id: UUID, state: State, code: str, message: str) -> None:
        """Of an import that no worker has; another run of its source may take its place."""
        left = await assets_turns.leave(self._connection, self._tenant_id, import_id)
        await self._connection.execute(
            update(imports)
            .where(*self._is(imports, import_id), imports.c.state.in_(sources_of(state)))
            .values(
                state=state,
                error_code=code,
                error_message=message,
                error_position=None,
                ended_at=func.now(),
                updated_at=func.now(),
            )
        )
        await self._set_phase(import_id, state.lower())
        for table in (import_leases, import_requests):
            await self._connection.execute(delete(table).where(*self._is(table, import_id)))
        await announce_end(self._connection, self._tenant_id, import_id)
        if left is not None:
            await assets_turns.pass_on(self._connection, self._tenant_id, left)

    async def request_cancel(self, import_id: UUID, user_id: int) -> None:
        row = insert(import_requests).values(
            tenant_id=self._tenant_id, import_id=import_id, action="cancel", requested_by=user_id
        )
        await self._connection.execute(
            row.on_conflict_do_update(
                index_elements=[import_requests.c.tenant_id, import_requests.c.import_id],
                set_={"action": "cancel", "requested_by": user_id, "requested_at": func.now()},
                where=import_requests.c.action != "cancel",
            )
        )

    async def request_pause(self, import_id: UUID, user_id: int) -> None:
        row = insert(import_requests).values(
            tenant_id=self._tenant_id, import_id=import_id, action="pause", requested_by=user_id
        )
        await self._connection.execute(row.on_conflict_do_nothing())

    async def withdraw_pause(self, import_id: UUID) -> None:
        await self._connection.execute(
            delete(import_requests).where(*self._is(import_requests, import_id), import_requests.c.action == "pause")
        )

    async def pause(self, import_id: UUID) -> None:
        await self._connection.execute(
            update(imports)
            .where(*self._is(imports, import_id), imports.c.state == State.QUEUED)
            .values(state=State.PAUSED, updated_at=func.now())
        )
        await self._set_phase(import_id, "paused")
        await self.withdraw_pause(import_id)
        await self._connection.execute(delete(outbox).where(*self._is(outbox, import_id), outbox.c.topic == Topic.RUN))
        # It may have had a place at the workers, which is free now.
        await call_dispatcher(self._connection)

    async def resume(self, import_id: UUID, locked: Locked) -> None:
        await self._connection.execute(
            update(imports)
            .where(*self._is(imports, import_id), imports.c.state == State.PAUSED)
            .values(state=State.QUEUED)
        )
        await self._set_phase(import_id, "queued")
        if not locked.waits:
            await self.dispatch_now(import_id, locked)

    async def dispatch_now(self, import_id: UUID, locked: Locked) -> None:
        await self._connection.execute(
            update(imports).where(*self._is(imports, import_id)).values(not_before=None, updated_at=func.now())
        )
        row = insert(outbox).values(
            tenant_id=self._tenant_id,
            import_id=import_id,
            lane=locked.lane,
            traceparent=locked.traceparent,
            dispatch_number=unused_dispatch_number(),
        )
        await self._connection.execute(
            row.on_conflict_do_update(
                index_elements=[outbox.c.tenant_id, outbox.c.import_id, outbox.c.topic, outbox.c.item_id],
                set_={"next_at": func.now(), "stream_sequence": None},
            )
        )
        await call_dispatcher(self._connection)

    async def inputs(self, import_id: UUID) -> tuple[StoredInput, ...]:
        query = (
            select(import_inputs.c.object_key, import_inputs.c.etag, import_inputs.c.purged_at.is_not(None))
            .where(*self._is(import_inputs, import_id))
            .order_by(import_inputs.c.number)
        )
        return tuple(StoredInput(*row) for row in (await self._connection.execute(query)).all())

    async def retry_of(self, import_id: UUID) -> UUID | None:
        query = self._made_from(import_id, Origin.RETRY).where(imports.c.state.in_((*LIVE, State.SUCCEEDED)))
        found: UUID | None = await self._connection.scalar(query)
        return found

    async def undo_of(self, import_id: UUID, *, dry_run: bool) -> UUID | None:
        query = self._made_from(import_id, Origin.UNDO).where(imports.c.state.in_(LIVE), imports.c.dry_run == dry_run)
        found: UUID | None = await self._connection.scalar(query)
        return found

    def _made_from(self, import_id: UUID, origin: Origin) -> Select[tuple[UUID]]:
        return select(imports.c.import_id).where(
            imports.c.tenant_id == self._tenant_id,
            imports.c.origin_import_id == import_id,
            imports.c.origin == origin,
        )

    async def add(self, new: NewImport) -> bool:
        statement = QUEUE_UNDO if new.kind is Kind.UNDO else QUEUE_COPY
        created_at = await self._connection.scalar(statement, given_import(self._tenant_id, new))
        return created_at is not None

    async def lock_source(self, import_source_id: UUID) -> RunnableSource | None:
        query = assets_turns.source_query(self._tenant_id, import_source_id).with_for_update(read=True)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else assets_turns.source_of(row)

    async def turn(self, source: RunnableSource) -> Turn:
        at = self._tenant_id, source.workspace_id
        await assets_turns.lock_workspace(self._connection, *at)
        return await assets_turns.turn_of(self._connection, *at, source.import_source_id)

    async def read(self, import_id: UUID) -> Snapshot:
        query = snapshot_query().where(*self._is(imports, import_id))
        return snapshot_of((await self._connection.execute(query)).one())

    async def _set_phase(self, import_id: UUID, phase: str) -> None:
        await self._connection.execute(
            update(import_progress)
            .where(*self._is(import_progress, import_id))
            .values(phase=phase, updated_at=func.now())
        )

    def _is(self, table: Table, import_id: UUID) -> tuple[Any, Any]:
        return table.c.tenant_id == self._tenant_id, table.c.import_id == import_id

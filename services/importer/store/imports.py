"""Queries of the import commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Table, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.importer import (
    import_leases,
    import_progress,
    import_requests,
    imports,
    outbox,
)
from services.importer.model import Lane, State, sources_of
from services.importer.ports import Earlier, Facts, Locked, Lookup
from services.importer.snapshot import NewImport, Snapshot
from services.importer.store.outbox import announce_end, call_dispatcher
from services.importer.store.snapshots import snapshot_of, snapshot_query
from services.importer.store.triggers import EARLIER_IMPORT, NAMED_THINGS, QUEUE_IMPORT, given


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
        )

    async def insert(self, tenant_id: int, new: NewImport) -> datetime | None:
        async with self._database.transaction(tenant_id) as connection:
            created_at: datetime | None = await connection.scalar(
                QUEUE_IMPORT, given(tenant_id=tenant_id, **asdict(new))
            )
        return created_at

    async def read(self, tenant_id: int, import_id: UUID) -> Snapshot:
        async with self.session(tenant_id) as session:
            return await session.read(import_id)

    @asynccontextmanager
    async def session(self, tenant_id: int) -> AsyncIterator[SqlImportSession]:
        async with self._database.transaction(tenant_id) as connection:
            yield SqlImportSession(connection, tenant_id)


class SqlImportSession:
    """The `ImportSession` of one transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: int) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def lock(self, import_id: UUID) -> Locked | None:
        is_leased = (
            select(import_leases.c.expires_at > func.now())
            .where(import_leases.c.tenant_id == self._tenant_id, import_leases.c.import_id == import_id)
            .scalar_subquery()
        )
        query = (
            select(
                imports.c.state,
                imports.c.lane,
                imports.c.client_id,
                imports.c.user_id,
                imports.c.traceparent,
                func.coalesce(is_leased, False).label("has_live_lease"),
            )
            .where(*self._is(imports, import_id))
            # NO KEY UPDATE: a flip that has written row errors holds the key of the import for as long as it runs.
            .with_for_update(of=imports, key_share=True)
        )
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        return Locked(
            state=State(row.state),
            lane=Lane(row.lane),
            client_id=row.client_id,
            user_id=row.user_id,
            traceparent=row.traceparent,
            has_live_lease=row.has_live_lease,
        )

    async def end_cancelled(self, import_id: UUID, message: str) -> None:
        await self._connection.execute(
            update(imports)
            .where(*self._is(imports, import_id), imports.c.state.in_(sources_of(State.CANCELLED)))
            .values(
                state=State.CANCELLED,
                error_code="CANCELLED",
                error_message=message,
                error_position=None,
                ended_at=func.now(),
                updated_at=func.now(),
            )
        )
        await self._connection.execute(
            update(import_progress)
            .where(*self._is(import_progress, import_id))
            .values(phase="cancelled", updated_at=func.now())
        )
        for table in (import_leases, import_requests):
            await self._connection.execute(delete(table).where(*self._is(table, import_id)))
        await announce_end(self._connection, self._tenant_id, import_id)

    async def request_cancel(self, import_id: UUID, user_id: int) -> None:
        row = insert(import_requests).values(
            tenant_id=self._tenant_id, import_id=import_id, action="cancel", requested_by=user_id
        )
        await self._connection.execute(
            row.on_conflict_do_update(
                index_elements=[import_requests.c.tenant_id, import_requests.c.import_id], set_={"action": "cancel"}
            )
        )

    async def dispatch_now(self, import_id: UUID, locked: Locked) -> None:
        await self._connection.execute(
            update(imports).where(*self._is(imports, import_id)).values(not_before=None, updated_at=func.now())
        )
        row = insert(outbox).values(
            tenant_id=self._tenant_id,
            import_id=import_id,
            lane=locked.lane,
            traceparent=locked.traceparent,
            # Message ids count dispatches; a row that had been lost must not begin again with ids that the queue drops.
            dispatch_number=cast(func.extract("epoch", func.now()), Integer),
        )
        await self._connection.execute(
            row.on_conflict_do_update(
                index_elements=[outbox.c.tenant_id, outbox.c.import_id, outbox.c.topic, outbox.c.item_id],
                set_={"next_at": func.now(), "stream_sequence": None},
            )
        )
        await call_dispatcher(self._connection)

    async def read(self, import_id: UUID) -> Snapshot:
        query = snapshot_query().where(*self._is(imports, import_id))
        return snapshot_of((await self._connection.execute(query)).one())

    def _is(self, table: Table, import_id: UUID) -> tuple[Any, Any]:
        return table.c.tenant_id == self._tenant_id, table.c.import_id == import_id

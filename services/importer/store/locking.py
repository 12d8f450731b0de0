"""Locking an import for a command on it, and reading what the command depends on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import import_claims, import_leases, import_progress, import_requests, imports
from services.importer.model import Kind, Lane, State
from services.importer.ports import Locked

READING_PERCENT = 90
"""Progress of an import that has been read; beyond is the flip."""


async def lock_import(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> Locked | None:
    """In two statements: after a wait for the lock, the first one would still see the other tables as before."""
    at = imports.c.tenant_id == tenant_id, imports.c.import_id == import_id
    # NO KEY UPDATE: a flip that has written row errors holds the key of the import for as long as it runs.
    locking = select(imports.c.state).where(*at).with_for_update(key_share=True)
    if (await connection.execute(locking)).one_or_none() is None:
        return None
    row = (await connection.execute(_facts().where(*at))).one()
    state = State(row.state)
    return Locked(
        state=state,
        kind=Kind(row.kind),
        lane=Lane(row.lane),
        target=row.target,
        client_id=row.client_id,
        user_id=row.user_id,
        traceparent=row.traceparent,
        has_live_lease=row.has_live_lease,
        attempt=row.attempt,
        is_waiting=row.is_waiting,
        is_merging=state is State.RUNNING and row.percent > READING_PERCENT,
        is_resumable=row.is_resumable,
        ended_for=timedelta(seconds=float(row.ended_seconds)) if row.ended_seconds is not None else None,
        requested=row.requested,
        import_source_id=row.import_source_id,
        waits=row.waits,
    )


def _facts() -> Select[Any]:
    now = func.now()
    return (
        select(
            *(imports.c[name] for name in ("state", "kind", "lane", "target", "client_id", "user_id", "traceparent")),
            imports.c.import_source_id,
            imports.c.waits,
            func.coalesce(import_leases.c.expires_at > now, False).label("has_live_lease"),
            func.coalesce(imports.c.not_before > now, False).label("is_waiting"),
            func.coalesce(imports.c.resumable_until > now, False).label("is_resumable"),
            func.extract("epoch", now - imports.c.ended_at).label("ended_seconds"),
            import_claims.c.attempt,
            import_progress.c.percent,
            import_requests.c.action.label("requested"),
        )
        .join(import_claims, _same(import_claims))
        .join(import_progress, _same(import_progress))
        .outerjoin(import_leases, _same(import_leases))
        .outerjoin(import_requests, _same(import_requests))
    )


def _same(table: Table) -> ColumnElement[bool]:
    return and_(table.c.tenant_id == imports.c.tenant_id, table.c.import_id == imports.c.import_id)

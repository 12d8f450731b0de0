"""How an import leaves RUNNING: to a terminal state, or back to the queue.

Statements only; the caller holds the claim (engine/claims.py) and commits.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import import_leases, import_requests, imports, outbox
from services.importer.engine.failures import FencedOut
from services.importer.model import State
from services.importer.store.outbox import Topic, announce_end, call_dispatcher


async def end(
    connection: AsyncConnection,
    tenant_id: int,
    import_id: UUID,
    state: State,
    code: str | None = None,
    message: str | None = None,
    position: str | None = None,
) -> None:
    """Moves an import from RUNNING to a terminal state and takes away what a live one needs.

    The caller holds the claim.
    """
    at = (imports.c.tenant_id == tenant_id) & (imports.c.import_id == import_id)
    moved = await connection.execute(
        update(imports)
        .where(at, imports.c.state == State.RUNNING)
        .values(
            state=state,
            error_code=code,
            error_message=message,
            error_position=position or None,
            ended_at=func.now(),
            updated_at=func.now(),
        )
    )
    if moved.rowcount != 1:
        raise FencedOut
    await _release(connection, tenant_id, import_id)
    await announce_end(connection, tenant_id, import_id)


async def _release(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    """Removes lease and requests of an import that is not running any more."""
    for table in (import_leases, import_requests):
        await connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.import_id == import_id))


async def hand_back(
    connection: AsyncConnection, tenant_id: int, import_id: UUID, delay: timedelta, *, is_retry: bool
) -> None:
    """Moves an import from RUNNING to QUEUED, to go on from its checkpoint after `delay`.

    The caller holds the claim.
    """
    moved = await connection.execute(
        update(imports)
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id, imports.c.state == State.RUNNING)
        .values(
            state=State.QUEUED,
            retries=imports.c.retries + int(is_retry),
            not_before=func.now() + delay,
            updated_at=func.now(),
        )
    )
    if moved.rowcount != 1:
        raise FencedOut
    await connection.execute(
        delete(import_leases).where(import_leases.c.tenant_id == tenant_id, import_leases.c.import_id == import_id)
    )
    await connection.execute(
        update(outbox)
        .where(outbox.c.tenant_id == tenant_id, outbox.c.import_id == import_id, outbox.c.topic == Topic.RUN)
        .values(stream_sequence=None, next_at=func.now() + delay)
    )
    await call_dispatcher(connection)

"""How an import leaves RUNNING: to a terminal state, back to the queue, or to a pause.

Statements only; the caller holds the claim (engine/claims.py) and commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import import_leases, import_requests, imports, outbox
from schema.staging import checkpoints
from services.importer.engine.failures import FencedOut
from services.importer.model import State
from services.importer.store import assets_turns
from services.importer.store.outbox import Topic, announce_end, call_dispatcher


async def lock(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    """Locks the row of a running import; raises FencedOut when it does not run any more.

    A request is then either visible to the next statement, or waits and finds the import where this transaction has
    put it.
    """
    locked = await connection.execute(
        select(imports.c.state)
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
        # The key stays free: what refers to the import need not wait.
        .with_for_update(key_share=True)
    )
    if locked.scalar_one_or_none() != State.RUNNING:
        raise FencedOut


async def end(
    connection: AsyncConnection,
    tenant_id: int,
    import_id: UUID,
    state: State,
    code: str | None = None,
    message: str | None = None,
    position: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Moves an import from RUNNING to a terminal state and takes away what a live one needs.

    The caller holds the claim. `more` are further columns of `imports` that are known at its end. Where another run of
    its import source waits for this end, that one is queued.
    """
    left = await assets_turns.leave(connection, tenant_id, import_id)
    at = (imports.c.tenant_id == tenant_id) & (imports.c.import_id == import_id)
    moved = await connection.execute(
        update(imports)
        .where(at, imports.c.state == State.RUNNING)
        .values(
            state=state,
            error_code=code,
            error_message=message,
            error_position=position or None,
            # A merge may have taken minutes since its transaction began, with progress told all the while.
            ended_at=func.clock_timestamp(),
            updated_at=func.clock_timestamp(),
            **(more or {}),
        )
    )
    if moved.rowcount != 1:
        raise FencedOut
    await _release(connection, tenant_id, import_id)
    await announce_end(connection, tenant_id, import_id)
    if left is not None:
        await assets_turns.pass_on(connection, tenant_id, left)


async def keep_resumable(connection: AsyncConnection, tenant_id: int, import_id: UUID, keep: timedelta) -> bool:
    """Marks an import that is about to fail as one that a retry may continue, when it has a checkpoint.

    Its staging then stays for as long as `keep`. Answers whether it does.
    """
    if keep <= timedelta(0):
        return False
    has_checkpoint = select(checkpoints.c.import_id).where(checkpoints.c.import_id == import_id).exists()
    marked = await connection.execute(
        update(imports)
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id, has_checkpoint)
        .values(resumable_until=func.now() + keep)
    )
    return marked.rowcount == 1


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


async def pause(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    """Moves an import from RUNNING to PAUSED. Its checkpoint stays; nobody is told to work on it.

    The caller holds the claim.
    """
    moved = await connection.execute(
        update(imports)
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id, imports.c.state == State.RUNNING)
        .values(state=State.PAUSED, not_before=None, updated_at=func.now())
    )
    if moved.rowcount != 1:
        raise FencedOut
    await _release(connection, tenant_id, import_id)
    await connection.execute(
        delete(outbox).where(
            outbox.c.tenant_id == tenant_id, outbox.c.import_id == import_id, outbox.c.topic == Topic.RUN
        )
    )
    # Its place at the workers is free.
    await call_dispatcher(connection)

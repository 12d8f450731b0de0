"""Claim, lease and fence: who works on an import, decided by the database and its clock alone.

The fence is a row of `import_claims`. A claim takes it FOR UPDATE NOWAIT and raises `attempt`; every data
transaction holds it FOR SHARE and checks its own attempt, so no write of an earlier attempt can commit after a
takeover. Lease, progress and cancel request are other rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import (
    import_claims,
    import_inputs,
    import_leases,
    import_progress,
    import_requests,
    imports,
    outbox,
)
from services.importer.engine import ending
from services.importer.engine.failures import FencedOut
from services.importer.engine.row_errors import keep_errors
from services.importer.engine.target import Job
from services.importer.model import Kind, Lane, Origin, State
from services.importer.policy import options_of
from services.importer.store.outbox import Topic

LOCK_NOT_AVAILABLE = "55P03"
MAX_CRASHES = 3
# The counters of `import_progress` that move while an attempt runs.
PROCESSED = ("bytes", "findings", "assets", "finding_assets", "evidence")
MOVING = ("percent", "read", "rejected", *(f"processed_{name}" for name in PROCESSED))
KEEP_RESUMABLE = timedelta(hours=24)


class Request(StrEnum):
    """What somebody has asked of a running import."""

    CANCEL = "cancel"
    PAUSE = "pause"


class Refusal(Enum):
    """Why a delivered import is not worked on.

    In each case the message is done with: the sweeper sends another when one is due.
    """

    UNKNOWN = "unknown"
    FINISHED = "finished"
    TAKEN = "taken"
    NOT_YET = "not yet"
    POISON = "poison"


@dataclass(frozen=True, slots=True)
class Input:
    """One object to read, pinned by the ETag of the trigger."""

    object_key: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on an import, as long as `attempt` is the latest."""

    job: Job
    attempt: int
    owner: str
    target: str
    inputs: tuple[Input, ...]
    traceparent: str
    is_takeover: bool
    retries: int
    queued_seconds: float
    lease: timedelta

    @property
    def size(self) -> int:
        """Bytes of all inputs."""
        return sum(each.size for each in self.inputs)


async def claim(
    connection: AsyncConnection,
    tenant_id: int,
    import_id: UUID,
    owner: str,
    lease: timedelta,
    keep_resumable: timedelta = KEEP_RESUMABLE,
) -> Claim | Refusal:
    """Takes the import, or says why not. Part of the caller's transaction.

    A running import whose lease is over counts as a crash; after three it is FAILED `WORKER_CRASHED`, and a retry may
    continue it from its checkpoint for as long as `keep_resumable`.
    """
    at = (import_claims.c.tenant_id == tenant_id) & (import_claims.c.import_id == import_id)
    try:
        found = await connection.execute(select(import_claims.c.attempt).where(at).with_for_update(nowait=True))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") == LOCK_NOT_AVAILABLE:
            return Refusal.TAKEN
        raise
    attempt = found.scalar_one_or_none()
    if attempt is None:
        return Refusal.UNKNOWN
    row = await _lock_import(connection, tenant_id, import_id)
    refusal = _refusal(row)
    if refusal is not None:
        return refusal
    is_takeover = row["state"] == State.RUNNING
    if is_takeover and row["crashes"] + 1 >= MAX_CRASHES:
        # What is only fetched has nothing in staging, and the role of the fetcher does not reach it.
        has_staging = row["lane"] != Lane.FETCH
        await _give_up(connection, tenant_id, import_id, keep_resumable, has_staging=has_staging)
        # Fences the last worker out, should it still be there.
        await connection.execute(update(import_claims).where(at).values(attempt=attempt + 1))
        return Refusal.POISON
    attempt += 1
    await connection.execute(update(import_claims).where(at).values(attempt=attempt))
    await _start(connection, tenant_id, import_id, attempt, owner, lease, is_takeover=is_takeover)
    return Claim(
        job=_job(row),
        attempt=attempt,
        owner=owner,
        target=row["target"],
        inputs=await inputs_of(connection, tenant_id, import_id),
        traceparent=row["traceparent"],
        is_takeover=is_takeover,
        retries=row["retries"],
        queued_seconds=float(row["queued_seconds"]),
        lease=lease,
    )


async def _give_up(
    connection: AsyncConnection, tenant_id: int, import_id: UUID, keep: timedelta, *, has_staging: bool
) -> None:
    if has_staging:
        await keep_errors(connection, tenant_id, import_id)
        await ending.keep_resumable(connection, tenant_id, import_id, keep)
    await connection.execute(
        update(import_progress)
        .where(import_progress.c.tenant_id == tenant_id, import_progress.c.import_id == import_id)
        .values(phase="failed", updated_at=func.now())
    )
    reason = "Its worker died three times on it."
    await ending.end(connection, tenant_id, import_id, State.FAILED, "WORKER_CRASHED", reason)


async def _lock_import(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> Any:
    leased = (
        select(import_leases.c.expires_at > func.now())
        .where(import_leases.c.tenant_id == tenant_id, import_leases.c.import_id == import_id)
        .scalar_subquery()
    )
    query = (
        select(
            imports,
            func.coalesce(leased, False).label("is_leased"),
            (func.coalesce(imports.c.not_before, func.now()) > func.now()).label("is_early"),
            func.extract("epoch", func.now() - imports.c.created_at).label("queued_seconds"),
        )
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
        .with_for_update(of=imports)
    )
    return (await connection.execute(query)).mappings().one()


def _refusal(row: Any) -> Refusal | None:
    state = State(row["state"])
    if state.is_terminal:
        return Refusal.FINISHED
    if state is State.RUNNING:
        return Refusal.TAKEN if row["is_leased"] else None
    if state is State.QUEUED:
        return Refusal.NOT_YET if row["is_early"] else None
    return Refusal.NOT_YET


async def _start(
    connection: AsyncConnection,
    tenant_id: int,
    import_id: UUID,
    attempt: int,
    owner: str,
    lease: timedelta,
    *,
    is_takeover: bool,
) -> None:
    await connection.execute(
        update(imports)
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
        .values(
            state=State.RUNNING,
            crashes=imports.c.crashes + int(is_takeover),
            started_at=func.coalesce(imports.c.started_at, func.now()),
            updated_at=func.now(),
            not_before=None,
        )
    )
    values = {"attempt": attempt, "owner": owner, "expires_at": func.now() + lease}
    statement = upsert(import_leases).values(tenant_id=tenant_id, import_id=import_id, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "import_id"], set_=values))
    await connection.execute(
        update(import_progress)
        .where(import_progress.c.tenant_id == tenant_id, import_progress.c.import_id == import_id)
        # What an earlier attempt had reached is not this one's: its checkpoint may lie before that, or be lost.
        .values(attempt=attempt, phase="starting", **dict.fromkeys(MOVING, 0), entities={}, updated_at=func.now())
    )
    # The dispatcher looks again when the lease would be over.
    await connection.execute(
        update(outbox)
        .where(outbox.c.tenant_id == tenant_id, outbox.c.import_id == import_id, outbox.c.topic == Topic.RUN)
        .values(next_at=func.now() + lease)
    )


def _job(row: Any) -> Job:
    return Job(
        tenant_id=row["tenant_id"],
        import_id=row["import_id"],
        client_id=row["client_id"],
        report_id=row["report_id"],
        source=row["source"],
        asset_tags=tuple(row["asset_tags"]),
        finding_tags=tuple(row["finding_tags"]),
        use_parser_actions=row["use_parser_actions"],
        kind=Kind(row["kind"]),
        origin=Origin(row["origin"]) if row["origin"] else None,
        origin_import_id=row["origin_import_id"],
        options=options_of(row),
        key=row["key"],
        workspace_id=row["workspace_id"],
        entity_type=row["entity_type"] or "",
        data_source=row["data_source"] or "",
        import_source_id=row["import_source_id"],
        plan=row["plan"],
    )


async def inputs_of(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> tuple[Input, ...]:
    """In reading order."""
    query = (
        select(import_inputs.c.object_key, import_inputs.c.etag, import_inputs.c.size)
        .where(import_inputs.c.tenant_id == tenant_id, import_inputs.c.import_id == import_id)
        .order_by(import_inputs.c.number)
    )
    return tuple(Input(*row) for row in (await connection.execute(query)).all())


async def hold(connection: AsyncConnection, held: Claim) -> None:
    """The fence: holds the claim to the end of the transaction. Raises FencedOut when another attempt has begun.

    A worker that is stopped inside its transaction would hold the fence for ever; PostgreSQL ends such a session
    after a lease.
    """
    idle = f"{held.lease.total_seconds() * 1000:.0f}"
    query = (
        select(import_claims.c.attempt, func.set_config("idle_in_transaction_session_timeout", idle, True))
        .where(import_claims.c.tenant_id == held.job.tenant_id, import_claims.c.import_id == held.job.import_id)
        .with_for_update(read=True)
    )
    if (await connection.execute(query)).scalar_one_or_none() != held.attempt:
        raise FencedOut


async def renew(connection: AsyncConnection, held: Claim, lease: timedelta) -> None:
    """Extends the lease. Raises FencedOut when it is another attempt's."""
    renewed = await connection.execute(
        update(import_leases)
        .where(
            import_leases.c.tenant_id == held.job.tenant_id,
            import_leases.c.import_id == held.job.import_id,
            import_leases.c.attempt == held.attempt,
        )
        .values(expires_at=func.now() + lease)
    )
    if renewed.rowcount != 1:
        raise FencedOut


async def requested(connection: AsyncConnection, held: Claim) -> Request | None:
    """What somebody has asked of it; a cancel has taken the place of a pause."""
    query = select(import_requests.c.action).where(
        import_requests.c.tenant_id == held.job.tenant_id, import_requests.c.import_id == held.job.import_id
    )
    action = await connection.scalar(query)
    return Request(action) if action else None


async def is_cancelled(connection: AsyncConnection, held: Claim) -> bool:
    """Whether somebody asked it to stop for good."""
    return await requested(connection, held) is Request.CANCEL

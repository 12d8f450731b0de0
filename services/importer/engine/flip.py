"""The flip: one transaction that merges staging into the target and ends the import as its last statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.importer import imports
from schema.staging import errors
from services.importer import metrics
from services.importer.engine import claims, ending, progress
from services.importer.engine.claims import Claim
from services.importer.engine.failures import Cancelled, FencedOut
from services.importer.engine.progress import Progress
from services.importer.engine.staging import Checkpoint, Staging
from services.importer.engine.target import Outcomes, Target
from services.importer.model import State

KEPT_ERRORS = 1_000


class CountsDiffer(Exception):
    """The outcomes of a merge are not as many as the items that were staged.

    Our own mistake, so nothing is committed.
    """


async def flip(
    database: Database, target: Target, held: Claim, staging: Staging, checkpoint: Checkpoint, seen: Progress
) -> None:
    """Readers see all of the import or none of it.

    Raises Cancelled when somebody asked for that before the last statements.
    """

    async def step(phase: str) -> None:
        seen.merging(phase)

    async with database.transaction(held.job.tenant_id) as connection:
        # A merge may take longer than any RPC; the lease and the fence bound it, not the clock.
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await claims.hold(connection, held)
        outcomes = await target.merge(connection, held.job, staging.names, checkpoint.family, checkpoint.tally, step)
        _check_conservation(checkpoint, outcomes)
        for code, message, count in outcomes.cautions:
            checkpoint.tally.caution(code, message, count)
        await keep_errors(connection, held, staging)
        seen.is_closed = True
        await _conclude(connection, held, staging, checkpoint, outcomes)
    _measure(progress.final_values(checkpoint.tally, outcomes))


def _measure(final: dict[str, Any]) -> None:
    for outcome in ("inserted", "updated", "unchanged", "deleted", "skipped", "rejected"):
        metrics.RECORDS.labels(outcome).inc(final[outcome])


def _check_conservation(checkpoint: Checkpoint, outcomes: Outcomes) -> None:
    merged = outcomes.inserted + outcomes.updated + outcomes.unchanged + outcomes.deleted + outcomes.skipped
    if merged != checkpoint.tally.staged:
        message = f"{checkpoint.tally.staged} items were staged, {merged} have an outcome"
        raise CountsDiffer(message)


async def keep_errors(connection: AsyncConnection, held: Claim, staging: Staging) -> None:
    """The first rejected items become rows; all of them are in the report."""
    statement = (
        "INSERT INTO row_errors (tenant_id, import_id, record_number, position, field, code, message, value) "  # noqa: S608
        "SELECT tenant_id, :import_id, ordinal, position, field, code, message, value "
        f"FROM {staging.names[errors]} ORDER BY ordinal LIMIT :kept"  # a name made of a UUID
    )
    await connection.execute(text(statement), {"import_id": held.job.import_id, "kept": KEPT_ERRORS})


async def _conclude(
    connection: AsyncConnection, held: Claim, staging: Staging, checkpoint: Checkpoint, outcomes: Outcomes
) -> None:
    # The row lock makes a cancel request either visible to the next statement, or wait and find a finished import.
    locked = await connection.execute(
        select(imports.c.state)
        .where(imports.c.tenant_id == held.job.tenant_id, imports.c.import_id == held.job.import_id)
        .with_for_update()
    )
    if locked.scalar_one() != State.RUNNING:
        raise FencedOut
    if await claims.is_cancelled(connection, held):
        raise Cancelled
    await staging.drop(connection)
    await progress.write(connection, held, progress.final_values(checkpoint.tally, outcomes))
    await ending.end(connection, held.job.tenant_id, held.job.import_id, State.SUCCEEDED)

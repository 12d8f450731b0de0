"""The flip: one transaction that merges staging into the target and ends the import as its last statements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.failpoints import failpoint
from runtime.tracing import Span, span
from schema.importer import flip_numbers
from services.importer import metrics
from services.importer.engine import claims, ending, gates, progress
from services.importer.engine.claims import Claim
from services.importer.engine.duplicates import actions_version, earlier_import
from services.importer.engine.failures import Cancelled, ImportFailure
from services.importer.engine.progress import Progress
from services.importer.engine.row_errors import RowErrors, first_errors, keep_errors, write_errors
from services.importer.engine.staging import Checkpoint, Staging
from services.importer.engine.target import Outcomes, Target
from services.importer.model import State


class CountsDiffer(Exception):
    """The outcomes of a merge are not as many as the items that were staged.

    Our own mistake, so nothing is committed.
    """


Report = Callable[[AsyncConnection], Awaitable[None]]
"""Writes the report of the rejected items again, with those of this transaction."""


@dataclass(frozen=True, slots=True)
class _Merged:
    """What the merge did, or the earlier import that made it superfluous."""

    outcomes: Outcomes
    actions_version: int | None
    duplicate_of: UUID | None = None


async def _no_report(connection: AsyncConnection) -> None:
    del connection


async def flip(
    database: Database,
    target: Target,
    held: Claim,
    staging: Staging,
    checkpoint: Checkpoint,
    seen: Progress,
    report: Report = _no_report,
) -> None:
    """Readers see all of the import or none of it; of a dry run they see its counters and errors.

    Raises Cancelled when somebody asked for that before the last statements. A request to pause comes too late. Raises
    ImportFailure when the merge rejects more items than the import may have.
    """
    is_dry = held.job.options.dry_run
    async with database.transaction(held.job.tenant_id) as connection:
        # A merge may take longer than any RPC; the lease and the fence bound it, not the clock.
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await claims.hold(connection, held)
        failpoint("flip.before_merge")
        trial = await connection.begin_nested() if is_dry else None
        with span("merge") as spanned:
            merged = await _merge(connection, target, held, staging, checkpoint, seen, spanned)
        errors = await _judge(connection, held, checkpoint, merged.outcomes, report)
        if trial is not None:
            await trial.rollback()
        for code, message, count in merged.outcomes.cautions:
            checkpoint.tally.caution(code, message, count)
        if errors is None:
            await keep_errors(connection, held.job.tenant_id, held.job.import_id)
        else:
            await write_errors(connection, held.job.tenant_id, held.job.import_id, errors)
        seen.is_closed = True
        await _conclude(connection, held, staging, checkpoint, merged)
        failpoint("flip.before_commit")
    failpoint("flip.after_commit")
    if not is_dry:
        _measure(progress.final_values(checkpoint.tally, merged.outcomes))


async def _merge(
    connection: AsyncConnection,
    target: Target,
    held: Claim,
    staging: Staging,
    checkpoint: Checkpoint,
    seen: Progress,
    spanned: Span,
) -> _Merged:
    async def step(phase: str) -> None:
        seen.merging(phase)
        spanned.event(phase)
        failpoint("flip.step")

    job, tally = held.job, checkpoint.tally
    await step("waiting for other merges")
    await target.lock(connection, job)
    version = await actions_version(connection, job)
    if checkpoint.digest is not None and not job.options.force:
        earlier = await earlier_import(connection, job, held.target, checkpoint.digest, version)
        if earlier is not None:
            said = ("ALREADY_IMPORTED", f"The same file was imported before, by {earlier}; nothing was merged.", 1)
            return _Merged(Outcomes(skipped=tally.staged, cautions=[said]), version, earlier)
    outcomes = await target.merge(connection, job, staging.names, checkpoint.family, tally, step)
    _check_conservation(checkpoint, outcomes)
    return _Merged(outcomes, version)


async def _judge(
    connection: AsyncConnection, held: Claim, checkpoint: Checkpoint, outcomes: Outcomes, report: Report
) -> RowErrors | None:
    """Items that the merge has rejected are reported and judged like those before; None when it has rejected none."""
    if not outcomes.rejected:
        return None
    await report(connection)
    errors = await first_errors(connection, held.job.import_id)
    rejected = checkpoint.tally.rejected + outcomes.rejected
    try:
        gates.check_errors(held.job.options.policy, replace(checkpoint.tally, rejected=rejected))
    except ImportFailure as failure:
        failure.row_errors = errors
        raise
    return errors


def _measure(final: dict[str, Any]) -> None:
    for outcome in ("inserted", "updated", "unchanged", "deleted", "skipped", "rejected"):
        metrics.RECORDS.labels(outcome).inc(final[outcome])


def _check_conservation(checkpoint: Checkpoint, outcomes: Outcomes) -> None:
    kept = outcomes.inserted + outcomes.updated + outcomes.unchanged + outcomes.deleted
    merged = kept + outcomes.skipped + outcomes.rejected
    if merged != checkpoint.tally.staged:
        message = f"{checkpoint.tally.staged} items were staged, {merged} have an outcome"
        raise CountsDiffer(message)


async def _conclude(
    connection: AsyncConnection, held: Claim, staging: Staging, checkpoint: Checkpoint, merged: _Merged
) -> None:
    tenant_id, import_id = held.job.tenant_id, held.job.import_id
    await ending.lock(connection, tenant_id, import_id)
    if await claims.is_cancelled(connection, held):
        raise Cancelled
    await staging.drop(connection)
    await progress.write(connection, held, progress.final_values(checkpoint.tally, merged.outcomes))
    more: dict[str, Any] = {
        "duplicate_of": merged.duplicate_of,
        "parser_actions_version": merged.actions_version,
    }
    if merged.duplicate_of is None and not held.job.options.dry_run:
        # The owner's lock is held to the commit, so the numbers of an owner are in the order of its commits.
        more["flip_number"] = flip_numbers.next_value()
    await ending.end(connection, tenant_id, import_id, State.SUCCEEDED, more=more)

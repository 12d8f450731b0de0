"""Undo: one transaction that takes an import back, as an import of kind `undo`.

It is queued, claimed, fenced, watched and cancelled like any import. It reads no file; its work is the flip's, turned
round, under the same lock of the owner and concluded in the same way. Which tables there are is the target's to say,
as data (engine/undo_kinds.py); what is decided on a row is in engine/undo_plan.py, what is written in
engine/undo_apply.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.failpoints import failpoint
from runtime.objects import ObjectStore
from schema.importer import imports
from services.importer import metrics
from services.importer.engine import claims, ending, progress, undo_items
from services.importer.engine.claims import Claim
from services.importer.engine.failures import Cancelled, ImportFailure
from services.importer.engine.progress import Progress
from services.importer.engine.runner import Signals
from services.importer.engine.statements import Statements
from services.importer.engine.target import Target
from services.importer.engine.undo_apply import apply
from services.importer.engine.undo_items import Count
from services.importer.engine.undo_kinds import UndoKind
from services.importer.engine.undo_names import name_rows
from services.importer.engine.undo_plan import Action, Undone, plan
from services.importer.model import Kind, State

log = structlog.get_logger(__name__)

# Beside the wait for the lock, which every flip has.
STEPS = 4
OUTCOMES = {Action.REMOVED: "deleted", Action.RESTORED: "updated", Action.KEPT: "unchanged"}


class Undoing:
    """One attempt at one undo."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        target: Target,
        claim: Claim,
        seen: Progress,
        signals: Signals,
    ) -> None:
        self._database = database
        self._objects = objects
        self._target = target
        self._claim = claim
        self._seen = seen
        self._signals = signals

    async def run(self) -> None:
        """Undoes, or with `dry_run` says what that would do. Ends in SUCCEEDED, or raises one of engine/failures.py.

        From the lock on it is like a flip: a request to pause comes too late, one to cancel does not.
        """
        self._signals.check()
        job = self._claim.job
        async with self._database.transaction(job.tenant_id) as connection:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SET LOCAL work_mem = '128MB'"))
            await connection.execute(text("SET LOCAL jit = off"))
            await claims.hold(connection, self._claim)
            self._seen.merging("waiting for other merges")
            undone = await self._lock(connection)
            counts = await self._undo(connection, undone)
            failpoint("undo.before_commit")
        failpoint("undo.after_commit")
        if not job.options.dry_run:
            _measure(counts)

    async def _lock(self, connection: AsyncConnection) -> Undone:
        """The import to take back, under the lock of its owner: no flip and no other undo can come between."""
        undone = await self._find(connection)
        owner = dataclasses.replace(
            self._claim.job,
            client_id=undone.client_id,
            report_id=undone.report_id,
            workspace_id=undone.workspace_id,
        )
        await self._target.lock(connection, owner)
        return await self._find(connection)

    async def _find(self, connection: AsyncConnection) -> Undone:
        job = self._claim.job
        found = await connection.execute(
            select(imports).where(imports.c.tenant_id == job.tenant_id, imports.c.import_id == job.origin_import_id)
        )
        row = found.mappings().first()
        if row is None:
            raise ImportFailure("IMPORT_NOT_UNDOABLE", "The import to undo is not there any more.")
        if row["undone_at"] is not None:
            raise ImportFailure("IMPORT_UNDONE", "The import has been undone already.")
        # Only what has merged has a number: no dry run, no repeated file, no undo.
        if row["state"] != State.SUCCEEDED or row["kind"] != Kind.IMPORT or row["flip_number"] is None:
            raise ImportFailure("IMPORT_NOT_UNDOABLE", "The import has left nothing that could be undone.")
        return Undone(
            row["import_id"],
            row["client_id"],
            row["report_id"],
            row["flip_number"],
            row["workspace_id"],
            row["entity_type"],
            row["data_source"],
        )

    async def _undo(self, connection: AsyncConnection, undone: Undone) -> list[Count]:
        is_dry = self._claim.job.options.dry_run
        sql = self._statements(connection, undone)
        self._seen.merging("comparing with later imports")
        planned = await plan(sql, self._target.undo_kinds)
        counts = await undo_items.count(sql, planned)
        self._seen.merging("writing the report")
        await name_rows(sql, planned)
        await undo_items.note_first(sql, counts)
        await undo_items.write_report(sql, self._objects, self._claim, counts)
        self._seen.merging("trying the undo" if is_dry else "removing and restoring")
        trial = await connection.begin_nested() if is_dry else None
        failpoint("undo.before_apply")
        await apply(sql, _by_kind(self._target.undo_kinds, counts))
        await self._target.release(sql)
        if trial is not None:
            await trial.rollback()
        self._seen.merging("concluding")
        self._seen.is_closed = True
        await self._conclude(connection, sql, counts)
        return counts

    def _statements(self, connection: AsyncConnection, undone: Undone) -> Statements:
        parameters = {
            "tenant": self._claim.job.tenant_id,
            "undo": self._claim.job.import_id,
            "undone": undone.import_id,
            "flip_number": undone.flip_number,
            "client": undone.client_id,
            "report": undone.report_id,
            "workspace": undone.workspace_id,
            "entity_type": undone.entity_type,
            "data_source": undone.data_source,
            "target": self._target.name,
        }
        return Statements(connection, {}, parameters)

    async def _conclude(self, connection: AsyncConnection, sql: Statements, counts: Sequence[Count]) -> None:
        job = self._claim.job
        if not job.options.dry_run:
            # The older import first, as everything does that locks both.
            await connection.execute(
                update(imports)
                .where(imports.c.tenant_id == job.tenant_id, imports.c.import_id == job.origin_import_id)
                .values(undone_at=func.now(), undone_by=job.import_id, updated_at=func.now())
            )
        await ending.lock(connection, job.tenant_id, job.import_id)
        if await claims.is_cancelled(connection, self._claim):
            raise Cancelled
        await undo_items.write_first(sql)
        await progress.write(connection, self._claim, _final_values(counts))
        await ending.end(connection, job.tenant_id, job.import_id, State.SUCCEEDED)


def _by_kind(kinds: Sequence[UndoKind], counts: Sequence[Count]) -> dict[UndoKind, dict[Action, int]]:
    planned: dict[UndoKind, dict[Action, int]] = {kind: {} for kind in kinds}
    for each in counts:
        planned[each.kind][each.action] = planned[each.kind].get(each.action, 0) + each.count
    return planned


def _totals(counts: Sequence[Count]) -> dict[str, int]:
    totals = dict.fromkeys(OUTCOMES.values(), 0)
    for each in counts:
        totals[OUTCOMES[each.action]] += each.count
    return totals


def _final_values(counts: Sequence[Count]) -> Mapping[str, Any]:
    """The counters of a finished undo: read is the sum of the outcomes."""
    totals = _totals(counts)
    return {
        "phase": "done",
        "percent": 100,
        "read": sum(totals.values()),
        **totals,
        "undo": [each.values() for each in counts],
    }


def _measure(counts: Sequence[Count]) -> None:
    for each in counts:
        metrics.UNDONE_ROWS.labels(each.action).inc(each.count)
    log.info("import undone", **_totals(counts))

"""The records target as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import staging
from services.importer.engine.statements import Statements
from services.importer.engine.target import ErrorFile, Job, Outcomes, Step, Tally
from services.importer.engine.undo_kinds import UndoKind
from services.importer.model import TargetName
from services.importer.policy import EmptyValues
from services.importer.targets.records import merge
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.error_file import SyncErrorFile
from services.importer.targets.records.merge import Outcome, Repeated
from services.importer.targets.records.records import RecordsRecord
from services.importer.targets.records.rows import RecordsStager
from services.importer.targets.records.stored_demands import demands_of
from services.importer.targets.records.undo import UNDO_KINDS


class RecordsTarget:
    """The records of one workspace, of one entity type and data source."""

    name = TargetName.RECORDS.value
    record_type: Any = RecordsRecord
    templates: Sequence[Table] = (staging.records,)
    merge_steps = 3
    undo_kinds: Sequence[UndoKind] = UNDO_KINDS
    error_file: ErrorFile | None = SyncErrorFile()

    def reads_assets(self, job: Job) -> bool:
        """Never."""
        del job
        return False

    async def demands(self, connection: AsyncConnection, job: Job) -> Demands:
        """The workspace that the file must name, how to read empty values, and the schemas of its records."""
        return await demands_of(connection, job)

    def stager(self, job: Job, tally: Tally) -> RecordsStager:
        """A stager that counts into `tally`."""
        return RecordsStager(job, tally)

    async def lock(self, connection: AsyncConnection, job: Job) -> None:
        """The lock of the job's workspace."""
        await merge.lock(connection, job)

    async def merge(
        self, connection: AsyncConnection, job: Job, staged: Mapping[Table, str], family: str, tally: Tally, step: Step
    ) -> Outcomes:
        """First what is there already, then what is new."""
        del family
        kind = await merge.kind_of(connection, job)
        if kind is None or not tally.staged:
            return Outcomes()
        sql = merge.statements(connection, job, kind, staged)
        await step("comparing rows")
        has_records = await merge.begin(sql)
        keep_empty = job.options.policy.empty is EmptyValues.KEEP
        repeated = await merge.join_repeated(sql, keep_empty=keep_empty)
        await step("changing records")
        known = await merge.change_existing(sql, keep_empty=keep_empty) if has_records else {}
        await step("adding records")
        inserted = await merge.insert_new(sql, has_known=bool(known))
        missing = await merge.count_missing(sql, has_known=bool(known))
        return Outcomes(
            inserted=inserted + known.get(Outcome.REVIVED, 0),
            updated=known.get(Outcome.UPDATED, 0),
            unchanged=known.get(Outcome.UNCHANGED, 0) + missing,
            deleted=known.get(Outcome.DELETED, 0),
            skipped=repeated.rows,
            cautions=_cautions(repeated, missing),
        )

    async def release(self, sql: Statements) -> None:
        """Records have nothing beside their rows."""
        del sql


def _cautions(repeated: Repeated, missing: int) -> list[tuple[str, str, int]]:
    cautions = []
    if repeated.rows:
        told = f"A key comes several times (first again in line {repeated.line}); its last row counts."
        cautions.append(("DUPLICATE_KEY_IN_FILE", told, repeated.rows))
    if missing:
        cautions.append(("RECORD_NOT_FOUND", "A row deletes a record that is not there.", missing))
    return cautions

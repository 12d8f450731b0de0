"""The findings target as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from services.importer.engine.statements import Statements
from services.importer.engine.target import ErrorFile, Job, Outcomes, Step, Tally
from services.importer.targets.findings.actions import NOTHING_APPLIED, Applied, apply_actions
from services.importer.targets.findings.merge import TEMPLATES, Merge, begin, lock
from services.importer.targets.findings.merge_affected import merge_affected, merge_evidence
from services.importer.targets.findings.merge_assets import merge_assets
from services.importer.targets.findings.merge_findings import merge_findings
from services.importer.targets.findings.records import FindingsRecord
from services.importer.targets.findings.rows import FindingsStager
from services.importer.targets.findings.undo import ORPHANED, UNDO_KINDS, release_tags

INSERTED, UPDATED, UNCHANGED, SKIPPED = 1, 2, 3, 4


class FindingsTarget:
    """Findings, assets, affected assets and evidence of one report."""

    name = "findings"
    record_type: Any = FindingsRecord
    templates: Sequence[Table] = TEMPLATES
    merge_steps = 5
    undo_kinds = UNDO_KINDS
    error_file: ErrorFile | None = None

    def reads_assets(self, job: Job) -> bool:
        """An import without a report is one of assets."""
        return job.report_id is None

    async def demands(self, connection: AsyncConnection, job: Job) -> None:
        """None: a scan is read in one way."""
        del connection, job

    def stager(self, job: Job, tally: Tally) -> FindingsStager:
        """A stager that counts into `tally`."""
        return FindingsStager(job, tally)

    async def lock(self, connection: AsyncConnection, job: Job) -> None:
        """The lock of the job's client."""
        await lock(connection, job)

    async def merge(
        self, connection: AsyncConnection, job: Job, staged: Mapping[Table, str], family: str, tally: Tally, step: Step
    ) -> Outcomes:
        """Merges in the order of the references: definitions, assets, instances, proof."""
        del tally
        merge = Merge(connection, job, staged, family)
        await begin(merge)
        applied = await apply_actions(merge) if job.use_parser_actions else NOTHING_APPLIED
        await step("merging findings")
        await merge_findings(merge)
        await step("merging assets")
        conflicts = await merge_assets(merge)
        await step("merging affected assets")
        orphans = await merge_affected(merge)
        await step("merging evidence")
        await merge_evidence(merge)
        await step("counting")
        await _register_tags(merge)
        return await _outcomes(merge, applied, _cautions(conflicts, orphans))

    async def release(self, sql: Statements) -> None:
        """Tags that nobody has any more."""
        await release_tags(sql)


async def _register_tags(merge: Merge) -> None:
    """Enters the tags of the import, and those that the file gave to what was merged, in the tenant's list."""
    await merge.run(
        # Locks a tag that is there, in the order in which an undo does: one that would remove it sees this import, or
        # this import sees that it is gone.
        "INSERT INTO tags (tenant_id, tag, import_id) "
        "SELECT :tenant, tag, :import_id FROM ("
        "    SELECT unnest(CAST(:tags AS text[])) AS tag "
        "    UNION SELECT unnest(tags) FROM merge_findings "
        "    UNION SELECT unnest(tags) FROM merge_assets) brought "
        "ORDER BY tag "
        "ON CONFLICT (tenant_id, tag) DO UPDATE SET import_id = EXCLUDED.import_id "
        "WHERE tags.import_id = :orphaned",
        orphaned=ORPHANED,
        tags=[*merge.job.asset_tags, *merge.job.finding_tags],
    )


async def _outcomes(merge: Merge, applied: Applied, cautions: list[tuple[str, str, int]]) -> Outcomes:
    """An item's outcome is the strongest of its records': inserted, updated, unchanged, or skipped as said before."""
    ignored = f"UNION ALL SELECT ordinal, {SKIPPED} FROM merge_ignored" if applied.ignored else ""  # noqa: S608
    found = await merge.run(
        f"""
        SELECT outcome, count(*) AS items FROM (
            SELECT ordinal, min(outcome) AS outcome FROM (
                SELECT s.ordinal, CASE WHEN i.first_n IS NULL THEN {SKIPPED} WHEN i.is_new THEN {INSERTED}
                                       ELSE {UNCHANGED} END AS outcome
                FROM {{affected}} s
                LEFT JOIN merge_affected m ON m.ordinal = s.ordinal AND m.number = s.number
                LEFT JOIN merge_ids i ON i.first_n = m.n
                UNION ALL
                SELECT e.ordinal, {UPDATED} FROM merge_evidence e WHERE e.evidence_id IS NULL
                UNION ALL
                SELECT s.ordinal, CASE WHEN m.key IS NULL THEN {SKIPPED} WHEN m.is_new THEN {INSERTED}
                                       WHEN m.is_changed THEN {UPDATED} ELSE {UNCHANGED} END
                FROM {{findings}} s LEFT JOIN merge_findings m ON m.source = s.ctid
                UNION ALL
                SELECT s.ordinal, CASE WHEN m.asset_id IS NULL THEN {SKIPPED} WHEN m.is_new THEN {INSERTED}
                                       WHEN m.is_changed THEN {UPDATED} ELSE {UNCHANGED} END
                FROM {{assets}} s JOIN merge_refs r USING (ref)
                LEFT JOIN merge_assets m ON m.asset_id = r.asset_id AND m.ordinal = s.ordinal
                {ignored}
            ) each GROUP BY ordinal
        ) item GROUP BY outcome
        """  # noqa: S608  (constants of this module)
    )
    counts: dict[int, int] = {row.outcome: row.items for row in found}
    entities = {
        "findings": await merge.count("SELECT count(*) FROM merge_findings"),
        "assets": await merge.count("SELECT count(*) FROM merge_assets"),
        "finding_assets": await merge.count(
            "SELECT count(*) FROM (SELECT DISTINCT finding_id, asset_id FROM merge_affected) p"
        ),
        "evidence": await merge.count("SELECT count(*) FROM merge_evidence"),
        **applied.entities,
    }
    return Outcomes(
        inserted=counts.get(INSERTED, 0),
        updated=counts.get(UPDATED, 0),
        unchanged=counts.get(UNCHANGED, 0),
        skipped=counts.get(SKIPPED, 0),
        entities=entities,
        cautions=[*cautions, *applied.cautions],
    )


def _cautions(conflicts: int, orphans: int) -> list[tuple[str, str, int]]:
    cautions = []
    if conflicts:
        cautions.append(("ASSET_CONFLICT", "An asset matches several existing ones; the oldest was taken.", conflicts))
    if orphans:
        cautions.append(
            ("DEFINITION_MISSING", "An instance names a finding or asset that the file does not define.", orphans)
        )
    return cautions

"""Learning parser actions from a scan file: each finding without an action gets one that changes nothing.

It reads the same records as the findings target, of which the definitions alone are staged. What it has added stays:
there are no before-images, and an undo is refused by the API (services/importer/repeats.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import staging
from services.importer.engine.statements import Statements
from services.importer.engine.target import ErrorFile, Job, Outcomes, Step, Tally
from services.importer.engine.undo_kinds import UndoKind
from services.importer.model import ActionCode, TargetName
from services.importer.targets.findings.merge import lock
from services.importer.targets.findings.records import Caution, Finding, FindingsRecord
from services.importer.targets.findings.rows import FindingsStager

# Of one source. Nessus, the largest, has some 250,000 plugins.
MAX_ACTIONS = 300_000
# It is there to be recognised by; the finding itself has all of it.
MAX_DESCRIPTION = 4_000

INSERTED, UNCHANGED, SKIPPED = 1, 3, 4


class DefinitionStager(FindingsStager):
    """Stages findings without their places and assets."""

    def add(self, ordinal: int, records: Iterable[Any]) -> bool:
        """Takes the definitions of one item; False when it has none."""
        return super().add(ordinal, [record for record in records if isinstance(record, (Finding, Caution))])

    def take(self) -> Mapping[Table, list[tuple[Any, ...]]]:
        """The rows of the only table there is."""
        return {staging.findings: super().take()[staging.findings]}


class ParserActionsTarget:
    """The parser actions of one source of a tenant."""

    name = TargetName.PARSER_ACTIONS.value
    record_type: Any = FindingsRecord
    templates: Sequence[Table] = (staging.findings,)
    merge_steps = 1
    undo_kinds: Sequence[UndoKind] = ()
    error_file: ErrorFile | None = None

    def reads_assets(self, job: Job) -> bool:
        """Never: an asset has no action."""
        del job
        return False

    async def demands(self, connection: AsyncConnection, job: Job) -> None:
        """None: a scan is read in one way."""
        del connection, job

    def stager(self, job: Job, tally: Tally) -> DefinitionStager:
        """A stager that counts into `tally`."""
        return DefinitionStager(job, tally)

    async def lock(self, connection: AsyncConnection, job: Job) -> None:
        """One at a time per tenant: the job's client is 0, which no client is."""
        await lock(connection, job)

    async def merge(
        self, connection: AsyncConnection, job: Job, staged: Mapping[Table, str], family: str, tally: Tally, step: Step
    ) -> Outcomes:
        """Adds what is new; known actions are left alone, whatever the file says of them."""
        del family, tally
        await step("learning")
        parameters = {"tenant": job.tenant_id, "source": job.source}
        sql = Statements(connection, {"findings": staged[staging.findings]}, parameters)
        await sql.run("SET LOCAL work_mem = '128MB'")
        await sql.run("SET LOCAL jit = off")
        found = await _find_new(sql)
        learned = await _insert(sql)
        return await _outcomes(sql, learned, left_out=found - learned)

    async def release(self, sql: Statements) -> None:
        """There is nothing to take back."""
        del sql


async def _find_new(sql: Statements) -> int:
    """Leaves new_actions(key, ordinal, …): findings without an action, by the same rules as when they are applied."""
    return await sql.table(
        "new_actions",
        """
        WITH known AS (SELECT action_id, key FROM parser_actions WHERE tenant_id = :tenant AND source = :source)
        SELECT DISTINCT ON (s.key) s.key, s.number, s.ordinal, s.title, s.severity,
               left(s.description, :max_description) AS description
        FROM {findings} s
        WHERE NOT EXISTS (SELECT FROM known a WHERE a.key = s.key)
          AND NOT EXISTS (SELECT FROM known a WHERE a.key IS NULL AND a.action_id = s.key)
          AND NOT EXISTS (SELECT FROM known a WHERE a.key IS NULL AND a.action_id = s.number::text)
        ORDER BY s.key, s.severity, s.ordinal
        """,
        max_description=MAX_DESCRIPTION,
    )


async def _insert(sql: Statements) -> int:
    """Its id is the number that people see in the list of findings; its key where another finding has that number."""
    inserted = await sql.run(
        f"""
        INSERT INTO parser_actions (tenant_id, source, action_id, key, action, severity, original_severity, title,
                                    description)
        SELECT :tenant, :source,
               CASE WHEN row_number() OVER (PARTITION BY n.number ORDER BY n.ordinal, n.key) = 1
                     AND NOT EXISTS (SELECT FROM parser_actions a WHERE a.tenant_id = :tenant AND a.source = :source
                                                                    AND a.action_id = n.number::text)
                    THEN n.number::text ELSE n.key END,
               n.key, '{ActionCode.PASS_THROUGH}', n.severity, n.severity, n.title, n.description
        FROM new_actions n
        ORDER BY n.ordinal, n.key
        LIMIT (SELECT greatest(:max_actions - count(*), 0) FROM parser_actions
               WHERE tenant_id = :tenant AND source = :source)
        ON CONFLICT DO NOTHING
        """,  # noqa: S608  (a word of ours)
        max_actions=MAX_ACTIONS,
    )
    return inserted.rowcount


async def _outcomes(sql: Statements, learned: int, *, left_out: int) -> Outcomes:
    """An item is inserted when one of its findings is new, and unchanged when all are known."""
    found = await sql.run(
        f"""
        SELECT outcome, count(*) AS items
        FROM (SELECT s.ordinal, min(CASE WHEN n.key IS NULL THEN {UNCHANGED}
                                         WHEN n.ordinal = s.ordinal THEN {INSERTED} ELSE {SKIPPED} END) AS outcome
              FROM {{findings}} s LEFT JOIN new_actions n USING (key) GROUP BY s.ordinal) item
        GROUP BY outcome
        """  # noqa: S608
    )
    counts: dict[int, int] = {row.outcome: row.items for row in found}
    said = (
        "TOO_MANY_PARSER_ACTIONS",
        f"A source has {MAX_ACTIONS} parser actions at most; no more were added.",
        left_out,
    )
    return Outcomes(
        inserted=counts.get(INSERTED, 0),
        unchanged=counts.get(UNCHANGED, 0),
        skipped=counts.get(SKIPPED, 0),
        entities={
            "findings": await sql.count("SELECT count(DISTINCT key) FROM {findings}"),
            "learned": learned,
        },
        cautions=[said] if left_out else [],
    )

"""The merge of a records import: the rows of the file against the records of its kind, in set-based SQL in the flip.

A row says something of every column that the file has: what its document lacks is empty. So the last row of a key
stands for all of them; only where empty values leave things alone, it takes along what rows before it say, as if each
had been applied by itself. Then every staged row has a key of its own.

A deleted record keeps its row, without a document (schema/records.py). To people it is not there: a file that brings it
back inserts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import staging
from services.importer.engine.failures import RetryableFailure
from services.importer.engine.statements import SMALL_TABLE_ROWS, Statements
from services.importer.engine.target import Job

KIND = "record"

# The records of the file's kind.
OF_KIND = """t.tenant_id = :tenant AND t.workspace_id = :workspace
             AND t.entity_type = :entity_type AND t.data_source = :data_source"""


class Outcome(StrEnum):
    """What becomes of a row whose record there is already; REVIVED is told as inserted."""

    REVIVED = "revived"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the file's header has said; its rows belong there. `columns` are the codes of all that they have."""

    entity_type: str
    data_source: str
    columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class Repeated:
    """Rows that were left out because their key comes again, and the line of the first that does."""

    rows: int = 0
    line: int = 0


async def lock(connection: AsyncConnection, job: Job) -> None:
    """One flip or undo at a time per workspace, to the end of the transaction."""
    query = text("SELECT pg_advisory_xact_lock(hashtextextended('records ' || :workspace, :tenant))")
    await connection.execute(query, {"tenant": job.tenant_id, "workspace": str(job.workspace_id)})


async def kind_of(connection: AsyncConnection, job: Job) -> Kind | None:
    """As the runner has noted it when it staged the file; None: the file has no row."""
    query = text(
        "SELECT entity_type, data_source, columns FROM imports WHERE tenant_id = :tenant AND import_id = :import_id"
    )
    row = (await connection.execute(query, {"tenant": job.tenant_id, "import_id": job.import_id})).one()
    return None if None in row else Kind(*row)


def statements(connection: AsyncConnection, job: Job, kind: Kind, staged: Mapping[Table, str]) -> Statements:
    """`{records}` is this import's staging table."""
    parameters = {
        "tenant": job.tenant_id,
        "import_id": job.import_id,
        "workspace": job.workspace_id,
        "entity_type": kind.entity_type,
        "data_source": kind.data_source,
        "columns": list(kind.columns),
    }
    return Statements(connection, {"records": staged[staging.records]}, parameters)


async def begin(sql: Statements) -> bool:
    """A planner that is told what it cannot know. Answers whether there are records of this kind already."""
    await sql.run("SET LOCAL work_mem = '128MB'")
    await sql.run("SET LOCAL jit = off")
    if await sql.count("SELECT count(*) FROM {records}") > SMALL_TABLE_ROWS:
        # Every join is a hash join then, whatever the statistics of the target make the planner believe.
        await sql.run("SET LOCAL enable_nestloop = off")
    return bool((await sql.run(f"SELECT EXISTS (SELECT FROM records t WHERE {OF_KIND})")).scalar_one())  # noqa: S608


async def join_repeated(sql: Statements, *, keep_empty: bool) -> Repeated:
    """Leaves one staged row of each key, and merge_repeated(key, last, deleted): their ordinals; 0: never deleted."""
    keys = await sql.table(
        "merge_repeated",
        """
        SELECT key, max(ordinal) AS last, COALESCE(max(ordinal) FILTER (WHERE document IS NULL), 0) AS deleted
        FROM {records} GROUP BY key HAVING count(*) > 1
        """,
    )
    if not keys:
        return Repeated()
    if keep_empty:
        await _fold(sql)
    found = await sql.run(
        """
        WITH gone AS (DELETE FROM {records} s USING merge_repeated r
                      WHERE r.key = s.key AND s.ordinal < r.last RETURNING s.key, s.line),
             lines AS (SELECT line, row_number() OVER (PARTITION BY key ORDER BY line) AS n FROM gone
                       UNION ALL
                       SELECT s.line, 2 FROM {records} s JOIN merge_repeated r ON r.key = s.key AND r.last = s.ordinal)
        SELECT (SELECT count(*) FROM gone) AS rows, min(line) FILTER (WHERE n > 1) AS line FROM lines
        """
    )
    row = found.one()
    return Repeated(row.rows, row.line)


async def _fold(sql: Statements) -> None:
    """Gives the last row what it leaves empty and a row before it says; nothing from before a deletion."""
    await sql.run(
        """
        WITH said AS (
            SELECT DISTINCT ON (s.key, c.key) s.key, c.key AS code, c.value
            FROM {records} s
            JOIN merge_repeated r ON r.key = s.key AND s.ordinal > r.deleted, LATERAL jsonb_each(s.document::jsonb) c
            ORDER BY s.key, c.key, s.ordinal DESC),
        folded AS (SELECT key, jsonb_object_agg(code, value) AS document FROM said GROUP BY key)
        UPDATE {records} s SET document = f.document::text
        FROM merge_repeated r JOIN folded f ON f.key = r.key
        WHERE s.key = r.key AND s.ordinal = r.last
        """
    )


async def change_existing(sql: Statements, *, keep_empty: bool) -> dict[Outcome, int]:
    """Leaves merge_known(source, record_id, document, outcome): staged rows whose record there is. Answers how many.

    `document` is null where it stays as it is. Of a record that the file has deleted before, nothing is kept.
    """
    kept = "t.document" if keep_empty else "t.document - CAST(:columns AS text[])"
    await sql.table(
        "merge_known",
        f"""
        SELECT s.ctid AS source, t.record_id, n.document,
               CASE WHEN s.document IS NULL AND t.document IS NOT NULL THEN '{Outcome.DELETED}'
                    WHEN n.document IS NULL THEN '{Outcome.UNCHANGED}'
                    WHEN t.document IS NULL THEN '{Outcome.REVIVED}' ELSE '{Outcome.UPDATED}' END AS outcome
        FROM {{records}} s
        JOIN records t ON t.key = s.key
        LEFT JOIN merge_repeated r ON r.key = s.key AND r.deleted > 0,
             LATERAL (SELECT s.document::jsonb AS document OFFSET 0) d,
             -- Most rows that change nothing say all that there is: they are told without taking anything apart.
             LATERAL (SELECT CASE WHEN d.document IS DISTINCT FROM t.document THEN NULLIF(
                          COALESCE(CASE WHEN r.key IS NULL THEN {kept} END, '{{{{}}}}') || d.document, t.document)
                      END AS document OFFSET 0) n
        WHERE {OF_KIND}
        """,  # noqa: S608
    )
    found = await sql.run("SELECT outcome, count(*) AS rows FROM merge_known GROUP BY outcome")
    counts = {Outcome(row.outcome): int(row.rows) for row in found}
    changed = sum(rows for outcome, rows in counts.items() if outcome is not Outcome.UNCHANGED)
    if changed:
        await _change(sql, changed)
    if counts.get(Outcome.UNCHANGED):
        await sql.run(
            f"""
            INSERT INTO sightings (tenant_id, kind, row_id, import_id)
            SELECT :tenant, '{KIND}', record_id, :import_id FROM merge_known WHERE outcome = '{Outcome.UNCHANGED}'
            """  # noqa: S608
        )
    return counts


async def _change(sql: Statements, changed: int) -> None:
    await sql.run(
        f"""
        INSERT INTO before_images (tenant_id, import_id, kind, row_id, image)
        SELECT :tenant, :import_id, '{KIND}', t.record_id, to_jsonb(t)
        FROM records t JOIN merge_known m ON m.record_id = t.record_id AND m.outcome <> '{Outcome.UNCHANGED}'
        WHERE t.tenant_id = :tenant
        """  # noqa: S608
    )
    done = await sql.run(
        f"""
        UPDATE records t SET document = m.document, updated_at = now()
        FROM merge_known m
        WHERE t.tenant_id = :tenant AND t.record_id = m.record_id AND m.outcome <> '{Outcome.UNCHANGED}'
        """  # noqa: S608
    )
    if done.rowcount != changed:
        # Retention takes rows of deleted records away without the workspace's lock.
        raise RetryableFailure("ROWS_CHANGED", "Records were removed while they were being changed.")


async def insert_new(sql: Statements, *, has_known: bool) -> int:
    """The rows that are left and say something."""
    known = "AND NOT EXISTS (SELECT FROM merge_known m WHERE m.source = s.ctid)" if has_known else ""
    inserted = await sql.run(
        f"""
        INSERT INTO records (tenant_id, workspace_id, entity_type, data_source, key, document, import_id)
        SELECT :tenant, CAST(:workspace AS uuid), :entity_type, :data_source, s.key, s.document::jsonb, :import_id
        FROM {{records}} s WHERE s.document IS NOT NULL {known}
        """  # noqa: S608
    )
    return inserted.rowcount


async def count_missing(sql: Statements, *, has_known: bool) -> int:
    """Deletions of what is not there."""
    known = "AND NOT EXISTS (SELECT FROM merge_known m WHERE m.source = s.ctid)" if has_known else ""
    return await sql.count(f"SELECT count(*) FROM {{records}} s WHERE s.document IS NULL {known}")  # noqa: S608

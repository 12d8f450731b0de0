"""The merge of a run of an import source: its objects against those that are there, in set-based SQL in the flip.

Every staged object gets its id before anything is written, so that objects of one run can refer to each other in any
order, in circles too, and each is written once. Of an object that the run has several times the last one counts, whole.

A removed object keeps its row, without a document (schema/assets.py). To people it is not there: a run that brings it
back inserts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import staging
from services.importer.engine.failures import RetryableFailure
from services.importer.engine.statements import SMALL_TABLE_ROWS, Statements
from services.importer.engine.target import Job
from services.importer.targets.objects.plan import ObjectPlan

KIND = "object"
# What becomes of an item is the strongest of what becomes of its objects.
INSERTED, UPDATED, UNCHANGED, REJECTED = 1, 2, 3, 4

# The advisory lock of a workspace; edits of objects take it, too.
OWNER_KEY = "hashtextextended('objects ' || :workspace, :tenant)"

# An item has fewer objects than that.
PLACE = "(s.ordinal << 20) + s.number"

# What a staged object `s` will be, but for its references; `t` is the one that is there, or null.
DOCUMENT = """
    (CASE WHEN s.cleared IS NULL THEN COALESCE(t.document, '{{}}')
          ELSE COALESCE(t.document, '{{}}') - s.cleared::text[] END || s.document::jsonb)
"""


# The same with them, where `f` is its row of merge_answers.
WHOLE_DOCUMENT = f"CASE WHEN f.asked IS NULL THEN {DOCUMENT} ELSE {DOCUMENT} - f.emptied || f.document END"


@dataclass(frozen=True, slots=True)
class Staged:
    """What a run has brought: how many objects of each type, and whether an item may have several."""

    types: Mapping[int, int]
    has_siblings: bool

    @property
    def rows(self) -> int:
        """Objects of all types."""
        return sum(self.types.values())


async def lock(connection: AsyncConnection, job: Job) -> None:
    """One flip, undo or edit at a time per workspace, to the end of the transaction."""
    query = text(f"SELECT pg_advisory_xact_lock({OWNER_KEY})")
    await connection.execute(query, {"tenant": job.tenant_id, "workspace": str(job.workspace_id)})


def statements(connection: AsyncConnection, job: Job, staged: Mapping[Table, str]) -> Statements:
    """`{staged}` is this import's staging table."""
    parameters = {
        "tenant": job.tenant_id,
        "import_id": job.import_id,
        "workspace": job.workspace_id,
        "source": job.import_source_id,
    }
    return Statements(connection, {"staged": staged[staging.objects]}, parameters)


async def begin(sql: Statements) -> Staged:
    """A planner that is told what it cannot know."""
    await sql.run("SET LOCAL work_mem = '128MB'")
    await sql.run("SET LOCAL jit = off")
    found = await sql.run("SELECT object_type_id, count(*) AS rows, max(number) AS number FROM {staged} GROUP BY 1")
    rows = found.all()
    staged = Staged({row.object_type_id: row.rows for row in rows}, any(row.number for row in rows))
    if staged.rows > SMALL_TABLE_ROWS:
        # Every join is a hash join then, whatever the statistics of the target make the planner believe.
        await sql.run("SET LOCAL enable_nestloop = off")
    return staged


async def leave_last(sql: Statements) -> Mapping[int, int]:
    """Leaves one staged row of each object. Answers how many were left out, by type."""
    repeated = await sql.table(
        "merge_repeated",
        f"""
        SELECT s.object_type_id, s.key, max({PLACE}) AS last
        FROM {{staged}} s GROUP BY s.object_type_id, s.key HAVING count(*) > 1
        """,  # noqa: S608  (a constant of this module)
    )
    if not repeated:
        return {}
    gone = await sql.run(
        f"""
        WITH gone AS (DELETE FROM {{staged}} s USING merge_repeated r
                      WHERE r.object_type_id = s.object_type_id AND r.key = s.key AND {PLACE} < r.last
                      RETURNING s.object_type_id)
        SELECT object_type_id, count(*) AS rows FROM gone GROUP BY 1
        """  # noqa: S608
    )
    return {row.object_type_id: row.rows for row in gone}


async def give_ids(sql: Statements, staged: Staged) -> bool:
    """Leaves merge_objects, a row for each staged object, and merge_asked, the different references that they have.

    merge_objects(source, ordinal, place, object_type_id, object_id, is_known, is_rejected, asked). Answers whether any
    of the objects is there already.
    """
    await sql.table(
        "merge_asked",
        """
        SELECT row_number() OVER () AS asked, object_type_id, lookups
        FROM (SELECT DISTINCT object_type_id, lookups FROM {staged} WHERE lookups IS NOT NULL) d
        """,
    )
    has_objects = (
        await sql.run(
            "SELECT EXISTS (SELECT FROM objects WHERE tenant_id = :tenant AND object_type_id = ANY(:types))",
            types=list(staged.types),
        )
    ).scalar_one()
    known = (
        "LEFT JOIN objects t ON t.tenant_id = :tenant AND t.object_type_id = s.object_type_id AND t.key = s.key "
        "AND t.object_type_id = ANY(:types)"
        if has_objects
        else "CROSS JOIN (SELECT NULL::bigint AS object_id) t"
    )
    # Ids are in the order of the source, whatever the joins do: the oldest of two is the first.
    await sql.table(
        "merge_objects",
        f"""
        SELECT o.source, o.ordinal, o.place, o.object_type_id,
               COALESCE(o.object_id, nextval('objects_object_id_seq')) AS object_id,
               o.object_id IS NOT NULL AS is_known, false AS is_rejected, o.asked
        FROM (SELECT s.ctid AS source, s.ordinal, {PLACE} AS place, s.object_type_id, t.object_id, a.asked
              FROM {{staged}} s
              LEFT JOIN merge_asked a ON a.object_type_id = s.object_type_id AND a.lookups = s.lookups
              {known}
              ORDER BY s.ctid) o
        """,  # noqa: S608
        types=list(staged.types),
    )
    return bool(has_objects) and bool(await sql.count("SELECT count(*) FROM merge_objects WHERE is_known"))


async def compare(sql: Statements, plan: ObjectPlan) -> None:
    """Leaves merge_known(source, ordinal, object_type_id, object_id, document, label, outcome, …): what is there.

    `document` is null where it stays as it is; a revived object is INSERTED. `is_referring`: its references are others
    than before. `was_missed`: earlier runs had not seen it.
    """
    await sql.table(
        "merge_known",
        f"""
        SELECT m.source, m.ordinal, m.object_type_id, m.object_id, t.missed > 0 AS was_missed, n.label,
               CASE WHEN n.is_same THEN NULL ELSE n.document END AS document,
               CASE WHEN t.document IS NULL THEN {INSERTED} WHEN n.is_same AND n.label = t.label THEN {UNCHANGED}
                    ELSE {UPDATED} END AS outcome,
               NOT n.is_same AND ({_referring(plan)}) AS is_referring
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        JOIN objects t ON t.tenant_id = :tenant AND t.object_id = m.object_id
        LEFT JOIN merge_answers f ON f.asked = m.asked,
             LATERAL (SELECT d.document, d.document = t.document IS TRUE AS is_same,
                             COALESCE(NULLIF(s.label, ''), t.label) AS label
                      FROM (SELECT {WHOLE_DOCUMENT} AS document OFFSET 0) d
                      OFFSET 0) n
        WHERE m.is_known AND NOT m.is_rejected
        """,  # noqa: S608
    )


def _referring(plan: ObjectPlan) -> str:
    """Whether a reference of an object differs from before."""
    attributes = sorted({each.attribute_id for type_ in plan.types for each in type_.attributes if each.reference})
    differences = [f"n.document->'{each}' IS DISTINCT FROM t.document->'{each}'" for each in attributes]
    return " OR ".join(differences) or "false"


async def change(sql: Statements) -> None:
    """Writes what differs, and notes the rest as seen."""
    changed = f"outcome <> {UNCHANGED}"
    images = await keep_images(sql, f"SELECT object_id FROM merge_known WHERE {changed}")  # noqa: S608
    done = await sql.run(
        f"""
        UPDATE objects t SET document = COALESCE(m.document, t.document), label = m.label, missed = 0,
                             updated_at = now()
        FROM merge_known m WHERE t.tenant_id = :tenant AND t.object_id = m.object_id AND m.{changed}
        """  # noqa: S608
    )
    expected = await sql.count(f"SELECT count(*) FROM merge_known WHERE {changed}")  # noqa: S608
    if not images == done.rowcount == expected:
        # Retention takes rows of removed objects away without the workspace's lock.
        raise RetryableFailure("ROWS_CHANGED", "Objects were removed while they were being changed.")
    await sql.run(
        f"""
        INSERT INTO sightings (tenant_id, kind, row_id, import_id)
        SELECT :tenant, '{KIND}', object_id, :import_id FROM merge_known WHERE outcome = {UNCHANGED}
        """  # noqa: S608
    )
    if await sql.count(f"SELECT count(*) FROM merge_known WHERE was_missed AND outcome = {UNCHANGED}"):  # noqa: S608
        await sql.run(
            f"""
            UPDATE objects t SET missed = 0
            FROM merge_known m
            WHERE t.tenant_id = :tenant AND t.object_id = m.object_id AND m.was_missed AND m.outcome = {UNCHANGED}
            """  # noqa: S608
        )


async def keep_images(sql: Statements, ids: str) -> int:
    """Before-images of the objects that a query names, which are about to be changed. Answers how many there are."""
    kept = await sql.run(
        f"""
        INSERT INTO before_images (tenant_id, import_id, kind, row_id, image)
        SELECT :tenant, :import_id, '{KIND}', t.object_id, to_jsonb(t)
        FROM objects t JOIN ({ids}) i ON i.object_id = t.object_id
        WHERE t.tenant_id = :tenant
        """  # noqa: S608
    )
    return kept.rowcount


async def insert_new(sql: Statements, plan: ObjectPlan) -> int:
    """What is not there yet. Texts are joined before they are parsed, once: joining two documents takes longer."""
    inserted = await sql.run(
        f"""
        INSERT INTO objects (tenant_id, object_id, object_type_id, key, label, document, source_id, import_id)
        SELECT :tenant, m.object_id, m.object_type_id, s.key, {_label(plan)},
               (CASE WHEN f.members IS NULL THEN s.document ELSE left(s.document, -1) || f.members END)::jsonb,
               CAST(:source AS uuid), :import_id
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        LEFT JOIN merge_answers f ON f.asked = m.asked
        WHERE NOT m.is_known AND NOT m.is_rejected
        """  # noqa: S608
    )
    return inserted.rowcount


def _label(plan: ObjectPlan) -> str:
    """Where the mapping has none, an object is called by its first identifier."""
    unnamed = {each.type_id: each.identifiers[0] for each in plan.types if each.label_attribute is None}
    if not unnamed:
        return "s.label"
    cases = " ".join(f"WHEN {type_id} THEN '{attribute}'" for type_id, attribute in sorted(unnamed.items()))
    return f"COALESCE(NULLIF(s.label, ''), s.document::jsonb->>CASE s.object_type_id {cases} END, '')"


async def outcomes(sql: Statements, staged: Staged, *, has_known: bool) -> Mapping[int, int]:
    """How many items have come to what, by the constants above; those of repeated objects alone are in none."""
    known = "LEFT JOIN merge_known k ON k.source = m.source" if has_known else ""
    outcome = f"CASE WHEN m.is_rejected THEN {REJECTED} ELSE {'COALESCE(k.outcome, ' if known else '('}{INSERTED}) END"
    each = f"SELECT m.ordinal, {outcome} AS outcome FROM merge_objects m {known}"  # noqa: S608
    if staged.has_siblings:
        each = f"SELECT ordinal, min(outcome) AS outcome FROM ({each}) o GROUP BY ordinal"  # noqa: S608
    found = await sql.run(f"SELECT outcome, count(*) AS items FROM ({each}) i GROUP BY outcome")  # noqa: S608
    return {row.outcome: row.items for row in found}


async def by_type(sql: Statements, *, has_known: bool) -> Sequence[tuple[int, int, int, int]]:
    """Type, outcome, objects, and how many of those have other references than before."""
    found = []
    if has_known:
        query = """
            SELECT object_type_id, outcome, count(*), count(*) FILTER (WHERE is_referring)
            FROM merge_known GROUP BY 1, 2
        """
        found += [tuple(row) for row in await sql.run(query)]
    query = f"""
        SELECT m.object_type_id, {INSERTED}, count(*), count(*) FILTER (WHERE f.has_targets)
        FROM merge_objects m LEFT JOIN merge_answers f ON f.asked = m.asked
        WHERE NOT m.is_known AND NOT m.is_rejected GROUP BY 1
    """  # noqa: S608
    found += [tuple(row) for row in await sql.run(query)]
    return found

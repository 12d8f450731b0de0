"""Objects that a source has brought before and does not have any more.

Only a run that has read all of its source can tell, and of the time when it did: what an earlier run had read says
nothing of objects that a younger one has brought. Where something of a type could not be used, nobody knows which of
its objects that was, and none of them is called missing; nor in a run to which no data was sent at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.importer.engine.statements import Statements
from services.importer.engine.target import Job, Tally
from services.importer.targets.objects.counters import NO_TYPE, Counter, counted
from services.importer.targets.objects.merge import keep_images
from services.importer.targets.objects.plan import ObjectPlan, TypePlan
from services.importer.targets.objects.references import derive

# A small integer counts the runs.
MOST_RUNS = 32_000


@dataclass(frozen=True, slots=True)
class Missing:
    """Objects that were changed and removed, by type."""

    updated: Mapping[int, int]
    removed: Mapping[int, int]


def unjudged_types(plan: ObjectPlan, tally: Tally, *, is_outdated: bool) -> Sequence[int]:
    """Types of which something could not be read, as the tally of the reading says; of an outdated run, all of them."""
    return [each for each in _treated(plan) if is_outdated or not _is_judged(tally, each)]


async def is_outdated(sql: Statements, job: Job) -> bool:
    """Whether a younger run of the source has merged, and stands: this one reads again what an earlier one has read.

    Runs are as old as the first of those that they retry or repeat; ids are in the order of time.
    """
    if job.origin_import_id is None:
        return False
    own = await sql.named({"runs": "i.import_id = :import_id"}).run(_FIRST)
    younger = """
        i.import_source_id = CAST(:source AS uuid) AND i.kind = 'import' AND i.state = 'SUCCEEDED'
        AND i.flip_number IS NOT NULL AND i.undone_at IS NULL AND i.import_id > :mine
    """
    mine: UUID = own.scalar_one()
    found = await sql.named({"runs": younger}).run(_FIRST, mine=mine)
    return any(each > mine for each in found.scalars())


# The first of the runs that each of `runs` retries or repeats; itself where it does neither.
_FIRST = """
    WITH RECURSIVE chain AS (
        SELECT i.import_id AS first_id, i.origin_import_id FROM imports i WHERE i.tenant_id = :tenant AND {runs}
        UNION ALL
        SELECT c.origin_import_id, i.origin_import_id
        FROM chain c LEFT JOIN imports i ON i.tenant_id = :tenant AND i.import_id = c.origin_import_id
        WHERE c.origin_import_id IS NOT NULL)
    SELECT DISTINCT first_id FROM chain WHERE origin_import_id IS NULL
"""


def _treated(plan: ObjectPlan) -> Mapping[int, TypePlan]:
    """Where a type is mapped from several arrays, the first of them says what happens."""
    return {each.type_id: each for each in reversed(plan.types) if each.missing != "IGNORE"}


async def treat_missing(sql: Statements, plan: ObjectPlan, unjudged: Sequence[int]) -> Missing:
    """Does with them what the mapping says of their types."""
    updated, removed = {}, {}
    for type_id, each in _treated(plan).items():
        if type_id in unjudged or not await _find(sql, type_id):
            continue
        if each.missing == "REMOVE":
            removed[type_id] = await _remove(sql, each)
        else:
            updated[type_id] = await _update(sql, each)
        await sql.run("DROP TABLE merge_missing")
    return Missing(updated, removed)


def _is_judged(tally: Tally, type_id: int) -> bool:
    unusable = (counted(tally, each, Counter.ERRORS) for each in (type_id, NO_TYPE))
    return bool(tally.bytes) and not any(unusable) and not counted(tally, type_id, Counter.EMPTY_LABELS)


async def _find(sql: Statements, type_id: int) -> int:
    """Leaves merge_missing(object_id, missed): those that this run has missed, with it."""
    found = await sql.table(
        "merge_missing",
        f"""
        SELECT t.object_id, LEAST(t.missed + 1, {MOST_RUNS}) AS missed
        FROM objects t
        WHERE t.tenant_id = :tenant AND t.object_type_id = :type_id AND t.source_id = CAST(:source AS uuid)
          AND t.document IS NOT NULL
          AND NOT EXISTS (SELECT FROM merge_objects m WHERE m.object_id = t.object_id)
        """,  # noqa: S608  (a constant)
        type_id=type_id,
    )
    if not found:
        await sql.run("DROP TABLE merge_missing")
    return found


async def _remove(sql: Statements, type_: TypePlan) -> int:
    runs = max(type_.missing_runs, 1)
    await _count_run(sql, runs)
    removed = await keep_images(sql, f"SELECT object_id FROM merge_missing WHERE missed >= {runs}")  # noqa: S608
    await sql.run(
        f"""
        UPDATE objects t SET document = NULL, missed = 0, updated_at = now()
        FROM merge_missing m WHERE t.tenant_id = :tenant AND t.object_id = m.object_id AND m.missed >= {runs}
        """  # noqa: S608
    )
    await derive(sql, f"SELECT object_id FROM merge_missing WHERE missed >= {runs}")  # noqa: S608
    return removed


async def _update(sql: Statements, type_: TypePlan) -> int:
    runs = max(type_.missing_runs, 1)
    await _count_run(sql, runs)
    values = "{" + ",".join(f'"{attribute}":{value}' for attribute, value in type_.missing_values) + "}"
    await sql.table(
        "merge_outdated",
        f"""
        SELECT t.object_id FROM objects t JOIN merge_missing m ON m.object_id = t.object_id
        WHERE t.tenant_id = :tenant AND m.missed >= {runs} AND t.document || CAST(:values AS jsonb) <> t.document
        """,  # noqa: S608
        values=values,
    )
    updated = await keep_images(sql, "SELECT object_id FROM merge_outdated")
    await sql.run(
        """
        UPDATE objects t SET document = t.document || CAST(:values AS jsonb), updated_at = now()
        FROM merge_outdated m WHERE t.tenant_id = :tenant AND t.object_id = m.object_id
        """,
        values=values,
    )
    await derive(sql, "SELECT object_id FROM merge_outdated")
    await sql.run("DROP TABLE merge_outdated")
    return updated


async def _count_run(sql: Statements, runs: int) -> None:
    """Of objects that are to be missed more often first; it is no change that anybody would see."""
    await sql.run(
        f"""
        UPDATE objects t SET missed = m.missed
        FROM merge_missing m WHERE t.tenant_id = :tenant AND t.object_id = m.object_id AND m.missed < {runs}
        """  # noqa: S608
    )

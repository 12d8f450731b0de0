"""Objects that a source has brought before and does not have any more.

Only a run that has read all of its source can tell. Where something of a type could not be used, nobody knows which of
its objects that was, and none of them is called missing; nor in a run to which no data was sent at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.importer.engine.statements import Statements
from services.importer.engine.target import Tally
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


def unjudged_types(plan: ObjectPlan, tally: Tally) -> Sequence[int]:
    """Types of which something could not be read, as the tally of the reading says."""
    return [each for each in _treated(plan) if not _is_judged(tally, each)]


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

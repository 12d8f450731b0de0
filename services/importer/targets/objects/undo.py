"""What undo must know of objects. A removed one has its row, so bringing it back is a change like any other.

An object that a later run has seen, changed or referred to stays as it is. Keys stay with their rows: they say who an
object is, and not what is in it. An object whose old values or identifiers another has by now stays as it is, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from schema.assets import objects
from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import UndoKind
from services.importer.engine.undo_plan import Action
from services.importer.targets.objects.contested import keep_contested
from services.importer.targets.objects.merge import KIND
from services.importer.targets.objects.references import derive
from services.importer.targets.objects.restored_keys import give_keys

# What an object that a person has edited refers to, and so on from there. What runs refer to they have seen.
_NEEDED = f"""
    WITH RECURSIVE needed AS (
        SELECT r.target_id
        FROM (SELECT DISTINCT object_id FROM object_edits WHERE tenant_id = :tenant) e
        JOIN object_references r ON r.tenant_id = :tenant AND r.object_id = e.object_id
        JOIN {{rows}} u ON u.row_id = r.target_id AND u.action = '{Action.REMOVED}'
        LEFT JOIN {{rows}} o ON o.row_id = e.object_id
        WHERE COALESCE(o.action, '{Action.KEPT}') = '{Action.KEPT}'
        UNION
        SELECT r.target_id
        FROM needed n
        JOIN object_references r ON r.tenant_id = :tenant AND r.object_id = n.target_id
        JOIN {{rows}} u ON u.row_id = r.target_id AND u.action = '{Action.REMOVED}')
    SELECT target_id FROM needed
"""  # noqa: S608  (constants)

UNDO_KINDS: Sequence[UndoKind] = (
    UndoKind(
        kind=KIND,
        table=objects,
        id="object_id",
        name="t.label",
        source="objects t",
        scope="""
            t.object_type_id IN (
                SELECT y.object_type_id FROM object_types y
                JOIN object_schemas h ON h.tenant_id = y.tenant_id AND h.object_schema_id = y.object_schema_id
                WHERE y.tenant_id = :tenant AND h.workspace_id = CAST(:workspace AS uuid))
        """,
        fixed=("key",),
        needed=_NEEDED,
        contested=keep_contested,
    ),
)

_SETTLED = f"SELECT row_id AS object_id FROM undo_{KIND} WHERE action <> '{Action.KEPT}'"  # noqa: S608  (constants)


async def release(sql: Statements) -> None:
    """References, keys and missed runs, as they are without the undone run."""
    await derive(sql, _SETTLED)
    await _unmiss(sql)
    await give_keys(sql)


async def _unmiss(sql: Statements) -> None:
    """Objects that the run has missed were missed once less: those that more runs have missed than came after it."""
    await sql.run(
        f"""
        WITH undone AS (SELECT import_source_id FROM imports WHERE tenant_id = :tenant AND import_id = :undone),
             later AS (SELECT count(*) AS runs
                       FROM undo_later l
                       JOIN imports i ON i.tenant_id = :tenant AND i.import_id = l.import_id
                       JOIN undone u ON u.import_source_id = i.import_source_id)
        UPDATE objects t SET missed = t.missed - 1
        FROM undone u, later
        WHERE t.tenant_id = :tenant AND t.source_id = u.import_source_id AND t.missed > later.runs
          AND t.object_type_id IN (SELECT y.object_type_id FROM object_types y WHERE y.tenant_id = :tenant)
          AND t.object_id NOT IN ({_SETTLED})
        """  # noqa: S608
    )

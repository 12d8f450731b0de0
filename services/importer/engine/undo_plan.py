"""What an undo decides on each row: removed, restored or kept, and why. It reads the target and changes nothing in it.

Of every row, the imports that stand form a chain in the order of their flips: the one that inserted it, then those
that changed it (a before-image) or saw it (a sighting). An undone import is in no chain. So whether a row may go is a
question about the next link only, and a row that stays is handed on to that link (engine/undo_apply.py).

A link says how it left the row: `changed_at` of its before-image, or `created_at` where it inserted it. When the next
image, or the row itself, has another `updated_at`, a person has edited it in between. What people have edited is never
removed or overwritten; it belongs to no import from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import Attached, UndoKind


class Action(StrEnum):
    """What an undo does with a row; the order in which it is told."""

    KEPT = "kept"
    REMOVED = "removed"
    RESTORED = "restored"


class Reason(StrEnum):
    """Why a row is kept."""

    SEEN_LATER = "SEEN_LATER"
    CHANGED_LATER = "CHANGED_LATER"
    EDITED = "EDITED"
    IN_USE = "IN_USE"
    VALUE_TAKEN = "VALUE_TAKEN"


@dataclass(frozen=True, slots=True)
class Undone:
    """The import that is taken back."""

    import_id: UUID
    client_id: int
    report_id: int | None
    flip_number: int
    workspace_id: UUID | None = None
    entity_type: str | None = None
    data_source: str | None = None


# The next import after the undone one that saw or changed the row. Each look is a look into two indexes, so its cost is
# that of the undone import's rows, however much has been imported since.
NEXT_LINK = """
    LATERAL (
        SELECT e.import_id, e.image_updated_at, e.is_change
        FROM (SELECT s.import_id, NULL::timestamptz AS image_updated_at, false AS is_change
              FROM sightings s
              WHERE s.tenant_id = :tenant AND s.kind = '{kind}' AND s.row_id = r.row_id
              UNION ALL
              SELECT b.import_id, (b.image->>'updated_at')::timestamptz, true
              FROM before_images b
              WHERE b.tenant_id = :tenant AND b.kind = '{kind}' AND b.row_id = r.row_id) e
        JOIN undo_later i ON i.import_id = e.import_id
        ORDER BY i.flip_number LIMIT 1)
"""
NO_LINK = """
    (SELECT NULL::uuid AS import_id, NULL::timestamptz AS image_updated_at, NULL::boolean AS is_change WHERE false)
"""


async def plan(sql: Statements, kinds: Sequence[UndoKind]) -> dict[UndoKind, int]:
    """Leaves a table undo_<kind>(row_id, is_inserted, updated_at, by_import_id, …, action, reason) for each kind.

    Answers their rows. Kinds come children first, so what a row is needed by is decided before the row itself.
    """
    has_later = await _find_later(sql) > 0
    found = {}
    for kind in kinds:
        found[kind] = await _decide(kind.over(sql), has_later=has_later)
        if kind.needed is not None and found[kind]:
            await _keep(kind.over(sql), kind.needed)
        if kind.contested is not None:
            await kind.contested(kind.over(sql))
        for child in kinds:
            for column, parent in child.parents.items():
                if parent == kind.kind and found[kind]:
                    await _keep_needed(kind.over(sql), child, column)
        for attached in kind.attached:
            await _decide_attached(kind.over(sql), attached, has_later=has_later)
    return found


async def _find_later(sql: Statements) -> int:
    """Leaves undo_later(import_id, flip_number): imports of the same owner that have merged since, and stand."""
    later = await sql.table(
        "undo_later",
        """
        SELECT import_id, flip_number FROM imports
        WHERE tenant_id = :tenant AND flip_number > :flip_number AND client_id = :client AND target = :target
          AND workspace_id IS NOT DISTINCT FROM CAST(:workspace AS uuid)
          AND state = 'SUCCEEDED' AND undone_at IS NULL
        """,
    )
    await sql.run("ALTER TABLE undo_later ADD PRIMARY KEY (import_id)")
    return later


async def _decide(sql: Statements, *, has_later: bool) -> int:
    """`new_owner` is for rows that are kept: the import they are handed on to; null: they are a person's."""
    return await sql.table(
        "{rows}",
        f"""
        SELECT d.row_id, d.is_inserted, d.updated_at, d.by_import_id, d.is_changed_later, d.is_edited_between,
               CASE WHEN NOT d.is_edited_between THEN d.by_import_id END AS new_owner,
               CASE WHEN d.by_import_id IS NOT NULL OR d.is_edited THEN '{Action.KEPT}'
                    WHEN d.is_inserted THEN '{Action.REMOVED}' ELSE '{Action.RESTORED}' END AS action,
               CASE WHEN d.is_changed_later THEN '{Reason.CHANGED_LATER}'
                    WHEN d.by_import_id IS NOT NULL THEN '{Reason.SEEN_LATER}'
                    WHEN d.is_edited THEN '{Reason.EDITED}' ELSE '' END AS reason
        FROM (SELECT r.row_id, r.is_inserted, r.updated_at, l.import_id AS by_import_id,
                     COALESCE(l.is_change, false) AS is_changed_later,
                     COALESCE(l.is_change AND l.image_updated_at IS DISTINCT FROM r.left_at, false)
                         AS is_edited_between,
                     r.updated_at IS DISTINCT FROM r.left_at AS is_edited
              FROM (SELECT t.{{id}} AS row_id, true AS is_inserted, {{updated}} AS updated_at,
                           COALESCE(b.changed_at, {{created}}) AS left_at
                    FROM {{source}}
                    LEFT JOIN before_images b ON b.tenant_id = :tenant AND b.import_id = :undone
                                             AND b.kind = '{{kind}}' AND b.row_id = t.{{id}}
                    WHERE t.tenant_id = :tenant AND t.import_id = :undone AND {{scope}}
                    UNION ALL
                    SELECT b.row_id, false, {{updated}}, b.changed_at
                    FROM before_images b JOIN {{table}} t ON t.tenant_id = :tenant AND t.{{id}} = b.row_id
                    WHERE b.tenant_id = :tenant AND b.import_id = :undone AND b.kind = '{{kind}}'
                      AND b.image IS NOT NULL) r
              LEFT JOIN {_next_link(has_later=has_later)} l ON true) d
        """,  # noqa: S608  (constants of this module and of the target)
    )


def _next_link(*, has_later: bool) -> str:
    return NEXT_LINK if has_later else NO_LINK


async def _keep_needed(sql: Statements, child: UndoKind, column: str) -> None:
    """A row that a child refers to stays unless the child goes too, whoever has made the child."""
    await _keep(
        sql.named({"child": child.table.name, "child_id": child.id, "children": child.rows, "column": column}),
        f"""
        SELECT c.{{column}}
        FROM {{rows}} p
        JOIN {{child}} c ON c.tenant_id = :tenant AND c.{{column}} = p.row_id
        LEFT JOIN {{children}} d ON d.row_id = c.{{child_id}} AND d.action = '{Action.REMOVED}'
        WHERE p.action = '{Action.REMOVED}' AND d.row_id IS NULL
        """,  # noqa: S608
    )


async def _keep(sql: Statements, needed: str) -> None:
    """Rows that a query names stay."""
    await sql.run(
        f"UPDATE {{rows}} SET action = '{Action.KEPT}', reason = '{Reason.IN_USE}' "  # noqa: S608
        f"WHERE action = '{Action.REMOVED}' AND row_id IN ({needed})"
    )


async def _decide_attached(sql: Statements, attached: Attached, *, has_later: bool) -> None:
    """Leaves undo_<attached table>(row_id, stays, new_owner): owners of attached rows that the import has inserted.

    They stay when a later import relies on their owner, or when a person does: what such an owner is known by must not
    go. An owner that goes, that gets back what it was, or that was only seen loses them.
    """
    await sql.named(attached_names(attached)).table(
        "{attached_rows}",
        f"""
        SELECT r.row_id, CASE WHEN u.row_id IS NULL THEN l.import_id ELSE u.new_owner END AS new_owner,
               CASE WHEN u.row_id IS NULL THEN l.import_id IS NOT NULL ELSE u.action = '{Action.KEPT}' END AS stays
        FROM (SELECT DISTINCT t.{{owner}} AS row_id FROM {{attached}} t
              WHERE t.tenant_id = :tenant AND t.import_id = :undone AND {{attached_scope}}) r
        LEFT JOIN {{rows}} u ON u.row_id = r.row_id
        LEFT JOIN {_next_link(has_later=has_later)} l ON u.row_id IS NULL
        """,  # noqa: S608
    )


def attached_names(attached: Attached) -> dict[str, str]:
    """Names of statements about attached rows."""
    return {
        "attached": attached.table.name,
        "attached_rows": f"undo_{attached.table.name}",
        "attached_scope": attached.scope,
        "owner": attached.owner,
    }

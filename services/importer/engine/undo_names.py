"""What people call the rows that an undo decides on, and the rows those are named after.

Made by joins of whole sets: looked up row by row, the names of 370,000 instances took longer than their removal, as the
planner knows nothing of tables that a first import has just filled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import UndoKind

# A name is to recognise the row by; an asset's may be a megabyte.
NAME_CHARACTERS = 255


async def name_rows(sql: Statements, planned: Mapping[UndoKind, int]) -> None:
    """Leaves undo_name_<kind>(row_id, name) for the kinds that have rows to decide on, and their parents.

    `planned` are the kinds, children first, with their rows in undo_<kind>.
    """
    needed: list[UndoKind] = []
    for kind, rows in planned.items():
        children = [child for child in needed if kind.kind in child.parents.values()]
        if rows or children:
            await _need(sql, kind, children)
            needed.append(kind)
    for kind in reversed(needed):
        await _name(sql, kind)


async def _need(sql: Statements, kind: UndoKind, children: Sequence[UndoKind]) -> None:
    """Leaves undo_need_<kind>(row_id): its own rows, and those that rows of its children refer to."""
    ids = ["SELECT row_id FROM {rows}"]
    for child in children:
        for column, parent in child.parents.items():
            if parent == kind.kind:
                ids.append(
                    f"SELECT t.{column} FROM {child.table.name} t JOIN undo_need_{child.kind} n "  # noqa: S608  (names of tables)
                    f"ON t.{child.id} = n.row_id WHERE t.tenant_id = :tenant"
                )
    await kind.over(sql).table("undo_need_{kind}", " UNION ".join(ids))


async def _name(sql: Statements, kind: UndoKind) -> None:
    parents = " ".join(
        f"LEFT JOIN undo_name_{parent} {parent} ON {parent}.row_id = t.{column}"
        for column, parent in kind.parents.items()
    )
    await kind.over(sql).table(
        "undo_name_{kind}",
        f"SELECT n.row_id, left({{name}}, {NAME_CHARACTERS}) AS name "  # noqa: S608
        f"FROM undo_need_{{kind}} n JOIN {{table}} t ON t.tenant_id = :tenant AND t.{{id}} = n.row_id {parents}",
    )

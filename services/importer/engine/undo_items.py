"""What an undo tells: counts by kind, the first rows of each action, and all rows in a CSV report.

All of it is taken from the plan before anything is written, because a removed row has no name any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.objects import ObjectStore, StorageUnavailable
from runtime.reports import undo_report_key
from services.importer.engine.claims import Claim
from services.importer.engine.failures import RetryableFailure
from services.importer.engine.report import MAX_REPORT_BYTES, csv_lines, inert
from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import UndoKind
from services.importer.engine.undo_plan import Action

KEPT_ITEMS = 1_000
HEADER = ("kind", "action", "reason", "name", "by_import_id")

_ITEMS = """
    SELECT '{kind}' AS kind, u.row_id, n.name, u.action, u.reason, u.by_import_id
    FROM {rows} u JOIN undo_name_{kind} n ON n.row_id = u.row_id
    WHERE u.action = :action
    ORDER BY u.row_id
"""


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a kind; `reason` is empty unless they are kept."""

    kind: UndoKind
    action: Action
    reason: str
    count: int

    def values(self) -> dict[str, Any]:
        """As it stands in `import_progress.undo`."""
        return {"kind": self.kind.kind, "action": self.action.value, "reason": self.reason, "count": self.count}


async def count(sql: Statements, planned: Mapping[UndoKind, int]) -> list[Count]:
    """What is planned, parents first."""
    counts = []
    for kind in _told_order([kind for kind, rows in planned.items() if rows]):
        found = await kind.over(sql).run(
            "SELECT action, reason, count(*) AS rows FROM {rows} GROUP BY action, reason ORDER BY action, reason"
        )
        counts += [Count(kind, Action(row.action), row.reason, row.rows) for row in found]
    return counts


def _told_order(kinds: Sequence[UndoKind]) -> list[UndoKind]:
    """What people know best comes first; a plan has the children first."""
    return list(reversed(kinds))


def _groups(counts: Sequence[Count]) -> list[tuple[Action, UndoKind]]:
    """The groups that have rows: kept ones first."""
    there = dict.fromkeys((each.action, each.kind.kind) for each in counts)
    kinds = {each.kind.kind: each.kind for each in counts}
    return [(action, kind) for action in Action for name, kind in kinds.items() if (action, name) in there]


async def note_first(sql: Statements, counts: Sequence[Count]) -> None:
    """Leaves undo_told, the rows for undo_items.

    They are written with the last statements: a row that refers to the import locks its key, and a cancel would wait.
    """
    await sql.run(
        "CREATE TEMPORARY TABLE undo_told (kind text, row_id bigint, name text, action text, reason text, "
        "by_import_id uuid, number bigint GENERATED ALWAYS AS IDENTITY) ON COMMIT DROP"
    )
    left = dict.fromkeys(Action, KEPT_ITEMS)
    for action, kind in _groups(counts):
        if left[action]:
            told = await kind.over(sql).run(
                f"INSERT INTO undo_told (kind, row_id, name, action, reason, by_import_id) {_ITEMS} LIMIT :left",
                action=action,
                left=left[action],
            )
            left[action] -= told.rowcount


async def write_first(sql: Statements) -> None:
    """The rows that `note_first` has left, as rows of this undo."""
    await sql.run(
        """
        INSERT INTO undo_items (tenant_id, import_id, number, kind, row_id, name, action, reason, by_import_id)
        SELECT :tenant, :undo, number, kind, row_id, name, action, reason, by_import_id FROM undo_told
        """
    )


async def write_report(sql: Statements, objects: ObjectStore, held: Claim, counts: Sequence[Count]) -> None:
    """Streams all rows of the plan into the report; another attempt writes over it.

    Raises RetryableFailure when the object store does not answer.
    """
    key = objects.object_key(undo_report_key(held.job.tenant_id, held.job.import_id))
    try:
        await objects.put_stream(key, _lines(sql, counts), max_bytes=MAX_REPORT_BYTES)
    except StorageUnavailable as error:
        raise RetryableFailure("STORAGE_UNAVAILABLE", "The object store does not answer.") from error


async def _lines(sql: Statements, counts: Sequence[Count]) -> AsyncIterator[bytes]:
    yield csv_lines([HEADER])
    for action, kind in _groups(counts):
        statement, parameters = kind.over(sql).bound(_ITEMS, action=action)
        result = await sql.connection.stream(statement, parameters)
        async for rows in result.partitions(1_000):
            yield csv_lines(
                [(row.kind, row.action, row.reason, inert(row.name), str(row.by_import_id or "")) for row in rows]
            )

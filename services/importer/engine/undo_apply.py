"""What an undo writes: rows removed and restored, and what is kept handed on to the next import that relies on it.

Handing on makes the order of undos irrelevant. The next import in a row's chain takes the place of the undone one: it
becomes the one that inserted the row, or it gets the before-image, so that undoing it later brings back what was there
before both. Its own sighting goes, for it is more than that now. A next import that changed the row keeps its own
`changed_at`: that is how it left the row. A before-image that is null is the image of a row that was not there; it
stands beside `import_id` where that import has changed the row as well, and says with which time.

Nothing is handed on past a person's edit: the row is theirs, and later images, which have the edit, stay as they are.

A kept row stays whole, unless its kind knows which of its fields later imports rely on (`UndoKind.revert`).
"""

from __future__ import annotations

from collections.abc import Mapping

from services.importer.engine.failures import RetryableFailure
from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import UndoKind
from services.importer.engine.undo_plan import Action, attached_names


async def apply(sql: Statements, counts: Mapping[UndoKind, Mapping[Action, int]]) -> None:
    """Does what is planned. Raises RetryableFailure when rows have changed since, which a new plan will see.

    `counts` are the planned rows by kind and action; kinds come children first.
    """
    for kind, planned in counts.items():
        over = kind.over(sql)
        if planned.get(Action.KEPT):
            if kind.revert is not None:
                await kind.revert(over)
            await _hand_on(over)
        if planned.get(Action.REMOVED):
            _check(planned[Action.REMOVED], await _remove(over))
        if planned.get(Action.RESTORED):
            _check(planned[Action.RESTORED], await _restore(over))
        for attached in kind.attached:
            await _settle_attached(over.named(attached_names(attached)))
    for trace in ("sightings", "before_images"):
        await sql.named({"trace": trace}).run("DELETE FROM {trace} WHERE tenant_id = :tenant AND import_id = :undone")


def _check(planned: int, done: int) -> None:
    if planned != done:
        raise RetryableFailure("ROWS_CHANGED", "Rows were edited while they were being undone.")


async def _remove(sql: Statements) -> int:
    removed = await sql.run(
        f"""
        DELETE FROM {{table}} t USING {{rows}} u
        WHERE t.tenant_id = :tenant AND t.{{id}} = u.row_id AND u.action = '{Action.REMOVED}'
          AND {{updated}} IS NOT DISTINCT FROM u.updated_at
        """  # noqa: S608  (constants of the engine and of the target)
    )
    return removed.rowcount


async def _restore(sql: Statements) -> int:
    """Every column as it was, `updated_at` too. A column that is younger than the image keeps its value."""
    restored = await sql.run(
        f"""
        UPDATE {{table}} t
        SET ({{contents}}) = (SELECT {{image_contents}} FROM jsonb_populate_record(t, x.image) r)
        FROM {{rows}} u
        JOIN before_images x ON x.tenant_id = :tenant AND x.import_id = :undone
                            AND x.kind = '{{kind}}' AND x.row_id = u.row_id
        WHERE t.tenant_id = :tenant AND t.{{id}} = u.row_id AND u.action = '{Action.RESTORED}'
          AND {{updated}} IS NOT DISTINCT FROM u.updated_at
        """  # noqa: S608
    )
    return restored.rowcount


async def _hand_on(sql: Statements) -> None:
    await sql.run(
        f"""
        UPDATE {{table}} t SET import_id = u.new_owner FROM {{rows}} u
        WHERE t.tenant_id = :tenant AND t.{{id}} = u.row_id AND u.is_inserted AND u.action = '{Action.KEPT}'
        """  # noqa: S608
    )
    # The next import saw the row: it gets the image as it is (none at all, where the undone import inserted the row and
    # left it at that).
    await sql.run(
        """
        DELETE FROM sightings s USING {rows} u
        WHERE s.tenant_id = :tenant AND s.kind = '{kind}' AND s.row_id = u.row_id AND s.import_id = u.new_owner
          AND NOT u.is_changed_later
        """
    )
    await sql.run(
        """
        UPDATE before_images x SET import_id = u.new_owner FROM {rows} u
        WHERE x.tenant_id = :tenant AND x.kind = '{kind}' AND x.row_id = u.row_id AND x.import_id = :undone
          AND u.new_owner IS NOT NULL AND NOT u.is_changed_later
        """
    )
    # It changed the row: what was before it is now what was before both.
    await sql.run(
        """
        UPDATE before_images b SET image = x.image
        FROM {rows} u
        LEFT JOIN before_images x ON x.tenant_id = :tenant AND x.import_id = :undone
                                 AND x.kind = '{kind}' AND x.row_id = u.row_id
        WHERE b.tenant_id = :tenant AND b.kind = '{kind}' AND b.row_id = u.row_id AND b.import_id = u.new_owner
          AND u.is_changed_later
        """
    )


async def _settle_attached(sql: Statements) -> None:
    await sql.run(
        f"""
        DELETE FROM {{attached}} t USING {{rows}} u
        WHERE t.tenant_id = :tenant AND t.{{owner}} = u.row_id AND u.action = '{Action.REMOVED}'
        """  # noqa: S608
    )
    await sql.run(
        """
        DELETE FROM {attached} t USING {attached_rows} o
        WHERE t.tenant_id = :tenant AND t.{owner} = o.row_id AND t.import_id = :undone AND NOT o.stays
        """
    )
    await sql.run(
        """
        UPDATE {attached} t SET import_id = o.new_owner FROM {attached_rows} o
        WHERE t.tenant_id = :tenant AND t.{owner} = o.row_id AND t.import_id = :undone AND o.stays
        """
    )

"""What undo must know of records. A deleted one has its row, so bringing it back is a change like any other.

Undo goes by fields: a record that a later import has seen or changed stays, but what the undone import did to fields
that no later file has a column for is taken back. What is left is what the other files alone would have brought; a
later undo finds the same, because the images that later imports have of the record are treated alike. A deletion says
something of every field, so nothing is taken back behind one.
"""

from __future__ import annotations

from collections.abc import Sequence

from schema.records import records
from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import UndoKind
from services.importer.engine.undo_plan import Action
from services.importer.targets.records.merge import KIND, OF_KIND

# The number of the state that a record is in now; those of imports are smaller.
NOW = 2**63 - 1


async def revert_fields(sql: Statements) -> None:
    """Takes the undone import's fields out of kept records, and out of the images that later imports have of them."""
    if not await _find_links(sql):
        return
    await _find_states(sql)
    if not await sql.table("undo_fields", _FIELDS):
        return
    await sql.table("undo_reverted", _REVERTED)
    await sql.run(
        """
        UPDATE records t SET document = (t.document - f.gone) || f.back
        FROM undo_reverted f WHERE t.tenant_id = :tenant AND t.record_id = f.row_id AND f.flip_number = :now
        """,
        now=NOW,
    )
    await sql.run(
        f"""
        UPDATE before_images b
        SET image = jsonb_set(b.image, '{{{{document}}}}', ((b.image->'document') - f.gone) || f.back)
        FROM undo_reverted f JOIN undo_later l ON l.flip_number = f.flip_number
        WHERE b.tenant_id = :tenant AND b.kind = '{KIND}' AND b.row_id = f.row_id AND b.import_id = l.import_id
        """  # noqa: S608  (constants of ours)
    )


async def _find_links(sql: Statements) -> int:
    """Leaves undo_links(row_id, flip_number, columns, is_change, document): later imports of each kept record.

    `document` is what a change has found; null: a deleted record.
    """
    return await sql.table(
        "undo_links",
        f"""
        SELECT e.row_id, l.flip_number, m.columns, e.is_change, e.document
        FROM (SELECT row_id, import_id, false AS is_change, NULL::jsonb AS document FROM sightings
              WHERE tenant_id = :tenant AND kind = '{KIND}'
              UNION ALL
              SELECT row_id, import_id, true, NULLIF(image->'document', 'null'::jsonb) FROM before_images
              WHERE tenant_id = :tenant AND kind = '{KIND}') e
        JOIN {{rows}} u ON u.row_id = e.row_id AND u.action = '{Action.KEPT}' AND u.new_owner IS NOT NULL
        JOIN undo_later l ON l.import_id = e.import_id
        JOIN imports m ON m.tenant_id = :tenant AND m.import_id = l.import_id
        """,  # noqa: S608
    )


async def _find_states(sql: Statements) -> None:
    """Leaves undo_states(row_id, flip_number, document, is_first): the record as later imports found it, and as it is.

    The first is how the undone import has left it. States behind a deletion by a later import are left out.
    """
    await sql.table(
        "undo_states",
        """
        SELECT row_id, flip_number, document, is_first
        FROM (SELECT s.*, bool_or(s.document IS NULL AND (NOT s.is_first OR s.is_seen))
                              OVER (PARTITION BY s.row_id ORDER BY s.flip_number) AS is_behind
              FROM (SELECT a.*, row_number() OVER (PARTITION BY a.row_id ORDER BY a.flip_number) = 1 AS is_first,
                           EXISTS (SELECT FROM undo_links k WHERE k.row_id = a.row_id AND NOT k.is_change
                                                              AND k.flip_number < a.flip_number) AS is_seen
                    FROM (SELECT row_id, flip_number, document FROM undo_links WHERE is_change
                          UNION ALL
                          SELECT t.record_id, :now, t.document
                          FROM records t JOIN (SELECT DISTINCT row_id FROM undo_links) k ON k.row_id = t.record_id
                          WHERE t.tenant_id = :tenant) a) s) b
        WHERE NOT is_behind
        """,
        now=NOW,
    )


# What the undone import did to each field: row_id, code, and the value before it, null for none.
_FIELDS = f"""
    SELECT s.row_id, code, s.before->code AS value
    FROM (SELECT f.row_id, COALESCE(NULLIF(x.image->'document', 'null'::jsonb), '{{{{}}}}') AS before,
                 COALESCE(f.document, '{{{{}}}}') AS later
          FROM undo_states f
          LEFT JOIN before_images x ON x.tenant_id = :tenant AND x.import_id = :undone
                                   AND x.kind = '{KIND}' AND x.row_id = f.row_id
          WHERE f.is_first) s,
         LATERAL (SELECT jsonb_object_keys(s.before) AS code UNION SELECT jsonb_object_keys(s.later)) k
    WHERE s.before->code IS DISTINCT FROM s.later->code
"""  # noqa: S608

# What to take out of each state and what to put back: of the fields that no import before that state has said.
_REVERTED = """
    SELECT s.row_id, s.flip_number, COALESCE(array_agg(f.code) FILTER (WHERE f.value IS NULL), '{{}}') AS gone,
           COALESCE(jsonb_object_agg(f.code, f.value) FILTER (WHERE f.value IS NOT NULL), '{{}}') AS back
    FROM undo_states s JOIN undo_fields f ON f.row_id = s.row_id
    WHERE s.document IS NOT NULL
      AND NOT EXISTS (SELECT FROM undo_links k WHERE k.row_id = s.row_id AND k.flip_number < s.flip_number
                                                 AND f.code = ANY(k.columns))
    GROUP BY s.row_id, s.flip_number
"""

UNDO_KINDS: Sequence[UndoKind] = (
    UndoKind(
        kind=KIND,
        table=records,
        id="record_id",
        name="concat(t.entity_type, ' ', t.key)",
        source="records t",
        scope=OF_KIND,
        revert=revert_fields,
    ),
)

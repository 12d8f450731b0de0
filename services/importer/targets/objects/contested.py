"""Values that each object may have only once, and identifiers, when an undo gives objects back what they had.

Somebody may have them by now: a later run, or a person. Then the object stays as it is. It keeps what it has, which
another one may have wanted back, and what it refers to stays as well; so it is asked again until nothing more is kept.

Where a later import has brought whoever has the value, the object is handed on to it: undoing that one restores both.
"""

from __future__ import annotations

from services.importer.engine.statements import Statements
from services.importer.engine.undo_plan import Action, Reason
from services.importer.targets.objects.catalog import Catalog, load
from services.importer.targets.objects.merge import KIND
from services.importer.targets.objects.restored_keys import IMAGES, find_keys
from services.importer.targets.objects.unique import values_of

# Where each row that is kept brings another, it is decided more coarsely after so many.
ROUNDS = 10


# Of an attribute `a`.
_BEFORE, _NOW = "(x.image->'document'->a.id::text)", "(t.document->a.id::text)"

_VALUES = f"""
    SELECT DISTINCT u.row_id, a.id AS slot, v.value
    FROM {{rows}} u
    JOIN {IMAGES} = u.row_id
    JOIN objects t ON t.tenant_id = :tenant AND t.object_id = u.row_id
    CROSS JOIN unnest(CAST(:attributes AS int[])) a(id)
    CROSS JOIN LATERAL {values_of(_BEFORE)} v(value)
    WHERE u.action = '{Action.RESTORED}' AND {_BEFORE} IS DISTINCT FROM {_NOW} AND v.value IS NOT NULL
      AND NOT EXISTS (SELECT FROM {values_of(_NOW)} o(value) WHERE o.value = v.value)
"""  # noqa: S608  (constants)

_KEYS = f"""
    SELECT k.object_id AS row_id, -k.object_type_id AS slot, k.key AS value
    FROM undo_keys k
    JOIN {IMAGES} = k.object_id
    JOIN objects t ON t.tenant_id = :tenant AND t.object_id = k.object_id
    WHERE k.key IS NOT NULL AND k.key IS DISTINCT FROM t.key AND x.image->>'key' IS NOT NULL
"""  # noqa: S608


async def keep_contested(sql: Statements) -> None:
    """Keeps objects that would get back what another has, or will have. Leaves undo_keys for `give_keys`."""
    catalog = await load(sql)
    await find_keys(sql, catalog)
    if not await _find_claims(sql, catalog):
        return
    await _find_holders(sql, catalog)
    for _ in range(ROUNDS):
        if not await _keep(sql, _CONTESTED):
            return
        await _keep_referred(sql)
    for losing in (_HELD, _CONTESTED):
        await _keep(sql, losing)
        await _keep_referred(sql)


async def _find_claims(sql: Statements, catalog: Catalog) -> int:
    """Leaves undo_claims(row_id, slot, value): what restored objects have not now, and would have.

    A slot is a unique attribute, or the keys of a type: its number, negative. An object that had no key before the
    undone run, as older ones are known by its identifiers, claims none.
    """
    unique = [each.attribute_id for each in catalog.attributes.values() if each.is_unique]
    # Most workspaces have none: then nothing is read.
    return await sql.table("undo_claims", f"{_VALUES} UNION ALL {_KEYS}" if unique else _KEYS, attributes=unique)


async def _find_holders(sql: Statements, catalog: Catalog) -> None:
    """Leaves undo_holders(row_id, slot, value, has, keeps): who has these now, and who would if it were restored."""
    slots = (await sql.run("SELECT DISTINCT slot FROM undo_claims WHERE slot > 0")).scalars().all()
    await sql.table(
        "undo_holders",
        f"""
        SELECT DISTINCT t.object_id AS row_id, c.slot, c.value, true AS has,
               EXISTS (SELECT FROM {values_of(_BEFORE)} w(value) WHERE w.value = v.value) AS keeps
        FROM objects t
        CROSS JOIN unnest(CAST(:attributes AS int[])) a(id)
        CROSS JOIN LATERAL {values_of(_NOW)} v(value)
        JOIN (SELECT DISTINCT slot, value FROM undo_claims) c ON c.slot = a.id AND c.value = v.value
        LEFT JOIN {IMAGES} = t.object_id
        WHERE t.tenant_id = :tenant AND t.object_type_id = ANY(:types) AND t.document IS NOT NULL
        UNION ALL
        SELECT t.object_id, c.slot, c.value, t.document IS NOT NULL,
               jsonb_typeof(x.image->'document') = 'object'
               AND (k.object_id IS NULL OR k.key IS NOT DISTINCT FROM t.key)
        FROM (SELECT DISTINCT slot, value FROM undo_claims WHERE slot < 0) c
        JOIN objects t ON t.tenant_id = :tenant AND t.object_type_id = -c.slot AND t.key = c.value
        LEFT JOIN undo_keys k ON k.object_id = t.object_id
        LEFT JOIN {IMAGES} = t.object_id
        """,  # noqa: S608
        attributes=slots,
        types=sorted({type_id for each in slots for type_id in catalog.owners(each)}),
    )


# Restored objects that would get what another will have, and that one; null: they both would.
_CONTESTED = f"""
    SELECT c.row_id, h.row_id AS holder_id
    FROM undo_claims c
    JOIN undo_holders h ON h.slot = c.slot AND h.value = c.value AND h.row_id <> c.row_id
    LEFT JOIN {{rows}} o ON o.row_id = h.row_id
    WHERE CASE COALESCE(o.action, '{Action.KEPT}') WHEN '{Action.KEPT}' THEN h.has
                                                   WHEN '{Action.RESTORED}' THEN h.keeps ELSE false END
    UNION ALL
    SELECT row_id, NULL
    FROM (SELECT c.row_id, row_number() OVER (PARTITION BY c.slot, c.value ORDER BY c.row_id) AS place
          FROM undo_claims c JOIN {{rows}} u ON u.row_id = c.row_id AND u.action = '{Action.RESTORED}') s
    WHERE place > 1
"""  # noqa: S608

# Those that would get what another has, even if that one lets it go.
_HELD = """
    SELECT c.row_id, h.row_id AS holder_id
    FROM undo_claims c JOIN undo_holders h ON h.slot = c.slot AND h.value = c.value AND h.row_id <> c.row_id
"""


async def _keep(sql: Statements, losing: str) -> int:
    """The new owner is the next import after the undone one that brought or changed a holder."""
    kept = await sql.run(
        f"""
        UPDATE {{rows}} u
        SET action = '{Action.KEPT}', reason = '{Reason.VALUE_TAKEN}', by_import_id = n.import_id,
            new_owner = n.import_id
        FROM (SELECT l.row_id, array_agg(l.holder_id) AS holders FROM ({losing}) l GROUP BY l.row_id) l
        LEFT JOIN LATERAL (
            SELECT i.import_id
            FROM undo_later i
            WHERE i.import_id IN (
                SELECT t.import_id FROM objects t WHERE t.tenant_id = :tenant AND t.object_id = ANY(l.holders)
                UNION ALL
                SELECT b.import_id FROM before_images b
                WHERE b.tenant_id = :tenant AND b.kind = '{KIND}' AND b.row_id = ANY(l.holders)
                UNION ALL
                SELECT o.new_owner FROM {{rows}} o WHERE o.row_id = ANY(l.holders))
            ORDER BY i.flip_number LIMIT 1) n ON true
        WHERE u.row_id = l.row_id AND u.action = '{Action.RESTORED}'
        """  # noqa: S608
    )
    return kept.rowcount


async def _keep_referred(sql: Statements) -> None:
    """What such an object refers to goes with it: to the same import, or to nobody where there are several."""
    await sql.run(
        f"""
        WITH RECURSIVE needed AS (
            SELECT r.target_id, o.new_owner
            FROM {{rows}} o
            JOIN object_references r ON r.tenant_id = :tenant AND r.object_id = o.row_id
            JOIN {{rows}} u ON u.row_id = r.target_id AND u.action = '{Action.REMOVED}'
            WHERE o.reason = '{Reason.VALUE_TAKEN}'
            UNION
            SELECT r.target_id, n.new_owner
            FROM needed n
            JOIN object_references r ON r.tenant_id = :tenant AND r.object_id = n.target_id
            JOIN {{rows}} u ON u.row_id = r.target_id AND u.action = '{Action.REMOVED}')
        UPDATE {{rows}} u
        SET action = '{Action.KEPT}', reason = '{Reason.IN_USE}', by_import_id = n.owners[1], new_owner = n.owners[1]
        FROM (SELECT target_id, CASE WHEN count(*) = 1 THEN array_agg(new_owner) END AS owners
              FROM needed GROUP BY target_id) n
        WHERE u.row_id = n.target_id
        """  # noqa: S608
    )

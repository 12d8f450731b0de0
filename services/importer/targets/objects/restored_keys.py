"""Keys of objects that an undo gives back what they were.

A restored object keeps its key. It needs another one where it has none, because somebody has been given its identifiers
while it was removed, or where its type has other identifiers since.
"""

from __future__ import annotations

from services.importer.engine.statements import Statements
from services.importer.engine.undo_plan import Action
from services.importer.targets.objects.catalog import Catalog
from services.importer.targets.objects.identities import Identity
from services.importer.targets.objects.merge import KIND
from services.importer.targets.objects.rekey import copy_keys

IMAGES = f"before_images x ON x.tenant_id = :tenant AND x.import_id = :undone AND x.kind = '{KIND}' AND x.row_id"


async def find_keys(sql: Statements, catalog: Catalog) -> None:
    """Leaves undo_keys(object_id, key, object_type_id): what is to be restored under another key than it has."""
    await sql.run(
        'CREATE TEMPORARY TABLE undo_keys (object_id bigint, key text COLLATE "C", object_type_id int) ON COMMIT DROP'
    )
    restored = await sql.run(
        f"""
        SELECT DISTINCT t.object_type_id
        FROM {{rows}} u JOIN objects t ON t.tenant_id = :tenant AND t.object_id = u.row_id
        WHERE u.action = '{Action.RESTORED}'
        """  # noqa: S608  (constants)
    )
    for type_id in restored.scalars().all():
        type_ = catalog.types.get(type_id)
        if type_ is not None and type_.identifiers:
            await _make_keys(sql, type_id, Identity(type_.identifiers, type_.ignores_case))
    await sql.run(
        "DELETE FROM undo_keys k USING objects t "
        "WHERE t.tenant_id = :tenant AND t.object_id = k.object_id AND t.key IS NOT DISTINCT FROM k.key"
    )


async def _make_keys(sql: Statements, type_id: int, identity: Identity) -> None:
    """One that is there, and whose identifiers stay what they are, keeps its key, or stays without."""
    before, now = (
        f"ARRAY[{', '.join(f'''{document}->>'{each}' ''' for each in identity.identifiers)}]"
        for document in ("x.image->'document'", "t.document")
    )
    await copy_keys(
        sql,
        "undo_keys",
        f"""
        SELECT t.object_id, {before}
        FROM {{rows}} u
        JOIN {IMAGES} = u.row_id
        JOIN objects t ON t.tenant_id = :tenant AND t.object_id = u.row_id
        WHERE u.action = '{Action.RESTORED}' AND t.object_type_id = :type_id
          AND jsonb_typeof(x.image->'document') = 'object' AND (t.document IS NULL OR {before} IS DISTINCT FROM {now})
        """,  # noqa: S608  (ids and constants)
        identity,
        type_id=type_id,
    )
    await sql.run("UPDATE undo_keys SET object_type_id = :type_id WHERE object_type_id IS NULL", type_id=type_id)


async def give_keys(sql: Statements) -> None:
    """Gives the restored objects of undo_keys theirs. What is there keeps its own; what is removed makes way."""
    await sql.run(
        f"""
        DELETE FROM undo_keys k WHERE NOT EXISTS (
            SELECT FROM undo_{KIND} u WHERE u.row_id = k.object_id AND u.action = '{Action.RESTORED}')
        """  # noqa: S608
    )
    if not await sql.count("SELECT count(*) FROM undo_keys"):
        return
    await sql.run(
        """
        UPDATE undo_keys k SET key = NULL
        FROM (SELECT object_type_id, key, min(object_id) AS first FROM undo_keys GROUP BY 1, 2) f
        WHERE f.object_type_id = k.object_type_id AND f.key = k.key AND f.first < k.object_id
        """
    )
    await sql.run(
        """
        UPDATE undo_keys k SET key = NULL
        FROM objects t
        WHERE t.tenant_id = :tenant AND t.object_type_id = k.object_type_id AND t.key = k.key
          AND t.document IS NOT NULL AND NOT EXISTS (SELECT FROM undo_keys o WHERE o.object_id = t.object_id)
        """
    )
    # An old key of one object may be the new one of another, and a unique index looks at each row by itself.
    await sql.run(
        """
        UPDATE objects t SET key = NULL
        FROM undo_keys k
        WHERE t.tenant_id = :tenant AND t.key IS NOT NULL
          AND (t.object_id = k.object_id OR (t.object_type_id = k.object_type_id AND t.key = k.key))
        """
    )
    await sql.run(
        "UPDATE objects t SET key = k.key FROM undo_keys k "
        "WHERE t.tenant_id = :tenant AND t.object_id = k.object_id AND k.key IS NOT NULL"
    )

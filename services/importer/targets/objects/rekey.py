"""New keys for the objects of a type, when a mapping comes to tell them apart by other identifiers.

Keys are made here and not in SQL, because the parser child makes those of its objects in the same way; which is why
every object of the type goes through this process once. It happens when somebody has changed the mapping of the one
source that has the type, and then once. Where another source tells its objects apart otherwise, the run fails instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psycopg import AsyncConnection as PsycopgConnection

from services.importer.engine.failures import ImportFailure
from services.importer.engine.statements import Statements
from services.importer.targets.objects.catalog import Catalog
from services.importer.targets.objects.identities import Identity, foreign_identities, identities, own_words, told
from services.importer.targets.objects.keys import key_of
from services.importer.targets.objects.plan import ObjectPlan

ROWS_AT_ONCE = 5_000


async def rekey_changed(sql: Statements, plan: ObjectPlan, catalog: Catalog) -> tuple[Catalog, int]:
    """Gives the types of the mapping its identifiers, and their objects new keys where those are others.

    Answers the catalog as it is now, and how many objects have lost their key because an older one has the same. Raises
    ImportFailure IDENTIFIERS_DIFFER where another source tells the objects of such a type apart otherwise.
    """
    changed = {type_id: wanted for type_id, wanted in identities(plan).items() if _stored(catalog, type_id) != wanted}
    known = {type_id: wanted for type_id, wanted in changed.items() if catalog.types[type_id].identifiers}
    if known:
        await _refuse_shared(sql, plan, known)
    lost = 0
    for type_id, wanted in changed.items():
        # Also of a type that no source has had: people may have made objects of it.
        lost += await rekey(sql, type_id, wanted)
        await sql.run(
            "UPDATE object_types SET identifiers = :identifiers, ignores_case = :ignores_case, updated_at = now() "
            "WHERE tenant_id = :tenant AND object_type_id = :type_id",
            type_id=type_id,
            identifiers=list(wanted.identifiers),
            ignores_case=wanted.ignores_case,
        )
    types = {
        type_id: replace(catalog.types[type_id], identifiers=each.identifiers, ignores_case=each.ignores_case)
        for type_id, each in changed.items()
    }
    return replace(catalog, types={**catalog.types, **types}), lost


def _stored(catalog: Catalog, type_id: int) -> Identity:
    type_ = catalog.types[type_id]
    return Identity(type_.identifiers, type_.ignores_case)


async def _refuse_shared(sql: Statements, plan: ObjectPlan, changed: Mapping[int, Identity]) -> None:
    for each in await foreign_identities(sql, changed):
        if each.identity != changed[each.type_id]:
            type_ = next(one for one in plan.types if one.type_id == each.type_id)
            raise ImportFailure(
                "IDENTIFIERS_DIFFER",
                f'The import source "{each.source_name[:60]}" tells objects of "{type_.name}" apart by '
                f"{told(each.names, each.identity)}, and this run by {own_words(type_)}.",
            )


async def rekey(sql: Statements, type_id: int, identity: Identity) -> int:
    """Makes the keys of all objects of a type anew; one without an identifier, or removed, has none.

    Answers how many objects have lost their key because an older one has the same.
    """
    await sql.run('CREATE TEMPORARY TABLE new_keys (object_id bigint, key text COLLATE "C") ON COMMIT DROP')
    values = ", ".join(f"t.document->>'{each}'" for each in identity.identifiers)
    query = (
        f"SELECT t.object_id, ARRAY[{values}] FROM objects t "  # noqa: S608  (ids)
        "WHERE t.tenant_id = :tenant AND t.object_type_id = :type_id AND t.document IS NOT NULL"
    )
    await copy_keys(sql, "new_keys", query, identity, type_id=type_id)
    repeated = await sql.run(
        "DELETE FROM new_keys n USING (SELECT key, min(object_id) AS first FROM new_keys GROUP BY key) k "
        "WHERE k.key = n.key AND n.object_id > k.first"
    )
    # An old key of one object may be the new one of another, and a unique index looks at each row by itself.
    await sql.run(
        "UPDATE objects SET key = NULL WHERE tenant_id = :tenant AND object_type_id = :type_id AND key IS NOT NULL",
        type_id=type_id,
    )
    await sql.run(
        "UPDATE objects t SET key = n.key FROM new_keys n "
        "WHERE t.tenant_id = :tenant AND t.object_id = n.object_id AND n.key IS NOT NULL"
    )
    await sql.run("DROP TABLE new_keys")
    return repeated.rowcount


async def copy_keys(sql: Statements, table: str, query: str, identity: Identity, **more: Any) -> None:
    """Adds the objects of a query to a table(object_id, key, …); where a value is missing the key is null.

    The query has their ids and arrays of their identifiers' values, in the order of the identity; `more` is bound.
    """
    statement, parameters = sql.bound(query, **more)
    raw = await sql.connection.get_raw_connection()
    driver: PsycopgConnection[Any] | Any = raw.driver_connection
    result = await sql.connection.stream(statement, parameters, execution_options={"yield_per": ROWS_AT_ONCE})
    async for rows in result.partitions():
        # One command at a time: the rows are here, and the cursor waits on the server.
        copied = f"COPY {table} (object_id, key) FROM STDIN (FORMAT BINARY)"
        async with driver.cursor() as cursor, cursor.copy(copied) as copy:
            copy.set_types(["int8", "text"])
            for object_id, texts in rows:
                key = None if None in texts else key_of(texts, ignores_case=identity.ignores_case)
                await copy.write_row((object_id, key))

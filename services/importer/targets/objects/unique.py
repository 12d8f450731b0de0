"""Attributes of which each value may be only once, among all objects that have the attribute.

An object that has a value stays as it is; of several new ones the first in the source has it. What is left over is
rejected: a new object is not made, one that is there stays as it was, and so keeps its old values, which others may
have wanted. So it is asked again until nothing more is rejected. References are not looked at: two objects may not be
told to refer to different ones before those are found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.importer.engine.statements import Statements
from services.importer.targets.objects.catalog import REFERENCE, Catalog
from services.importer.targets.objects.merge import DOCUMENT
from services.importer.targets.objects.plan import ObjectPlan

# Where each rejection brings another, it is decided more coarsely after so many.
ROUNDS = 10

# Who has a value: somebody who stays as it is; whoever had it before; then the first.
_STAYS, _HAD, _NEW = 0, 1, 2


def unique_attributes(plan: ObjectPlan, catalog: Catalog) -> list[int]:
    """Those that the mapping fills, ascending."""
    mapped = {each.attribute_id for type_ in plan.types for each in type_.attributes}
    return sorted(
        each.attribute_id
        for each in catalog.attributes.values()
        if each.is_unique and each.type != REFERENCE and each.attribute_id in mapped
    )


async def reject_repeated(sql: Statements, attributes: Sequence[int], catalog: Catalog) -> Mapping[int, int]:
    """Marks rows of merge_objects as rejected, and leaves merge_rejected(source, attribute_id, value) of them.

    Answers how many there are, by type.
    """
    await sql.run(
        "CREATE TEMPORARY TABLE merge_rejected (source tid, attribute_id int, value text, place bigint) ON COMMIT DROP"
    )
    for each in attributes:
        await _find_values(sql, each, catalog)
    for _ in range(ROUNDS):
        if not sum([await _reject(sql, each) for each in attributes]):
            break
    else:
        for each in attributes:
            await _reject_takers(sql, each)
        for each in attributes:
            await _reject(sql, each)
    found = await sql.run("SELECT object_type_id, count(*) AS rows FROM merge_objects WHERE is_rejected GROUP BY 1")
    return {row.object_type_id: row.rows for row in found}


async def _find_values(sql: Statements, attribute_id: int, catalog: Catalog) -> None:
    """Leaves the values that staged objects will have, that they had, and that all other objects have."""
    types = catalog.owners(attribute_id)
    await sql.table(
        f"merge_wanted_{attribute_id}",
        f"""
        SELECT DISTINCT m.source, m.place, m.object_id, v.value
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        LEFT JOIN objects t ON t.tenant_id = :tenant AND t.object_id = m.object_id AND m.is_known
        CROSS JOIN LATERAL {_values(f"{DOCUMENT}->'{attribute_id}'")} v(value)
        WHERE m.object_type_id = ANY(:types) AND v.value IS NOT NULL
        """,  # noqa: S608  (ids and constants)
        types=types,
    )
    await sql.table(
        f"merge_had_{attribute_id}",
        f"""
        SELECT DISTINCT m.source, t.object_id, v.value
        FROM objects t
        LEFT JOIN merge_objects m ON m.object_id = t.object_id AND m.is_known
        CROSS JOIN LATERAL {_values(f"t.document->'{attribute_id}'")} v(value)
        WHERE t.tenant_id = :tenant AND t.object_type_id = ANY(:types) AND v.value IS NOT NULL
        """,  # noqa: S608
        types=types,
    )


def _values(value: str) -> str:
    array = f"CASE WHEN jsonb_typeof({value}) = 'array' THEN {value} ELSE jsonb_build_array({value}) END"
    return f"jsonb_array_elements_text({array})"


async def _reject(sql: Statements, attribute_id: int) -> int:
    """Of each value that several objects would have, all but one."""
    claims = f"""
        SELECT w.source, w.place, w.object_id, w.value, CASE WHEN h.value IS NULL THEN {_NEW} ELSE {_HAD} END AS rank
        FROM merge_wanted_{attribute_id} w
        LEFT JOIN merge_had_{attribute_id} h ON h.source = w.source AND h.value = w.value
        WHERE NOT EXISTS (SELECT FROM merge_rejected r WHERE r.source = w.source)
        UNION ALL
        SELECT NULL, 0, h.object_id, h.value, {_STAYS}
        FROM merge_had_{attribute_id} h
        WHERE h.source IS NULL OR EXISTS (SELECT FROM merge_rejected r WHERE r.source = h.source)
    """  # noqa: S608
    several = f"SELECT value FROM ({claims}) c GROUP BY value HAVING count(*) > 1"  # noqa: S608
    return await _mark(
        sql,
        attribute_id,
        f"""
        SELECT o.source, o.value, o.place
        FROM (SELECT c.*, row_number() OVER (PARTITION BY c.value ORDER BY c.rank, c.place) AS n
              FROM ({claims}) c JOIN ({several}) d ON d.value = c.value) o
        WHERE o.n > 1 AND o.source IS NOT NULL
        """,  # noqa: S608
    )


async def _reject_takers(sql: Statements, attribute_id: int) -> int:
    """Whoever would take a value that another object has had, even if that one lets it go."""
    return await _mark(
        sql,
        attribute_id,
        f"""
        SELECT w.source, w.value, w.place
        FROM merge_wanted_{attribute_id} w
        JOIN merge_had_{attribute_id} h ON h.value = w.value AND h.object_id <> w.object_id
        WHERE NOT EXISTS (SELECT FROM merge_rejected r WHERE r.source = w.source)
        """,  # noqa: S608
    )


async def _mark(sql: Statements, attribute_id: int, query: str) -> int:
    marked = await sql.run(
        "INSERT INTO merge_rejected (source, attribute_id, value, place) "  # noqa: S608
        f"SELECT DISTINCT ON (l.source) l.source, {attribute_id}, l.value, l.place FROM ({query}) l "
        "ORDER BY l.source, l.value"
    )
    if marked.rowcount:
        await sql.run(
            "UPDATE merge_objects m SET is_rejected = true FROM merge_rejected r "
            "WHERE r.source = m.source AND NOT m.is_rejected"
        )
    return marked.rowcount


def errors_of_rejected(*, has_siblings: bool) -> str:
    """The query of the row errors: one for each item of which nothing else has come. `:names` are of attributes."""
    alone = (
        "AND NOT EXISTS (SELECT FROM merge_objects o WHERE o.ordinal = m.ordinal AND NOT o.is_rejected)"
        if has_siblings
        else ""
    )
    return f"""
        SELECT DISTINCT ON (m.ordinal) m.ordinal, CASE WHEN s.line > 0 THEN 'line ' || s.line ELSE '' END AS position,
               COALESCE(CAST(:names AS jsonb)->>r.attribute_id::text, '') AS field, 'VALUE_NOT_UNIQUE' AS code,
               'Another object has this value, which each may have only once.' AS message, left(r.value, 200) AS value
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        JOIN merge_rejected r ON r.source = m.source
        WHERE m.is_rejected {alone}
        ORDER BY m.ordinal, m.place
    """  # noqa: S608

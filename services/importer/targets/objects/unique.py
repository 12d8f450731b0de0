"""Attributes of which each value may be only once, among all objects that have the attribute.

An object that has a value stays as it is; of several new ones the first in the source has it. What is left over is
rejected: a new object is not made, one that is there stays as it was, and so keeps its old values, which others may
have wanted. So it is asked again until nothing more is rejected.

A reference has its values once it is resolved, and what it leads to may be an object that is rejected then. So all
references are resolved again after each such rejection (`settle`); what is rejected stays so, and this comes to an end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.importer.engine.failures import ImportFailure
from services.importer.engine.statements import Statements
from services.importer.targets.objects.catalog import REFERENCE, Catalog
from services.importer.targets.objects.merge import DOCUMENT, WHOLE_DOCUMENT
from services.importer.targets.objects.plan import ObjectPlan

# Where each rejection brings another, it is decided more coarsely after so many.
ROUNDS = 10

NOT_UNIQUE = "Another object has this value, which each may have only once."

# Who has a value: somebody who stays as it is; whoever had it before; then the first.
_STAYS, _HAD, _NEW = 0, 1, 2


Resolve = Callable[[], Awaitable[None]]
"""Resolves all references, again if that was done before."""


@dataclass(frozen=True, slots=True)
class Unique:
    """Unique attributes that the mapping fills, ascending; those that refer to objects by themselves."""

    values: Sequence[int]
    references: Sequence[int]

    @property
    def attributes(self) -> Sequence[int]:
        """All of them."""
        return (*self.values, *self.references)


def unique_attributes(plan: ObjectPlan, catalog: Catalog) -> Unique:
    """What is unique in this mapping."""
    mapped = {each.attribute_id for type_ in plan.types for each in type_.attributes}
    found = sorted(each.attribute_id for each in catalog.attributes.values() if each.is_unique)
    found = [each for each in found if each in mapped]
    referring = {each for each in found if catalog.attributes[each].type == REFERENCE}
    return Unique([each for each in found if each not in referring], sorted(referring))


async def settle(sql: Statements, unique: Unique, catalog: Catalog, resolve: Resolve) -> None:
    """Resolves the references, and rejects rows of merge_objects until no value is there twice.

    Leaves merge_rejected(source, attribute_id, value, place), where anything is unique. Raises ImportFailure where that
    does not come to an end.
    """
    if unique.attributes:
        await sql.run(
            "CREATE TEMPORARY TABLE merge_rejected (source tid, attribute_id int, value text, place bigint) "
            "ON COMMIT DROP"
        )
    for each in unique.attributes:
        await _find_stored(sql, each, catalog)
    for each in unique.values:
        await _find_wanted(sql, each, catalog, DOCUMENT)
    await _reject_repeated(sql, unique.values)
    await resolve()
    for _ in range(ROUNDS if unique.references else 0):
        for each in unique.references:
            await sql.run(f"DROP TABLE IF EXISTS merge_wanted_{each}")
            await _find_wanted(sql, each, catalog, WHOLE_DOCUMENT)
        if not await _reject_repeated(sql, unique.attributes):
            break
        await resolve()
    else:
        if unique.references:
            told = "Too many objects want the references of others, which each may have only once."
            raise ImportFailure("REFERENCES_CONTESTED", told)


async def rejected_by_type(sql: Statements) -> Mapping[int, int]:
    """How many objects were rejected."""
    found = await sql.run("SELECT object_type_id, count(*) AS rows FROM merge_objects WHERE is_rejected GROUP BY 1")
    return {row.object_type_id: row.rows for row in found}


async def contested(sql: Statements) -> Sequence[tuple[int, int]]:
    """The types of rejected objects, and the attributes that they were rejected for."""
    found = await sql.run(
        "SELECT DISTINCT m.object_type_id, r.attribute_id FROM merge_rejected r "
        "JOIN merge_objects m ON m.source = r.source ORDER BY 1, 2"
    )
    return [(row.object_type_id, row.attribute_id) for row in found]


async def _reject_repeated(sql: Statements, attributes: Sequence[int]) -> int:
    """Answers how many were rejected now."""
    rejected = 0
    for _ in range(ROUNDS):
        more = sum([await _reject(sql, each) for each in attributes])
        rejected += more
        if not more:
            return rejected
    for each in attributes:
        rejected += await _reject_takers(sql, each)
    for each in attributes:
        rejected += await _reject(sql, each)
    return rejected


async def _find_wanted(sql: Statements, attribute_id: int, catalog: Catalog, document: str) -> None:
    """Leaves the values that staged objects will have."""
    await sql.table(
        f"merge_wanted_{attribute_id}",
        f"""
        SELECT DISTINCT m.source, m.place, m.object_id, v.value
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        LEFT JOIN objects t ON t.tenant_id = :tenant AND t.object_id = m.object_id AND m.is_known
        {"LEFT JOIN merge_answers f ON f.asked = m.asked" if document == WHOLE_DOCUMENT else ""}
        CROSS JOIN LATERAL {values_of(f"({document})->'{attribute_id}'")} v(value)
        WHERE m.object_type_id = ANY(:types) AND v.value IS NOT NULL
        """,  # noqa: S608  (ids and constants)
        types=catalog.owners(attribute_id),
    )


async def _find_stored(sql: Statements, attribute_id: int, catalog: Catalog) -> None:
    """Leaves the values that objects have, with the staged row of those that the run has too."""
    await sql.table(
        f"merge_had_{attribute_id}",
        f"""
        SELECT DISTINCT m.source, t.object_id, v.value
        FROM objects t
        LEFT JOIN merge_objects m ON m.object_id = t.object_id AND m.is_known
        CROSS JOIN LATERAL {values_of(f"t.document->'{attribute_id}'")} v(value)
        WHERE t.tenant_id = :tenant AND t.object_type_id = ANY(:types) AND v.value IS NOT NULL
        """,  # noqa: S608
        types=catalog.owners(attribute_id),
    )


def values_of(value: str) -> str:
    """The values of an attribute in a document, as a set of texts; of none it has one, which is null."""
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
    """The query of the row errors: one for each item of which nothing else has come. `:names` are of attributes.

    Of what `:references` would have led to, the value is the label.
    """
    alone = (
        "AND NOT EXISTS (SELECT FROM merge_objects o WHERE o.ordinal = m.ordinal AND NOT o.is_rejected)"
        if has_siblings
        else ""
    )
    return f"""
        SELECT DISTINCT ON (m.ordinal) m.ordinal, CASE WHEN s.line > 0 THEN 'line ' || s.line ELSE '' END AS position,
               COALESCE(CAST(:names AS jsonb)->>r.attribute_id::text, '') AS field, 'VALUE_NOT_UNIQUE' AS code,
               '{NOT_UNIQUE}' AS message, left(COALESCE(NULLIF(z.label, ''), x.label, r.value), 200) AS value
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        JOIN (SELECT r.*, CASE WHEN r.attribute_id = ANY(:references) THEN r.value::bigint END AS target_id
              FROM merge_rejected r) r ON r.source = m.source
        LEFT JOIN objects x ON x.tenant_id = :tenant AND x.object_id = r.target_id
        LEFT JOIN merge_objects y ON y.object_id = r.target_id
        LEFT JOIN {{staged}} z ON z.ctid = y.source
        WHERE m.is_rejected {alone}
        ORDER BY m.ordinal, m.place
    """  # noqa: S608

"""References that led nowhere, or could lead to several objects: counted, and told as cautions."""

from __future__ import annotations

from services.importer.engine.statements import Statements
from services.importer.targets.objects.catalog import Catalog

Caution = tuple[str, str, int]
"""Code, message and count."""

# How many objects are to be written with each set of references.
_OBJECTS = "(SELECT asked, count(*) AS objects FROM merge_objects WHERE NOT is_rejected GROUP BY asked)"


async def count_not_found(sql: Statements) -> dict[int, int]:
    """By object type: references of its objects that led nowhere."""
    if not await sql.table(
        "merge_unanswered",
        "SELECT q.* FROM merge_questions q WHERE NOT EXISTS (SELECT FROM merge_found f WHERE f.question = q.question)",
    ):
        return {}
    found = await sql.run(
        f"""
        SELECT w.object_type_id, sum(o.objects)::bigint AS number
        FROM merge_unanswered q
        JOIN merge_wanted w ON w.object_type_id = q.object_type_id AND w.attribute_id = q.attribute_id
                           AND w.said = q.said
        JOIN {_OBJECTS} o ON o.asked = w.asked
        GROUP BY 1
        """  # noqa: S608
    )
    return {row.object_type_id: row.number for row in found}


async def tell_not_found(sql: Statements, catalog: Catalog, number: int) -> Caution:
    """With the first of them."""
    first = (await sql.run("SELECT * FROM merge_unanswered ORDER BY question LIMIT 1")).one()
    attribute = catalog.attributes.get(first.attribute_id)
    said = ", ".join(f'"{value[:100]}"' for value in first.values)
    name = attribute.name if attribute else str(first.attribute_id)
    return ("REFERENCE_NOT_FOUND", f'No object was found for "{name}" of {said}.', number)


async def tell_ambiguous(sql: Statements) -> list[Caution]:
    """References that could lead to more than they may."""
    cautions = []
    if await sql.count("SELECT count(*) FROM merge_found WHERE hits > 1"):
        number = await sql.count(
            f"""
            SELECT COALESCE(sum(o.objects), 0)
            FROM merge_found f
            JOIN merge_questions q ON q.question = f.question
            JOIN merge_wanted w ON w.object_type_id = q.object_type_id AND w.attribute_id = q.attribute_id
                               AND w.said = q.said
            JOIN {_OBJECTS} o ON o.asked = w.asked
            WHERE f.hits > 1
            """  # noqa: S608
        )
        told = "A reference fits several objects; it leads to the oldest of them."
        cautions.append(("REFERENCE_AMBIGUOUS", told, number))
    if await sql.count("SELECT count(*) FROM merge_filled WHERE hits > allowed"):
        number = await sql.count(
            f"""
            SELECT COALESCE(sum(o.objects), 0) FROM merge_filled f JOIN {_OBJECTS} o ON o.asked = f.asked
            WHERE f.hits > f.allowed
            """  # noqa: S608
        )
        cautions.append(("REFERENCES_TOO_MANY", "More objects were found than an attribute may refer to.", number))
    return cautions

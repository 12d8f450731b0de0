"""Options that a run adds to a select or a status, where its mapping says so."""

from __future__ import annotations

from services.importer.engine.statements import Statements
from services.importer.targets.objects.plan import ObjectPlan

OPEN_TYPES = frozenset({"select", "status"})
# What nobody could choose from any more.
MOST_OPTIONS = 1_000


async def add_options(sql: Statements, plan: ObjectPlan) -> int:
    """Adds the values of the run's objects that are no options yet, as they come in the source.

    Answers how many were left out because an attribute has enough.
    """
    left_out = 0
    for type_ in plan.types:
        if type_.unknown_values != "ADD":
            continue
        for each in type_.attributes:
            if each.type in OPEN_TYPES:
                left_out += await _add(sql, type_.type_id, each.attribute_id)
    return left_out


async def _add(sql: Statements, type_id: int, attribute_id: int) -> int:
    value = f"s.document::jsonb->'{attribute_id}'"
    found = await sql.run(
        f"""
        SELECT v.value
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        CROSS JOIN LATERAL jsonb_array_elements_text(
            CASE WHEN jsonb_typeof({value}) = 'array' THEN {value} ELSE jsonb_build_array({value}) END)
            WITH ORDINALITY v(value, n)
        WHERE m.object_type_id = :type_id AND NOT m.is_rejected AND v.value IS NOT NULL
          AND v.value NOT IN (SELECT unnest(a.options) FROM object_attributes a
                              WHERE a.tenant_id = :tenant AND a.attribute_id = :attribute_id)
        GROUP BY v.value ORDER BY min(ARRAY[m.place, v.n])
        """,  # noqa: S608  (ids)
        type_id=type_id,
        attribute_id=attribute_id,
    )
    new = list(found.scalars())
    if not new:
        return 0
    # People may change the row meanwhile, so what is room is asked of it as it is.
    changed = await sql.run(
        """
        UPDATE object_attributes a
        SET options = a.options || (CAST(:new AS text[]))[1:greatest(:most - cardinality(a.options), 0)],
            updated_at = now()
        WHERE a.tenant_id = :tenant AND a.attribute_id = :attribute_id
        RETURNING a.options
        """,
        attribute_id=attribute_id,
        new=new[:MOST_OPTIONS],
        most=MOST_OPTIONS,
    )
    return len(set(new) - set(changed.scalar_one()))

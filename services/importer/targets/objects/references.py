"""The rows of references, which say in the other direction what the documents of objects say."""

from __future__ import annotations

from services.importer.engine.statements import Statements
from services.importer.targets.objects.catalog import REFERENCE
from services.importer.targets.objects.merge import KIND


async def write_new(sql: Statements) -> None:
    """The references of objects that were inserted."""
    await sql.run(
        """
        INSERT INTO object_references (tenant_id, object_id, attribute_id, target_id)
        SELECT :tenant, m.object_id, t.attribute_id, t.target_id
        FROM merge_objects m JOIN merge_targets t ON t.asked = m.asked
        WHERE NOT m.is_known AND NOT m.is_rejected
        """
    )


async def derive(sql: Statements, ids: str) -> None:
    """Makes those of the objects that a query names anew, of their documents as they are."""
    if await sql.table("references_of", ids):
        await _derive(sql)
    await sql.run("DROP TABLE references_of")


async def _derive(sql: Statements) -> None:
    await sql.run(
        "DELETE FROM object_references r USING references_of i "
        "WHERE r.tenant_id = :tenant AND r.object_id = i.object_id"
    )
    await sql.run(
        f"""
        INSERT INTO object_references (tenant_id, object_id, attribute_id, target_id)
        SELECT DISTINCT :tenant, t.object_id, a.attribute_id, v.target::bigint
        FROM references_of i
        JOIN objects t ON t.tenant_id = :tenant AND t.object_id = i.object_id
        CROSS JOIN LATERAL jsonb_each(t.document) d
        JOIN object_attributes a ON a.tenant_id = :tenant AND a.attribute_id = d.key::int AND a.type = '{REFERENCE}'
        CROSS JOIN LATERAL jsonb_array_elements_text(
            CASE WHEN jsonb_typeof(d.value) = 'array' THEN d.value ELSE jsonb_build_array(d.value) END) v(target)
        """  # noqa: S608
    )


async def note_targets(sql: Statements) -> None:
    """What objects of the run refer to, the run relies on: whoever brought it cannot take it back alone."""
    await sql.run(
        f"""
        INSERT INTO sightings (tenant_id, kind, row_id, import_id)
        SELECT DISTINCT :tenant, '{KIND}', t.target_id, :import_id
        FROM merge_targets t
        WHERE NOT EXISTS (SELECT FROM merge_objects m WHERE m.object_id = t.target_id)
          AND NOT EXISTS (SELECT FROM before_images b
                          WHERE b.tenant_id = :tenant AND b.import_id = :import_id
                            AND b.kind = '{KIND}' AND b.row_id = t.target_id)
        """  # noqa: S608
    )

"""What tells the objects of a type apart, and who else says so.

All sources that map an object type must tell its objects apart in the same way: a key has one meaning at a time, and
each run that gave it another one would make all keys of the type anew, back and forth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.importer.engine.statements import Statements
from services.importer.targets.objects.plan import ObjectPlan, TypePlan


@dataclass(frozen=True, slots=True)
class Identity:
    """What keys are made of: attributes, ascending."""

    identifiers: tuple[int, ...]
    ignores_case: bool


@dataclass(frozen=True, slots=True)
class ForeignIdentity:
    """How another source tells the objects of a type apart; `names` are those of the attributes."""

    type_id: int
    source_id: UUID
    source_name: str
    identity: Identity
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignLabel:
    """The label by which another source tells the objects of a type apart, and the attributes that it maps."""

    type_id: int
    source_id: UUID
    source_name: str
    label: int
    attribute_ids: frozenset[int]


def identity_of(type_: TypePlan) -> Identity:
    """As its mapping has it."""
    return Identity(tuple(sorted(type_.identifiers)), type_.ignores_case)


def identities(plan: ObjectPlan) -> Mapping[int, Identity]:
    """By type. A plan that is saved says one for each (assets/mapping_plans.py)."""
    return {each.type_id: identity_of(each) for each in plan.types}


def told(names: Iterable[str], identity: Identity) -> str:
    """In words."""
    said = " and ".join(f'"{name[:60]}"' for name in names)
    return f"{said} in any case" if identity.ignores_case else said


def own_words(type_: TypePlan) -> str:
    """What tells the objects of a type apart by its mapping, in words."""
    identity = identity_of(type_)
    return told((each.name for each in type_.attributes if each.attribute_id in identity.identifiers), identity)


async def foreign_identities(sql: Statements, type_ids: Iterable[int]) -> Sequence[ForeignIdentity]:
    """Of these types, by the mappings of all enabled sources but `:source`, in the order of the sources' ids."""
    found = await sql.run(
        """
        SELECT (m.type->>'type_id')::int AS type_id, s.import_source_id, s.name,
               ARRAY(SELECT jsonb_array_elements_text(m.type->'identifiers')::int ORDER BY 1) AS identifiers,
               COALESCE((m.type->>'ignores_case')::boolean, false) AS ignores_case,
               ARRAY(SELECT a.plan->>'name' FROM jsonb_array_elements(m.type->'attributes') a(plan)
                     WHERE m.type->'identifiers' @> (a.plan->'attribute_id')
                     ORDER BY (a.plan->>'attribute_id')::int) AS names
        FROM import_sources s, LATERAL jsonb_array_elements(s.plan->'types') m(type)
        WHERE s.tenant_id = :tenant AND s.is_enabled AND s.import_source_id IS DISTINCT FROM CAST(:source AS uuid)
          AND s.object_schema_id IN (SELECT y.object_schema_id FROM object_types y
                                     WHERE y.tenant_id = :tenant AND y.object_type_id = ANY(:type_ids))
          AND (m.type->>'type_id')::int = ANY(:type_ids)
        ORDER BY s.import_source_id
        """,
        type_ids=list(type_ids),
    )
    return [
        ForeignIdentity(
            row.type_id,
            row.import_source_id,
            row.name,
            Identity(tuple(row.identifiers), row.ignores_case),
            tuple(row.names),
        )
        for row in found
    ]


async def foreign_labels(sql: Statements) -> Sequence[ForeignLabel]:
    """Of enabled sources of `:schema` but `:source`, for types whose mappings name no identifiers; by source."""
    found = await sql.run(
        """
        SELECT (m.type->>'type_id')::int AS type_id, s.import_source_id, s.name,
               (m.type->>'label_attribute')::int AS label,
               ARRAY(SELECT (a.plan->>'attribute_id')::int FROM jsonb_array_elements(m.type->'attributes') a(plan))
                   AS attribute_ids
        FROM import_sources s, LATERAL jsonb_array_elements(s.plan->'types') WITH ORDINALITY m(type, place)
        WHERE s.tenant_id = :tenant AND s.is_enabled AND s.object_schema_id = :schema
          AND s.import_source_id <> CAST(:source AS uuid)
          AND (m.type->>'label_attribute') IS NOT NULL
          AND NOT s.document->'mapping'->'objectTypeMappings'->(m.place::int - 1)->'attributesMapping'
                  @> CAST(:explicit AS jsonb)
        ORDER BY s.import_source_id, m.place
        """,
        explicit='[{"externalIdPart": true}]',
    )
    return [
        ForeignLabel(row.type_id, row.import_source_id, row.name, row.label, frozenset(row.attribute_ids))
        for row in found
    ]

"""What the names in a query can mean: the object schemas and types of a workspace, and attributes by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from sqlalchemy import ARRAY, Text, cast, column, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialects.assets.aql_tree import And, Comparison, Condition, Having, Not, Or, Query
from schema.assets import object_attributes, object_schemas, object_types
from services.status.store.listing import all_rows


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    object_schema_id: int
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class ObjectType:
    object_type_id: int
    object_schema_id: int
    parent_id: int | None
    name: str
    is_inherited: bool
    """It has the attributes of its parent, too."""


@dataclass(frozen=True, slots=True)
class Attribute:
    attribute_id: int
    object_type_id: int
    type: str
    is_label: bool
    is_single: bool
    """Its values stand in documents as they are, and not in arrays."""


@dataclass(frozen=True)
class Catalogue:
    """Ids that stand for names. Attributes are found by the spelling that a query uses, whatever the case."""

    schemas: tuple[ObjectSchema, ...] = ()
    types: tuple[ObjectType, ...] = ()
    attributes: Mapping[str, Sequence[Attribute]] = field(default_factory=dict)

    @property
    def type_ids(self) -> list[int]:
        return [each.object_type_id for each in self.types]

    def types_of(self, schema_ids: Iterable[int]) -> list[int]:
        wanted = set(schema_ids)
        return [each.object_type_id for each in self.types if each.object_schema_id in wanted]

    def below(self, type_ids: Iterable[int]) -> set[int]:
        """These types and all under them."""
        children: dict[int | None, list[int]] = defaultdict(list)
        for each in self.types:
            children[each.parent_id].append(each.object_type_id)
        found: set[int] = set()
        waiting = list(type_ids)
        while waiting:
            type_id = waiting.pop()
            if type_id not in found:
                found.add(type_id)
                waiting += children[type_id]
        return found

    def owners(self, type_ids: Iterable[int]) -> set[int]:
        """These types, and those above from which attributes come down to them."""
        return {owner for type_id in type_ids for owner in self._line(type_id)}

    def having(self, attributes: Iterable[Attribute]) -> list[int]:
        """The types whose objects can have one of the attributes."""
        wanted = {each.object_type_id for each in attributes}
        return [type_id for type_id in self.type_ids if not wanted.isdisjoint(self._line(type_id))]

    def _line(self, type_id: int) -> list[int]:
        line: list[int] = []
        above: int | None = type_id
        while above is not None and above not in line:
            line.append(above)
            above = self._parents.get(above)
        return line

    @cached_property
    def _parents(self) -> dict[int, int | None]:
        """Of types that have their parent's attributes."""
        return {each.object_type_id: each.parent_id for each in self.types if each.is_inherited}


async def load_catalogue(connection: AsyncConnection, tenant_id: int, workspace_id: UUID, query: Query) -> Catalogue:
    """All schemas and types of the workspace, and those attributes that the query could mean."""
    schemas = await all_rows(
        connection,
        select(object_schemas.c.object_schema_id, object_schemas.c.name, object_schemas.c.key).where(
            object_schemas.c.tenant_id == tenant_id, object_schemas.c.workspace_id == workspace_id
        ),
    )
    schema_ids = [row["object_schema_id"] for row in schemas]
    types = await all_rows(
        connection,
        select(*(object_types.c[name] for name in ObjectType.__slots__)).where(
            object_types.c.tenant_id == tenant_id, object_types.c.object_schema_id.in_(schema_ids)
        ),
    )
    names = sorted(names_in(query))
    wanted = func.unnest(cast(names, ARRAY(Text))).table_valued(column("name", Text)).render_derived("wanted")
    attributes = await all_rows(
        connection,
        select(
            wanted.c.name.label("wanted"),
            *(object_attributes.c[name] for name in ("attribute_id", "object_type_id", "type", "is_label")),
            (object_attributes.c.maximum_cardinality == 1).label("is_single"),
        )
        .join(wanted, func.lower(object_attributes.c.name) == func.lower(wanted.c.name))
        .join(
            object_types,
            (object_types.c.tenant_id == object_attributes.c.tenant_id)
            & (object_types.c.object_type_id == object_attributes.c.object_type_id),
        )
        .where(object_attributes.c.tenant_id == tenant_id, object_types.c.object_schema_id.in_(schema_ids))
        .order_by(object_attributes.c.attribute_id),
    )
    by_name: dict[str, list[Attribute]] = defaultdict(list)
    for row in attributes:
        by_name[row["wanted"]].append(Attribute(**{name: row[name] for name in Attribute.__slots__}))
    return Catalogue(
        tuple(ObjectSchema(**row) for row in schemas), tuple(ObjectType(**row) for row in types), dict(by_name)
    )


def names_in(query: Query) -> set[str]:
    """Every name of a path, as the query spells it."""
    found = set(query.order.path) if query.order else set()
    waiting: list[Condition | None] = [query.condition]
    while waiting:
        match waiting.pop():
            case Comparison(path):
                found.update(path)
            case Having(_, inner):
                waiting.append(inner)
            case And(parts) | Or(parts):
                waiting += parts
            case Not(part):
                waiting.append(part)
    return found

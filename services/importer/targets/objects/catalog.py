"""The object types of a workspace and their attributes, as a merge needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from services.importer.engine.statements import Statements

REFERENCE = "referenced_object"
NUMBERS = frozenset({"integer", "double"})


@dataclass(frozen=True, slots=True)
class ObjectType:
    """`identifiers` are what the keys of its objects are made of; none: it has had no object of a source yet."""

    type_id: int
    parent_id: int | None
    name: str
    is_inherited: bool
    identifiers: tuple[int, ...]
    ignores_case: bool
    schema_id: int
    schema_name: str
    schema_key: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """One that an object type has of its own."""

    attribute_id: int
    type_id: int
    name: str
    type: str
    is_unique: bool
    is_array: bool


@dataclass(frozen=True)
class Catalog:
    """By id."""

    types: Mapping[int, ObjectType]
    attributes: Mapping[int, Attribute]

    @cached_property
    def _children(self) -> Mapping[int, Sequence[int]]:
        children: dict[int, list[int]] = {}
        for each in self.types.values():
            if each.parent_id is not None:
                children.setdefault(each.parent_id, []).append(each.type_id)
        return children

    def family(self, type_id: int) -> list[int]:
        """A type and all that stand under it, ascending: what a reference to it may lead to."""
        found, waiting = set(), [type_id] if type_id in self.types else []
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += self._children.get(each, ())
        return sorted(found)

    def lineage(self, type_id: int) -> list[int]:
        """The types that a type has its attributes from: itself, and upward for as long as it is inherited."""
        found = [type_id]
        while (each := self.types[found[-1]]).is_inherited:
            parent = each.parent_id
            if parent is None or parent not in self.types or parent in found:
                break
            found.append(parent)
        return found

    def owners(self, attribute_id: int) -> list[int]:
        """The types whose objects may have the attribute, ascending."""
        owner = self.attributes[attribute_id].type_id
        return sorted(each for each in self.types if owner in self.lineage(each))

    def named(self, name: str, type_ids: Iterable[int]) -> list[Attribute]:
        """The attributes of these types that have this name, whatever its case, by id."""
        reached = {each for type_id in type_ids for each in self.lineage(type_id)}
        found = [each for each in self.attributes.values() if each.name.lower() == name.lower()]
        return sorted((each for each in found if each.type_id in reached), key=lambda each: each.attribute_id)


async def load(sql: Statements) -> Catalog:
    """Of the workspace. The flip holds its lock; what people change meanwhile is not seen."""
    types = await sql.run(
        """
        SELECT t.object_type_id AS type_id, t.parent_id, t.name, t.is_inherited, t.identifiers, t.ignores_case,
               s.object_schema_id AS schema_id, s.name AS schema_name, s.key AS schema_key
        FROM object_schemas s
        JOIN object_types t ON t.tenant_id = s.tenant_id AND t.object_schema_id = s.object_schema_id
        WHERE s.tenant_id = :tenant AND s.workspace_id = CAST(:workspace AS uuid)
        """
    )
    by_id = {
        row["type_id"]: ObjectType(**row | {"identifiers": tuple(row["identifiers"])})
        for row in map(dict, types.mappings())
    }
    attributes = await sql.run(
        """
        SELECT attribute_id, object_type_id AS type_id, name, type, is_unique, maximum_cardinality <> 1 AS is_array
        FROM object_attributes WHERE tenant_id = :tenant AND object_type_id = ANY(:types)
        """,
        types=list(by_id),
    )
    return Catalog(by_id, {row["attribute_id"]: Attribute(**row) for row in attributes.mappings()})

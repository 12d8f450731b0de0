"""Object schemas with their types and attributes, as they are stored, and the changes that a mapping makes to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

REFERENCE, STATUS, SELECT = "referenced_object", "status", "select"


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    """`icons` are {key, name, png48}, `statuses` {name, description, category}."""

    object_schema_id: int
    workspace_id: UUID
    name: str
    key: str
    description: str
    icons: tuple[Mapping[str, str], ...] = ()
    statuses: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectType:
    type_id: int
    parent_id: int | None
    name: str
    description: str
    icon: str
    external_id: str | None
    position: int
    is_inherited: bool = False


@dataclass(frozen=True, slots=True)
class ObjectAttribute:
    attribute_id: int
    type_id: int
    name: str
    description: str
    type: str
    options: tuple[str, ...]
    is_label: bool
    is_unique: bool
    minimum: int
    maximum: int
    reference_type_id: int | None
    external_id: str | None
    position: int


@dataclass(frozen=True)
class SchemaState:
    """What an object schema consists of.

    `foreign_types` are those of other schemas of the workspace that a document names, by external id, and
    `foreign_attributes` the external ids of attributes there.
    """

    schema: ObjectSchema
    types: tuple[ObjectType, ...] = ()
    attributes: tuple[ObjectAttribute, ...] = ()
    foreign_types: Mapping[str, int] = field(default_factory=dict)
    foreign_attributes: frozenset[str] = frozenset()

    @cached_property
    def by_id(self) -> dict[int, ObjectType]:
        return {each.type_id: each for each in self.types}

    @cached_property
    def by_external_id(self) -> dict[str, ObjectType]:
        return {each.external_id: each for each in self.types if each.external_id}

    @cached_property
    def attributes_by_external_id(self) -> dict[str, ObjectAttribute]:
        return {each.external_id: each for each in self.attributes if each.external_id}

    @cached_property
    def own_attributes(self) -> dict[int, tuple[ObjectAttribute, ...]]:
        """By the id of the type, in their order."""
        found: dict[int, list[ObjectAttribute]] = {}
        for each in sorted(self.attributes, key=lambda one: (one.position, one.attribute_id)):
            found.setdefault(each.type_id, []).append(each)
        return {type_id: tuple(each) for type_id, each in found.items()}

    def attributes_of(self, type_id: int) -> Iterator[ObjectAttribute]:
        """Its own ones, and those that it inherits."""
        type_: ObjectType | None = self.by_id.get(type_id)
        while type_ is not None:
            yield from self.own_attributes.get(type_.type_id, ())
            is_more = type_.is_inherited and type_.parent_id is not None
            type_ = self.by_id.get(type_.parent_id or 0) if is_more else None


@dataclass(frozen=True, slots=True)
class NewType:
    """All that is new is named by its external id: its number is not known before it is there."""

    external_id: str
    parent_external_id: str
    name: str
    description: str
    icon: str
    is_inherited: bool
    position: int


@dataclass(frozen=True, slots=True)
class NewAttribute:
    """`reference` is the external id of the type that it refers to, or its number where that is of another schema."""

    type_external_id: str
    external_id: str
    name: str
    description: str
    type: str
    options: tuple[str, ...]
    is_label: bool
    is_unique: bool
    minimum: int
    maximum: int
    reference: str | int | None
    position: int


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """What is to be written: new rows, parents before those under them, and new values of others by their ids."""

    new_types: tuple[NewType, ...]
    new_attributes: tuple[NewAttribute, ...]
    types: Mapping[int, Mapping[str, Any]]
    attributes: Mapping[int, Mapping[str, Any]]
    schema: Mapping[str, Any]
    named_types: frozenset[str]
    """External ids of all types that the document has."""

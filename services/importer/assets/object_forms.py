"""An object type as those need it who fill in an object: its attributes, and what they ask of values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from dialects.assets.problems import Problem, attribute_path, invalid_object
from runtime.errors import InvalidArgument, NotFound
from services.importer.assets.object_values import (
    Row,
    Values,
    is_reference,
    read_targets,
    read_values,
    referred_numbers,
)
from services.importer.targets.objects.catalog import Attribute, Catalog, ObjectType

MAX_LABEL = 1_024
Read = dict[int, Values]
"""By the number of the attribute."""


class TypeReader(Protocol):
    """The part of an `ObjectSession` that is used here."""

    async def types(self) -> list[Row]: ...

    async def attributes(self, type_ids: Collection[int]) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class ObjectForm:
    """`attributes` by number: those of the type itself first, then those that come down to it.

    `types` are all of the workspace; the `catalog` has the same, and these attributes.
    """

    type_id: int
    types: Mapping[int, Row]
    attributes: Mapping[int, Row]
    catalog: Catalog

    @property
    def shown_attributes(self) -> list[Row]:
        """In the order in which they are shown: from the topmost type down."""
        lineage = self.catalog.lineage(self.type_id)
        own = {
            type_id: [each for each in self.attributes.values() if each["object_type_id"] == type_id]
            for type_id in lineage
        }
        return [each for type_id in reversed(lineage) for each in own[type_id]]

    @property
    def label_attribute(self) -> Row | None:
        """Objects are called by it, if the type has one."""
        return next((each for each in self.attributes.values() if each["is_label"]), None)

    def refuse_abstract(self) -> None:
        if self.types[self.type_id]["is_abstract"]:
            raise InvalidArgument(
                "OBJECT_TYPE_ABSTRACT", "This object type has no objects of its own.", field="objectTypeId"
            )

    def completed(self, said: Mapping[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
        """With what a new object must have and is not said, as empty."""
        label = self.label_attribute
        required = (number for number, each in self.attributes.items() if each["minimum_cardinality"] or each is label)
        return {**dict.fromkeys(required, ()), **said}

    def named_objects(self, said: Mapping[int, tuple[str, ...]]) -> set[int]:
        """Numbers of the objects that values refer to."""
        references = (each for each in said if each in self.attributes and is_reference(self.attributes[each]))
        return {number for each in references for number in referred_numbers(said[each])}

    def read(self, said: Mapping[int, tuple[str, ...]], found: Mapping[int, Row]) -> Read:
        """`found` are those of `named_objects` that there are. Raises InvalidArgument for all that cannot be."""
        read: Read = {}
        problems: list[Problem] = []
        for number, texts in said.items():
            made = self._read(number, texts, found)
            if isinstance(made, Problem):
                problems.append(made)
            else:
                read[number] = made
        if problems:
            first = next((each["name"] for each in self.attributes.values() if _is_at(each, problems[0])), "attributes")
            raise invalid_object(problems, first)
        return read

    def _read(self, number: int, texts: tuple[str, ...], found: Mapping[int, Row]) -> Values | Problem:
        attribute = self.attributes.get(number)
        if attribute is None:
            message = f"Objects of this type have no attribute {number}."
            return Problem("UNKNOWN_ATTRIBUTE", attribute_path(number), message)
        if is_reference(attribute):
            return read_targets(attribute, texts, found, self.catalog)
        made = read_values(attribute, texts)
        if attribute is self.label_attribute and isinstance(made, Values) and not made.texts:
            return Problem("LABEL_EMPTY", attribute_path(number), "An object is called by this attribute; it is empty.")
        return made

    def unique_values(self, read: Read) -> Iterator[tuple[Row, Values]]:
        """Values that no other object may have; of a reference the numbers of the objects that it leads to."""
        for number, values in read.items():
            if self.attributes[number]["is_unique"] and values.texts:
                yield self.attributes[number], values

    def not_unique(self, attribute: Row) -> InvalidArgument:
        message = "Another object has this value, which each may have only once."
        problem = Problem("VALUE_NOT_UNIQUE", attribute_path(attribute["attribute_id"]), message)
        return invalid_object([problem], attribute["name"])

    def label_of(self, read: Read) -> str | None:
        """What the object is called by; None: as before. Where no attribute says so, its first identifier does."""
        attribute, identifiers = self.label_attribute, self.catalog.types[self.type_id].identifiers
        number = attribute["attribute_id"] if attribute is not None else next(iter(identifiers), 0)
        if number not in read:
            return None
        return "".join(read[number].texts[:1])[:MAX_LABEL]

    def identifier_names(self) -> str:
        """In the order of their numbers."""
        identifiers = self.catalog.types[self.type_id].identifiers
        return ", ".join(f'"{self.attributes[each]["name"]}"' for each in identifiers if each in self.attributes)


async def form_of(session: TypeReader, type_id: int, *, is_of_object: bool = False) -> ObjectForm:
    """Raises NotFound for a type that is not of the workspace, or for the object that is of it."""
    types = {each["object_type_id"]: each for each in await session.types()}
    if type_id not in types:
        if is_of_object:
            raise NotFound("OBJECT_NOT_FOUND", "There is no such object.")
        raise NotFound("OBJECT_TYPE_NOT_FOUND", "There is no such object type.")
    catalog = Catalog({number: _type(each) for number, each in types.items()}, {})
    lineage = catalog.lineage(type_id)
    rows = await session.attributes(lineage)
    ordered = sorted(rows, key=lambda each: lineage.index(each["object_type_id"]))
    attributes = {each["attribute_id"]: each for each in ordered}
    return ObjectForm(
        type_id,
        types,
        attributes,
        Catalog(catalog.types, {number: _attribute(each) for number, each in attributes.items()}),
    )


def _is_at(attribute: Row, problem: Problem) -> bool:
    return problem.path == attribute_path(attribute["attribute_id"])


def _type(row: Row) -> ObjectType:
    return ObjectType(
        row["object_type_id"],
        row["parent_id"],
        row["name"],
        row["is_inherited"],
        tuple(row["identifiers"]),
        row["ignores_case"],
        row["object_schema_id"],
        row["schema_name"],
        row["schema_key"],
    )


def _attribute(row: Row) -> Attribute:
    return Attribute(
        row["attribute_id"],
        row["object_type_id"],
        row["name"],
        row["type"],
        row["is_unique"],
        row["maximum_cardinality"] != 1,
    )

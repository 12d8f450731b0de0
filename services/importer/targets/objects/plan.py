"""The mapping of an import source by the ids of its object types and attributes, as a run of it is carried out.

It is pinned when a run starts (`imports.plan`, JSON) and goes to the parser child with the order, which applies it; the
merge reads the rest of it: references, missing objects, cardinalities.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from services.importer.targets.objects.rules import AttributeRule, Condition

AttributeType = Literal[
    "text",
    "integer",
    "boolean",
    "double",
    "date",
    "time",
    "date_time",
    "url",
    "email",
    "textarea",
    "select",
    "ipaddress",
    "referenced_object",
    "status",
    "user",
    "group",
]

EmptyValues = Literal["IGNORE", "REMOVE"]
"""What an empty value does to an object that is there: nothing, or it empties the attribute."""

UnknownValues = Literal["IGNORE", "ADD"]
"""What a value does that is none of the options: nothing, as if it were empty, or it becomes an option."""

MissingObjects = Literal["IGNORE", "UPDATE", "REMOVE"]

Encoding = Literal["UTF-8", "UTF-16", "ISO-8859-1", "ISO-8859-15", "Windows-1250", "Windows-1252"]

ANY_NUMBER = -1


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the objects are found that a value refers to: by a query with placeholders, among those of a type.

    `placeholders` are the locators in the query (`${os}`), each once, in the order of their first use.
    """

    query: str
    placeholders: tuple[str, ...]
    target_type_id: int


class AttributePlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attribute that is mapped.

    `minimum` and `maximum` are its cardinality (-1: any number). `options` are those of a select or a status.
    `reference` is set for `referenced_object` alone.
    """

    attribute_id: int
    name: str
    type: AttributeType
    rule: AttributeRule
    minimum: int = 0
    maximum: int = 1
    is_unique: bool = False
    options: tuple[str, ...] = ()
    reference: Reference | None = None

    @property
    def is_array(self) -> bool:
        """Has an array of values in the document, also where it is only one."""
        return self.maximum != 1

    @property
    def is_required(self) -> bool:
        """Must have a value."""
        return self.minimum > 0


class TypePlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """One object type that is mapped. The plan has a type more than once where several selectors are mapped to it.

    `selector` is the dotted path of the array that its records are in; "" is what the source itself consists of.
    `identifiers` are the attributes that tell objects apart, ascending, at least one; `label_attribute` is None where
    it is not mapped. Only records whose objects fit the `filter` are taken. An object that is `missing` in so many
    complete runs (`missing_runs`) is removed, or gets `missing_values`: attribute id and JSON text.
    """

    type_id: int
    name: str
    attributes: tuple[AttributePlan, ...]
    identifiers: tuple[int, ...]
    selector: str = ""
    label_attribute: int | None = None
    ignores_case: bool = False
    filter: Condition | None = None
    empty_values: EmptyValues = "IGNORE"
    unknown_values: UnknownValues = "IGNORE"
    missing: MissingObjects = "IGNORE"
    missing_runs: int = 1
    missing_values: tuple[tuple[int, str], ...] = ()


class ObjectPlan(msgspec.Struct, frozen=True, omit_defaults=True, tag="objects"):
    """The whole mapping of a source, and how its files are written.

    The date formats are patterns of letters (`MM/dd/yyyy`); ISO 8601 is always read as well. `time_zone` is that of
    times which name none. `encoding`, `delimiter`, `quote` and `multi_value_separator` are of CSV alone; no `quote`:
    quotes have no meaning.
    """

    types: tuple[TypePlan, ...] = ()
    concatenator: str = "-"
    date_format: str = ""
    date_time_format: str = ""
    time_zone: str = "UTC"
    encoding: Encoding = "UTF-8"
    delimiter: str = ","
    quote: str = '"'
    multi_value_separator: str = "||"

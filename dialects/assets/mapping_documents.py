"""Documents of schema and mapping: read into what they say, and written for those who ask for them.

The shape of a document is checked by `mapping_schemas`; the rules that a JSON Schema cannot say are in `mapping_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dialects.assets.mapping_schemas import Version, check_document, version_of
from dialects.assets.problems import Problem, invalid_mapping

USUAL_MAXIMUM = 1
ATTRIBUTE_MEMBERS = frozenset({"attributeName", "attributeExternalId", "externalIdPart"})
"""What an attribute's mapping says beside its rule."""


class _Member(msgspec.Struct, frozen=True, rename="camel"):
    """What all parts share. Members that nobody knows are passed over, as the published schemas have it."""


class AttributeDocument(_Member, frozen=True):
    """An attribute. Cardinality and uniqueness None: not said."""

    name: str
    description: str
    type: str
    external_id: str = ""
    label: bool | None = None
    type_values: tuple[str, ...] | None = None
    reference_object_type_name: str = ""
    reference_object_type_external_id: str = ""
    minimum_cardinality: int | None = None
    maximum_cardinality: int | None = None
    unique: bool | None = None


class TypeDocument(_Member, frozen=True):
    """An object type, and those under it."""

    name: str
    description: str
    external_id: str = ""
    icon_key: str = ""
    inheritance: bool | None = None
    attributes: tuple[AttributeDocument, ...] = ()
    children: tuple[TypeDocument, ...] = ()


class IconDocument(_Member, frozen=True):
    """`png48` is Base64."""

    key: str
    name: str
    png48: str


class StatusDocument(_Member, frozen=True):
    """`category` is active, inactive or pending."""

    name: str
    description: str
    category: str


class MissingDocument(_Member, frozen=True, omit_defaults=True):
    """What becomes of objects that a complete run has not seen: an attribute gets a value, or they go."""

    action: str
    after_runs: int = 1
    attribute_name: str = ""
    value: str = ""


class TypeMapping(_Member, frozen=True, omit_defaults=True):
    """How records become objects of a type. The mapping of an attribute is kept as it came: see `rule_of`."""

    object_type_name: str
    selector: str
    description: str
    object_type_external_id: str = ""
    attributes_mapping: tuple[dict[str, Any], ...] = ()
    empty_values: str = ""
    unknown_values: str = ""
    match_identifier_ignore_case: bool = False
    selector_ql_query: str = ""
    missing_objects: MissingDocument | None = None


class Document(msgspec.Struct, frozen=True):
    """A document of schema and mapping. `description` is that of the object schema; None: it says none."""

    version: Version
    description: str | None = None
    types: tuple[TypeDocument, ...] = ()
    icons: tuple[IconDocument, ...] = ()
    statuses: tuple[StatusDocument, ...] = ()
    mappings: tuple[TypeMapping, ...] = ()

    def every_type(self) -> Iterator[tuple[str, TypeDocument, TypeDocument | None]]:
        """Path, type, and the one that it stands under, which comes before it."""
        yield from _below("schema.objectSchema.objectTypes", self.types, None)


def _below(
    path: str, types: tuple[TypeDocument, ...], parent: TypeDocument | None
) -> Iterator[tuple[str, TypeDocument, TypeDocument | None]]:
    for number, each in enumerate(types):
        here = f"{path}[{number}]"
        yield here, each, parent
        yield from _below(f"{here}.children", each.children, each)


def read_document(payload: Mapping[str, Any], *, is_partial: bool) -> Document:
    """Raises InvalidArgument INVALID_MAPPING with all that its shape has wrong. Only a partial one may lack a half."""
    document = without_nulls(payload)
    version = version_of(has_external_ids=has_external_ids(document))
    if problems := check_document(document, version, is_partial=is_partial):
        raise invalid_mapping(problems)
    schema, mapping = document.get("schema", {}), document.get("mapping", {})
    object_schema = schema.get("objectSchema", {})
    try:
        return msgspec.convert(
            {
                "version": version,
                "description": object_schema.get("description"),
                "types": object_schema.get("objectTypes", ()),
                "icons": schema.get("iconSchema", {}).get("icons", ()),
                "statuses": schema.get("statusSchema", {}).get("statuses", ()),
                "mappings": mapping.get("objectTypeMappings", ()),
            },
            Document,
        )
    except msgspec.ValidationError as error:
        # What the published schema of 2021 says nothing of may be of any type there; here it has one.
        raise invalid_mapping([Problem("INVALID_DOCUMENT", "", str(error))]) from None


def rule_of(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The rule in the mapping of an attribute: all of it that does not name the attribute."""
    return {name: value for name, value in mapping.items() if name not in ATTRIBUTE_MEMBERS}


def has_external_ids(value: Any) -> bool:
    """A document is of the later version where it names anything by an external id; its `$schema` says nothing."""
    match value:
        case dict():
            return any((name in _ID_MEMBERS and bool(each)) or has_external_ids(each) for name, each in value.items())
        case list():
            return any(map(has_external_ids, value))
        case _:
            return False


_ID_MEMBERS = frozenset({"externalId", "objectTypeExternalId", "attributeExternalId", "referenceObjectTypeExternalId"})


def without_nulls(value: Any) -> Any:
    """An explicit null is as if the member were not there."""
    match value:
        case dict():
            return {name: without_nulls(each) for name, each in value.items() if each is not None}
        case list():
            return [without_nulls(each) for each in value]
        case _:
            return value


def mapping_members(mapping: TypeMapping) -> dict[str, Any]:
    """As it stands in a document."""
    members: dict[str, Any] = msgspec.to_builtins(mapping)
    return members


def schema_and_mapping(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What clients are shown of a stored document.

    `iconSchema` is always there and without its pictures, as they expect it.
    """
    return {"schema": {**stored["schema"], "iconSchema": {"icons": []}}, "mapping": stored["mapping"]}

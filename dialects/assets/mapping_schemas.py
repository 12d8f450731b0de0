"""JSON Schemas of schema and mapping (draft 2019-09), in both published versions, and the check of a document by them.

They say what Atlassian's documents of these versions do
(https://developer.atlassian.com/cloud/assets/imports-rest-api-guide/schema-and-mapping), and more where we take more:
users and groups, the options of a select, empty lists of icons and statuses, which its own answers have, and the
members that docs/field-mapping.md and docs/assets.md tell of.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import islice
from typing import Any, Literal

from jsonschema import Draft201909Validator

from dialects.assets.problems import Problem

Version = Literal["2021_09_15", "2023_10_19"]
FIRST: Version = "2021_09_15"
SECOND: Version = "2023_10_19"
VERSIONS: tuple[Version, ...] = (FIRST, SECOND)
PATH = "/jsm/assets/imports/external/schema/versions/"
MOST_PROBLEMS = 50
LONGEST_MESSAGE = 300

SIMPLE_TYPES = (
    *("text", "integer", "boolean", "double", "date", "time", "date_time", "url", "email", "textarea"),
    *("select", "ipaddress", "user", "group"),
)
REFERENCE, STATUS = "referenced_object", "status"

JsonSchema = dict[str, Any]


def mapping_schema(version: Version, public_url: str = "") -> JsonSchema:
    """The document that is served, with the address that it is served at."""
    has_ids = version == SECOND
    parts = {
        "objectType": _object_type(has_ids=has_ids),
        "objectAttribute": _attribute(has_ids=has_ids),
        "objectTypeMapping": _type_mapping(has_ids=has_ids),
        "attributeMapping": _attribute_mapping(has_ids=has_ids),
        "icon": _icon(),
        **({"status": _status()} if has_ids else {}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": f"{public_url}{PATH}{version}",
        "title": "Object types, and how an import source is mapped to them",
        **_object(
            ("schema", "mapping"),
            schema=_schema(has_statuses=has_ids),
            mapping=_object(("objectTypeMappings",), objectTypeMappings=_list("objectTypeMapping")),
        ),
        "$defs": parts,
    }


def version_of(*, has_external_ids: bool) -> Version:
    """Which one a document is held to; its `$schema` says nothing."""
    return SECOND if has_external_ids else FIRST


def check_document(document: Mapping[str, Any], version: Version, *, is_partial: bool) -> list[Problem]:
    """What is wrong with it. A partial one may leave the schema or the mapping out."""
    if is_partial and not document.keys() & {"schema", "mapping"}:
        return [Problem("INVALID_DOCUMENT", "", "There is neither a schema nor a mapping.")]
    errors = islice(_validator(version, is_partial).iter_errors(document), MOST_PROBLEMS)
    return [Problem("INVALID_DOCUMENT", path_of(each.absolute_path), each.message[:LONGEST_MESSAGE]) for each in errors]


def path_of(steps: Any) -> str:
    """`schema.objectSchema.objectTypes[0].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


@cache
def _validator(version: Version, is_partial: bool) -> Draft201909Validator:
    schema = mapping_schema(version)
    return Draft201909Validator({**schema, "required": []} if is_partial else schema)


def _schema(*, has_statuses: bool) -> JsonSchema:
    parts = {
        "objectSchema": _object(
            ("name", "description", "objectTypes"),
            name=_TEXT,
            description=_TEXT,
            objectTypes={**_list("objectType"), "minItems": 1},
        ),
        "iconSchema": _object(("icons",), icons=_list("icon")),
    }
    if has_statuses:
        parts["statusSchema"] = _object(("statuses",), statuses=_list("status"))
    return _object(("objectSchema",), **parts)


def _object_type(*, has_ids: bool) -> JsonSchema:
    return _object(
        ("name", "description"),
        **({"externalId": _NAME} if has_ids else {}),
        name=_NAME,
        description=_TEXT,
        iconKey={**_TEXT, "description": "Of an icon in this document, or of one that the object schema has."},
        inheritance={"type": "boolean", "description": "Ours: it has the attributes of the type that it stands under."},
        attributes=_list("objectAttribute"),
        children=_list("objectType"),
    )


def _attribute(*, has_ids: bool) -> JsonSchema:
    types = [*SIMPLE_TYPES, REFERENCE, *((STATUS,) if has_ids else ())]
    members: JsonSchema = {
        "name": _NAME,
        "description": _TEXT,
        "type": {"enum": types},
        "label": {"type": "boolean", "description": "Objects are called by it. One of the type's attributes."},
        "typeValues": {
            "type": "array",
            "items": _NAME,
            "uniqueItems": True,
            "description": "The statuses that it may have; ours: also the options of a select.",
        },
        "referenceObjectTypeName": _TEXT,
    }
    if has_ids:
        members |= {
            "externalId": _NAME,
            "referenceObjectTypeExternalId": _TEXT,
            "minimumCardinality": {"type": "integer", "minimum": 0},
            "maximumCardinality": {"type": "integer", "minimum": -1, "description": "-1: any number."},
            "unique": {"type": "boolean", "description": "No two objects of the type have the same value."},
        }
    return {
        **_object(("name", "description", "type"), **members),
        "allOf": [
            {"if": {"required": ["typeValues"]}, "then": {"properties": {"type": {"enum": [STATUS, "select"]}}}},
            *([] if has_ids else [_REFERENCE_HAS_NAME]),
        ],
    }


def _type_mapping(*, has_ids: bool) -> JsonSchema:
    return _object(
        ("objectTypeName", "selector", "description"),
        **({"objectTypeExternalId": _TEXT} if has_ids else {}),
        objectTypeName=_TEXT,
        selector={**_TEXT, "description": 'Dotted path of the array of records; "" is what the source consists of.'},
        description=_TEXT,
        attributesMapping=_list("attributeMapping"),
        emptyValues={"enum": ["IGNORE", "REMOVE"], "description": "Ours; else that of the source."},
        unknownValues={"enum": ["IGNORE", "ADD"], "description": "Ours; else that of the source."},
        matchIdentifierIgnoreCase={"type": "boolean", "description": "Ours."},
        selectorQlQuery={**_TEXT, "description": "Ours: only records whose objects fit this query, in AQL."},
        missingObjects=_object(
            ("action",),
            action={"enum": ["IGNORE", "UPDATE", "REMOVE"]},
            afterRuns={"type": "integer", "minimum": 1, "maximum": 1000},
            attributeName=_TEXT,
            value=_TEXT,
        ),
    )


def _attribute_mapping(*, has_ids: bool) -> JsonSchema:
    return _object(
        ("attributeName",),
        **({"attributeExternalId": _TEXT} if has_ids else {}),
        attributeName=_TEXT,
        externalIdPart={"type": "boolean", "description": "Objects are told apart by it, and by the others of these."},
        attributeLocators={"type": "array", "minItems": 1, "items": {"type": "string"}},
        objectMappingIQL={**_TEXT, "description": "Finds what is referred to; ${locator} is a value of the record."},
    )


def _icon() -> JsonSchema:
    return _object(
        ("key", "name", "png48"),
        key={"type": "string", "minLength": 1, "maxLength": 255},
        name=_TITLE,
        png48={
            "type": "string",
            "contentEncoding": "base64",
            "contentMediaType": "image/png",
            "description": "48 by 48 pixels.",
        },
    )


def _status() -> JsonSchema:
    return _object(
        ("name", "description", "category"),
        name=_TITLE,
        description=_TEXT,
        category={"enum": ["active", "inactive", "pending"]},
    )


def _object(required: tuple[str, ...], /, **members: JsonSchema) -> JsonSchema:
    return {"type": "object", "required": list(required), "properties": members}


def _list(part: str) -> JsonSchema:
    return {"type": "array", "items": {"$ref": f"#/$defs/{part}"}}


_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
_TITLE = {"type": "string", "minLength": 2, "maxLength": 30, "pattern": r"^[a-zA-Z0-9 \-]*$"}
_REFERENCE_HAS_NAME = {
    "if": {"properties": {"type": {"const": REFERENCE}}, "required": ["type"]},
    "then": {"required": ["referenceObjectTypeName"]},
}

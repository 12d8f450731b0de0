"""Documents of schema and mapping, small and invented."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def attribute(name: str, type_: str = "text", **members: Any) -> Json:
    return {"name": name, "description": "", "type": type_, **members}


def object_type(name: str, *attributes: Json, **members: Any) -> Json:
    return {"name": name, "description": f"Every {name}", "attributes": list(attributes), **members}


def mapped(name: str, locator: str = "", **members: Any) -> Json:
    return {"attributeName": name, "attributeLocators": [locator or name.lower()], **members}


def type_mapping(name: str, selector: str, *attributes: Json, **members: Any) -> Json:
    return {
        "objectTypeName": name,
        "selector": selector,
        "description": f"From {selector}",
        "attributesMapping": list(attributes),
        **members,
    }


def document(*types: Json, mappings: tuple[Json, ...] = (), **schema: Any) -> Json:
    return {
        "schema": {
            "objectSchema": {"name": "Hardware", "description": "What we have", "objectTypes": list(types)},
            **schema,
        },
        "mapping": {"objectTypeMappings": list(mappings)},
    }


def first() -> Json:
    """Of the version 2021: hosts that run operating systems."""
    return document(
        object_type("System", attribute("Name", label=True)),
        object_type(
            "Host",
            attribute("Name", label=True),
            attribute("Serial"),
            attribute("Cores", "integer"),
            attribute("System", "referenced_object", referenceObjectTypeName="System"),
        ),
        mappings=(
            type_mapping("System", "systems", mapped("Name")),
            type_mapping(
                "Host",
                "hosts",
                mapped("Name"),
                mapped("Serial", externalIdPart=True),
                mapped("Cores"),
                mapped("System", "os", objectMappingIQL="Name = ${os}"),
            ),
        ),
    )


def second() -> Json:
    """Of the version 2023: with external ids, a status and cardinalities."""
    return document(
        object_type(
            "Device",
            attribute("Name", externalId="device/name", label=True, minimumCardinality=1, maximumCardinality=1),
            attribute("Tags", externalId="device/tags", maximumCardinality=-1),
            attribute("State", "status", externalId="device/state", typeValues=["In use", "Broken"]),
            externalId="device",
            children=[
                object_type(
                    "Phone",
                    attribute("Number", externalId="phone/number", unique=True, label=True),
                    externalId="phone",
                )
            ],
        ),
        mappings=(
            type_mapping(
                "Device",
                "devices",
                {**mapped("Name"), "attributeExternalId": "device/name"},
                {**mapped("Tags"), "attributeExternalId": "device/tags"},
                {**mapped("State"), "attributeExternalId": "device/state"},
                objectTypeExternalId="device",
            ),
        ),
        statusSchema={"statuses": [{"name": "In use", "description": "", "category": "active"}]},
    )

"""Schema and mapping of the end-to-end tests: hosts, each with an operating system."""

from __future__ import annotations

import copy
from typing import Any

Document = dict[str, Any]


def attribute(name: str, kind: str = "text", **members: Any) -> Document:
    return {"name": name, "description": "", "type": kind, **members}


def mapped(name: str, *locators: str, **members: Any) -> Document:
    return {"attributeName": name, "attributeLocators": list(locators), **members}


HOSTS: Document = {
    "schema": {
        "objectSchema": {
            "name": "Inventory",
            "description": "What there is",
            "objectTypes": [
                {
                    "name": "System",
                    "description": "",
                    "attributes": [attribute("Name", label=True), attribute("Vendor")],
                },
                {
                    "name": "Host",
                    "description": "",
                    "attributes": [
                        attribute("Serial"),
                        attribute("Name", label=True),
                        attribute("Cores", "integer"),
                        attribute("Bought", "date"),
                        attribute("System", "referenced_object", referenceObjectTypeName="System"),
                    ],
                },
            ],
        }
    },
    "mapping": {
        "objectTypeMappings": [
            {
                "objectTypeName": "System",
                "selector": "systems",
                "description": "",
                "attributesMapping": [mapped("Name", "name", externalIdPart=True), mapped("Vendor", "vendor")],
            },
            {
                "objectTypeName": "Host",
                "selector": "hosts",
                "description": "",
                "attributesMapping": [
                    mapped("Serial", "serial", externalIdPart=True),
                    mapped("Name", "name"),
                    mapped("Cores", "cores"),
                    mapped("Bought", "bought"),
                    mapped("System", "os", objectMappingIQL="Name = ${os}"),
                ],
            },
        ]
    },
}

SYSTEMS = [{"name": "Linux", "vendor": "Various"}, {"name": "Plan 9", "vendor": "Bell"}]


def host(number: int, **members: Any) -> Document:
    return {
        "serial": f"S{number}",
        "name": f"host-{number}",
        "cores": number,
        "bought": "2026-01-02",
        "os": "Linux",
        **members,
    }


def hosts(count: int, first: int = 1, **members: Any) -> list[Document]:
    return [host(number, **members) for number in range(first, first + count)]


def hosts_only(**members: Any) -> Document:
    """For a table: one object type whose attributes are columns, with members of its mapping."""
    document = copy.deepcopy(HOSTS)
    schema, mapping = document["schema"]["objectSchema"], document["mapping"]
    schema["objectTypes"] = schema["objectTypes"][1:]
    schema["objectTypes"][0]["attributes"].pop()
    mapping["objectTypeMappings"] = [{**mapping["objectTypeMappings"][1], **members}]
    mapping["objectTypeMappings"][0]["attributesMapping"].pop()
    return document


def table(records: list[Document], delimiter: str = ",") -> str:
    """As CSV."""
    columns = ("serial", "name", "cores", "bought")
    rows = [delimiter.join(str(record[column]) for column in columns) for record in records]
    return "\n".join([delimiter.join(columns), *rows, ""])

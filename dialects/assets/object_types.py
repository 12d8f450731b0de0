"""Object schemas, object types and their attributes in the shapes of the Assets API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from dialects.assets.links import Links
from dialects.assets.times import moment

Row = Mapping[str, Any]
"""Of `services/status/store/object_types.py`."""

DEFAULT_KIND = 0
# https://developer.atlassian.com/cloud/assets/rest: `type` of an attribute, and `defaultType` of those of type 0.
KINDS = MappingProxyType({"referenced_object": 1, "user": 2, "group": 4, "status": 7})
DEFAULT_TYPES = MappingProxyType(
    {
        "text": (0, "Text"),
        "integer": (1, "Integer"),
        "boolean": (2, "Boolean"),
        "double": (3, "Double"),
        "date": (4, "Date"),
        "time": (5, "Time"),
        "date_time": (6, "DateTime"),
        "url": (7, "Url"),
        "email": (8, "Email"),
        "textarea": (9, "Textarea"),
        "select": (10, "Select"),
        "ipaddress": (11, "IP Address"),
    }
)
NO_ICON = "No icon"


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace, and the origin that its links begin with."""

    workspace_id: UUID
    links: Links

    def global_id(self, number: object) -> str:
        """What Atlassian calls something beside its number."""
        return f"{self.workspace_id}:{number}"

    def link(self, path: str) -> str:
        return f"{self.links.workspace(self.workspace_id)}/{path}"


def object_schema_json(schema: Row, place: Place) -> dict[str, Any]:
    """Counts are 0 where they were not asked for."""
    number = str(schema["object_schema_id"])
    return {
        "workspaceId": str(place.workspace_id),
        "globalId": place.global_id(number),
        "id": number,
        "name": schema["name"],
        "objectSchemaKey": schema["key"],
        "description": schema["description"],
        "status": "Ok",
        "created": moment(schema["created_at"]),
        "updated": moment(schema["updated_at"]),
        "objectCount": schema.get("object_count") or 0,
        "objectTypeCount": schema.get("type_count") or 0,
    }


def object_type_json(type_: Row, place: Place, object_count: int = 0) -> dict[str, Any]:
    """`objectCount` is counted for types alone; inside of objects and attributes it is 0, as in the original."""
    number = str(type_["object_type_id"])
    members = {
        "workspaceId": str(place.workspace_id),
        "globalId": place.global_id(number),
        "id": number,
        "name": type_["name"],
        "description": type_["description"],
        "icon": icon_json(type_, place),
        "position": type_["position"],
        "created": moment(type_["created_at"]),
        "updated": moment(type_["updated_at"]),
        "objectCount": object_count,
        "objectSchemaId": str(type_["object_schema_id"]),
        "inherited": type_["has_heirs"],
        "abstractObjectType": type_["is_abstract"],
        "parentObjectTypeInherited": type_["is_inherited"],
    }
    if type_["parent_id"] is not None:
        # A number here, as in Atlassian's own document; other ids are texts.
        members["parentObjectTypeId"] = type_["parent_id"]
    if type_["external_id"] is not None:
        members["externalId"] = type_["external_id"]
    return members


def icon_json(type_: Row, place: Place) -> dict[str, str]:
    """The icon of an object type is known by the type's number."""
    number = str(type_["object_type_id"])
    image = place.link(f"icon/{number}/icon.png")
    return {
        "id": number,
        "name": type_["icon"] or NO_ICON,
        "url16": f"{image}?size=16",
        "url48": f"{image}?size=48",
    }


def attribute_json(attribute: Row, types: Mapping[int, Row], place: Place, *, is_deep: bool = True) -> dict[str, Any]:
    """`types` are those of the workspace. Deep ones have the type that they belong to, and that they refer to."""
    number, kind = str(attribute["attribute_id"]), attribute["type"]
    members: dict[str, Any] = {
        "workspaceId": str(place.workspace_id),
        "globalId": place.global_id(number),
        "id": number,
        "name": attribute["name"],
        "label": attribute["is_label"],
        "description": attribute["description"],
        "type": KINDS.get(kind, DEFAULT_KIND),
        "editable": True,
        "system": False,
        "indexed": True,
        "sortable": True,
        "summable": False,
        "removable": False,
        "hidden": False,
        "includeChildObjectTypes": True,
        "minimumCardinality": attribute["minimum_cardinality"],
        "maximumCardinality": attribute["maximum_cardinality"],
        "uniqueAttribute": attribute["is_unique"],
        "options": ",".join(attribute["options"]) if kind == "select" else "",
        "position": attribute["position"],
    }
    if kind in DEFAULT_TYPES:
        default, name = DEFAULT_TYPES[kind]
        members["defaultType"] = {"id": default, "name": name}
    if kind == "status":
        members["typeValueMulti"] = list(attribute["options"])
    if attribute["external_id"] is not None:
        members["externalId"] = attribute["external_id"]
    members |= _reference(attribute, types, place, is_deep=is_deep)
    owner = types.get(attribute["object_type_id"])
    return members | {"objectType": object_type_json(owner, place)} if is_deep and owner is not None else members


def _reference(attribute: Row, types: Mapping[int, Row], place: Place, *, is_deep: bool) -> dict[str, Any]:
    number = attribute["reference_type_id"]
    if number is None:
        return {}
    members: dict[str, Any] = {"referenceObjectTypeId": str(number), "typeValue": str(number)}
    target = types.get(number)
    return members | {"referenceObjectType": object_type_json(target, place)} if is_deep and target else members

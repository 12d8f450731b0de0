"""Objects in the shapes of the Assets API: with their attributes, by themselves, and pages of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialects.assets.object_types import Place, Row, attribute_json, icon_json, object_type_json
from dialects.assets.times import moment

LONGEST_SEARCH_VALUE = 255
"""What is longer is not searched for whole; it stands in `value`."""
STATUS_CATEGORIES = {"inactive": 0, "active": 1, "pending": 2}
REFERENCE = "referenced_object"


@dataclass(frozen=True, slots=True)
class Shown:
    """What objects are shown by: all types of the workspace by number, attributes by type in the order of display."""

    place: Place
    types: Mapping[int, Row]
    attributes: Mapping[int, Sequence[Row]]


def object_key(object_id: int, type_: Row) -> str:
    """`KEY-123`."""
    return f"{type_['schema_key']}-{object_id}"


def object_json(row: Row, shown: Shown) -> dict[str, Any]:
    """An object without its attributes. `row` is one of `services/status/store/objects.py`."""
    place, type_, number = shown.place, shown.types[row["object_type_id"]], str(row["object_id"])
    icon = icon_json(type_, place)
    sizes = {f"url{size}": icon["url48"] for size in (72, 144, 288)}
    return {
        "workspaceId": str(place.workspace_id),
        "globalId": place.global_id(number),
        "id": number,
        "label": row["label"],
        "objectKey": object_key(row["object_id"], type_),
        "avatar": {
            "workspaceId": str(place.workspace_id),
            "globalId": place.global_id(number),
            "objectId": number,
            "url16": icon["url16"],
            "url48": icon["url48"],
            **sizes,
        },
        "objectType": object_type_json(type_, place),
        "created": moment(row["created_at"]),
        "updated": moment(row["updated_at"]),
        "hasAvatar": False,
        "timestamp": int(row["updated_at"].timestamp() * 1000),
        "_links": {"self": place.link(f"object/{number}")},
    }


def attributes_json(
    row: Row, shown: Shown, targets: Mapping[int, Row], *, with_definitions: bool = False
) -> list[dict[str, Any]]:
    """Those that have values. `targets` are the objects that its references lead to, by number.

    What refers to an object that is no longer there has no value any more.
    """
    found = []
    for attribute in shown.attributes.get(row["object_type_id"], ()):
        values = [_value(attribute, each, shown, targets) for each in values_of(row["document"], attribute)]
        kept = [each for each in values if each is not None]
        if kept:
            found.append(_attribute(row, attribute, kept, shown, with_definitions=with_definitions))
    return found


def values_of(document: Mapping[str, Any], attribute: Row) -> list[Any]:
    """Its values, of which a document has an array where there may be more than one."""
    value = document.get(str(attribute["attribute_id"]))
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def targets_in(rows: Iterable[Row], attributes: Mapping[int, Sequence[Row]]) -> list[int]:
    """Numbers of the objects that these refer to, by the attributes of their types."""
    return sorted(
        {
            target
            for row in rows
            for attribute in attributes.get(row["object_type_id"], ())
            if attribute["type"] == REFERENCE
            for target in values_of(row["document"], attribute)
        }
    )


def page_head(shown: Shown, type_ids: Iterable[int], start: int, size: int, found: int, total: int) -> dict[str, Any]:
    """What a page of objects begins with: all but the objects. Attributes of its types, each once."""
    by_id = {each["attribute_id"]: each for number in type_ids for each in shown.attributes.get(number, ())}
    is_last = start + found >= total
    return {
        "startAt": start,
        "maxResults": size,
        "total": total,
        "hasMoreResults": not is_last,
        "isLast": is_last,
        "last": is_last,
        "objectTypeAttributes": [attribute_json(each, shown.types, shown.place) for each in by_id.values()],
    }


def navigation_head(head: Mapping[str, Any], text: str, page: int) -> dict[str, Any]:
    """The same in the words of pages with numbers; `head` is that of `page_head`, `text` the query."""
    start, size, total = head["startAt"], head["maxResults"], head["total"]
    shown = max(0, min(size, total - start))
    return {
        "qlQuery": text,
        "qlQuerySearchResult": True,
        "totalFilterCount": total,
        "startIndex": start,
        "toIndex": max(start, start + shown - 1),
        "pageObjectSize": shown,
        "pageNumber": page,
        "pageSize": -(-total // size),
        "objectTypeAttributes": head["objectTypeAttributes"],
    }


def text_of(value: Any) -> str:
    """A value as text: all are texts in this API."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _attribute(
    row: Row, attribute: Row, values: list[dict[str, Any]], shown: Shown, *, with_definitions: bool
) -> dict[str, Any]:
    number = f"{row['object_id']}.{attribute['attribute_id']}"
    members: dict[str, Any] = {
        "workspaceId": str(shown.place.workspace_id),
        "globalId": shown.place.global_id(number),
        "id": number,
        "objectTypeAttributeId": str(attribute["attribute_id"]),
        "objectAttributeValues": values,
    }
    if with_definitions:
        members["objectTypeAttribute"] = attribute_json(attribute, shown.types, shown.place)
    return members


def _value(attribute: Row, value: Any, shown: Shown, targets: Mapping[int, Row]) -> dict[str, Any] | None:
    if attribute["type"] == REFERENCE:
        target = targets.get(value)
        return None if target is None else _reference(target, shown)
    text = text_of(value)
    members: dict[str, Any] = {"value": text, "displayValue": text, "referencedType": False}
    if len(text) <= LONGEST_SEARCH_VALUE:
        members["searchValue"] = text
    match attribute["type"]:
        case "user":
            members["user"] = {"key": text, "name": text, "displayName": text}
        case "group":
            members["group"] = {"name": text, "avatarUrl": ""}
        case "status":
            members["status"] = _status(text, shown.types[attribute["object_type_id"]])
    return members


def _reference(target: Row, shown: Shown) -> dict[str, Any] | None:
    type_ = shown.types.get(target["object_type_id"])
    if type_ is None:
        return None
    number, key = str(target["object_id"]), object_key(target["object_id"], type_)
    return {
        "value": key,
        "displayValue": target["label"],
        "searchValue": key,
        "referencedType": True,
        "referencedObject": {
            "workspaceId": str(shown.place.workspace_id),
            "globalId": shown.place.global_id(number),
            "id": number,
            "label": target["label"],
            "objectKey": key,
            "objectType": {"id": str(type_["object_type_id"]), "name": type_["name"]},
            "hasAvatar": False,
            "_links": {"self": shown.place.link(f"object/{number}")},
        },
    }


def _status(name: str, type_: Row) -> dict[str, Any]:
    """One of the schema's, by its place there; one that it does not have is active."""
    for place, each in enumerate(type_["statuses"], 1):
        if each.get("name") == name:
            category = STATUS_CATEGORIES.get(each.get("category", ""), STATUS_CATEGORIES["active"])
            return {"id": str(place), "name": name, "description": each.get("description", ""), "category": category}
    return {"id": "0", "name": name, "category": STATUS_CATEGORIES["active"]}

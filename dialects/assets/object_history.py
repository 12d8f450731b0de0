"""What is known of an object beside its values, in the shapes of the Assets API: its history, and what refers to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any

from dialects.assets.object_types import Row, object_type_json
from dialects.assets.objects import REFERENCE, Shown, object_key, text_of, values_of
from dialects.assets.times import moment

BETWEEN = ", "


class Event(IntEnum):
    """`type` of an entry. What the numbers mean is published nowhere: these are ours, `historyType` has the words."""

    CREATED = 0
    CHANGED = 1
    REMOVED = 2
    RESTORED = 3


def change_json(change: Row, row: Row, shown: Shown) -> Iterator[dict[str, Any]]:
    """Entries of one change by an import or a person: one for each attribute whose values are others than before."""
    before, after = change["before"], change["after"]
    made = change, change["changed_at"]
    if before is None:
        yield _entry(Event.RESTORED, row, *made)
        return
    if after is None:
        yield _entry(Event.REMOVED, row, *made)
        return
    for attribute in shown.attributes.get(row["object_type_id"], ()):
        old, new = (_text(each, attribute, shown) for each in (before, after))
        if old != new:
            said = {"oldValue": old, "newValue": new}
            entry = _entry(Event.CHANGED, row, *made, attribute["attribute_id"])
            yield entry | {"affectedAttribute": attribute["name"]} | {n: v for n, v in said.items() if v}


def creation_json(row: Row, maker: Row | None) -> dict[str, Any]:
    """How it began. Who ran the import, or made it by hand, is not known for ever."""
    return _entry(Event.CREATED, row, maker or {"import_id": row["import_id"]}, row["created_at"])


def references_json(counts: Sequence[Row], row: Row, shown: Shown) -> list[dict[str, Any]]:
    """By object types: how many objects of each refer to this one, by which attributes, and a query that finds them."""
    key = object_key(row["object_id"], shown.types[row["object_type_id"]])
    return [_referring(each, counts, key, shown) for each in counts if each["attribute_id"] is None]


def _referring(whole: Row, counts: Sequence[Row], key: str, shown: Shown) -> dict[str, Any]:
    number = whole["object_type_id"]
    names = {each["attribute_id"]: each["name"] for each in shown.attributes.get(number, ())}
    by_attribute = [
        {
            "id": str(each["attribute_id"]),
            "name": names.get(each["attribute_id"], ""),
            "numberOfReferencedObjects": each["number"],
        }
        for each in counts
        if each["object_type_id"] == number and each["attribute_id"] is not None
    ]
    return {
        "objectType": object_type_json(shown.types[number], shown.place),
        "referenceTypes": [],
        "numberOfReferencedObjects": whole["number"],
        "openIssuesExists": False,
        "objectTypeAttributes": by_attribute,
        "qlQuery": f'objectTypeId = {number} AND object HAVING outboundReferences(Key = "{key}")',
    }


def _entry(event: Event, row: Row, maker: Mapping[str, Any], at: datetime, part: int | None = None) -> dict[str, Any]:
    import_id, email = maker["import_id"], maker.get("user_email")
    change = import_id or maker.get("edit_id")
    number = ".".join(str(each) for each in (row["object_id"], change, int(event), part) if each is not None)
    members: dict[str, Any] = {
        "id": number,
        "actor": {} if email is None else {"name": email, "key": str(maker["user_id"]), "displayName": email},
        "type": int(event),
        "historyType": event.name,
        "created": moment(at),
        "objectId": str(row["object_id"]),
    }
    if import_id is not None:
        members["executionId"] = str(import_id)
    if maker.get("import_source_id") is not None:
        members["importSourceId"] = str(maker["import_source_id"])
    return members


def _text(document: Mapping[str, Any], attribute: Row, shown: Shown) -> str:
    """Its values in one text. Of what is referred to: the key that it has in the schema of the attribute's type."""
    values = values_of(document, attribute)
    target = shown.types.get(attribute["reference_type_id"] or 0)
    if attribute["type"] == REFERENCE and target is not None:
        return BETWEEN.join(object_key(each, target) for each in values)
    return BETWEEN.join(text_of(each) for each in values)

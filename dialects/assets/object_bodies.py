"""What people send of an object: its type, and the values of some of its attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialects.assets.members import id_member, number_of
from runtime.errors import InvalidArgument

MOST_ATTRIBUTES = 2_000
"""Of one body; so many an object type has at most."""
MOST_VALUES = 10_000
"""Of one attribute."""


@dataclass(frozen=True, slots=True)
class ObjectBody:
    """`type_id` 0: it is not said. `values` by the numbers of attributes, as texts; none: it is to be emptied."""

    type_id: int
    values: Mapping[int, tuple[str, ...]]


def object_body(members: Mapping[str, Any], *, is_new: bool) -> ObjectBody:
    """Reads a body whose numbers are whole where they can be; members that nobody needs are passed over.

    What was read can be sent back: of each value, only `value` is looked at. Raises InvalidArgument, which names the
    member.
    """
    type_id = id_member(members, "objectTypeId")
    if is_new and not type_id:
        raise InvalidArgument("FIELD_REQUIRED", "objectTypeId is required.", field="objectTypeId")
    values: dict[int, tuple[str, ...]] = {}
    for place, each in enumerate(_objects(members, "attributes", "attributes", MOST_ATTRIBUTES)):
        path = f"attributes[{place}]"
        attribute_id = number_of(f"{path}.objectTypeAttributeId", each.get("objectTypeAttributeId"))
        if attribute_id in values:
            message = f"{path} is an attribute that stands there twice."
            raise InvalidArgument("ATTRIBUTE_DUPLICATE", message, field=f"{path}.objectTypeAttributeId")
        path = f"{path}.objectAttributeValues"
        said = _objects(each, "objectAttributeValues", path, MOST_VALUES)
        values[attribute_id] = tuple(filter(None, (_text(one, f"{path}[{at}].value") for at, one in enumerate(said))))
    return ObjectBody(type_id, values)


def _objects(members: Mapping[str, Any], name: str, path: str, most: int) -> list[dict[str, Any]]:
    found = members.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidArgument("FIELD_NOT_OBJECT", f"{path} must be an array of objects.", field=path)
    if len(found) > most:
        raise InvalidArgument("FIELD_TOO_LONG", f"{path} may have {most} entries at most.", field=path, limit=str(most))
    return found


def _text(members: Mapping[str, Any], path: str) -> str:
    """A value as text: all are texts in this API, though JSON has numbers and booleans, too."""
    value = members.get("value")
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            text = str(value)
            if "\0" in text:
                raise InvalidArgument("FIELD_NOT_TEXT", f"{path} must not contain a NUL character.", field=path)
            return text
        case _:
            raise InvalidArgument("FIELD_NOT_TEXT", f"{path} must be a text.", field=path)

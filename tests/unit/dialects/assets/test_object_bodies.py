"""What people send of an object."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.assets.object_bodies import MOST_ATTRIBUTES, ObjectBody, object_body
from runtime.errors import InvalidArgument


def attribute(number: Any, *values: Any) -> dict[str, Any]:
    return {"objectTypeAttributeId": number, "objectAttributeValues": [{"value": value} for value in values]}


def test_values_are_texts_by_the_numbers_of_attributes() -> None:
    members = {
        "objectTypeId": "23",
        "attributes": [attribute("135", "NY-1", 8, 0.5, True, None, ""), attribute(136)],
        "hasAvatar": False,
        "avatarUUID": "",
    }
    expected = ObjectBody(23, {135: ("NY-1", "8", "0.5", "true"), 136: ()})
    assert object_body(members, is_new=True) == expected


def test_what_was_read_can_be_sent_back() -> None:
    shown = {"value": "IT-7", "displayValue": "web-1", "referencedType": True, "referencedObject": {"id": "7"}}
    members = {
        "objectType": {"id": "23"},
        "attributes": [
            {"id": "9.135", "objectTypeAttributeId": "135", "objectAttributeValues": [shown], "objectTypeAttribute": {}}
        ],
    }
    assert object_body(members, is_new=False) == ObjectBody(0, {135: ("IT-7",)})


@pytest.mark.parametrize(
    ("members", "reason", "field"),
    [
        ({"attributes": []}, "FIELD_REQUIRED", "objectTypeId"),
        ({"objectTypeId": "x", "attributes": []}, "INVALID_NUMBER", "objectTypeId"),
        ({"objectTypeId": 1}, "FIELD_NOT_OBJECT", "attributes"),
        ({"objectTypeId": 1, "attributes": ["Name"]}, "FIELD_NOT_OBJECT", "attributes"),
        ({"objectTypeId": 1, "attributes": [{}] * (MOST_ATTRIBUTES + 1)}, "FIELD_TOO_LONG", "attributes"),
        ({"objectTypeId": 1, "attributes": [{}]}, "INVALID_NUMBER", "attributes[0].objectTypeAttributeId"),
        (
            {"objectTypeId": 1, "attributes": [{"objectTypeAttributeId": 2, "objectAttributeValues": "x"}]},
            "FIELD_NOT_OBJECT",
            "attributes[0].objectAttributeValues",
        ),
        (
            {"objectTypeId": 1, "attributes": [attribute(2), attribute("2")]},
            "ATTRIBUTE_DUPLICATE",
            "attributes[1].objectTypeAttributeId",
        ),
        (
            {"objectTypeId": 1, "attributes": [attribute(2, "a", ["b"])]},
            "FIELD_NOT_TEXT",
            "attributes[0].objectAttributeValues[1].value",
        ),
        (
            {"objectTypeId": 1, "attributes": [attribute(2, "a\0")]},
            "FIELD_NOT_TEXT",
            "attributes[0].objectAttributeValues[0].value",
        ),
    ],
)
def test_the_member_that_is_wrong_is_named(members: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        object_body(members, is_new=True)
    assert (raised.value.reason, raised.value.metadata["field"]) == (reason, field)

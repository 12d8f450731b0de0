"""The parser child makes keys, and so does the merge when a mapping tells objects apart in another way."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from services.importer.formats import registry
from services.importer.targets.objects.keys import key_of
from services.importer.targets.objects.plan import AttributePlan, ObjectPlan, TypePlan
from services.importer.targets.objects.records import ObjectRecord
from services.importer.targets.objects.rules import AttributeRule

VALUES: list[tuple[Any, str]] = [
    ("text", "web1.example.com"),
    ("text", 'Straße "1" \\ \t\u00e9\u4e1c\U0001f600'),
    ("text", "İ and ΑΣ"),
    ("text", "x" * 300),
    ("integer", "12.0"),
    ("integer", "-0"),
    ("double", "1.50"),
    ("double", "1e21"),
    ("double", "-0.000001"),
    ("boolean", "YES"),
    ("date", "2026-01-02"),
    ("date_time", "2026-01-02T03:04:05+02:00"),
    ("ipaddress", "2001:DB8:0:0::1"),
]


def text_of(value: Any) -> str:
    """As `->>` of the database gives a value of a document."""
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("ignores_case", [False, True])
@pytest.mark.parametrize(("type_", "said"), VALUES)
def test_both_make_the_same_of_the_same(type_: Any, said: str, ignores_case: bool) -> None:
    attributes = (
        AttributePlan(3, "a", type_, AttributeRule(locators=("a",))),
        AttributePlan(7, "b", "text", AttributeRule(locators=("b",))),
    )
    plan = ObjectPlan(types=(TypePlan(1, "T", attributes, (3, 7), ignores_case=ignores_case),))
    format_ = registry.BY_NAME["objects_json"]
    assert format_.adapt is not None
    adapted = format_.adapt(plan)
    data = json.dumps([{"a": said, "b": "Second"}]).encode()
    (item,) = adapted.walk(BytesIO(data))
    (record,) = adapted.read(item.raw)
    assert isinstance(record, ObjectRecord)
    document = json.loads(record.document, parse_float=str, parse_int=str)
    made = key_of([text_of(document["3"]), text_of(document["7"])], ignores_case=ignores_case)
    assert made == record.key

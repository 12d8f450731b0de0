"""Plans made for tests, and what files become by them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

from services.importer.formats.kit.format import Format, RecordError
from services.importer.formats.objects import csv as objects_csv
from services.importer.formats.objects import json as objects_json
from services.importer.formats.objects.mapping.documents import read_attribute_mapping
from services.importer.formats.objects.mapping.texts import placeholders_of
from services.importer.targets.objects.plan import AttributePlan, ObjectPlan, Reference, TypePlan
from services.importer.targets.objects.records import Caution, ObjectRecord, Remark, Skipped

NAME, VALUE = 1, 2
Told = tuple[str, str, int]
"""Code, field and line of a record that is rejected."""


def attribute(attribute_id: int, name: str, type_: str = "text", mapping: Any = None, **more: Any) -> AttributePlan:
    """`mapping` is a locator, or the members of an attribute mapping; none: a locator of the attribute's name."""
    if mapping is None or isinstance(mapping, str):
        mapping = {"attributeLocators": [mapping or name]}
    rule = read_attribute_mapping(mapping)
    if rule.query:
        more["reference"] = Reference(rule.query, placeholders_of(rule.query), 77)
    return AttributePlan(attribute_id, name, type_, rule, **more)  # type: ignore[arg-type]  # tests name it as text


def type_plan(*attributes: AttributePlan, **more: Any) -> TypePlan:
    """The first attribute is identifier and label unless something else is said."""
    first = attributes[0].attribute_id
    return TypePlan(
        **{
            "type_id": 10,
            "name": "Host",
            "attributes": attributes,
            "identifiers": (first,),
            "label_attribute": first,
            **more,
        }
    )


def one_value(type_: str = "text", mapping: Any = None, *, empty_values: str = "IGNORE", **more: Any) -> TypePlan:
    """Objects with a name, and an attribute of interest from the column or member `v`."""
    value = attribute(VALUE, "Value", type_, mapping or "v", **more)
    return type_plan(attribute(NAME, "Name", "text", "n"), value, empty_values=empty_values)


def plan_of(*types: TypePlan, **more: Any) -> ObjectPlan:
    return ObjectPlan(types, **more)


def adapted(format_: Format, plan: ObjectPlan) -> Format:
    assert format_.adapt is not None
    return format_.adapt(plan)


def told(format_: Format, plan: ObjectPlan, data: bytes) -> list[Any]:
    """The records of all items, in order; of a rejected one its code, field and line."""
    found: list[Any] = []
    reading = adapted(format_, plan)
    for raw, position in reading.walk(BytesIO(data)):
        try:
            found += reading.read(raw)
        except RecordError as error:
            found.append((error.code, error.field, position.line))
    return found


def from_csv(plan: ObjectPlan, text: str | bytes) -> list[Any]:
    return told(objects_csv.FORMAT, plan, text if isinstance(text, bytes) else text.encode())


def from_json(plan: ObjectPlan, value: Any) -> list[Any]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return told(objects_json.DOCUMENTS, plan, data)


def values(records: Iterable[Any]) -> list[Any]:
    """The attribute of interest of each object: None for none, the code where there is none."""
    found: list[Any] = []
    for record in records:
        match record:
            case ObjectRecord():
                found.append(json.loads(record.document).get(str(VALUE)))
            case Skipped():
                found.append(record.reason.value)
            case Caution() | Remark():
                pass
            case (code, _, _):
                found.append(code)
    return found


def mapped(value: Any, mapping: Any, type_: str = "text", **more: Any) -> Any:
    """What one record `{"n": "x", "v": value}`, or with the members of a dict, has of the attribute of interest."""
    members = value if isinstance(value, Mapping) else {"v": value}
    (found,) = values(from_json(plan_of(one_value(type_, mapping, **more)), {"n": "x", **members}))
    return found


def lookups(records: Iterable[Any]) -> list[list[tuple[str, ...]]]:
    """The values that references of each object are looked up by."""
    return [[each.values for each in record.lookups] for record in records if isinstance(record, ObjectRecord)]

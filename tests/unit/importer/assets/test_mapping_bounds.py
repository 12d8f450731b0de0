"""What an object schema and a mapping may come to."""

from __future__ import annotations

import dataclasses
from uuid import uuid4

import msgspec
import pytest

from dialects.assets.mapping_documents import TypeMapping
from runtime.errors import InvalidArgument
from services.importer.assets.mapping_bounds import (
    MOST_MAPPINGS,
    MOST_PATTERNS,
    MOST_TYPES,
    patterns_in,
    refuse_large_mapping,
    refuse_large_schema,
)
from services.importer.assets.object_types import (
    NewAttribute,
    NewType,
    ObjectAttribute,
    ObjectSchema,
    ObjectType,
    SchemaChanges,
    SchemaState,
)
from services.importer.targets.objects.options import MOST_OPTIONS

SCHEMA = ObjectSchema(1, uuid4(), "Hardware", "HW", "")


def state_of(types: int) -> SchemaState:
    return SchemaState(
        SCHEMA, tuple(ObjectType(each, None, f"T{each}", "", "", f"t{each}", each) for each in range(types))
    )


def adding(types: int, icons: int = 0) -> SchemaChanges:
    new = tuple(NewType(f"n{each}", "", f"N{each}", "", "", False, each) for each in range(types))
    return SchemaChanges(new, (), {}, {}, {"icons": [{}] * icons} if icons else {}, frozenset())


def mapping_of(*patterns: str) -> TypeMapping:
    rules = [{"attributeName": "a", "transformations": [{"type": "regex", "pattern": each}]} for each in patterns]
    return msgspec.convert(
        {"objectTypeName": "T", "selector": "", "description": "", "attributesMapping": rules}, TypeMapping
    )


def codes(refused: pytest.ExceptionInfo[InvalidArgument]) -> list[str]:
    problems = msgspec.json.decode(refused.value.metadata["data_validation_errors"])
    return [each["code"] for each in problems]


def test_a_schema_grows_up_to_a_bound_however_many_documents_add_to_it() -> None:
    refuse_large_schema(state_of(MOST_TYPES - 1), adding(1))
    with pytest.raises(InvalidArgument) as refused:
        refuse_large_schema(state_of(MOST_TYPES - 1), adding(2, icons=201))
    assert codes(refused) == ["OBJECT_SCHEMA_TOO_LARGE", "OBJECT_SCHEMA_TOO_LARGE"]
    refuse_large_schema(state_of(MOST_TYPES + 5), adding(0))


def test_an_attribute_has_so_many_options_however_many_documents_add_to_it() -> None:
    def state_having(count: int) -> SchemaState:
        options = tuple(map(str, range(count)))
        status = ObjectAttribute(7, 1, "State", "", "status", options, False, False, 0, 1, None, None, 0)
        return dataclasses.replace(state_of(2), attributes=(status,))

    def having(count: int) -> SchemaChanges:
        return dataclasses.replace(adding(0), attributes={7: {"options": tuple(map(str, range(count)))}})

    refuse_large_schema(state_having(1), having(MOST_OPTIONS))
    with pytest.raises(InvalidArgument) as refused:
        refuse_large_schema(state_having(MOST_OPTIONS), having(MOST_OPTIONS + 1))
    assert codes(refused) == ["TYPE_VALUES_TOO_MANY"]
    # An older release took more; they stay, and the attribute can be changed.
    refuse_large_schema(
        state_having(MOST_OPTIONS + 5), dataclasses.replace(adding(0), attributes={7: {"description": "New"}})
    )
    added = NewAttribute("t1", "a", "New", "", "select", ("x",) * 1_001, False, False, 0, 1, None, 0)
    with pytest.raises(InvalidArgument) as refused:
        refuse_large_schema(state_of(2), dataclasses.replace(adding(0), new_attributes=(added,)))
    assert codes(refused) == ["TYPE_VALUES_TOO_MANY"]


def test_a_mapping_has_so_many_different_patterns() -> None:
    many = [str(each) for each in range(MOST_PATTERNS)]
    refuse_large_mapping((mapping_of(*many), mapping_of(*many)))
    with pytest.raises(InvalidArgument) as refused:
        refuse_large_mapping((mapping_of(*many), mapping_of("another")))
    assert codes(refused) == ["MAPPING_TOO_LARGE"]
    with pytest.raises(InvalidArgument):
        refuse_large_mapping((mapping_of(),) * (MOST_MAPPINGS + 1))


def test_patterns_are_found_wherever_a_rule_has_them() -> None:
    rule = {
        "transformations": [{"type": "regex", "pattern": "a"}, {"type": "trim"}],
        "conditions": [
            {"when": {"any": [{"locator": "x", "operator": "matches", "values": ["b", "c"]}]}, "value": "no"},
            {"when": {"not": {"locator": "x", "operator": "matches", "value": "d"}}, "value": "no"},
            {"when": {"locator": "x", "operator": "equals", "value": "no"}, "value": "no"},
        ],
    }
    assert sorted(patterns_in([rule])) == ["a", "b", "c", "d"]

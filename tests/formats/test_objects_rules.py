"""The rules of a mapping document: what each means, and what is refused when it is saved."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.importer.formats.objects.mapping.documents import read_attribute_mapping
from services.importer.formats.objects.mapping.invalid import InvalidMapping
from tests.formats.mapped import mapped

PAGE = Path(__file__).parents[2] / "docs" / "field-mapping.md"
BLOCKS = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)]
SCHEMA = next(each for each in BLOCKS if "$schema" in each)
EXAMPLES = [each for each in BLOCKS if "attributeName" in each]


def by(*transformations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"attributeLocators": ["v"], "transformations": list(transformations), **more}


def when(condition: dict[str, Any], **then: Any) -> dict[str, Any]:
    return {"attributeLocators": ["v"], "conditions": [{"when": condition, **(then or {"value": "yes"})}]}


@pytest.mark.parametrize(
    ("transformations", "value", "stored"),
    [
        ([{"type": "trim"}], "  a ", "a"),
        ([{"type": "case", "to": "lower"}], "ÄB", "äb"),
        ([{"type": "case", "to": "upper"}], "ab", "AB"),
        ([{"type": "case", "to": "title"}], "don't STOP-the web_1", "Don't Stop-The Web_1"),
        ([{"type": "regex", "pattern": r"^(.*)\.example\.com$", "replacement": r"\1"}], "web.example.com", "web"),
        ([{"type": "regex", "pattern": "o", "replacement": "0"}], "foo", "f00"),
        ([{"type": "regex", "pattern": "é(.)", "replacement": r"\\\1\0é"}], "aéb", r"a\bébé"),
        ([{"type": "regex", "pattern": "x", "replacement": ""}], "abc", "abc"),
        ([{"type": "regex", "pattern": "v([0-9]+)"}], "release v12 v13", "12"),
        ([{"type": "regex", "pattern": "v[0-9]+"}], "release v12", "v12"),
        ([{"type": "regex", "pattern": "v([0-9]+)", "group": 0}], "release v12", "v12"),
        ([{"type": "regex", "pattern": "v([0-9]+)"}], "release", None),
        ([{"type": "regex", "pattern": "V([0-9]+)", "ignoreCase": True}], "v12", "12"),
        ([{"type": "split", "separator": ";", "index": 0}], "a; b;c", "a"),
        ([{"type": "split", "separator": ";", "index": 1}], "a; b;c", "b"),
        ([{"type": "split", "separator": ";", "index": -1}], "a; b;c", "c"),
        ([{"type": "split", "separator": ";", "index": -2}], "a; b;c", "b"),
        ([{"type": "split", "separator": ";", "index": 9}], "a;b", None),
        ([{"type": "split", "separator": ";"}, {"type": "join", "separator": "+"}], "a;;b", "a+b"),
        ([{"type": "date", "from": "dd.MM.yyyy"}], "05.06.2024", "2024-06-05"),
        ([{"type": "date", "from": ["dd.MM.yyyy", "MMM yyyy d"]}], "jun 2024 5", "2024-06-05"),
        ([{"type": "number", "decimalSeparator": ",", "groupingSeparator": "."}], "1.234,50", "1234.5"),
        ([{"type": "number", "decimalSeparator": ",", "groupingSeparator": " "}], "1\u00a0234,5", "1234.5"),
        ([{"type": "number", "groupingSeparator": ","}], "1,234", "1234"),
        ([{"type": "valueMap", "values": {"a": "A"}}], " a ", "A"),
        ([{"type": "valueMap", "values": {"a": "A"}}], "b", "b"),
        ([{"type": "valueMap", "values": {"a": "A"}, "otherwise": "empty"}], "b", None),
        ([{"type": "valueMap", "values": {"Straße": "A"}, "ignoreCase": True}], "STRASSE", "A"),
        ([{"type": "case", "to": "upper"}, {"type": "valueMap", "values": {"A": ""}}], "a", None),
    ],
)
def test_a_transformation(transformations: list[dict[str, Any]], value: str, stored: Any) -> None:
    assert mapped(value, by(*transformations)) == stored


@pytest.mark.parametrize(
    ("transformation", "value", "code"),
    [
        ({"type": "valueMap", "values": {"a": "A"}, "otherwise": "reject"}, "b", "VALUE_NOT_MAPPED"),
        ({"type": "number", "decimalSeparator": ",", "groupingSeparator": " "}, "1.5", "TYPE_MISMATCH"),
        ({"type": "number"}, "one", "TYPE_MISMATCH"),
        ({"type": "date", "from": "dd.MM.yyyy"}, "06/05/2024", "TYPE_MISMATCH"),
        ({"type": "split", "separator": ";"}, "a;b", "TOO_MANY_VALUES"),
        ({"type": "split", "separator": ";"}, ";".join("a" * 10_002), "TOO_MANY_VALUES"),
        ({"type": "regex", "pattern": "a"}, "a" * 16_385, "VALUE_TOO_LONG"),
    ],
)
def test_a_value_that_cannot_be_transformed_rejects_its_record(
    transformation: dict[str, Any], value: str, code: str
) -> None:
    assert mapped(value, by(transformation)) == code


def test_what_people_write_as_patterns_takes_no_time_of_its_own() -> None:
    began = time.process_time()
    for pattern in ("(a+)+$", "(a|a)*b", "((a*)*)*c", "(.*)(.*)(.*)(.*)x", "(x+x+)+y"):
        mapped("a" * 16_000 + "!", by({"type": "regex", "pattern": pattern}))
        mapped("x" * 16_000, by({"type": "regex", "pattern": pattern, "replacement": "y"}))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("mapping", "several"),
    [
        ({"template": "${v}${w}"}, ["x"] * 9_000),
        ({"attributeLocators": ["v", "w"]}, ["x"] * 9_000),
        ({"objectMappingIQL": "Name = ${v} AND Key = ${w}"}, ["x"] * 9_000),
        (by({"type": "valueMap", "values": {"x": "y" * 900_000}}, {"type": "join"}), ["x"] * 9_000),
        (by({"type": "regex", "pattern": "x", "replacement": "y" * 1_000}), ["x" * 16_000] * 60),
        (by({"type": "regex", "pattern": "x", "replacement": "y" * 1_000}), "x" * 16_000),
    ],
)
def test_a_few_values_do_not_become_more_than_memory_holds(mapping: dict[str, Any], several: Any) -> None:
    type_ = "referenced_object" if "objectMappingIQL" in mapping else "textarea"
    tracemalloc.start()
    try:
        made = mapped({"v": several, "w": "z" * 900_000}, mapping, type_, maximum=-1)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made == "VALUE_TOO_LONG"
    assert most < 64 << 20


def test_a_value_map_comes_after_all_transformations() -> None:
    assert mapped("PROD", by({"type": "case", "to": "lower"}, valueMap={"prod": "Production"})) == "Production"


@pytest.mark.parametrize(
    ("mapping", "record", "stored"),
    [
        ({"attributeLocators": ["a", "b"]}, {"a": "1", "b": "2"}, "1-2"),
        ({"attributeLocators": ["a", "b"], "concatenator": r"\s"}, {"a": "1", "b": "2"}, "1 2"),
        ({"attributeLocators": ["a", "b"], "concatenator": r'"\s"'}, {"a": "1", "b": "2"}, r"1\s2"),
        ({"attributeLocators": ["a", "b"], "concatenator": ""}, {"a": "1", "b": "2"}, "12"),
        ({"attributeLocators": ["a", "b", "c"]}, {"a": "1", "b": " ", "c": "3"}, "1-3"),
        ({"attributeLocators": ["a", "b"]}, {"a": "", "b": None}, None),
        ({"template": "${a} (${b})"}, {"a": "1", "b": "2"}, "1 (2)"),
        ({"template": "${a} (${b})"}, {"a": "1"}, "1 ()"),
        ({"template": "${a} (${b})"}, {}, None),
        ({"template": "${ a } $${b} $ {c} }"}, {"a": "1"}, "1 ${b} $ {c} }"),
        ({"template": "the same"}, {}, "the same"),
        ({"template": "${a.b}"}, {"a": {"b": "2"}}, "2"),
    ],
)
def test_a_concatenation(mapping: dict[str, Any], record: dict[str, Any], stored: Any) -> None:
    assert mapped(record, mapping) == stored


def test_several_values_are_joined_side_by_side() -> None:
    mapping = {"template": "${a}:${b}"}
    assert mapped({"a": ["1", "2"], "b": ["x", "y"]}, mapping, maximum=-1) == ["1:x", "2:y"]
    assert mapped({"a": ["1", "2"], "b": "x"}, mapping, maximum=-1) == ["1:x", "2:x"]
    assert mapped({"a": ["1", "2"]}, mapping, maximum=-1) == ["1:", "2:"]
    assert mapped({"a": ["1", None], "b": ["x", "y"]}, mapping, maximum=-1) == ["1:x", ":y"]
    assert mapped({"a": ["1", None], "b": ["", " "]}, {"attributeLocators": ["a", "b"]}, maximum=-1) == ["1"]
    assert mapped({"a": ["1", "2"], "b": ["x", "y", "z"]}, mapping, maximum=-1) == "VALUES_UNEVEN"
    assert mapped({"a": "x" * (3 << 20), "b": "y" * (3 << 20)}, mapping, maximum=-1) == "VALUE_TOO_LONG"


@pytest.mark.parametrize(
    ("operator", "value", "fitting", "other"),
    [
        ("equals", "prod", "prod", "Prod"),
        ("notEquals", "prod", "Prod", "prod"),
        ("contains", "ro", "prod", "test"),
        ("notContains", "ro", "test", "prod"),
        ("startsWith", "pr", "prod", "a prod"),
        ("endsWith", "od", "prod", "prods"),
        ("matches", "^pr?d?", "pxd", "test"),
        ("greaterThan", "9", "10", "9"),
        ("greaterOrEqual", "9", "9.0", "8.99"),
        ("lessThan", "10", "9", "10"),
        ("lessOrEqual", "b", "abc", "c"),
        ("lessThan", "b", "10", "c"),
    ],
)
def test_a_comparison(operator: str, value: str, fitting: str, other: str) -> None:
    mapping = when({"locator": "v", "operator": operator, "value": value})
    assert mapped(fitting, mapping) == "yes"
    assert mapped(other, mapping) == other


def test_comparisons_of_none_and_of_several() -> None:
    assert mapped("", when({"locator": "v", "operator": "isEmpty"})) == "yes"
    assert mapped("a", when({"locator": "v", "operator": "isNotEmpty"})) == "yes"
    assert mapped("", when({"locator": "v", "operator": "notEquals", "value": "a"})) == "yes"
    assert mapped("", when({"locator": "v", "operator": "equals", "value": ""})) is None
    assert mapped("b", when({"locator": "v", "operator": "in", "values": ["a", "b"]})) == "yes"
    assert mapped("c", when({"locator": "v", "operator": "notIn", "values": ["a", "b"]})) == "yes"
    assert mapped("B", when({"locator": "v", "operator": "in", "values": ["a", "b"], "ignoreCase": True})) == "yes"
    several = when({"locator": "t", "operator": "equals", "value": "x"})
    assert mapped({"v": "no", "t": ["w", "x"]}, several) == "yes"
    assert mapped({"v": "no", "t": ["w"]}, several) == "no"


def test_conditions_of_conditions() -> None:
    a, b = ({"locator": name, "value": "1"} for name in "ab")
    both, either, neither = {"all": [a, b]}, {"any": [a, b]}, {"not": {"any": [a, b]}}
    for condition, fitting in ((both, ["11"]), (either, ["11", "10", "01"]), (neither, ["00"])):
        for each in ("00", "01", "10", "11"):
            record = {"v": "no", "a": each[0], "b": each[1]}
            assert (mapped(record, when(condition)) == "yes") == (each in fitting)


def test_the_first_condition_that_holds_says_where_the_value_comes_from() -> None:
    mapping = {
        "attributeLocators": ["v"],
        "conditions": [
            {"when": {"locator": "t", "value": "1"}, "locators": ["a", "b"]},
            {"when": {"locator": "t", "operator": "in", "values": ["1", "2"]}, "template": "<${a}>"},
            {"when": {"locator": "t", "value": "3"}, "value": ""},
        ],
        "transformations": [{"type": "case", "to": "upper"}],
        "default": "none",
    }
    record = {"v": "v", "a": "a", "b": "b"}
    assert [mapped({**record, "t": each}, mapping) for each in "1234"] == ["A-B", "<A>", "none", "V"]


def test_a_default_is_for_what_is_empty() -> None:
    assert mapped("", {"attributeLocators": ["v"], "default": "5"}, "integer") == 5
    assert mapped("7", {"attributeLocators": ["v"], "default": "5"}, "integer") == 7
    assert mapped({}, {"default": " 12/31/2024 "}, "date") == "2024-12-31"
    assert mapped({}, {"default": "x"}, maximum=-1) == ["x"]
    assert mapped("", {"attributeLocators": ["v"], "default": " "}) is None


@pytest.mark.parametrize(
    ("mapping", "code", "place"),
    [
        ({}, "LOCATOR_MISSING", "attributeLocators"),
        ({"attributeLocators": []}, "LOCATOR_MISSING", "attributeLocators"),
        ({"attributeLocators": "v"}, "MAPPING_MALFORMED", "attributeLocators"),
        ({"attributeLocators": [""]}, "LOCATOR_INVALID", "attributeLocators"),
        ({"attributeLocators": [str(each) for each in range(51)]}, "LOCATOR_INVALID", "attributeLocators"),
        ({"attributeLocators": [5]}, "MAPPING_MALFORMED", "attributeLocators[0]"),
        ({"template": "${a"}, "TEMPLATE_INVALID", "template"),
        ({"template": "${}"}, "TEMPLATE_INVALID", "template"),
        ({"template": "${ }"}, "TEMPLATE_INVALID", "template"),
        ({"template": "x" * 4_097}, "TEMPLATE_INVALID", "template"),
        ({"template": "${a}" * 51}, "TEMPLATE_INVALID", "template"),
        ({"objectMappingIQL": "Name = x"}, "REFERENCE_QUERY_INVALID", "objectMappingIQL"),
        ({"objectMappingIQL": "Name = ${ }"}, "REFERENCE_QUERY_INVALID", "objectMappingIQL"),
        ({"objectMappingIQL": "${a}" + "x" * 4_096}, "MAPPING_MALFORMED", "objectMappingIQL"),
        ({"default": "x" * 16_385}, "MAPPING_MALFORMED", "default"),
        ({"default": 5}, "MAPPING_MALFORMED", "default"),
        ({"default": "a\0b"}, "MAPPING_MALFORMED", "default"),
        ({"default": "a\ud800"}, "MAPPING_MALFORMED", "default"),
        (by({"type": "trimm"}), "MAPPING_MALFORMED", "transformations[0].type"),
        (by({"type": "trim", "to": "x"}), "MAPPING_MALFORMED", "transformations[0]"),
        (by({"type": "case", "to": "camel"}), "MAPPING_MALFORMED", "transformations[0].to"),
        (by({"type": "trim"}, {"type": "regex", "pattern": "("}), "PATTERN_INVALID", "transformations[1].pattern"),
        (by({"type": "regex", "pattern": "(a)\\1"}), "PATTERN_INVALID", "transformations[0].pattern"),
        (by({"type": "regex", "pattern": "(?=a)"}), "PATTERN_INVALID", "transformations[0].pattern"),
        (by({"type": "regex", "pattern": ""}), "PATTERN_INVALID", "transformations[0].pattern"),
        (by({"type": "regex", "pattern": "a" * 1_001}), "PATTERN_INVALID", "transformations[0].pattern"),
        (by({"type": "regex", "pattern": "((a{100}){100}){100}"}), "PATTERN_INVALID", "transformations[0].pattern"),
        (by({"type": "regex", "pattern": "a", "group": 1}), "PATTERN_INVALID", "transformations[0].group"),
        (by({"type": "regex", "pattern": "a", "group": -1}), "PATTERN_INVALID", "transformations[0].group"),
        (
            by({"type": "regex", "pattern": "a", "replacement": r"\1"}),
            "PATTERN_INVALID",
            "transformations[0].replacement",
        ),
        (by({"type": "split", "separator": ""}), "TRANSFORMATION_INVALID", "transformations[0].separator"),
        (
            by({"type": "split", "separator": ";", "index": 10_000}),
            "TRANSFORMATION_INVALID",
            "transformations[0].index",
        ),
        (by({"type": "date", "from": []}), "DATE_FORMAT_INVALID", "transformations[0].from"),
        (by({"type": "date", "from": "x"}), "DATE_FORMAT_INVALID", "transformations[0].from"),
        (by({"type": "date", "from": "HH", "zone": "Mars/Base"}), "TIME_ZONE_UNKNOWN", "transformations[0].zone"),
        (by({"type": "date", "from": "HH", "zone": "../../etc"}), "TIME_ZONE_UNKNOWN", "transformations[0].zone"),
        (
            by({"type": "number", "decimalSeparator": ""}),
            "TRANSFORMATION_INVALID",
            "transformations[0].decimalSeparator",
        ),
        (
            by({"type": "number", "groupingSeparator": "."}),
            "TRANSFORMATION_INVALID",
            "transformations[0].decimalSeparator",
        ),
        (by({"type": "valueMap", "values": {}}), "TRANSFORMATION_INVALID", "transformations[0].values"),
        (by(*[{"type": "trim"}] * 51), "TRANSFORMATION_INVALID", "transformations"),
        (by(valueMap={}), "TRANSFORMATION_INVALID", "valueMap"),
        (by(valueMap={"a": 1}), "MAPPING_MALFORMED", "valueMap"),
        (by(valueMap=["a"]), "MAPPING_MALFORMED", "valueMap"),
        (when({}), "CONDITION_INVALID", "conditions[0].when"),
        (when({"locator": "a", "all": [{"locator": "b"}]}), "CONDITION_INVALID", "conditions[0].when"),
        (when({"attributeId": 5}), "CONDITION_INVALID", "conditions[0].when.locator"),
        (when({"locator": "a", "operator": "like"}), "MAPPING_MALFORMED", "conditions[0].when.operator"),
        (when({"locator": "a", "operator": "in"}), "CONDITION_INVALID", "conditions[0].when.values"),
        (when({"locator": "a", "operator": "matches", "value": "("}), "PATTERN_INVALID", "conditions[0].when.value"),
        (when({"all": [{"locator": "a"}, {"not": {}}]}), "CONDITION_INVALID", "conditions[0].when.all[1].not"),
        (when({"locator": "a"}, value="x", template="y"), "CONDITION_INVALID", "conditions[0]"),
        (when({"locator": "a"}, locators=[" "]), "LOCATOR_INVALID", "conditions[0].locators"),
        (when({"locator": "a"}, template="${"), "TEMPLATE_INVALID", "conditions[0].template"),
    ],
)
def test_a_rule_that_cannot_be_carried_out_is_refused_with_its_place(
    mapping: dict[str, Any], code: str, place: str
) -> None:
    with pytest.raises(InvalidMapping) as caught:
        read_attribute_mapping(mapping)
    assert (caught.value.code, caught.value.place) == (code, place)
    assert caught.value.message.endswith((".", "?"))


def nested(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"locator": "a"}
    for _ in range(depth):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        (when(nested(8)), "CONDITION_INVALID"),
        (when(nested(40)), "MAPPING_MALFORMED"),
        (when(nested(900)), "MAPPING_MALFORMED"),
        (when({"any": [{"locator": "a"}] * 201}), "CONDITION_INVALID"),
        ({"conditions": [{"when": {"locator": "a"}, "value": "x"}] * 101}, "CONDITION_INVALID"),
        (by(valueMap={str(each): "x" for each in range(10_001)}), "TRANSFORMATION_INVALID"),
        (when({"locator": "a", "operator": "in", "values": ["x"] * 10_001}), "CONDITION_INVALID"),
    ],
)
def test_rules_have_bounds(mapping: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidMapping) as caught:
        read_attribute_mapping(mapping)
    assert caught.value.code == code


def test_members_that_others_need_are_passed_over() -> None:
    mapping = {"attributeName": "Name", "attributeLocators": ["a"], "externalIdPart": True, "inheritance": False}
    assert read_attribute_mapping(mapping).locators == ("a",)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_page_are_mappings(example: dict[str, Any]) -> None:
    read_attribute_mapping(example)
    jsonschema.validate(example, SCHEMA)


def test_the_schema_of_the_page_says_the_same_as_the_code() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    good = [
        by({"type": "regex", "pattern": "a", "replacement": None, "group": 0, "ignoreCase": False}),
        by({"type": "date", "from": ["HH:mm"]}, {"type": "number"}, {"type": "join"}, valueMap={"a": ""}),
        when({"any": [{"locator": "a", "operator": "isEmpty"}, nested(3)]}, locators=["x"]),
        {"default": ""},
    ]
    bad = [
        {},
        {"attributeLocators": []},
        by({"type": "trimm"}),
        by({"type": "trim", "to": "x"}),
        by({"type": "case"}),
        by({"type": "valueMap", "values": {}}),
        when({"locator": "a", "operator": "like"}),
        when({"locator": "a", "all": [{"locator": "b"}]}),
        when({"locator": "a"}, value="x", template="y"),
    ]
    for mapping in good:
        read_attribute_mapping(mapping)
        assert not list(validator.iter_errors(mapping))
    for mapping in bad:
        assert list(validator.iter_errors(mapping))
        with pytest.raises(InvalidMapping):
            read_attribute_mapping(mapping)


def test_the_page_names_every_code_of_a_mapping() -> None:
    folder = Path(__file__).parents[2] / "services" / "importer" / "formats" / "objects"
    raised = {
        code
        for path in folder.rglob("*.py")
        for code in re.findall(r'InvalidMapping\(\s*"([A-Z_]+)"', path.read_text("utf-8"))
    }
    assert raised <= set(re.findall(r"`([A-Z_]+)`", PAGE.read_text("utf-8")))

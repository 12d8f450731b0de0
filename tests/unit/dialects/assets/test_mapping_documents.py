from __future__ import annotations

import base64
import copy
import struct
from typing import Any

import pytest
from jsonschema import Draft201909Validator

from dialects.assets.mapping_documents import read_document, rule_of, schema_and_mapping, without_nulls
from dialects.assets.mapping_rules import check_rules, is_icon
from dialects.assets.mapping_schemas import VERSIONS, mapping_schema
from dialects.assets.problems import PROBLEMS
from runtime.errors import InvalidArgument
from tests.mapping_samples import attribute, document, first, mapped, object_type, second, type_mapping

Json = dict[str, Any]


def icon(width: int = 48, height: int = 48) -> str:
    head = struct.pack(">8sI4sII", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", width, height)
    return base64.b64encode(head + b"\x08\x06\x00\x00\x00").decode()


def problems_of(payload: Json) -> list[tuple[str, str]]:
    return [(each.code, each.path) for each in check_rules(read_document(payload, is_partial=False))]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_are_json_schemas_at_their_address(version: Any) -> None:
    schema = mapping_schema(version, "https://hythe.example")
    Draft201909Validator.check_schema(schema)
    assert schema["$id"] == f"https://hythe.example/jsm/assets/imports/external/schema/versions/{version}"


def test_any_external_id_makes_a_document_one_of_2023_whatever_it_says() -> None:
    old = {**first(), "$schema": "https://api.example.com/versions/2023_10_19"}
    assert read_document(old, is_partial=False).version == "2021_09_15"
    new = {**second(), "$schema": "https://api.example.com/versions/2021_09_15"}
    assert read_document(new, is_partial=False).version == "2023_10_19"
    by_mapping = first()
    by_mapping["mapping"]["objectTypeMappings"][0]["objectTypeExternalId"] = "system"
    assert read_document(by_mapping, is_partial=False).version == "2023_10_19"


def test_a_status_is_of_2023_only() -> None:
    wanted = document(object_type("Host", attribute("State", "status")))
    with pytest.raises(InvalidArgument) as raised:
        read_document(wanted, is_partial=False)
    assert raised.value.metadata["field"] == "schema.objectSchema.objectTypes[0].attributes[0].type"


def test_a_reference_of_2021_needs_the_name_of_its_target() -> None:
    with pytest.raises(InvalidArgument):
        read_document(document(object_type("Host", attribute("At", "referenced_object"))), is_partial=False)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("", lambda each: each.pop("mapping")),
        ("schema.objectSchema", lambda each: each["schema"]["objectSchema"].pop("description")),
        ("schema.objectSchema.objectTypes", lambda each: each["schema"]["objectSchema"].update(objectTypes=[])),
        (
            "schema.objectSchema.objectTypes[0].attributes[0]",
            lambda each: each["schema"]["objectSchema"]["objectTypes"][0]["attributes"][0].pop("type"),
        ),
        (
            "mapping.objectTypeMappings[0].attributesMapping[0].attributeLocators",
            lambda each: each["mapping"]["objectTypeMappings"][0]["attributesMapping"][0].update(attributeLocators=[]),
        ),
        ("schema.statusSchema.statuses[0].category", lambda each: each["schema"].update(
            statusSchema={"statuses": [{"name": "In use", "description": "", "category": "lost"}]})),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_schema_is_refused_with_its_place(path: str, change: Any) -> None:
    wanted = second()
    change(wanted)
    with pytest.raises(InvalidArgument) as raised:
        read_document(wanted, is_partial=False)
    assert raised.value.reason == "INVALID_MAPPING"
    assert raised.value.metadata["field"] == path
    assert '"INVALID_DOCUMENT"' in raised.value.metadata[PROBLEMS]


def test_empty_lists_of_icons_and_statuses_are_taken_as_they_are_given() -> None:
    wanted = {**second()}
    wanted["schema"] = {**wanted["schema"], "iconSchema": {"icons": []}, "statusSchema": {"statuses": []}}
    assert read_document(wanted, is_partial=False).icons == ()


def test_members_that_nobody_knows_and_nulls_are_passed_over() -> None:
    wanted = first()
    wanted["schema"]["objectSchema"]["objectTypes"][0] |= {"inherited": 5, "iconKey": None}
    assert read_document(wanted, is_partial=False).types[0].icon_key == ""
    assert without_nulls({"a": [None, {"b": None}], "c": None}) == {"a": [None, {}]}


def test_a_partial_document_has_at_least_one_half() -> None:
    halves = first()
    assert read_document({"mapping": halves["mapping"]}, is_partial=True).types == ()
    assert read_document({"schema": halves["schema"]}, is_partial=True).mappings == ()
    with pytest.raises(InvalidArgument):
        read_document({}, is_partial=True)


def test_good_documents_have_no_problems() -> None:
    assert problems_of(first()) == []
    assert problems_of(second()) == []


TYPES = "schema.objectSchema.objectTypes"


@pytest.mark.parametrize(
    ("problem", "types"),
    [
        (("EXTERNAL_ID_MISSING", f"{TYPES}[0].attributes[0]"), [object_type("A", attribute("N"), externalId="a")]),
        (("EXTERNAL_ID_MISSING", f"{TYPES}[1]"), [object_type("A", externalId="a"), object_type("B")]),
        (
            ("EXTERNAL_ID_DUPLICATE", f"{TYPES}[0].attributes[0]"),
            [object_type("A", attribute("N", externalId="a"), externalId="a")],
        ),
        (("NAME_DUPLICATE", f"{TYPES}[1]"), [object_type("Host"), object_type("HOST")]),
        (("NAME_DUPLICATE", f"{TYPES}[0].attributes[1]"), [object_type("A", attribute("N"), attribute("n"))]),
        (("SEVERAL_LABELS", f"{TYPES}[0].attributes[1]"), [
            object_type("A", attribute("N", label=True), attribute("M", label=True))]),
        (("LABEL_IS_REFERENCE", f"{TYPES}[0].attributes[0]"), [
            object_type("A", attribute("N", "referenced_object", referenceObjectTypeName="A", label=True))]),
        (("REFERENCE_TARGET_MISSING", f"{TYPES}[0].attributes[0]"), [
            object_type("A", attribute("N", "referenced_object", externalId="n"), externalId="a")]),
        (("EXTERNAL_ID_REQUIRED", f"{TYPES}[0].attributes[0]"), [object_type("A", attribute("N", unique=True))]),
        (("EXTERNAL_ID_REQUIRED", f"{TYPES}[0].attributes[0]"), [
            object_type("A", attribute("N", minimumCardinality=1))]),
        (("INVALID_CARDINALITY", f"{TYPES}[0].attributes[0]"), [
            object_type("A", attribute("N", externalId="n", minimumCardinality=3), externalId="a")]),
        (("INVALID_CARDINALITY", f"{TYPES}[0].attributes[0]"), [
            object_type("A", attribute("N", externalId="n", maximumCardinality=0), externalId="a")]),
        (("INHERITANCE_WITHOUT_PARENT", f"{TYPES}[0]"), [object_type("A", inheritance=True)]),
        (("INVALID_NAME", f"{TYPES}[0].name"), [object_type("  ")]),
        (("INVALID_NAME", f"{TYPES}[0].attributes[0].name"), [object_type("A", attribute("a\0b"))]),
    ],
)  # fmt: skip
def test_each_rule_of_a_document_is_held_to(problem: tuple[str, str], types: list[Json]) -> None:
    assert problems_of(document(*types)) == [problem]


def test_types_of_one_name_may_stand_under_different_ones() -> None:
    kinds = [object_type(name, children=[object_type("Other")]) for name in ("Host", "Phone")]
    assert problems_of(document(*kinds)) == []


def test_usual_cardinalities_need_no_external_ids() -> None:
    usual = attribute("N", minimumCardinality=0, maximumCardinality=1, unique=False)
    assert problems_of(document(object_type("A", usual))) == []


def test_documents_have_bounds() -> None:
    many = document(*(object_type(f"Type {number}") for number in range(501)))
    assert problems_of(many) == [("DOCUMENT_TOO_LARGE", TYPES)]
    wide = document(object_type("A", *(attribute(f"N{number}") for number in range(5_001))))
    assert problems_of(wide) == [("DOCUMENT_TOO_LARGE", "schema.objectSchema")]
    mappings = tuple(type_mapping("A", f"s{number}", mapped("N")) for number in range(1_001))
    assert problems_of(document(object_type("A"), mappings=mappings)) == [
        ("DOCUMENT_TOO_LARGE", "mapping.objectTypeMappings")
    ]
    deep = object_type("T0")
    for number in range(1, 12):
        deep = object_type(f"T{number}", children=[deep])
    assert [code for code, _ in problems_of(document(deep))] == ["DOCUMENT_TOO_DEEP"]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (icon(), True),
        (icon(width=47), False),
        (icon(height=96), False),
        ("no Base64!", False),
        (base64.b64encode(b"GIF89a").decode(), False),
        ("", False),
        (icon() + "A" * 100_000, False),
    ],
)
def test_an_icon_is_a_small_png_of_48_pixels(text: str, good: bool) -> None:
    assert is_icon(text) is good


def test_icons_and_statuses_are_there_once() -> None:
    icons = [{"key": "host", "name": "Host", "png48": icon()}] * 2
    status = {"name": "In use", "description": "", "category": "active"}
    wanted = second()
    wanted["schema"] |= {"iconSchema": {"icons": icons}, "statusSchema": {"statuses": [status, status]}}
    assert problems_of(wanted) == [
        ("ICON_KEY_DUPLICATE", "schema.iconSchema.icons[1]"),
        ("NAME_DUPLICATE", "schema.statusSchema.statuses[1].name"),
    ]
    wanted["schema"]["iconSchema"]["icons"] = [{"key": "host", "name": "Host", "png48": icon(32)}]
    assert problems_of(wanted)[0] == ("INVALID_ICON", "schema.iconSchema.icons[0].png48")


def test_the_rule_of_an_attribute_is_all_that_does_not_name_it() -> None:
    members = {**mapped("Name"), "attributeExternalId": "n", "externalIdPart": True, "default": "x"}
    assert rule_of(members) == {"attributeLocators": ["name"], "default": "x"}


def test_what_is_shown_always_has_a_list_of_icons_without_any() -> None:
    stored = copy.deepcopy(second())
    assert schema_and_mapping(stored)["schema"]["iconSchema"] == {"icons": []}
    assert "iconSchema" not in stored["schema"]

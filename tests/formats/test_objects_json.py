"""JSON of objects: where records are, where their values are, and what is wrong with a document."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.importer.formats.kit.format import DamagedFile, Format, WrongFormat
from services.importer.formats.objects.json import CHUNKS, DOCUMENTS
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import ObjectRecord, Remark
from tests.formats.mapped import adapted, attribute, from_json, mapped, one_value, plan_of, told, type_plan, values

PLAN = plan_of(one_value())


def named(selector: str, type_id: int = 10, locator: str = "name") -> Any:
    return type_plan(attribute(type_id, "Name", "text", locator), type_id=type_id, selector=selector)


def labels(found: list[Any]) -> list[Any]:
    return [each.label if isinstance(each, ObjectRecord) else each for each in found]


def paths(format_: Format, plan: ObjectPlan, value: Any) -> list[tuple[int, str]]:
    walk = adapted(format_, plan).walk(BytesIO(json.dumps(value, indent=0).encode()))
    return [(position.line, position.path) for _, position in walk]


@pytest.mark.parametrize(
    ("selector", "document", "found"),
    [
        ("", [{"name": "a"}, {"name": "b"}], ["a", "b"]),
        ("", {"name": "a"}, ["a"]),
        ("hosts", {"hosts": [{"name": "a"}, {"name": "b"}], "other": [{"name": "c"}]}, ["a", "b"]),
        ("hosts", {"hosts": {"name": "a"}}, ["a"]),
        ("hosts", {"hosts": []}, []),
        ("hosts", {"hosts": None}, []),
        ("a.b.c", {"a": {"x": 1, "b": {"c": [{"name": "a"}]}}}, ["a"]),
        ("a.b", {"a": [{"b": [{"name": "a"}]}, {"x": 1}, {"b": {"name": "b"}}, {"b": None}]}, ["a", "b"]),
        ("a[*].b[*]", {"a": [{"b": [{"name": "a"}]}]}, ["a"]),
        ("a", [{"a": [{"name": "a"}]}, {"a": {"name": "b"}}], ["a", "b"]),
        ("a", [[{"a": [{"name": "a"}]}]], ["a"]),
        ("hosts", {"hosts": [{"name": "a"}], "hosts2": [], "hostsX": {"hosts": [{"name": "b"}]}}, ["a"]),
    ],
)
def test_a_selector_leads_to_records(selector: str, document: Any, found: list[str]) -> None:
    assert labels(from_json(plan_of(named(selector)), document)) == found


def test_arrays_of_arrays_are_gone_through() -> None:
    deep = b"[" * 250 + b'{"a": [{"name": "x"}]}' + b"]" * 250
    assert labels(from_json(plan_of(named("a")), deep)) == ["x"]
    assert labels(from_json(plan_of(named("a.b")), b'{"a": ' + deep.replace(b'"a"', b'"b"') + b"}")) == ["x"]


def test_records_within_records_are_records_of_their_own() -> None:
    plan = plan_of(named("disks"), named("disks.files", 20), named("disks.files.tags", 30))
    document = {
        "disks": [
            {"name": "d1", "files": [{"name": "f1", "tags": [{"name": "t"}]}, {"name": ""}]},
            {"files": [{"name": "f3"}]},
            {"name": "d3", "files": {"name": "f4"}},
        ]
    }
    found = from_json(plan, document)
    empty = ("IDENTIFIER_EMPTY", "", 1)
    assert labels(found) == ["d1", "f1", "t", empty, empty, "f3", "d3", "f4"]
    assert [path for _, path in paths(DOCUMENTS, plan, document)] == [
        "disks[0]",
        "disks[0].files[0]",
        "disks[0].files[0].tags[0]",
        "disks[0].files[1]",
        "disks[1]",
        "disks[1].files[0]",
        "disks[2]",
        "disks[2].files",
    ]


def test_types_of_the_same_records_and_of_others() -> None:
    plan = plan_of(named("a"), named("b", 20), named("a", 30, "other"))
    found = from_json(plan, {"b": [{"name": "x"}], "a": [{"name": "y", "other": "z"}]})
    assert [(each.type_id, each.number, each.label) for each in found] == [(20, 0, "x"), (10, 0, "y"), (30, 1, "z")]


@pytest.mark.parametrize(
    ("locator", "record", "stored"),
    [
        ("a", {"a": "x"}, ["x"]),
        ("a", {"a": 5}, ["5"]),
        ("a", {"a": 1.50}, ["1.5"]),
        ("a", {"a": True}, ["true"]),
        ("a", {"a": None}, None),
        ("a", {}, None),
        ("a", {"a": ["x", 1, None, False, ["y"]]}, ["x", "1", "false", "y"]),
        ("a.b", {"a": {"b": "x"}}, ["x"]),
        ("a.b", {"a.b": "literal", "a": {"b": "x"}}, ["literal"]),
        ("a.b", {"a": [{"b": "x"}, {}, {"b": "y"}]}, ["x", "y"]),
        ("a.b", {"a": "x"}, None),
        ("a[*].b[*]", {"a": [{"b": ["x", "y"]}, {"b": "z"}]}, ["x", "y", "z"]),
        ("a[1].b", {"a": [{"b": "x"}, {"b": "y"}]}, ["y"]),
        ("a[5]", {"a": ["x"]}, None),
        ("a[0]", {"a": "x"}, ["x"]),
        ("a[*]", {"a": ["x", "y"]}, ["x", "y"]),
        ("first name", {"first name": "x"}, ["x"]),
        ("a-b:c/d", {"a-b:c/d": "x"}, ["x"]),
    ],
)
def test_a_locator_leads_to_values(locator: str, record: dict[str, Any], stored: Any) -> None:
    assert mapped(record, locator, maximum=-1) == stored


@pytest.mark.parametrize("record", [{"a": {"b": "x"}}, {"a": [{}]}, {"a": ["x", {}]}])
def test_an_object_is_no_value(record: dict[str, Any]) -> None:
    code = "VALUE_NOT_SCALAR"
    assert mapped(record, "a", maximum=-1) == code
    found = from_json(plan_of(one_value("text", "a")), [{"n": "x", "a": 1}, {"n": "y", **record}, {"n": "z", "a": 2}])
    assert values(found) == ["1", code, "2"]


def test_an_array_of_too_many_values_rejects_its_record() -> None:
    assert mapped({"a": ["x"] * 10_001}, "a", maximum=-1) == "TOO_MANY_VALUES"
    assert len(mapped({"a": list(map(str, range(10_000)))}, "a", maximum=-1)) == 10_000


@pytest.mark.parametrize("locator", ["a[", "a[x]", "[0]", "a..b", ".a", "a.", "a[0]b", "a" * 513, ".".join("a" * 33)])
def test_a_locator_that_is_none_is_refused(locator: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        mapped({}, locator)
    assert caught.value.code == "MAPPING_INVALID"


@pytest.mark.parametrize("selector", ["a..b", ".a", "a.", "a[0]", "a b".join("." * 40), "x" * 513])
def test_a_selector_that_is_none_is_refused(selector: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        from_json(plan_of(named(selector)), {})
    assert caught.value.code == "MAPPING_INVALID"


@pytest.mark.parametrize("value", ["text", 5, True, [], ["x"]])
def test_what_is_no_object_is_no_record(value: Any) -> None:
    found = from_json(plan_of(named("a")), {"a": [{"name": "x"}, value, {"name": "y"}]})
    assert labels(found) == ["x", ("NOT_AN_OBJECT", "", 1), "y"]


def test_documents_may_follow_each_other() -> None:
    lines = b'{"n": "a", "v": "1"}\n{"n": "b", "v": "2"}\r\n\n {"n": "c",\n "v": "3"}{"n": "d", "v": "4"}\n'
    assert values(from_json(PLAN, lines)) == ["1", "2", "3", "4"]
    assert [position.line for _, position in adapted(DOCUMENTS, PLAN).walk(BytesIO(lines))] == [1, 2, 4, 5]
    wrapped = b'{"a": [{"name": "x"}]}\n{"b": {"name": "y"}}\n{"a": {"name": "z"}}\n'
    assert labels(from_json(plan_of(named("a"), named("b", 20)), wrapped)) == ["x", "y", "z"]


def chunk(value: Any, plan: ObjectPlan | None = None) -> list[Any]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return told(CHUNKS, plan or plan_of(named("hosts"), named("hosts.disks", 20)), data)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": {"hosts": [{"name": "a", "disks": [{"name": "d"}]}]}, "clientGeneratedId": "1"}, ["a", "d"]),
        ({"completed": True, "clientGeneratedId": "1", "data": {"hosts": [{"name": "a"}]}}, ["a"]),
        ({"completed": True}, []),
        ({"data": {}, "completed": True}, []),
        ({"data": None}, []),
        ({"data": []}, []),
        ({"hosts": [{"name": "a"}], "data": {"other": 1}}, []),
        ({"data": {"data": {"hosts": [{"name": "a"}]}, "hosts": [{"name": "b"}]}}, ["b"]),
    ],
)
def test_a_chunk_holds_its_records_in_data(body: dict[str, Any], found: list[str]) -> None:
    assert labels(chunk(body)) == found


def test_places_in_a_chunk_are_those_of_its_body() -> None:
    body = {"data": {"hosts": [{"name": "a"}, {"name": "b"}]}}
    assert paths(CHUNKS, plan_of(named("hosts")), body) == [(4, "data.hosts[0]"), (7, "data.hosts[1]")]


def test_a_selector_that_leads_nowhere_is_a_remark_of_a_file_and_none_of_a_chunk() -> None:
    plan = plan_of(named("a"), named("b.c", 20))
    found = from_json(plan, {"a": [{"name": "x"}], "b": {}})
    assert labels(found) == ["x", Remark("SELECTOR_NOT_FOUND", "There is nothing at these selectors: b.c.")]
    assert chunk({"data": {"a": [{"name": "x"}]}}, plan)[1:] == []


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "EMPTY_FILE", 0),
        (b" \r\n\t", "EMPTY_FILE", 0),
        (b"\xef\xbb\xbf", "EMPTY_FILE", 0),
        (b'[{"n": "a"}', "TRUNCATED", 1),
        (b'[{"n": "a"},\n{"n": "b', "TRUNCATED", 2),
        (b'[{"n": "a"}\n{"n": "b"}]', "MALFORMED_JSON", 2),
        (b'[{"n": "a",}]', "MALFORMED_JSON", 1),
        (b'{"n": "a"} trailing', "MALFORMED_JSON", 1),
        (b'[{"n": a}]', "MALFORMED_JSON", 1),
        (b'[{"n": ' + b"[" * 300 + b"]" * 300 + b"}]", "TOO_DEEP", 1),
        (b"[" * 100_000, "TOO_DEEP", 1),
        (b'[{"n": ' * 100_000, "TOO_DEEP", 1),
    ],
)
def test_a_document_that_is_damaged_is_refused_with_its_line(data: bytes, code: str, line: int) -> None:
    for plan in (PLAN, plan_of(named("n"))):
        with pytest.raises(DamagedFile) as caught:
            from_json(plan, data)
        assert caught.value.code == code
        assert caught.value.position.line == line


@pytest.mark.parametrize("data", [b"n,v\n1,2\n", b"5", b'"text"', b"<a/>", b"%PDF-1.7 xxxxxxx", b"null"])
def test_what_is_no_json_of_records_is_refused(data: bytes) -> None:
    for format_ in (DOCUMENTS, CHUNKS):
        with pytest.raises(WrongFormat):
            told(format_, PLAN, data)
    with pytest.raises(WrongFormat):
        told(CHUNKS, PLAN, b"[]")


def test_something_behind_a_chunk_is_damage() -> None:
    with pytest.raises(DamagedFile) as caught:
        chunk(b'{"data": {}} {"data": {}}')
    assert caught.value.code == "MALFORMED_JSON"


def test_records_before_damage_come_out() -> None:
    items = adapted(DOCUMENTS, PLAN).walk(BytesIO(b'[{"n": "a", "v": "1"}, {"n": "b", "v": 2}, {"n'))
    assert values([*DOCUMENTS.read(next(items).raw), *DOCUMENTS.read(next(items).raw)]) == ["1", "2"]
    with pytest.raises(DamagedFile):
        next(items)


def test_characters_that_no_text_can_have_are_replaced_and_told() -> None:
    found = from_json(PLAN, b'[{"n": "a", "v": "x\\u0000y\\ud800"}, {"n": "b", "v": "\\ud83d\\ude00\xff"}]')
    assert values(found) == ["x\ufffdy\ufffd", "\U0001f600\ufffd"]
    assert {each.code for each in found if isinstance(each, Remark)} == {"INVALID_TEXT"}


def test_of_a_member_that_comes_twice_the_last_one_counts() -> None:
    assert values(from_json(PLAN, b'[{"n": "a", "v": "1", "v": "2"}]')) == ["2"]


def test_numbers_of_any_length_take_no_time() -> None:
    digits = b"9" * 1_000_000
    plan = plan_of(one_value("integer"))
    assert values(from_json(plan, b'[{"n": "a", "v": ' + digits + b'}, {"n": "b", "v": 1e999999}]')) == [
        "TYPE_MISMATCH",
        "TYPE_MISMATCH",
    ]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "n", "v"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES)
def test_any_document_is_read_or_refused(value: Any) -> None:
    plan = plan_of(one_value("integer", "v.a"), named("a", 20, "n"), named("a.b", 30, "v[*]"), named("a.b.a", 40, "n"))
    data = json.dumps(value).encode()
    try:
        found = told(DOCUMENTS, plan, data)
    except WrongFormat:
        assert not isinstance(value, dict | list)
    else:
        # A piece at a time, or whole: the same.
        assert told(DOCUMENTS, plan, b"\n" + data + b"\n") == [
            (each[0], each[1], each[2] + 1) if isinstance(each, tuple) else each for each in map(one_line_down, found)
        ]


def one_line_down(record: Any) -> Any:
    return msgspec.structs.replace(record, line=record.line + 1) if isinstance(record, ObjectRecord) else record

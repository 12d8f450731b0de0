"""The JSON twin of the sync file: the same records as the text, whatever the order of its members."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from bench.sync_files import cc5, cc5_json
from services.importer.formats.cc5.json import FORMAT, HELD
from services.importer.formats.cc5.text import FORMAT as TEXT
from services.importer.formats.kit.format import DamagedFile, Format, RecordError, WrongFormat
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Caution, Delete, Footer, Header, Upsert
from tests.formats.golden import DATA

METADATA = {"keys": ["id"], "entityType": "e", "workspaceId": "w", "bucketId": "b", "dataSource": "d", "flowType": "u"}
TYPES = {"id": "string", "n": "number", "t": "array", "o": "object", "b": "bool", "s": "string"}
MAPPINGS: dict[str, Any] = {code: {"code": code, "name": code, "type": type_} for code, type_ in TYPES.items()}
HEADER = {"customer": "c", "fileType": "cc5", "metadata": METADATA, "FieldMappings": MAPPINGS}


def document(**parts: Any) -> bytes:
    whole = {"header": HEADER, "data": [], "delete": [], "footer": {"total": 0}, "InstanceId": "ref-1", **parts}
    total = len(whole["data"] or ()) + len(whole["delete"] or ())
    return json.dumps({**whole, "footer": parts.get("footer", {"total": total})}).encode()


def read(data: bytes, demands: Demands | None = None, format_: Format = FORMAT) -> list[Any]:
    assert format_.adapt is not None
    adapted = format_.adapt(demands or Demands())
    found: list[Any] = []
    for raw, _ in adapted.walk(BytesIO(data)):
        try:
            found += adapted.read(raw)
        except RecordError as error:
            found.append((error.code, error.field, error.raw))
    return found


def without_lines(records: list[Any]) -> list[Any]:
    return [
        (each.key, json.loads(each.document))
        if isinstance(each, Upsert)
        else (each.key,)
        if isinstance(each, Delete)
        else each
        for each in records
    ]


def test_both_forms_of_a_file_say_the_same() -> None:
    texts = (DATA / "cc5" / "one-family.cc5txt").read_bytes(), (DATA / "cc5" / "one-family.json").read_bytes()
    text, twin = read(texts[0], format_=TEXT), read(texts[1])
    assert without_lines(text) == without_lines(twin)


def test_generated_files_of_both_forms_have_the_same_keys() -> None:
    text, twin = read(b"".join(cc5(500)), format_=TEXT), read(b"".join(cc5_json(500)))
    assert [each.key for each in twin[1:-1]] == [each.key for each in text[1:-1]]


@pytest.mark.parametrize(
    "wrap", [lambda body: body, lambda body: b'{"ActionId": "a", "ImportData": ' + body + b', "DryRun": true}']
)
def test_the_document_may_stand_in_a_member(wrap: Any) -> None:
    data = wrap(document(data=[{"id": "1"}]))
    assert FORMAT.sniff(data)
    header, row, footer = read(data)
    assert (header.reference_id, row.key, footer) == ("ref-1", '["1"]', Footer(1, ""))


def test_names_of_members_may_be_in_pascal_case() -> None:
    header = {"Customer": "c", "FileType": "cc5", "FieldMappings": MAPPINGS}
    header["Metadata"] = {name[0].upper() + name[1:]: value for name, value in METADATA.items()}
    data = json.dumps({"Header": header, "Data": [{"id": "1"}], "Footer": {"Total": 1}}).encode()
    assert read(data)[1] == Upsert('["1"]', '{"id":"1"}', 1)


def test_values_may_be_json_or_the_text_of_a_row() -> None:
    rows = [
        {"id": "1", "n": 1.50, "t": ["a,b", "c"], "o": {"b": 1, "a": 10**30}, "b": True, "s": "x"},
        {"id": "2", "n": "1.5", "t": "a,b,c", "o": '{"b":1,"a":2}', "b": "1", "s": 7},
        {"id": "3", "n": None, "t": [], "o": {}, "b": 0, "s": ""},
    ]
    documents = [each.document for each in read(document(data=rows)) if isinstance(each, Upsert)]
    assert documents == [
        '{"id":"1","n":1.5,"t":["a,b","c"],"o":{"b":1,"a":1000000000000000000000000000000},"b":true,"s":"x"}',
        '{"id":"2","n":1.5,"t":["a","b","c"],"o":{"b":1,"a":2},"b":true,"s":"7"}',
        '{"id":"3","o":{},"b":false}',
    ]


def test_texts_that_a_row_could_not_say_come_through() -> None:
    rows = [{"id": "1", "s": "#/# and #Enter# and a lone\nline"}]
    assert json.loads(read(document(data=rows))[1].document)["s"] == rows[0]["s"]


def test_a_dictionary_translates_values() -> None:
    mappings = {**MAPPINGS, "b": {"type": "bool", "dictionary": {"Y": True, "N": "false"}}}
    rows = [{"id": str(number), "b": value} for number, value in enumerate(["Y", "N", "1"])]
    found = read(document(header={**HEADER, "FieldMappings": mappings}, data=rows))
    assert ['"b":true' in each.document for each in found[1:4]] == [True, False, True]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("text", ("NOT_AN_OBJECT", "", "10")),
        ({"id": "1", "n": "x|y"}, ("TYPE_MISMATCH", "n", "10|1|x#/#y||||")),
        ({"id": "1", "other": 1}, ("COLUMN_NOT_DECLARED", "other", "10|1|||||")),
        ({"s": "x\ny"}, ("KEY_MISSING", "id", "10||||||x#Enter#y")),
        ({"id": "1", "o": [1]}, ("TYPE_MISMATCH", "o", "10|1|||[1]||")),
        ({"id": "1", "o": {"a": float("1e300")}}, ("TYPE_MISMATCH", "o", '10|1|||{"a":1e+300}||')),
    ],
)
def test_a_record_that_cannot_be_used_is_rejected_as_the_row_that_it_would_be(row: Any, told: Any) -> None:
    assert read(document(data=[row, {"id": "2"}]))[1:] == [
        told,
        Upsert('["2"]', '{"id":"2"}', 1),
        Footer(2, ""),
    ]


@pytest.mark.parametrize("key", ["F0", ["F0"], {"id": "F0"}])
def test_a_key_to_delete_is_an_object_an_array_or_a_value(key: Any) -> None:
    assert read(document(delete=[key]))[1] == Delete('["F0"]', 1)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"header": None}, "HEADER_INVALID"),
        ({"header": {**HEADER, "metadata": {**METADATA, "entityType": ""}}}, "HEADER_INVALID"),
        ({"header": {**HEADER, "metadata": {**METADATA, "keys": []}}}, "HEADER_INVALID"),
        ({"header": {**HEADER, "metadata": {**METADATA, "keys": ["x"]}}}, "HEADER_KEY_NOT_DECLARED"),
        ({"header": {**HEADER, "FieldMappings": {}}}, "HEADER_INVALID"),
        ({"header": {**HEADER, "FieldMappings": {**MAPPINGS, "x": {"type": "text"}}}}, "HEADER_TYPE_UNKNOWN"),
        ({"header": {**HEADER, "FieldMappings": {**MAPPINGS, "a|b": {"type": "string"}}}}, "HEADER_COLUMN_INVALID"),
        ({"header": {**HEADER, "FieldMappings": {**MAPPINGS, "a:b": {"type": "string"}}}}, "HEADER_COLUMN_INVALID"),
        ({"data": {}}, "HEADER_INVALID"),
        ({"data": [{"id": "1"}], "footer": {"total": 2}}, "FOOTER_COUNT_MISMATCH"),
        ({"footer": {"total": "x"}}, "FOOTER_INVALID"),
        ({"footer": None}, "FOOTER_MISSING"),
    ],
)
def test_a_document_that_breaks_a_rule_is_refused(parts: dict[str, Any], code: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        read(b'{"ImportData": ' + document(**parts) + b"}")
    assert (caught.value.code, caught.value.position.line) == (code, 1)


def test_a_job_may_do_without_the_footer_and_asks_for_its_workspace() -> None:
    found = read(document(footer=None), Demands(require_footer=False))
    assert [each.code for each in found if isinstance(each, Caution)] == ["FOOTER_MISSING"]
    with pytest.raises(DamagedFile) as caught:
        read(document(), Demands(workspaces=("other",)))
    assert caught.value.code == "WORKSPACE_MISMATCH"


def test_the_header_may_come_behind_a_batch_and_not_behind_more() -> None:
    def late(count: int) -> bytes:
        rows = [{"id": str(number)} for number in range(count)]
        return json.dumps({"ImportData": {"data": rows, "footer": {"total": count}, "header": HEADER}}).encode()

    found = read(late(HELD))
    assert isinstance(found[0], Header)
    assert len(found) == HELD + 2
    with pytest.raises(DamagedFile) as caught:
        read(late(HELD + 1))
    assert caught.value.code == "HEADER_INVALID"


def test_a_reference_behind_many_records_is_told_and_not_kept() -> None:
    rows = [{"id": str(number)} for number in range(HELD + 1)]
    found = read(document(data=rows))
    assert found[0].reference_id == ""
    assert [each.code for each in found if isinstance(each, Caution)] == ["REFERENCE_ID_LATE"]


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"header": {}}', b'{"data": [1, 2], "footer": {}}', b'{"header": 1}'])
def test_other_json_is_of_another_kind(data: bytes) -> None:
    assert not FORMAT.sniff(data)
    with pytest.raises(WrongFormat):
        read(data)

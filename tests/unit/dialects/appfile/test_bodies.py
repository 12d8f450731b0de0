from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.appfile.bodies import batch_body, import_body, path_body
from dialects.appfile.choices import Choices
from runtime.errors import InvalidArgument

# As published, with the values of the page.
PATH_REQUEST: dict[str, Any] = {
    "WorkspaceId": "example-workspace-id",
    "BucketId": "example-bucket-id",
    "EntityType": "example-entity-type",
    "FileName": "example-file-name.txt",
    "Folder": "example-folder",
    "Category": "example-category",
    "Tags": ["tag1", "tag2", "tag3"],
    "Metadata": {"key1": "value1", "key2": "value2"},
    "ActionId": "Track Id",
    "Description": "Track description",
}
IMPORT_REQUEST = {
    "ActionId": "example-action-id",
    "Description": "Track description",
    "FileType": "cc5",
    "FileId": "c1",
    "FilePath": "//bucket/path/to/c1/file.txt",
}
IMPORT_DATA: dict[str, Any] = {
    "header": {
        "customer": "CustomerName",
        "fileType": "FileType",
        "metadata": {"keys": ["pkfield1"], "entityType": "E", "workspaceId": "W", "bucketId": "B", "dataSource": "D"},
        "FieldMappings": {"pkfield1": {"code": "pkfield1", "name": "pk", "type": "string"}},
    },
    "data": [{"pkfield1": "value1", "field2": "value2"}],
    "delete": [{"pkfield1": "value1"}],
    "footer": {"total": 2},
    "InstanceId": "InstanceID",
}


def camel(members: Any) -> Any:
    """The same, in the other spelling, at every level."""
    if isinstance(members, dict):
        return {name[0].lower() + name[1:]: camel(value) for name, value in members.items()}
    return [camel(one) for one in members] if isinstance(members, list) else members


def pascal(members: Any) -> Any:
    if isinstance(members, dict):
        return {name[0].upper() + name[1:]: pascal(value) for name, value in members.items()}
    return [pascal(one) for one in members] if isinstance(members, list) else members


def refused(error: pytest.ExceptionInfo[InvalidArgument]) -> tuple[str, str | None]:
    return error.value.reason, error.value.metadata.get("field")


def test_a_path_is_asked_for_in_either_spelling() -> None:
    body = path_body(PATH_REQUEST)
    assert (body.workspace, body.bucket_id) == ("example-workspace-id", "example-bucket-id")
    assert (body.file_name, body.entity_type) == ("example-file-name.txt", "example-entity-type")
    assert (body.folder, body.category, body.tags) == ("example-folder", "example-category", ("tag1", "tag2", "tag3"))
    assert body.metadata == {"key1": "value1", "key2": "value2"}
    assert (body.action_id, body.description) == ("Track Id", "Track description")
    assert path_body(camel(PATH_REQUEST)) == body


def test_the_names_in_metadata_are_the_clients_own() -> None:
    assert path_body({"Metadata": {"Key": {"Inner": 1}, "key": None}}).metadata == {"Key": {"Inner": 1}, "key": None}


def test_what_is_null_is_not_said_and_the_published_spelling_goes_first() -> None:
    assert path_body({"FileName": None, "fileName": "a"}).file_name == "a"
    assert path_body({"FileName": "A", "fileName": "a"}).file_name == "A"
    assert path_body({}).file_name == ""


@pytest.mark.parametrize(
    ("members", "reason", "field"),
    [
        ({"FileName": 1}, "FIELD_NOT_TEXT", "FileName"),
        ({"Tags": "a"}, "INVALID_TAGS", "Tags"),
        ({"Tags": [1]}, "INVALID_TAGS", "Tags"),
        ({"Metadata": []}, "FIELD_NOT_OBJECT", "Metadata"),
        ({"Size": -1}, "INVALID_NUMBER", "Size"),
        ({"Size": 1.5}, "INVALID_NUMBER", "Size"),
        ({"Size": True}, "INVALID_NUMBER", "Size"),
        ({"Size": "nan"}, "INVALID_NUMBER", "Size"),
    ],
)
def test_a_member_of_another_kind_is_named(members: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        path_body(members)
    assert refused(error) == (reason, field)


def test_an_import_is_asked_for_in_either_spelling() -> None:
    body = import_body(IMPORT_REQUEST)
    assert (body.action_id, body.description) == ("example-action-id", "Track description")
    assert (body.file_id, body.choices) == ("c1", Choices())
    assert import_body(camel(IMPORT_REQUEST)) == body


def test_the_path_alone_names_the_file() -> None:
    assert import_body({"FileType": "CC5", "FilePath": "//bk/folder/c1/a.cc5txt"}).file_id == "c1"


@pytest.mark.parametrize(
    ("members", "reason", "field"),
    [
        ({"FileId": "c1"}, "FILE_TYPE_UNSUPPORTED", "FileType"),
        ({"FileId": "c1", "FileType": "csv"}, "FILE_TYPE_UNSUPPORTED", "FileType"),
        ({"FileType": "cc5"}, "FIELD_REQUIRED", "FileId"),
        ({"FileType": "cc5", "FilePath": "a"}, "FIELD_REQUIRED", "FileId"),
        ({"FileType": "cc5", "FileId": "c1", "FilePath": "//bk/c2/a"}, "FILE_PATH_MISMATCH", "FilePath"),
        ({"FileType": "cc5", "FileId": "c1", "DryRun": "perhaps"}, "INVALID_FLAG", "DryRun"),
        ({"FileType": "cc5", "FileId": "c1", "OnError": "never"}, "INVALID_POLICY", "OnError"),
        ({"FileType": "cc5", "FileId": "c1", "Empty": "drop"}, "INVALID_OPTION", "Empty"),
    ],
)
def test_an_import_that_cannot_be_meant_is_refused(members: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        import_body(members)
    assert refused(error) == (reason, field)


@pytest.mark.parametrize(
    ("said", "meant"), [(1, True), (0, False), (1.0, True), (0.0, False), (True, True), ("", None)]
)
def test_a_choice_may_come_as_a_number(said: Any, meant: bool | None) -> None:
    assert import_body({**IMPORT_REQUEST, "DryRun": said}).choices.dry_run is meant
    body = json.dumps({"ImportData": IMPORT_DATA, "DryRun": said}).encode()
    assert batch_body(body).choices.dry_run is meant


@pytest.mark.parametrize("said", [2, -1, 0.5, [], {}, [1]])
def test_any_other_value_is_no_truth(said: Any) -> None:
    with pytest.raises(InvalidArgument) as error:
        import_body({**IMPORT_REQUEST, "Force": said})
    assert refused(error) == ("INVALID_FLAG", "Force")


def test_a_number_beyond_all_others_is_refused() -> None:
    body = b'{"ImportData": {"data": [{}]}, "MaxErrors": 1' + b"0" * 400 + b"}"
    with pytest.raises(InvalidArgument) as error:
        batch_body(body)
    assert refused(error) == ("INVALID_NUMBER", "MaxErrors")


def test_choices_may_come_as_text() -> None:
    said = {"DryRun": "true", "Force": False, "OnError": "abort_above", "MaxErrors": "5", "MaxErrorPercent": 2.5,
            "ExpectedRecords": 7.0, "Sha256": " 0f ", "Empty": "Keep", "RequireFooter": "0"}  # fmt: skip
    expected = Choices(True, False, "abort_above", 5, 2.5, 7, "0f", True, False)
    assert import_body({**IMPORT_REQUEST, **said}).choices == expected
    assert import_body({**camel(IMPORT_REQUEST), **camel(said)}).choices == expected


@pytest.mark.parametrize("spelling", [lambda members: members, camel, pascal])
def test_records_are_looked_at_in_every_spelling(spelling: Any) -> None:
    body = {"ImportData": {**IMPORT_DATA, "data": [{"a": 1}] * 2}, "ActionId": "A", "DryRun": True}
    batch = batch_body(json.dumps(spelling(body)).encode())
    assert (batch.workspace, batch.bucket_id, batch.entity_type) == ("W", "B", "E")
    assert (batch.reference_id, batch.action_id, batch.description) == ("InstanceID", "A", "")
    assert batch.choices == Choices(dry_run=True)


@pytest.mark.parametrize(
    ("rows", "deletions", "is_taken"),
    [(0, 0, False), (1, 0, True), (0, 1, True), (600, 400, True), (600, 401, False), (1001, 0, False)],
)
def test_one_to_a_thousand_records_may_come_with_a_request(rows: int, deletions: int, is_taken: bool) -> None:
    body = json.dumps({"ImportData": {"data": [{}] * rows, "delete": [{}] * deletions}}).encode()
    if is_taken:
        batch_body(body)
        return
    with pytest.raises(InvalidArgument) as error:
        batch_body(body)
    assert refused(error) == ("RECORD_COUNT_INVALID", "ImportData")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b'{"ImportData": 1}', b'{"ImportData": null}', b'{"ImportData": {"data": {}}}',
     b'{"ImportData": {"header": [], "data": [{}]}}', b'{"ImportData": {"data": [{}]}} x',
     b'{"ImportData": {"data": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}}"],
)  # fmt: skip
def test_what_is_no_sync_file_in_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as error:
        batch_body(body)
    assert error.value.reason in {"INVALID_JSON", "RECORD_COUNT_INVALID"}

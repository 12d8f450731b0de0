"""The JSON form of a sync file through the API: what holds for the text holds for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.e2e.appfile import AppFile, appfile
from tests.stack import LiveStack

COLUMNS = {"entityId": "string", "name": "string", "status": "string", "familySize": "number", "disabled": "bool",
           "tags": "array"}  # fmt: skip
GOOD = {"entityId": "F1", "name": "Garcia", "disabled": False}


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


def document(caller: AppFile, data: Sequence[Any], delete: Sequence[Any] = ()) -> dict[str, Any]:
    """`ImportData` of these records and keys."""
    metadata = {
        "keys": ["entityId"],
        "entityType": "wks_family",
        "workspaceId": caller.workspace_id,
        "bucketId": caller.bucket,
        "dataSource": "cc-family",
        "fileCreateTime": "20260102030405",
        "flowType": "upsert",
    }
    mappings = {code: {"code": code, "name": code, "type": type_} for code, type_ in COLUMNS.items()}
    header = {"customer": "AGENCY01", "fileType": "json", "metadata": metadata, "FieldMappings": mappings}
    total = {"total": len(data) + len(delete)}
    return {"header": header, "data": list(data), "delete": list(delete), "footer": total, "InstanceId": "ref-0001"}


def sent(caller: AppFile, content: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The file, once its import has ended."""
    started = caller.data("POST", "/appfile/file/import/data", {"ImportData": content, **members})
    return caller.wait(started["FileId"])


def outcome(file: dict[str, Any]) -> tuple[str, int, int, int]:
    """Status; rows inserted, deleted, failed."""
    progress = file["Progress"]
    return file["Status"], progress["RowsInserted"], progress["RowsDeleted"], progress["RowsFailed"]


def test_rejected_records_come_back_as_a_sync_file_that_can_be_corrected_and_sent(caller: AppFile) -> None:
    data = [
        GOOD,
        {"entityId": "F2", "name": "left | right\r\nbelow", "familySize": "many", "disabled": 0, "tags": ["a", "b"]},
        {"name": "no key", "disabled": True},
        {"entityId": "F4", "name": "Ng", "status": "new", "disabled": "perhaps"},
    ]
    file = sent(caller, document(caller, data, delete=[{"entityId": "F9"}, {"name": "no key"}]))
    assert outcome(file) == ("ImportedWithErrors", 1, 0, 4)
    assert [(each["ErrorCode"], each["Field"]) for each in file["RowErrors"]] == [
        ("TypeMismatch", "familySize"),
        ("KeyMissing", "entityId"),
        ("TypeMismatch", "disabled"),
        ("KeyMissing", "entityId"),
    ]

    rejected = httpx.get(file["ErrorsUrl"]).text
    assert rejected.splitlines() == [
        "00|AGENCY01|json|20260102030405|ref-0001",
        f"01|wks_family|{caller.workspace_id}|{caller.bucket}|cc-family|upsert",
        "02|entityId",
        "03|" + "|".join(f"{code}: {type_}" for code, type_ in COLUMNS.items()),
        "10|F2|left #/# right#Enter#below||many|0|a,b",
        "10||no key|||true|",
        "10|F4|Ng|new||perhaps|",
        "90|",
        "99|4",
    ]
    again = caller.imported(rejected)
    assert outcome(again) == ("ImportedWithErrors", 0, 0, 4)
    assert httpx.get(again["ErrorsUrl"]).text == rejected

    # By whole lines: the names in the header may end as a row begins.
    corrected = rejected.replace("many", "4").replace("perhaps", "1")
    corrected = corrected.replace("\n10||", "\n10|F3|").replace("\n90|", "\n90|F1")
    assert outcome(caller.imported(corrected)) == ("Imported", 3, 1, 0)
    records = caller.records()
    assert set(records) == {"F2", "F3", "F4"}
    assert (records["F2"]["name"], records["F2"]["familySize"]) == ("left | right\r\nbelow", 4)
    assert records["F2"]["tags"] == ["a", "b"]


def test_records_are_tried_imported_once_repeated_by_force_and_undone(caller: AppFile) -> None:
    content = document(caller, [GOOD, {**GOOD, "entityId": "F2"}])
    dry = sent(caller, content, DryRun=True)
    assert (outcome(dry), dry["DryRun"]) == (("Imported", 2, 0, 0), True)
    assert caller.records() == {}

    file = sent(caller, content)
    assert outcome(file) == ("Imported", 2, 0, 0)
    caller.data("POST", "/appfile/file/import", {"FileType": "json", "FileId": file["FileId"]})
    assert caller.status(file["FileId"])["ImportId"] == file["ImportId"]
    forced = caller.forced(file["FileId"])
    assert (forced["Force"], forced["Progress"]["RowsUnchanged"]) == (True, 2)

    for _ in range(2):
        caller.undone(file["FileId"])
    assert caller.records() == {}
    assert caller.refused("POST", f"/appfile/file/{file['FileId']}/undo") == (409, "FileNotImported")


def test_a_file_of_the_json_form_is_uploaded_and_imported_like_one_of_text(caller: AppFile) -> None:
    content = httpx.Request("POST", "http://x", json=document(caller, [GOOD], delete=["F9"])).content
    file_id = caller.upload(content, FileName="families.json")
    caller.start(file_id, FileType="json")
    assert outcome(caller.wait(file_id)) == ("Imported", 1, 0, 0)
    assert set(caller.records()) == {"F1"}
    for cut in (0.2, 0.6, 0.95):
        file = caller.imported(content[: int(len(content) * cut)])
        assert (file["Status"], file["Progress"]["RowsApplied"]) == ("Failed", 0), cut

"""The examples of the published page, as they stand there, against what is answered.

Requests are sent with a workspace, a bucket and a file that there are; of answers every member and its type is looked
at, for values are the page's own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.appfile import NOTHING_WRONG, AppFile, appfile
from tests.e2e.recorder import contract
from tests.stack import LiveStack
from tests.sync_files import family

# "Get File Url", request and response.
PATH_REQUEST = {
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
REPLY = {
    "IsSuccess": True,
    "ResponseStatus": {
        "ErrorCode": "ErrorCodeValue",
        "Message": "StatusMessage",
        "StackTrace": "StackTraceDetails",
        "Errors": [],
    },
    "Data": {
        "ActionId": "example-action-id",
        "File": {},
        "FileId": "example-file-id",
        "FilePath": "//s3_bucket_name/path/to/file",
        "Url": "https://example.com/file/s3_signed_url",
    },
}
# "Import File", request; its response is "the same".
IMPORT_REQUEST = {
    "ActionId": "example-action-id",
    "Description": "Track description",
    "FileType": "cc5",
    "FileId": "example-file-id",
    "FilePath": "//s3_bucket_name/path/to/file",
}
IMPORT_ROUTES = ("/appfile/file/import", "/appdata/import/file/async")


@pytest.fixture(scope="module")
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


def shape(value: Any) -> Any:
    """Members and types; an object or a list that the page leaves empty may have anything in it."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return type(value).__name__


def published(answer: httpx.Response) -> dict[str, Any]:
    """Its `Data`, once the answer has the shape of the example: no member more or less."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    contract("appfile").check(answer)
    envelope: dict[str, Any] = answer.json()
    assert isinstance(envelope["Data"]["File"], dict)
    assert shape({**envelope, "Data": {**envelope["Data"], "File": {}}}) == shape(REPLY)
    assert (envelope["IsSuccess"], envelope["ResponseStatus"]) == (True, NOTHING_WRONG)
    data: dict[str, Any] = envelope["Data"]
    return data


def path_request(caller: AppFile) -> dict[str, Any]:
    return {**PATH_REQUEST, "WorkspaceId": caller.workspace_id, "BucketId": caller.bucket}


@pytest.mark.parametrize("route", IMPORT_ROUTES)
def test_each_step_is_answered_as_published(stack: LiveStack, caller: AppFile, route: str) -> None:
    """With the key alone: the workspace is in the body, as the page has it."""
    with httpx.Client(base_url=stack.url, headers={"x-api-key": stack.api_key}) as client:
        slot = published(client.post("/appfile/file/path", json=path_request(caller)))
        assert slot["ActionId"] == PATH_REQUEST["ActionId"]
        assert slot["FilePath"] == f"//{caller.bucket}/example-folder/{slot['FileId']}/example-file-name.txt"
        assert re.match(r"https?://", slot["Url"])
        for name in ("BucketId", "EntityType", "FileName", "Folder", "Category", "Tags", "Metadata"):
            assert slot["File"][name] == path_request(caller)[name]

        content = caller.file(family(secrets.token_hex(4)))
        sent = httpx.put(slot["Url"], content=content, headers={"Content-Type": "application/octet-stream"})
        assert sent.status_code == 200, sent.text

        body = {**IMPORT_REQUEST, "FileId": slot["FileId"], "FilePath": slot["FilePath"]}
        started = published(client.post(route, json=body))
        assert (started["ActionId"], started["Url"]) == (IMPORT_REQUEST["ActionId"], "")
        assert (started["FileId"], started["FilePath"]) == (slot["FileId"], slot["FilePath"])

        found = published(client.get(f"/appfile/file/{slot['FileId']}"))
        assert {**found, "File": {}} == {**started, "File": {}}
        assert found["File"]["Status"] in {"Queued", "Validating", "Importing", "Imported"}
    assert caller.wait(slot["FileId"])["Status"] == "Imported"


def test_what_is_not_said_is_there_and_empty(caller: AppFile) -> None:
    """Texts, lists and objects of their own type, so that a typed client can read them; an action id is made."""
    slot = published(caller.call("POST", "/appfile/file/path", {"FileName": "a.cc5txt"}))
    assert slot["ActionId"]
    file = slot["File"]
    assert (file["EntityType"], file["Folder"], file["Category"]) == ("", "", "")
    assert (file["Tags"], file["Metadata"]) == ([], {})
    nulls = {name: None for name in PATH_REQUEST if name != "FileName"} | {"FileName": "a.cc5txt"}
    again = published(caller.call("POST", "/appfile/file/path", nulls))
    own = ("FileId", "FilePath", "Url")
    assert {**again["File"], **dict.fromkeys(own)} == {**file, **dict.fromkeys(own)}


def test_the_status_has_each_documented_member_in_its_type(caller: AppFile) -> None:
    """Before the upload, and after an import with errors: the same members."""
    waiting = caller.path()["FileId"]
    failed = caller.imported(caller.file(family("s1"), family("s2", size="many")))["FileId"]
    shapes = []
    for file_id in (waiting, failed):
        data = published(caller.call("GET", f"/appfile/file/{file_id}"))
        assert data["Url"] == data["File"]["Url"] == ""
        shapes.append(data["File"])
    before, after = shapes
    assert set(before) == set(after)
    texts = ("FileId", "FileName", "FilePath", "Folder", "Category", "EntityType", "Sha256", "FileType", "Status",
             "PortalStatus", "ErrorsUrl", "ImportId", "ReferenceId", "DataSource", "DuplicateOf")  # fmt: skip
    for file in shapes:
        assert {name: type(file[name]) for name in texts} == dict.fromkeys(texts, str)
        assert {type(value) for value in file["Progress"].values()} == {int}
        assert (type(file["Size"]), type(file["Attempts"])) == (int, int)
        assert {type(file[name]) for name in ("Tags", "Logs", "RowErrors")} == {list}
        assert all(set(log) == {"At", "Level", "Message"} for log in file["Logs"])
    times = ("CreatedAt", "UploadedAt", "StartedAt", "FinishedAt")
    assert [before[name] for name in times[1:]] == [None, None, None]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", after[name]) for name in times)
    assert [after[name] for name in times] == sorted(after[name] for name in times)
    assert set(after["RowErrors"][0]) == {"Position", "Field", "ErrorCode", "Message", "Value"}
    assert (before["Progress"]["Percent"], after["Progress"]["Percent"]) == (0, 100)
    assert set(before["Progress"]) == {
        *("Percent", "BytesRead", "RowsRead", "RowsApplied", "RowsDeleted", "RowsFailed"),
        *("RowsInserted", "RowsUpdated", "RowsUnchanged", "RowsSkipped"),
    }

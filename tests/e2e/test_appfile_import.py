"""The AppFile API from the signed URL to the queued import, as the published page has it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import psycopg
import pytest

from hythe.upload.v1 import upload_pb2
from hythe.upload.v1.upload_pb2_grpc import UploadServiceStub
from tests.e2e.recorder import CheckedClient
from tests.stack import LiveStack

WORKSPACE, BUCKET = "ws-local", "bk-local"
OCTETS = {"content-type": "application/octet-stream"}
# As published, but for the workspace, which must be one's own.
PATH_REQUEST: dict[str, Any] = {
    "WorkspaceId": WORKSPACE,
    "BucketId": BUCKET,
    "EntityType": "wks_family",
    "FileName": "example-file-name.txt",
    "Folder": "example-folder",
    "Category": "example-category",
    "Tags": ["tag1", "tag2", "tag3"],
    "Metadata": {"key1": "value1", "key2": {"inner": [1, None, True]}},
    "ActionId": "Track Id",
    "Description": "Track description",
}
SUCCESS = {"ErrorCode": "", "Message": "", "StackTrace": "", "Errors": []}


def sync_file(*rows: str, count: int | None = None, workspace: str = WORKSPACE, bucket: str = BUCKET) -> bytes:
    """Of a kind that has no schema, and that no other test writes."""
    head = ("00|AGENCY01|cc5|20260102030405|ref-1", f"01|x_{secrets.token_hex(4)}|{workspace}|{bucket}|cc-x|upsert",
            "02|id", "03|id: string|name: string")  # fmt: skip
    return "\n".join((*head, *rows, f"99|{len(rows) if count is None else count}")).encode()


@pytest.fixture
def http(stack: LiveStack) -> Iterator[httpx.Client]:
    with CheckedClient(base_url=stack.url, headers={"x-api-key": stack.api_key}, timeout=60) as client:
        yield client


def data(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert (body["IsSuccess"], body["ResponseStatus"]) == (True, SUCCESS)
    found: dict[str, Any] = body["Data"]
    return found


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert (body["IsSuccess"], body["Data"], body["ResponseStatus"]["StackTrace"]) == (False, None, "")
    return answer.status_code, body["ResponseStatus"]["ErrorCode"]


def path(http: httpx.Client, **more: Any) -> dict[str, Any]:
    return data(http.post("/appfile/file/path", json={**PATH_REQUEST, **more}))


def uploaded(http: httpx.Client, content: bytes, **more: Any) -> dict[str, Any]:
    slot = path(http, **more)
    assert httpx.put(slot["Url"], content=content, headers=OCTETS).status_code == 200
    return slot


def imported(http: httpx.Client, slot: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"ActionId": slot["ActionId"], "Description": "d", "FileType": "cc5", "FileId": slot["FileId"], **more}
    return data(http.post("/appfile/file/import", json={**body, "FilePath": slot["FilePath"]}))


def import_rows(stack: LiveStack, file_id: str) -> list[dict[str, Any]]:
    """The imports of a file as they are stored, newest first, when all have ended."""
    query = "SELECT * FROM imports WHERE key LIKE %s ORDER BY import_id DESC"
    deadline = time.monotonic() + 60
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        while True:
            rows = connection.cursor(row_factory=psycopg.rows.dict_row).execute(query, [f"{file_id}/%"]).fetchall()
            if rows and all(row["ended_at"] for row in rows):
                return rows
            assert time.monotonic() < deadline, rows
            time.sleep(0.1)


def test_the_published_request_gets_the_published_answer(http: httpx.Client) -> None:
    slot = path(http)
    assert set(slot) == {"ActionId", "File", "FileId", "FilePath", "Url"}
    assert slot["ActionId"] == "Track Id"
    assert slot["FilePath"] == f"//{BUCKET}/example-folder/{slot['FileId']}/example-file-name.txt"
    assert slot["Url"].startswith(str(http.base_url))
    assert "X-Amz-Expires=900" in slot["Url"]
    file = slot["File"]
    for name in ("EntityType", "FileName", "Folder", "Category", "Tags", "Metadata"):
        assert file[name] == PATH_REQUEST[name]
    assert (file["BucketId"], file["FileId"], file["Url"]) == (BUCKET, slot["FileId"], slot["Url"])


def test_camel_case_is_understood_and_answered_in_pascal_case(http: httpx.Client) -> None:
    body = {name[0].lower() + name[1:]: value for name, value in PATH_REQUEST.items()}
    slot = data(http.post("/appfile/file/path", json=body))
    assert slot["File"]["Metadata"] == PATH_REQUEST["Metadata"]
    answer = http.post("/appfile/file/import", json={"fileType": "cc5", "fileId": slot["FileId"]})
    assert error(answer) == (409, "FileNotUploaded")


@pytest.mark.parametrize("route", ["/appfile/file/import", "/appdata/import/file/async"])
def test_a_file_goes_in_by_both_routes(http: httpx.Client, stack: LiveStack, route: str) -> None:
    slot = uploaded(http, sync_file("10|1|a", "10|2|b"))
    body = {"ActionId": "other", "Description": "why", "FileType": "cc5", "FileId": slot["FileId"]}
    started = data(http.post(route, json={**body, "FilePath": slot["FilePath"]}))
    assert (started["ActionId"], started["Url"]) == ("other", "")
    assert {name: started[name] for name in ("FileId", "FilePath")} == {
        name: slot[name] for name in ("FileId", "FilePath")
    }
    assert started["File"] == {**slot["File"], "Url": ""}
    (row,) = import_rows(stack, slot["FileId"])
    assert (row["state"], row["error_code"]) == ("SUCCEEDED", None)
    assert (row["action_id"], row["description"]) == ("other", "why")
    assert (row["data_source"], row["reference_id"]) == ("cc-x", "ref-1")


def test_a_file_is_imported_once_unless_it_is_forced(http: httpx.Client, stack: LiveStack) -> None:
    slot = uploaded(http, sync_file("10|1|a"))
    imported(http, slot)
    assert len(import_rows(stack, slot["FileId"])) == 1
    imported(http, slot)
    assert len(import_rows(stack, slot["FileId"])) == 1
    imported(http, slot, Force=True)
    assert [row["state"] for row in import_rows(stack, slot["FileId"])] == ["SUCCEEDED"] * 2


def test_the_choices_of_an_import_reach_it(http: httpx.Client, stack: LiveStack) -> None:
    slot = uploaded(http, sync_file("10|1|a"))
    imported(http, slot, dryRun=True, OnError="abortAbove", MaxErrors=3, Empty="keep", RequireFooter=False)
    (row,) = import_rows(stack, slot["FileId"])
    assert (row["dry_run"], row["policy"]["on_error"], row["policy"]["max_errors"]) == (True, "abort_above", 3)
    assert (row["policy"]["empty"], row["policy"]["require_footer"]) == ("keep", False)


def batch(count: int, **members: Any) -> dict[str, Any]:
    """As published, with so many records."""
    metadata = {"keys": ["id"], "entityType": f"x_{secrets.token_hex(4)}", "workspaceId": WORKSPACE,
                "bucketId": BUCKET, "dataSource": "cc-x", "fileCreateTime": "20260102030405",
                "flowType": "upsert"}  # fmt: skip
    columns = {name: {"code": name, "name": name, "type": "string"} for name in ("id", "name")}
    header = {"customer": "AGENCY01", "fileType": "json", "metadata": metadata, "FieldMappings": columns}
    rows = [{"id": str(number), "name": "n"} for number in range(count)]
    found = {"header": header, "data": rows, "delete": [], "footer": {"total": count}, "InstanceId": "instance-1"}
    return {"ImportData": found, **members}


@pytest.mark.parametrize("count", [1, 1_000])
def test_records_come_with_the_request_and_are_a_file_like_any_other(
    http: httpx.Client, stack: LiveStack, count: int
) -> None:
    started = data(http.post("/appfile/file/import/data", json=batch(count, ActionId="A")))
    assert (started["ActionId"], started["Url"]) == ("A", "")
    assert started["File"]["FileName"] == "instance-1.json"
    (row,) = import_rows(stack, started["FileId"])
    assert (row["state"], row["error_code"], row["reference_id"]) == ("SUCCEEDED", None, "instance-1")


def test_a_repeated_request_is_one_import(http: httpx.Client, stack: LiveStack) -> None:
    body, headers = batch(2), {"Idempotency-Key": secrets.token_hex(8)}
    first, second = (data(http.post("/appfile/file/import/data", json=body, headers=headers)) for _ in range(2))
    assert (first["FileId"], first["FilePath"]) == (second["FileId"], second["FilePath"])
    assert len(import_rows(stack, first["FileId"])) == 1


def test_records_of_several_mebibytes_pass_and_those_above_the_limit_do_not(http: httpx.Client) -> None:
    wide = batch(1_000)
    for row in wide["ImportData"]["data"]:
        row["name"] = "n" * 4_000
    data(http.post("/appfile/file/import/data", json=wide))
    for row in wide["ImportData"]["data"]:
        row["name"] = "n" * 17_000
    assert error(http.post("/appfile/file/import/data", json=wide)) == (413, "FileTooLarge")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (batch(0), (400, "RecordCountInvalid")),
        (batch(1_001), (400, "RecordCountInvalid")),
        ({}, (400, "RecordCountInvalid")),
        ({"ImportData": []}, (400, "InvalidJson")),
        (batch(1, DryRun="perhaps"), (400, "InvalidFlag")),
    ],
)
def test_records_that_cannot_be_a_file_are_refused_at_once(
    http: httpx.Client, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert error(http.post("/appfile/file/import/data", json=body)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"FileType": "cc5", "FileId": "c" + "0" * 24}, (404, "FileNotFound")),
        ({"FileType": "csv", "FileId": "c1"}, (400, "FileTypeUnsupported")),
        ({"FileType": "cc5"}, (400, "FieldRequired")),
        ({"FileType": "cc5", "FileId": 1}, (400, "FieldNotText")),
    ],
)
def test_an_import_that_cannot_be_is_refused(
    http: httpx.Client, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert error(http.post("/appfile/file/import", json=body)) == expected


def test_a_file_above_the_tenants_limit_is_refused_before_it_is_sent(http: httpx.Client) -> None:
    answer = http.post("/appfile/file/path", json={**PATH_REQUEST, "Size": 2**50})
    assert error(answer) == (413, "FileTooLarge")


def test_a_wrong_member_is_named_in_the_errors(http: httpx.Client) -> None:
    answer = http.post("/appfile/file/path", json={**PATH_REQUEST, "Tags": "one"})
    assert error(answer) == (400, "InvalidTags")
    assert answer.json()["ResponseStatus"]["Errors"][0]["FieldName"] == "Tags"


# Workspaces and credentials


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Param-Override-WorkspaceId": "nobodys"},
        {"X-Param-Override-BucketId": "nobodys"},
        {"X-Param-Override-WorkspaceId": "01990000-0000-7000-8000-000000000001"},
    ],
)
def test_another_workspace_or_bucket_is_not_for_this_credential(http: httpx.Client, headers: dict[str, str]) -> None:
    slot = uploaded(http, sync_file("10|1|a"))
    body = {"FileType": "cc5", "FileId": slot["FileId"]}
    for route, sent in (
        ("/appfile/file/path", PATH_REQUEST),
        ("/appfile/file/import", body),
        ("/appfile/file/import/data", batch(1)),
    ):
        assert error(http.post(route, json=sent, headers=headers)) == (403, "PermissionDenied")


def test_headers_choose_the_workspace_whatever_the_body_says(http: httpx.Client) -> None:
    headers = {"X-Param-Override-WorkspaceId": WORKSPACE, "X-Param-Override-BucketId": BUCKET}
    body = {**PATH_REQUEST, "WorkspaceId": "example-workspace-id", "BucketId": "example-bucket-id"}
    assert error(http.post("/appfile/file/path", json=body)) == (403, "PermissionDenied")
    assert data(http.post("/appfile/file/path", json=body, headers=headers))["File"]["BucketId"] == BUCKET


def test_without_a_word_about_it_the_workspace_is_the_oldest(http: httpx.Client) -> None:
    slot = data(http.post("/appfile/file/path", json={"FileName": "a.cc5txt"}))
    assert slot["FilePath"] == f"//{BUCKET}/{slot['FileId']}/a.cc5txt"
    assert slot["ActionId"]


def test_a_file_for_another_workspace_than_its_own_is_refused(http: httpx.Client, stack: LiveStack) -> None:
    for workspace, bucket in (("ws-other", BUCKET), (WORKSPACE, "bk-other")):
        slot = uploaded(http, sync_file("10|1|a", workspace=workspace, bucket=bucket))
        imported(http, slot)
        (row,) = import_rows(stack, slot["FileId"])
        assert row["state"] == "FAILED"
        assert "WORKSPACE" in row["error_code"]


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "hythe_no_such_key"}, {"authorization": "Bearer no.good.token"}])
@pytest.mark.parametrize("route", ["/appfile/file/path", "/appfile/file/import", "/appfile/file/import/data"])
def test_nobody_without_a_good_key_is_served(stack: LiveStack, route: str, headers: dict[str, str]) -> None:
    with CheckedClient(base_url=stack.url, headers=headers) as nobody:
        assert error(nobody.post(route, json=PATH_REQUEST)) == (401, "ApiKeyInvalid")


def test_a_service_that_is_down_is_said_in_this_apis_words(http: httpx.Client, stack: LiveStack) -> None:
    stack.stop("importer")
    try:
        answer = http.post("/appfile/file/import", json={"FileType": "cc5", "FileId": "c1"})
        assert error(answer) == (503, "ServiceUnavailable")
        # The upload service asks the importer for this one.
        answer = http.post("/appfile/file/import/data", json=batch(1))
        assert error(answer) == (503, "ImporterUnavailable")
    finally:
        stack.start("importer")


def test_the_native_api_reserves_the_same_files(stack: LiveStack, http: httpx.Client) -> None:
    with grpc.insecure_channel(stack.grpc) as channel:
        described = upload_pb2.RecordFile(workspace=WORKSPACE, category="native", tags=["t"])
        described.metadata.update({"k": json.loads('{"a": [1]}')})
        reply = UploadServiceStub(channel).CreateUpload(
            upload_pb2.CreateUploadRequest(file_name="n.cc5txt", record_file=described),
            metadata=(("x-api-key", stack.api_key),),
        )
    file = reply.upload.record_file
    assert (file.bucket_id, file.category, list(file.tags)) == (BUCKET, "native", ["t"])
    assert reply.upload.key == f"{file.file_id}/n.cc5txt"
    assert httpx.put(reply.url, content=sync_file("10|1|a")).status_code == 200
    started = data(http.post("/appfile/file/import", json={"FileType": "cc5", "FileId": file.file_id}))
    assert started["File"]["Metadata"] == {"k": {"a": [1]}}
    assert started["ActionId"] == file.action_id

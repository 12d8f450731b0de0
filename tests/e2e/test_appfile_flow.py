"""The published page "Importing File Through API", step by step, with the requests of its clients."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.appfile import NOTHING_WRONG, AppFile, appfile
from tests.stack import LiveStack
from tests.sync_files import family

# The request of the page, with a workspace and a bucket that there are.
ASKED: dict[str, Any] = {
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


@pytest.fixture(scope="module")
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


def camel(body: dict[str, Any]) -> dict[str, Any]:
    return {name[0].lower() + name[1:]: value for name, value in body.items()}


def asked(caller: AppFile) -> dict[str, Any]:
    return {**ASKED, "WorkspaceId": caller.workspace_id, "BucketId": caller.bucket}


def has_the_published_shape(answer: httpx.Response) -> dict[str, Any]:
    """The `Data` of the page's answer: these members, in this order, of these types."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    envelope = answer.json()
    assert set(envelope) == {"IsSuccess", "ResponseStatus", "Data"}
    assert envelope["IsSuccess"] is True
    assert envelope["ResponseStatus"] == NOTHING_WRONG
    data: dict[str, Any] = envelope["Data"]
    assert set(data) == {"ActionId", "File", "FileId", "FilePath", "Url"}
    assert isinstance(data["File"], dict)
    assert all(isinstance(data[name], str) for name in ("ActionId", "FileId", "FilePath", "Url"))
    assert data["FilePath"].startswith("//")
    return data


@pytest.mark.parametrize("spelled", [dict, camel], ids=["pascal", "camel"])
@pytest.mark.parametrize("route", ["/appfile/file/import", "/appdata/import/file/async"])
def test_the_page_works_word_for_word(stack: LiveStack, caller: AppFile, spelled: Any, route: str) -> None:
    with httpx.Client(base_url=stack.url, headers={"x-api-key": stack.api_key}) as client:
        # Step 1: a signed URL.
        slot = has_the_published_shape(client.post("/appfile/file/path", json=spelled(asked(caller))))
        assert slot["ActionId"] == "Track Id"
        assert slot["FilePath"].endswith("example-file-name.txt")
        assert slot["File"]["Tags"] == ["tag1", "tag2", "tag3"]
        assert slot["File"]["Metadata"] == {"key1": "value1", "key2": "value2"}
        assert client.get(f"/appfile/file/{slot['FileId']}").json()["Data"]["File"]["Status"] == "PendingUpload"

        # Step 2: the file goes there.
        content = caller.file(family(f"{spelled.__name__}-{route[4]}", "Garcia #/# Lee"), family("2"))
        sent = httpx.put(slot["Url"], content=content, headers={"Content-Type": "application/octet-stream"})
        assert sent.status_code == 200, sent.text
        assert client.get(f"/appfile/file/{slot['FileId']}").json()["Data"]["File"]["Status"] == "Uploaded"

        # Step 3: the import.
        body = {
            "ActionId": slot["ActionId"],
            "Description": "Track description",
            "FileType": "cc5",
            "FileId": slot["FileId"],
            "FilePath": slot["FilePath"],
        }
        started = has_the_published_shape(client.post(route, json=spelled(body)))
        assert (started["ActionId"], started["FileId"]) == ("Track Id", slot["FileId"])
        assert started["FilePath"] == slot["FilePath"]

        # The status, until there is nothing to wait for.
        file = caller.wait(slot["FileId"])
        assert (file["Status"], file["PortalStatus"]) == ("Imported", "successful")
        assert (file["EntityType"], file["ReferenceId"]) == ("wks_family", "ref-0001")
        assert file["Progress"]["Percent"] == 100
        assert (file["Progress"]["RowsRead"], file["Progress"]["RowsApplied"]) == (2, 2)
        found = caller.records()
        assert found[f"F{spelled.__name__}-{route[4]}"]["name"] == "Garcia | Lee"


def test_a_client_that_streams_a_file_as_dotnet_does(caller: AppFile, tmp_path: Any) -> None:
    """HttpClient.PutAsync(url, new StreamContent(stream)): a length, no content type, in pieces."""
    file = tmp_path / "families.cc5txt"
    file.write_text(caller.file(*(family(f"net-{number}") for number in range(500))))
    slot = caller.path(Size=file.stat().st_size)
    url = urlsplit(slot["Url"])
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    connection.putrequest("PUT", f"{url.path}?{url.query}", skip_accept_encoding=True)
    connection.putheader("Content-Length", str(file.stat().st_size))
    connection.endheaders()
    with file.open("rb") as stream:
        while piece := stream.read(4096):
            connection.send(piece)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()
    caller.start(slot["FileId"])
    assert caller.wait(slot["FileId"])["Progress"]["RowsInserted"] == 500


def test_a_stream_without_a_length_goes_up_as_well(caller: AppFile) -> None:
    """As axios sends a stream of a file, and HttpClient with TransferEncodingChunked."""
    slot = caller.path()
    content = caller.file(*(family(f"chunk-{number}") for number in range(50))).encode()
    pieces = (content[at : at + 1000] for at in range(0, len(content), 1000))
    sent = httpx.put(slot["Url"], content=pieces, headers={"Content-Type": "application/octet-stream"})
    assert sent.status_code == 200, sent.text
    caller.start(slot["FileId"])
    assert caller.wait(slot["FileId"])["Progress"]["RowsInserted"] == 50


def test_a_file_is_named_by_its_path_alone(caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family("path")))
    path = caller.status(file_id)["FilePath"]
    caller.data("POST", "/appfile/file/import", {"FileType": "cc5", "FilePath": path})
    assert caller.wait(file_id)["Status"] == "Imported"


def test_what_goes_wrong_before_an_import_is_told_at_once(stack: LiveStack, caller: AppFile) -> None:
    slot = caller.path()
    refused = caller.refused
    assert refused("POST", "/appfile/file/path", {}) == (400, "FieldRequired")
    assert refused("POST", "/appfile/file/import", {"FileType": "cc5", "FileId": slot["FileId"]}) == (
        409,
        "FileNotUploaded",
    )
    assert refused("POST", "/appfile/file/import", {"FileType": "cc4", "FileId": slot["FileId"]}) == (
        400,
        "FileTypeUnsupported",
    )
    assert refused("POST", "/appfile/file/import", {"FileType": "cc5", "FileId": "nobody"}) == (404, "FileNotFound")
    assert refused("GET", "/appfile/file/nobody") == (404, "FileNotFound")
    assert refused("POST", "/appfile/file/nobody/undo") == (404, "FileNotFound")
    assert refused("POST", f"/appfile/file/{slot['FileId']}/undo") == (409, "FileNotImported")
    assert refused("POST", f"/appfile/file/{slot['FileId']}/cancel") == (409, "FileNotImported")
    assert refused("POST", "/appfile/file/path", {"FileName": "a"}, **{"x-api-key": "wrong"}) == (401, "ApiKeyInvalid")
    elsewhere = {"X-Param-Override-WorkspaceId": "nowhere"}
    assert refused("POST", "/appfile/file/path", {"FileName": "a"}, **elsewhere) == (403, "PermissionDenied")
    with appfile(stack) as other:
        assert other.refused("GET", f"/appfile/file/{slot['FileId']}")[0] in {403, 404}
        assert other.refused("POST", f"/appfile/file/{slot['FileId']}/undo")[0] in {403, 404}


def test_records_come_with_the_request_in_the_json_form(caller: AppFile) -> None:
    body = {
        "ImportData": {
            "header": {
                "customer": "AGENCY01",
                "fileType": "cc5",
                "metadata": {
                    "keys": ["entityId"],
                    "entityType": "wks_family",
                    "workspaceId": caller.workspace_id,
                    "bucketId": caller.bucket,
                    "dataSource": "cc-family",
                    "fileCreateTime": "20260102030405",
                    "flowType": "upsert",
                },
                "FieldMappings": {
                    "entityId": {"code": "entityId", "name": "entityId", "type": "string"},
                    "name": {"code": "name", "name": "name", "type": "string"},
                    "disabled": {"code": "disabled", "name": "disabled", "type": "bool"},
                },
            },
            "data": [{"entityId": "FJ1", "name": "Okafor", "disabled": False}],
            "delete": [],
            "footer": {"total": 1},
            "InstanceId": "ref-json",
        }
    }
    file_id = caller.data("POST", "/appfile/file/import/data", body)["FileId"]
    file = caller.wait(file_id)
    assert (file["Status"], file["FileType"], file["ReferenceId"]) == ("Imported", "cc5", "ref-json")
    assert caller.records()["FJ1"]["name"] == "Okafor"

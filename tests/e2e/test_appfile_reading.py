"""What a client of the AppFile API reads: what became of its files, the rows that were rejected, the records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import httpx
import pytest

from hythe.status.v1 import status_pb2
from hythe.status.v1.status_pb2_grpc import StatusServiceStub
from tests.e2e.appfile import AppFile, appfile
from tests.e2e.recorder import contract
from tests.stack import LiveStack
from tests.sync_files import family

BAD = ("10|F3|Ng|new|many|0", "10||Nobody|new|1|0", "77|what")


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


def queried(caller: AppFile, body: Any, entity: str = "wks_family", **headers: str) -> dict[str, Any]:
    answer = caller.call("POST", f"/appdata/{entity}/query", body, **headers)
    assert answer.status_code == 200, answer.text
    contract("appfile").check(answer)
    document: dict[str, Any] = answer.json()
    return document


def test_a_file_is_followed_from_its_url_to_its_records(caller: AppFile) -> None:
    slot = caller.path(Folder="in")
    answer = caller.call("GET", f"/appfile/file/{slot['FileId']}")
    contract("appfile").check(answer)
    data = answer.json()["Data"]
    assert (data["FileId"], data["FilePath"], data["Url"]) == (slot["FileId"], slot["FilePath"], "")
    assert (data["File"]["Status"], data["File"]["PortalStatus"]) == ("PendingUpload", "pending")

    content = caller.file(family(1, "Garcia #/# Lee"), family(2), "90|F9")
    assert httpx.put(slot["Url"], content=content).status_code == 200
    uploaded = caller.status(slot["FileId"])
    assert (uploaded["Status"], uploaded["Size"]) == ("Uploaded", len(content.encode()))

    caller.start(slot["FileId"])
    file = caller.wait(slot["FileId"])
    answer = caller.call("GET", f"/appfile/file/{slot['FileId']}")
    contract("appfile").check(answer)
    assert (file["Status"], file["PortalStatus"], file["EntityType"]) == ("Imported", "successful", "wks_family")
    assert (file["DataSource"], file["ReferenceId"], file["FileType"]) == ("cc-family", "ref-0001", "cc5")
    assert file["Progress"]["Percent"] == 100
    assert (file["Progress"]["RowsRead"], file["Progress"]["RowsInserted"], file["Progress"]["RowsFailed"]) == (3, 2, 0)
    assert (file["ErrorsUrl"], file["RowErrors"], file["Error"]) == ("", [], None)
    assert file["Logs"][-1]["Message"] == "Import data succeed"
    assert file["CreatedAt"] <= file["UploadedAt"] <= file["StartedAt"] <= file["FinishedAt"]
    assert caller.records()["F1"]["name"] == "Garcia | Lee"


def test_rejected_rows_come_back_as_a_file_that_can_be_corrected_and_sent(caller: AppFile, stack: LiveStack) -> None:
    file = caller.imported(caller.file(family(1), *BAD, footer="99|3"))
    assert (file["Status"], file["PortalStatus"]) == ("ImportedWithErrors", "successful")
    assert [error["ErrorCode"] for error in file["RowErrors"]] == ["TypeMismatch", "KeyMissing", "RowTypeUnknown"]
    assert file["Progress"]["RowsFailed"] == 3

    answer = httpx.get(file["ErrorsUrl"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="errors-{file["ImportId"]}.cc5txt"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == caller.file(*BAD, footer="99|2")
    table = caller.http.get(f"/api/v2/my-imports/{file['ImportId']}/report").json()["url"]
    rows = list(csv.reader(io.StringIO(httpx.get(table).text, newline="")))
    assert [row[3] for row in rows[1:]] == ["TYPE_MISMATCH", "KEY_MISSING", "ROW_TYPE_UNKNOWN"]

    # As it is, it is rejected in the same way; corrected, it brings what was missing.
    again = caller.imported(answer.content)
    assert (again["Progress"]["RowsApplied"], httpx.get(again["ErrorsUrl"]).text) == (0, answer.text)
    mended = answer.text.replace("many", "4").replace("10||", "10|F4|").replace("77|what\n", "")
    assert caller.imported(mended)["Status"] == "Imported"
    assert set(caller.records()) == {"F1", "F3", "F4"}
    assert caller.records()["F3"]["familySize"] == 4

    signature = parse_qs(urlsplit(file["ErrorsUrl"]).query)["X-Amz-Signature"][0]
    for process in ("status", "gateway", "worker", "importer"):
        assert signature not in stack.log(process)


def test_a_file_that_cannot_be_applied_says_why(caller: AppFile) -> None:
    file = caller.imported(caller.file(family(1), footer="99|2"))
    answer = caller.call("GET", f"/appfile/file/{file['FileId']}")
    contract("appfile").check(answer)
    assert (file["Status"], file["PortalStatus"]) == ("Failed", "failed")
    assert file["Error"]["ErrorCode"] == "FooterCountMismatch"
    assert file["Logs"][-1]["Level"] == "Error"
    assert caller.records() == {}


def test_records_are_found_by_their_fields(caller: AppFile) -> None:
    rows = [family(number, f"N{number % 3}", size=str(number)) for number in range(10)]
    assert caller.imported(caller.file(*rows))["Status"] == "Imported"
    everything = queried(caller, {"Take": 3})
    assert (everything["Total"], len(everything["Data"])) == (10, 3)
    body = {"Query": {"familySize": {"$gte": 5}, "name": {"$in": ["N0", "N1"]}}, "Sort": {"name": -1, "familySize": 1}}
    assert [each["entityId"] for each in queried(caller, body)["Data"]] == ["F7", "F6", "F9"]
    camel = {name[0].lower() + name[1:]: value for name, value in body.items()}
    assert queried(caller, camel)["Data"] == queried(caller, body)["Data"]
    shown = queried(caller, {"Fields": ["name"], "Distinct": True, "Sort": {"name": 1}, "WithoutTotal": True})
    assert shown["Data"] == [{"name": "N0"}, {"name": "N1"}, {"name": "N2"}]
    assert "Total" not in shown
    assert queried(caller, {"Query": {"entityId": "F3"}}, "family")["Total"] == 1
    assert queried(caller, None)["Total"] == 10
    caller.imported(caller.file("90|F3"))
    assert queried(caller, {"Query": {"entityId": "F3"}})["Data"] == []


def test_a_page_of_long_records_is_streamed(caller: AppFile) -> None:
    rows = [family(number, "x" * 20_000) for number in range(1_000)]
    assert caller.imported(caller.file(*rows))["Status"] == "Imported"
    page = queried(caller, {"Take": 1_000, "Sort": {"familySize": 1}})
    assert len(page["Data"]) == 1_000
    assert all(len(each["name"]) == 20_000 for each in page["Data"])


def test_what_cannot_be_read_is_refused_in_the_envelope(caller: AppFile) -> None:
    asked = "/appdata/wks_family/query"
    assert caller.refused("POST", asked, {"Query": {"a": {"$regex": "x"}}}) == (400, "UnknownOperator")
    assert caller.refused("POST", asked, {"Take": 1_001}) == (400, "InvalidQuery")
    answer = caller.http.post(asked, content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["ResponseStatus"]["ErrorCode"]) == (400, "InvalidJson")
    error = caller.call("POST", asked, {"Sort": []}).json()["ResponseStatus"]["Errors"]
    assert [(each["ErrorCode"], each["FieldName"]) for each in error] == [("InvalidQuery", "Sort")]
    assert caller.refused("POST", asked, {}, **{"X-Param-Override-WorkspaceId": "nowhere"}) == (403, "PermissionDenied")
    assert caller.refused("POST", asked, {}, **{"x-api-key": "wrong"}) == (401, "ApiKeyInvalid")
    assert caller.refused("GET", "/appfile/file/nobody") == (404, "FileNotFound")


def test_one_workspace_sees_nothing_of_another(caller: AppFile, stack: LiveStack) -> None:
    file = caller.imported(caller.file(family(1)))
    with appfile(stack) as other:
        assert queried(other, {})["Data"] == []
        assert other.refused("GET", f"/appfile/file/{file['FileId']}") == (404, "FileNotFound")
    by_file_id = httpx.get(f"{stack.url}/appfile/file/{file['FileId']}", headers={"x-api-key": stack.api_key})
    assert by_file_id.json()["Data"]["File"]["Status"] == "Imported"


def test_the_native_api_reads_the_same(caller: AppFile, stack: LiveStack) -> None:
    rows = [family(number) for number in range(5)]
    file = caller.imported(caller.file(*rows, *BAD, footer="99|7"))
    with grpc.insecure_channel(stack.grpc) as channel:
        status, metadata = StatusServiceStub(channel), (("x-api-key", stack.api_key),)
        known = status.GetRecordFile(
            status_pb2.GetRecordFileRequest(file_id=file["FileId"], workspace=caller.workspace_id),
            metadata=metadata,
        ).file
        keys, token = [], ""
        while True:
            request = status_pb2.ListRecordsRequest(
                workspace=caller.workspace_id, entity_type="wks_family", page_size=2, page_token=token
            )
            page = status.ListRecords(request, metadata=metadata)
            keys += [record.key for record in page.records]
            token = page.next_page_token
            if not token:
                break
        report = status_pb2.GetReportRequest(import_id=file["ImportId"], kind=status_pb2.REPORT_KIND_FILE)
        url = status.GetReport(report, metadata=metadata).url
    assert known.state == status_pb2.RECORD_FILE_STATE_IMPORTED_WITH_ERRORS
    assert getattr(known, "import").import_id == file["ImportId"]
    assert keys == [f'["F{number}"]' for number in range(5)]
    assert httpx.get(url).text == caller.file(*BAD, footer="99|2")

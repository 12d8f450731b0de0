"""What is told of a file of records: its state derived from imports and the object store, by both faces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import grpc
import pytest

from hythe.dialects.appfile.v1 import appfile_pb2
from hythe.status.v1 import status_pb2
from runtime.reports import error_file_key, errors_report_key
from tests.fakes.workspaces import FOREIGN, HOME, SECOND
from tests.integration.status.conftest import Api, as_, refusal
from tests.integration.status.rows import WHEN, WHEN_ISO

LATER = WHEN + timedelta(seconds=5)
LATER_ISO = "2026-03-04T05:06:12.890Z"
PAST = datetime(2026, 1, 1, tzinfo=UTC)
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND")


async def file(api: Api, file_id: str = "c0123", *headers: tuple[str, str], caller: str = "viewer") -> dict[str, Any]:
    request = appfile_pb2.GetFileRequest(file_id=file_id)
    document = await api.answered(api.appfile.GetFile(request, metadata=(*as_(caller), *headers)))
    assert document["IsSuccess"] is True
    assert document["ResponseStatus"] == {"ErrorCode": "", "Message": "", "StackTrace": "", "Errors": []}
    shown: dict[str, Any] = document["Data"]
    return shown


async def status(api: Api) -> tuple[str, str]:
    shown = (await file(api))["File"]
    return shown["Status"], shown["PortalStatus"]


async def native(api: Api, **named: str) -> status_pb2.RecordFile:
    request = status_pb2.GetRecordFileRequest(file_id="c0123", **named)
    return (await api.native.GetRecordFile(request, metadata=as_("viewer"))).file


async def put(api: Api, key: str, data: bytes = b"00|") -> None:
    await api.objects.put(api.objects.object_key(key), data, "application/octet-stream")


async def test_a_file_that_was_not_put_waits_until_its_url_ends(api: Api) -> None:
    api.rows.record_file()
    assert await status(api) == ("PendingUpload", "pending")
    api.rows.connection.execute("UPDATE files SET expires_at = now() - interval '1 s'")
    assert await status(api) == ("Expired", "failed")
    assert (await native(api)).state == status_pb2.RECORD_FILE_STATE_EXPIRED


async def test_a_file_that_was_put_is_uploaded_whatever_its_url(api: Api) -> None:
    key = api.rows.record_file(expires_at=PAST)
    api.objects.now = LATER
    await put(api, key, b"00|A|")
    shown = (await file(api))["File"]
    assert (shown["Status"], shown["PortalStatus"], shown["Size"]) == ("Uploaded", "pending", 5)
    assert (shown["CreatedAt"], shown["UploadedAt"]) == (WHEN_ISO, LATER_ISO)


@pytest.mark.parametrize(
    ("columns", "progress", "told"),
    [
        ({"state": "QUEUED"}, {}, ("Queued", "pending")),
        ({"state": "PAUSED"}, {"phase": "paused"}, ("Queued", "pending")),
        ({"state": "RUNNING"}, {"phase": "starting"}, ("Validating", "pending")),
        ({"state": "RUNNING"}, {"phase": "staging"}, ("Validating", "pending")),
        ({"state": "RUNNING"}, {"phase": "scanning"}, ("Validating", "pending")),
        ({"state": "RUNNING"}, {"phase": "merging records"}, ("Importing", "pending")),
        ({"state": "SUCCEEDED"}, {}, ("Imported", "successful")),
        ({"state": "SUCCEEDED"}, {"rejected": 1}, ("ImportedWithErrors", "successful")),
        ({"state": "FAILED", "error_code": "FOOTER_MISSING"}, {}, ("Failed", "failed")),
        ({"state": "CANCELLED", "error_code": "CANCELLED"}, {}, ("Cancelled", "failed")),
    ],
)
async def test_the_state_follows_the_import(
    api: Api, columns: dict[str, Any], progress: dict[str, Any], told: tuple[str, str]
) -> None:
    key = api.rows.record_file()
    await put(api, key)
    api.rows.records_import(key, progress=progress, **columns)
    assert await status(api) == told


async def test_the_last_import_counts_and_no_undo(api: Api) -> None:
    key = api.rows.record_file()
    first = api.rows.records_import(key, state="SUCCEEDED")
    last = api.rows.records_import(key, state="FAILED", error_code="FILE_CHANGED")
    api.rows.records_import(key, state="SUCCEEDED", kind="undo", origin="undo", origin_import_id=first)
    assert (await file(api))["File"]["ImportId"] == str(last)
    assert getattr(await native(api), "import").import_id == str(last)


async def test_an_import_goes_before_an_object_that_is_gone(api: Api) -> None:
    key = api.rows.record_file(expires_at=PAST)
    api.rows.records_import(key, state="SUCCEEDED")
    shown = (await file(api))["File"]
    assert (shown["Status"], shown["UploadedAt"], shown["Size"]) == ("Imported", None, 400)
    api.objects.is_down = True
    assert (await status(api)) == ("Imported", "successful")


async def test_what_only_the_object_store_knows_waits_for_it(api: Api) -> None:
    api.rows.record_file()
    api.objects.is_down = True
    request = appfile_pb2.GetFileRequest(file_id="c0123")
    refused = await refusal(api.appfile.GetFile(request, metadata=as_("viewer")))
    assert refused == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")


async def test_the_answer_has_the_whole_shape(api: Api) -> None:
    key = api.rows.record_file()
    api.objects.now = LATER
    await put(api, key)
    counted = {"percent": 100, "phase": "done", "processed_bytes": 400, "read": 10, "skipped": 1, "rejected": 1}
    counted |= {"inserted": 4, "updated": 1, "unchanged": 2, "deleted": 1}
    caution = {"code": "DUPLICATE_KEY_IN_FILE", "message": "The last row of a key counts.", "count": 1}
    import_id = api.rows.records_import(
        key,
        state="SUCCEEDED",
        progress={**counted, "cautions": [caution]},
        entity_type="wks_family",
        data_source="cc-family",
        reference_id="ref-0001",
        content_sha256=b"\1" * 32,
        started_at=LATER,
        ended_at=LATER,
    )
    api.rows.row_error(import_id, 5, field="familySize", code="TYPE_MISMATCH", raw="10|F4|x|four|")
    await put(api, error_file_key(1, import_id), b"...")
    data = await file(api)
    errors_url = data["File"].pop("ErrorsUrl")
    path = f"//bk-demo/in/{key}"
    assert data == {
        "ActionId": "action-1",
        "FileId": "c0123",
        "FilePath": path,
        "Url": "",
        "File": {
            "FileId": "c0123",
            "FileName": "families.cc5txt",
            "FilePath": path,
            "Url": "",
            "WorkspaceId": str(HOME.workspace_id),
            "BucketId": "bk-demo",
            "EntityType": "wks_family",
            "Folder": "in",
            "Category": "",
            "Tags": ["daily"],
            "Metadata": {"run": "7"},
            "Size": 400,
            "Sha256": "01" * 32,
            "FileType": "cc5",
            "Status": "ImportedWithErrors",
            "PortalStatus": "successful",
            "Progress": {
                "Percent": 100,
                "BytesRead": 400,
                "RowsRead": 10,
                "RowsApplied": 7,
                "RowsDeleted": 1,
                "RowsFailed": 1,
                "RowsInserted": 4,
                "RowsUpdated": 1,
                "RowsUnchanged": 2,
                "RowsSkipped": 1,
            },
            "CreatedAt": WHEN_ISO,
            "UploadedAt": LATER_ISO,
            "StartedAt": LATER_ISO,
            "FinishedAt": LATER_ISO,
            "Attempts": 2,
            "Logs": [
                {"At": WHEN_ISO, "Level": "Info", "Message": f"URL given: {path}"},
                {"At": LATER_ISO, "Level": "Info", "Message": f"Saving file: {path}"},
                {"At": WHEN_ISO, "Level": "Info", "Message": f"Import queued - {import_id}"},
                {"At": LATER_ISO, "Level": "Info", "Message": f"Saving data - {import_id}"},
                {
                    "At": WHEN_ISO,
                    "Level": "Warning",
                    "Message": "DuplicateKeyInFile: The last row of a key counts. (1)",
                },
                {"At": LATER_ISO, "Level": "Warning", "Message": "Rows rejected: 1"},
                {"At": LATER_ISO, "Level": "Info", "Message": "Import data succeed"},
            ],
            "ImportId": str(import_id),
            "DataSource": "cc-family",
            "ReferenceId": "ref-0001",
            "DryRun": False,
            "Force": False,
            "DuplicateOf": "",
            "UndoneAt": None,
            "Error": None,
            "RowErrors": [
                {
                    "Position": "line 5",
                    "Field": "familySize",
                    "ErrorCode": "TypeMismatch",
                    "Message": "The port is not a number from 0 to 65535.",
                    "Value": "x",
                }
            ],
        },
    }
    signed = urlsplit(errors_url)
    assert signed.path == f"/cloud/uploads/{error_file_key(1, import_id)}"
    query = parse_qs(signed.query)
    assert query["response-content-disposition"] == [f'attachment; filename="errors-{import_id}.cc5txt"']
    assert query["response-content-type"] == ["text/plain; charset=utf-8"]


async def test_a_failed_import_says_why(api: Api) -> None:
    key = api.rows.record_file()
    told: dict[str, Any] = {
        "error_code": "FOOTER_COUNT_MISMATCH",
        "error_message": "Row 99 says 3.",
        "error_position": "line 9",
    }
    api.rows.records_import(key, state="FAILED", ended_at=LATER, **told)
    shown = (await file(api))["File"]
    error = {"ErrorCode": "FooterCountMismatch", "Message": "Row 99 says 3.", "Position": "line 9"}
    assert (shown["Error"], shown["ErrorsUrl"], shown["RowErrors"]) == (error, "", [])
    last = {"At": LATER_ISO, "Level": "Error", "Message": "FooterCountMismatch: Row 99 says 3. (line 9)"}
    assert shown["Logs"][-1] == last


async def test_a_dry_run_and_an_undone_import_say_so(api: Api) -> None:
    key = api.rows.record_file()
    undo_id = uuid4()
    api.rows.records_import(key, state="SUCCEEDED", ended_at=WHEN, undone_by=undo_id, undone_at=LATER)
    shown = (await file(api))["File"]
    assert shown["UndoneAt"] == LATER_ISO
    assert shown["Logs"][-1] == {"At": LATER_ISO, "Level": "Info", "Message": f"Import undone - {undo_id}"}
    api.rows.records_import(key, state="SUCCEEDED", ended_at=WHEN, dry_run=True)
    shown = (await file(api))["File"]
    assert (shown["DryRun"], shown["UndoneAt"]) == (True, None)
    assert shown["Logs"][-1]["Message"] == "Dry run succeed, nothing was kept"


async def test_fifty_row_errors_stand_in_the_answer(api: Api) -> None:
    key = api.rows.record_file()
    import_id = api.rows.records_import(key, state="SUCCEEDED", progress={"rejected": 60})
    for number in range(60):
        api.rows.row_error(import_id, number + 1)
    shown = (await file(api))["File"]
    assert [error["Position"] for error in shown["RowErrors"]] == [f"line {number}" for number in range(1, 51)]
    # It was removed, or could not be written.
    assert shown["ErrorsUrl"] == ""


async def test_colleagues_see_files_of_their_workspaces_and_strangers_none(api: Api) -> None:
    api.rows.record_file()
    api.rows.record_file("c0456", workspace_id=SECOND.workspace_id)
    for caller in ("viewer", "colleague", "admin"):
        assert (await file(api, caller=caller))["FileId"] == "c0123"
    assert (await file(api, "c0456"))["FileId"] == "c0456"
    for caller, file_id in (("stranger", "c0123"), ("viewer", "c0"), ("viewer", "c0123/families.cc5txt")):
        request = appfile_pb2.GetFileRequest(file_id=file_id)
        assert await refusal(api.appfile.GetFile(request, metadata=as_(caller))) == NOT_FOUND
    limited = api.appfile.GetFile(appfile_pb2.GetFileRequest(file_id="c0123"), metadata=api.limit_to(1001))
    assert await refusal(limited) == (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_GRANTS")


async def test_the_headers_say_which_workspace_a_file_must_be_of(api: Api) -> None:
    api.rows.record_file()
    for name, value in (("workspaceid", HOME.name), ("workspaceid", str(HOME.workspace_id)), ("bucketid", "bk-demo")):
        assert (await file(api, "c0123", (f"x-param-override-{name}", value)))["FileId"] == "c0123"
    request = appfile_pb2.GetFileRequest(file_id="c0123")
    denied = (grpc.StatusCode.PERMISSION_DENIED, "WORKSPACE_DENIED")
    for value, refused in ((SECOND.name, NOT_FOUND), (FOREIGN.name, denied)):
        metadata = (*as_("viewer"), ("x-param-override-workspaceid", value))
        assert await refusal(api.appfile.GetFile(request, metadata=metadata)) == refused


async def test_the_native_answer_has_the_same(api: Api) -> None:
    key = api.rows.record_file()
    assert not (await native(api)).HasField("import")
    api.objects.now = LATER
    await put(api, key)
    import_id = api.rows.records_import(key, state="SUCCEEDED", entity_type="wks_family", reference_id="ref-1")
    found = await native(api, workspace="ws-demo", bucket_id="bk-demo")
    imported = getattr(found, "import")
    assert (found.key, found.file_name, found.size_bytes) == (key, "families.cc5txt", 400)
    assert found.state == status_pb2.RECORD_FILE_STATE_IMPORTED
    assert (found.described.file_id, found.described.workspace) == ("c0123", str(HOME.workspace_id))
    assert found.described.metadata["run"] == "7"
    assert (imported.import_id, imported.workspace_id) == (str(import_id), str(HOME.workspace_id))
    assert (imported.entity_type, imported.data_source, imported.reference_id) == ("wks_family", "", "ref-1")
    request = status_pb2.GetRecordFileRequest(file_id="c0123", workspace=SECOND.name)
    assert await refusal(api.native.GetRecordFile(request, metadata=as_("viewer"))) == NOT_FOUND


async def reports(api: Api, import_id: UUID, kind: status_pb2.ReportKind.ValueType) -> str:
    request = status_pb2.GetReportRequest(import_id=str(import_id), kind=kind)
    return urlsplit((await api.native.GetReport(request, metadata=as_())).url).path.rpartition("/")[2]


async def test_the_native_report_comes_as_a_table_and_as_a_file(api: Api) -> None:
    import_id = api.rows.records_import(api.rows.record_file(), state="SUCCEEDED", progress={"rejected": 1})
    missing = status_pb2.GetReportRequest(import_id=str(import_id), kind=status_pb2.REPORT_KIND_FILE)
    await put(api, errors_report_key(1, import_id))
    refused = await refusal(api.native.GetReport(missing, metadata=as_()))
    assert refused == (grpc.StatusCode.NOT_FOUND, "NO_REPORT")
    await put(api, error_file_key(1, import_id))
    for kind in (status_pb2.REPORT_KIND_UNSPECIFIED, status_pb2.REPORT_KIND_TABLE):
        assert await reports(api, import_id, kind) == "errors.csv"
    assert await reports(api, import_id, status_pb2.REPORT_KIND_FILE) == "errors.cc5txt"


async def test_native_row_errors_show_the_beginning_of_the_row(api: Api) -> None:
    import_id = api.rows.records_import(api.rows.record_file(), state="SUCCEEDED", progress={"rejected": 2})
    api.rows.row_error(import_id, 1, raw="10|F1|" + "x" * 10_000)
    api.rows.row_error(import_id, 2)
    request = status_pb2.ListRowErrorsRequest(import_id=str(import_id))
    first, second = (await api.native.ListRowErrors(request, metadata=as_())).errors
    assert (first.raw, second.raw) == ("10|F1|" + "x" * 3_994, "")

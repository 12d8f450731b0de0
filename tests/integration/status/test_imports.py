"""Imports: who sees which, as what, and how a list goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2
from tests.integration.status.conftest import Api, as_, check_shape, refusal
from tests.integration.status.rows import WHEN, WHEN_ISO, Rows

CAUTIONS = [{"code": "VALUE_CUT", "message": "A value was cut.", "count": 3}]


async def my_imports(api: Api, caller: str = "importer", **request: Any) -> list[dict[str, Any]]:
    call = api.plextrac.ListMyImports(pb.ListMyImportsRequest(**request), metadata=as_(caller))
    rows: list[dict[str, Any]] = await api.answered(call)
    return rows


async def test_a_row_of_my_imports_has_the_published_members(api: Api) -> None:
    client_id = api.rows.client("Test Client")
    report_id = api.rows.report(client_id, "Test Report")
    import_id = api.rows.started_import(client_id, report_id, state="RUNNING", progress={"percent": 42})
    rows = await my_imports(api)
    check_shape("MyImports", rows)
    assert rows == [
        {
            "key": str(import_id),
            "name": "scan.nessus",
            "reportName": "Test Report",
            "clientName": "Test Client",
            "fileSize": "123625",
            "status": "PROCESSING",
            "progress": 42,
            "errorStatus": None,
            "source": "nessus",
            "id": str(import_id),
            "importId": str(import_id),
            "state": "RUNNING",
            "dryRun": False,
            "duplicateOf": None,
            "undoneBy": None,
        }
    ]


async def test_a_finished_import_is_at_a_hundred_percent(api: Api) -> None:
    import_id = str(api.rows.started_import(api.rows.client(), None, state="SUCCEEDED", progress={"percent": 97}))
    (row,) = await my_imports(api)
    assert (row["status"], row["progress"], row["reportName"]) == ("IMPORT COMPLETE", 100, "")
    reply = await api.native.GetImport(status_pb2.GetImportRequest(import_id=import_id), metadata=as_())
    assert getattr(reply, "import").progress == 100


@pytest.mark.parametrize("state", ["OPEN", "QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"])
async def test_an_import_is_listed_as_it_is_shown(api: Api, state: str) -> None:
    client_id = api.rows.client("Karbo")
    facts: dict[str, Any] = {"dry_run": True, "duplicate_of": uuid4(), "undone_by": uuid4()}
    error = {"error_code": "TRUNCATED", "error_message": "Too short."} if state == "FAILED" else {}
    report_id = api.rows.report(client_id, "Q1")
    import_id = api.rows.started_import(client_id, report_id, state=state, progress={"percent": 42}, **error, **facts)
    shown = await api.answered(api.plextrac.GetMyImport(pb.GetMyImportRequest(id=str(import_id)), metadata=as_()))
    (row,) = await my_imports(api)
    assert row == {name: shown[name] for name in row}


async def test_a_failed_import_says_why_and_where(api: Api) -> None:
    error: dict[str, Any] = {
        "error_code": "TRUNCATED",
        "error_message": "The file ends early.",
        "error_position": "line 7",
    }
    api.rows.started_import(api.rows.client(), None, state="FAILED", **error)
    (row,) = await my_imports(api)
    assert (row["status"], row["errorStatus"]) == ("ERROR", "TRUNCATED: The file ends early. (line 7)")


async def test_my_imports_are_the_callers_newest_first(api: Api) -> None:
    client_id = api.rows.client()
    mine = [api.rows.started_import(client_id, None) for _ in range(3)]
    api.rows.started_import(client_id, None, user_id=8)
    Rows(api.rows.connection, tenant_id=2).started_import(
        Rows(api.rows.connection, tenant_id=2).client(), None, user_id=7
    )
    assert [row["key"] for row in await my_imports(api)] == [str(one) for one in reversed(mine)]


async def test_the_key_of_the_last_row_is_the_token_of_the_next_page(api: Api) -> None:
    client_id = api.rows.client()
    mine = [str(api.rows.started_import(client_id, None)) for _ in range(5)][::-1]
    first = await my_imports(api, limit=2)
    second = await my_imports(api, limit=2, page_token=first[-1]["key"])
    last = await my_imports(api, limit=2, page_token=second[-1]["key"])
    assert [row["key"] for row in (*first, *second, *last)] == mine


async def test_a_page_has_a_hundred_rows_by_default(api: Api) -> None:
    client_id = api.rows.client()
    for _ in range(101):
        api.rows.started_import(client_id, None)
    assert len(await my_imports(api)) == 100
    assert len(await my_imports(api, limit=1000)) == 101


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"limit": 1001}, "INVALID_PAGE_SIZE"),
        ({"limit": -1}, "INVALID_PAGE_SIZE"),
        ({"page_token": "x"}, "INVALID_PAGE_TOKEN"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(api: Api, request_: dict[str, Any], reason: str) -> None:
    call = api.plextrac.ListMyImports(pb.ListMyImportsRequest(**request_), metadata=as_())
    assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_one_import_is_shown_with_everything(api: Api) -> None:
    client_id = api.rows.client()
    told = {
        "phase": "done",
        "percent": 100,
        "read": 10,
        "inserted": 7,
        "skipped": 1,
        "rejected": 2,
        "processed_bytes": 123_625,
        "processed_findings": 7,
        "cautions": CAUTIONS,
    }
    times = {"started_at": WHEN, "ended_at": WHEN + timedelta(seconds=1)}
    import_id = api.rows.started_import(client_id, None, state="SUCCEEDED", progress=told, asset_tags=["a"], **times)
    for number in (9, 4):
        api.rows.insert(
            "row_errors",
            import_id=import_id,
            record_number=number,
            position=f"line {number}",
            field="port",
            code="NOT_A_NUMBER",
            message="port is no number.",
            value="x",
        )
    request = pb.GetMyImportRequest(id=str(import_id))
    shown = await api.answered(api.plextrac.GetMyImport(request, metadata=as_()))
    check_shape("MyImportDetail", shown)
    assert (shown["key"], shown["status"], shown["attempt"], shown["phase"]) == (
        str(import_id),
        "IMPORT COMPLETE",
        2,
        "done",
    )
    assert shown["counters"] == {
        "read": 10,
        "inserted": 7,
        "updated": 0,
        "unchanged": 0,
        "deleted": 0,
        "skipped": 1,
        "rejected": 2,
    }
    assert shown["cautions"] == CAUTIONS
    assert [error["recordNumber"] for error in shown["rowErrors"]] == [4, 9]
    assert (shown["createdAt"], shown["startedAt"], shown["endedAt"]) == (
        WHEN_ISO,
        WHEN_ISO,
        WHEN_ISO.replace("07.890", "08.890"),
    )
    job = shown["importJob"]
    assert (job["file_size"], job["processed_bytes"], job["processed_findings"]) == ("123625", "123625", 7)
    assert (job["error_status"], job["failure_notified_at"], job["asset_tags"]) == (None, None, ["a"])


async def test_the_native_import_says_the_same(api: Api) -> None:
    client_id = api.rows.client("Karbo")
    import_id = api.rows.started_import(client_id, None, state="RUNNING", progress={"percent": 5, "phase": "staging"})
    api.rows.insert("import_requests", import_id=import_id, action="cancel", requested_by=7)
    reply = await api.native.GetImport(status_pb2.GetImportRequest(import_id=str(import_id)), metadata=as_())
    found: importer_pb2.Import = getattr(reply, "import")
    assert (found.state, found.progress, found.phase, found.attempt) == (importer_pb2.STATE_RUNNING, 5, "staging", 2)
    assert (found.client_name, found.report_id, found.cancel_requested) == ("Karbo", 0, True)
    assert found.create_time.ToDatetime(WHEN.tzinfo) == WHEN
    assert not found.HasField("start_time")


async def test_native_pages_of_imports_and_errors_end(api: Api) -> None:
    client_id = api.rows.client()
    ids = [str(api.rows.started_import(client_id, None, progress={"rejected": 7})) for _ in range(3)][::-1]
    first = await api.native.ListImports(status_pb2.ListImportsRequest(page_size=2), metadata=as_())
    second = await api.native.ListImports(
        status_pb2.ListImportsRequest(page_size=2, page_token=first.next_page_token), metadata=as_()
    )
    assert [one.import_id for one in (*first.imports, *second.imports)] == ids
    assert second.next_page_token == ""
    for number in (1, 2, 3):
        api.rows.insert(
            "row_errors",
            import_id=UUID(ids[0]),
            record_number=number,
            **dict.fromkeys(("position", "field", "code", "message", "value"), "x"),
        )
    request = status_pb2.ListRowErrorsRequest(import_id=ids[0], page_size=2)
    errors = await api.native.ListRowErrors(request, metadata=as_())
    request.page_token = errors.next_page_token
    rest = await api.native.ListRowErrors(request, metadata=as_())
    assert [error.record_number for error in (*errors.errors, *rest.errors)] == [1, 2, 3]
    assert (rest.next_page_token, rest.total_rejected) == ("", 7)


async def test_a_colleagues_import_is_for_admins_only(api: Api) -> None:
    import_id = str(api.rows.started_import(api.rows.client(), None))
    request = pb.GetMyImportRequest(id=import_id)
    assert (await api.answered(api.plextrac.GetMyImport(request, metadata=as_("admin"))))["key"] == import_id
    for caller in ("colleague", "stranger", "limited"):
        assert await refusal(api.plextrac.GetMyImport(request, metadata=as_(caller))) == (
            grpc.StatusCode.NOT_FOUND,
            "IMPORT_NOT_FOUND",
        )


@pytest.mark.parametrize("import_id", ["", "x", pytest.param(str(uuid4()), id="none"), "x" * 5000])
async def test_an_unknown_import_is_not_found(api: Api, import_id: str) -> None:
    for call in (
        api.plextrac.GetMyImport(pb.GetMyImportRequest(id=import_id), metadata=as_()),
        api.native.GetImport(status_pb2.GetImportRequest(import_id=import_id), metadata=as_()),
        api.native.ListRowErrors(status_pb2.ListRowErrorsRequest(import_id=import_id), metadata=as_()),
        api.native.WatchImport(status_pb2.WatchImportRequest(import_id=import_id), metadata=as_()),
    ):
        assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "IMPORT_NOT_FOUND")


async def test_grants_cut_the_list_of_imports(api: Api) -> None:
    seen, hidden = api.rows.client("seen"), api.rows.client("hidden")
    import_id = api.rows.started_import(seen, None)
    api.rows.started_import(hidden, None)
    api.limit_to(seen)
    assert [row["key"] for row in await my_imports(api, "limited")] == [str(import_id)]


async def test_an_admin_lists_all_imports_and_finds_stuck_ones(api: Api) -> None:
    client_id = api.rows.client()
    leased, lost = (api.rows.started_import(client_id, None, state="RUNNING", user_id=8) for _ in range(2))
    forgotten = api.rows.started_import(client_id, None)
    api.rows.started_import(client_id, None, state="FAILED")
    for import_id, end in ((leased, "now() + interval '1 minute'"), (lost, "now() - interval '1 second'")):
        api.rows.connection.execute(
            f"INSERT INTO import_leases VALUES (1, %s, 1, 'worker', {end})",
            [import_id],
        )
    api.rows.started_import(client_id, None, updated_at="now")

    async def listed(**request: Any) -> list[str]:
        reply = await api.native.ListTenantImports(
            status_pb2.ListTenantImportsRequest(**request), metadata=as_("admin")
        )
        return [one.import_id for one in reply.imports]

    assert len(await listed()) == 5
    assert await listed(states=[importer_pb2.STATE_RUNNING]) == [str(lost), str(leased)]
    assert await listed(stuck_only=True) == [str(forgotten), str(lost)]
    call = api.native.ListTenantImports(status_pb2.ListTenantImportsRequest(), metadata=as_("colleague"))
    assert (await refusal(call))[0] == grpc.StatusCode.PERMISSION_DENIED
    unknown = status_pb2.ListTenantImportsRequest(states=[importer_pb2.STATE_UNSPECIFIED])
    assert await refusal(api.native.ListTenantImports(unknown, metadata=as_("admin"))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNKNOWN_STATE",
    )

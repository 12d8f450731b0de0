"""What is told of an import beside its progress: how it was to be done, where it comes from, what became of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from hythe.importer.v1 import importer_pb2
from hythe.status.v1 import status_pb2
from runtime.objects import StorageUnavailable
from tests.integration.status.conftest import Api, as_, check_shape, refusal
from tests.integration.status.rows import WHEN, WHEN_ISO, Rows

COUNTS: list[dict[str, Any]] = [
    {"kind": "finding", "action": "removed", "reason": "", "count": 3},
    {"kind": "asset", "action": "kept", "reason": "SEEN_LATER", "count": 1},
]


async def native(api: Api, import_id: UUID, caller: str = "importer") -> importer_pb2.Import:
    request = status_pb2.GetImportRequest(import_id=str(import_id))
    reply = await api.native.GetImport(request, metadata=as_(caller))
    return getattr(reply, "import")  # type: ignore[no-any-return]


async def shown(api: Api, import_id: UUID) -> dict[str, Any]:
    document: dict[str, Any] = await api.answered(
        api.plextrac.GetMyImport(pb.GetMyImportRequest(id=str(import_id)), metadata=as_())
    )
    check_shape("MyImportDetail", document)
    return document


async def test_an_import_of_which_nothing_was_asked_says_so(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None)
    found, document = await native(api, import_id), await shown(api, import_id)
    assert (found.kind, found.origin, found.content_sha256) == (importer_pb2.KIND_IMPORT, "", "")
    assert found.options == importer_pb2.ImportOptions(
        policy=importer_pb2.Policy(on_error=importer_pb2.ON_ERROR_CONTINUE)
    )
    assert not found.HasField("undone_time")
    assert not found.HasField("resumable_until_time")
    assert document["kind"] == "import"
    assert document["options"] == {
        "dryRun": False,
        "force": False,
        "onError": "continue",
        "maxErrors": None,
        "maxErrorPercent": None,
        "expectedRecords": None,
        "sha256": None,
    }
    empty = ("sha256", "duplicateOf", "origin", "originImportId", "undoneBy", "undoneAt", "resumableUntil")
    assert [document[name] for name in empty] == [None] * len(empty)
    assert (document["undo"], document["pauseRequested"]) == ([], False)


async def test_what_was_asked_of_an_import_and_what_became_of_it_is_told(api: Api) -> None:
    earlier, undo, first = uuid4(), uuid4(), uuid4()
    import_id = api.rows.started_import(
        api.rows.client(),
        None,
        state="SUCCEEDED",
        dry_run=True,
        force=True,
        policy={"on_error": "abort_above", "max_errors": 5, "max_error_percent": 2.5, "expected_records": 7},
        expected_sha256=b"\xab" * 32,
        content_sha256=b"\x0c" * 32,
        duplicate_of=earlier,
        origin="rerun",
        origin_import_id=first,
        undone_by=undo,
        undone_at=WHEN,
        resumable_until=WHEN + timedelta(days=1),
    )
    found, document = await native(api, import_id), await shown(api, import_id)
    assert found.options == importer_pb2.ImportOptions(
        dry_run=True,
        force=True,
        expected_sha256="ab" * 32,
        expected_records=7,
        policy=importer_pb2.Policy(on_error=importer_pb2.ON_ERROR_ABORT_ABOVE, max_errors=5, max_error_percent=2.5),
    )
    assert (found.content_sha256, found.duplicate_of) == ("0c" * 32, str(earlier))
    assert (found.origin, found.origin_import_id, found.undone_by) == ("rerun", str(first), str(undo))
    assert found.undone_time.ToDatetime(WHEN.tzinfo) == WHEN
    assert found.resumable_until_time.ToDatetime(WHEN.tzinfo) == WHEN + timedelta(days=1)
    assert document["options"] == {
        "dryRun": True,
        "force": True,
        "onError": "abortAbove",
        "maxErrors": 5,
        "maxErrorPercent": 2.5,
        "expectedRecords": 7,
        "sha256": "ab" * 32,
    }
    assert (document["sha256"], document["duplicateOf"]) == ("0c" * 32, str(earlier))
    assert (document["origin"], document["originImportId"], document["undoneBy"]) == ("rerun", str(first), str(undo))
    assert (document["undoneAt"], document["resumableUntil"]) == (WHEN_ISO, "2026-03-05T05:06:07.890Z")


@pytest.mark.parametrize(
    ("stored", "told", "word"),
    [
        ("continue", importer_pb2.ON_ERROR_CONTINUE, "continue"),
        ("abort", importer_pb2.ON_ERROR_ABORT, "abort"),
        ("abort_above", importer_pb2.ON_ERROR_ABORT_ABOVE, "abortAbove"),
        ("all_or_nothing", importer_pb2.ON_ERROR_ALL_OR_NOTHING, "allOrNothing"),
    ],
)
async def test_each_policy_has_its_word(api: Api, stored: str, told: int, word: str) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, policy={"on_error": stored, "max_errors": 0})
    policy = (await native(api, import_id)).options.policy
    assert (policy.on_error, policy.max_errors, policy.HasField("max_errors")) == (told, 0, True)
    assert (await shown(api, import_id))["options"]["onError"] == word


@pytest.mark.parametrize(("action", "is_cancel"), [("cancel", True), ("pause", False)])
async def test_what_is_asked_of_the_worker_is_told_by_its_name(api: Api, action: str, is_cancel: bool) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="RUNNING")
    api.rows.insert("import_requests", import_id=import_id, action=action, requested_by=7)
    found, document = await native(api, import_id), await shown(api, import_id)
    assert (found.cancel_requested, found.pause_requested) == (is_cancel, not is_cancel)
    assert (document["cancelRequested"], document["pauseRequested"]) == (is_cancel, not is_cancel)


def undo_of(api: Api, client_id: int, import_id: UUID) -> UUID:
    return api.rows.started_import(
        client_id,
        None,
        kind="undo",
        origin="undo",
        origin_import_id=import_id,
        state="SUCCEEDED",
        progress={"undo": COUNTS},
    )


async def test_an_undo_tells_what_it_has_done(api: Api) -> None:
    client_id = api.rows.client()
    import_id = api.rows.started_import(client_id, None, state="SUCCEEDED")
    undo_id = undo_of(api, client_id, import_id)
    found, document = await native(api, undo_id), await shown(api, undo_id)
    assert (found.kind, found.origin, found.origin_import_id) == (importer_pb2.KIND_UNDO, "undo", str(import_id))
    assert list(found.undo) == [importer_pb2.UndoCount(**count) for count in COUNTS]
    assert (document["kind"], document["undo"]) == ("undo", COUNTS)


async def test_undos_are_in_native_lists_and_not_in_my_imports(api: Api) -> None:
    client_id = api.rows.client()
    first = api.rows.started_import(client_id, None, state="SUCCEEDED")
    undo_id = undo_of(api, client_id, first)
    second = api.rows.started_import(client_id, None)
    own = await api.native.ListImports(status_pb2.ListImportsRequest(), metadata=as_())
    all_ = await api.native.ListTenantImports(status_pb2.ListTenantImportsRequest(), metadata=as_("admin"))
    for listed in (own.imports, all_.imports):
        assert [one.import_id for one in listed] == [str(second), str(undo_id), str(first)]
    for request in (pb.ListMyImportsRequest(), pb.ListMyImportsRequest(limit=2)):
        rows = await api.answered(api.plextrac.ListMyImports(request, metadata=as_()))
        assert [row["key"] for row in rows] == [str(second), str(first)]
    # A page that begins behind an undo goes on all the same.
    request = pb.ListMyImportsRequest(page_token=str(undo_id))
    assert [row["key"] for row in await api.answered(api.plextrac.ListMyImports(request, metadata=as_()))] == [
        str(first)
    ]


async def test_pages_of_errors_go_on_to_the_last_and_count_all(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="FAILED", progress={"rejected": 2000})
    for number in (3, 1, 2_000_000_000_000):
        api.rows.row_error(import_id, number)
    pages, token = [], ""
    while True:
        request = pb.PageOfMyImport(id=str(import_id), limit=2, page_token=token)
        page = await api.answered(api.plextrac.ListMyImportErrors(request, metadata=as_()))
        check_shape("RowErrorPage", page)
        pages.append(page)
        token = page["nextPageToken"]
        if not token:
            break
    assert [[error["recordNumber"] for error in page["errors"]] for page in pages] == [[1, 3], [2_000_000_000_000]]
    assert [page["totalRejected"] for page in pages] == [2000, 2000]
    assert pages[0]["errors"][0] == {
        "recordNumber": 1,
        "position": "line 1",
        "field": "port",
        "code": "INVALID_PORT",
        "message": "The port is not a number from 0 to 65535.",
        "value": "x",
    }


async def test_pages_of_undo_items_go_on_to_the_last(api: Api) -> None:
    client_id, later = api.rows.client(), uuid4()
    undo_id = undo_of(api, client_id, api.rows.started_import(client_id, None, state="SUCCEEDED"))
    api.rows.undo_item(undo_id, 1, "kept", kind="asset", name="web01", reason="SEEN_LATER", by_import_id=later)
    api.rows.undo_item(undo_id, 2, "removed")
    api.rows.undo_item(undo_id, 3, "restored")
    native_first = await api.native.ListUndoItems(
        status_pb2.ListUndoItemsRequest(import_id=str(undo_id), page_size=2), metadata=as_()
    )
    native_rest = await api.native.ListUndoItems(
        status_pb2.ListUndoItemsRequest(import_id=str(undo_id), page_size=2, page_token=native_first.next_page_token),
        metadata=as_(),
    )
    assert [item.action for item in (*native_first.items, *native_rest.items)] == ["kept", "removed", "restored"]
    assert (native_first.items[0].by_import_id, native_rest.next_page_token) == (str(later), "")
    request = pb.PageOfMyImport(id=str(undo_id), limit=2)
    first = await api.answered(api.plextrac.ListMyUndoItems(request, metadata=as_()))
    request.page_token = first["nextPageToken"]
    rest = await api.answered(api.plextrac.ListMyUndoItems(request, metadata=as_()))
    for page in (first, rest):
        check_shape("UndoItemPage", page)
    assert first["items"] == [
        {"kind": "asset", "action": "kept", "reason": "SEEN_LATER", "name": "web01", "byImportId": str(later)},
        {"kind": "finding", "action": "removed", "reason": "", "name": "Finding 2", "byImportId": None},
    ]
    assert ([item["action"] for item in rest["items"]], rest["nextPageToken"]) == (["restored"], None)


async def test_an_import_that_is_no_undo_has_no_undo_items(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None)
    reply = await api.native.ListUndoItems(status_pb2.ListUndoItemsRequest(import_id=str(import_id)), metadata=as_())
    assert (list(reply.items), reply.next_page_token) == ([], "")


@pytest.mark.parametrize("kind", ["import", "undo"])
async def test_the_report_of_an_import_that_has_ended_is_signed_for_five_minutes(api: Api, kind: str) -> None:
    client_id = api.rows.client()
    import_id = api.rows.started_import(client_id, None, state="FAILED")
    if kind == "undo":
        import_id = undo_of(api, client_id, import_id)
    name = {"import": "errors", "undo": "undo"}[kind]
    await api.objects.put(f"uploads/reports/1/{import_id}/{name}.csv", b"a,b", "text/csv")
    before = datetime.now(UTC)
    reply = await api.native.GetReport(status_pb2.GetReportRequest(import_id=str(import_id)), metadata=as_())
    url = f"http://gateway/cloud/uploads/reports/1/{import_id}/{name}.csv?"
    assert reply.url.startswith(url)
    assert "X-Amz-Expires=300" in reply.url
    assert f"{name}-{import_id}.csv" in reply.url
    assert timedelta(minutes=5) <= reply.expire_time.ToDatetime(before.tzinfo) - before < timedelta(minutes=6)
    document = await api.answered(
        api.plextrac.GetMyImportReport(pb.GetMyImportRequest(id=str(import_id)), metadata=as_())
    )
    check_shape("ReportUrl", document)
    assert document["url"].startswith(url)


async def report_refusals(api: Api, import_id: object, caller: str = "importer") -> set[tuple[grpc.StatusCode, str]]:
    return {
        await refusal(
            api.native.GetReport(status_pb2.GetReportRequest(import_id=str(import_id)), metadata=as_(caller))
        ),
        await refusal(api.plextrac.GetMyImportReport(pb.GetMyImportRequest(id=str(import_id)), metadata=as_(caller))),
    }


async def test_an_import_without_a_report_has_none_to_sign(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="SUCCEEDED")
    assert await report_refusals(api, import_id) == {(grpc.StatusCode.NOT_FOUND, "NO_REPORT")}


async def test_what_an_attempt_left_is_no_report_before_the_end(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="RUNNING")
    await api.objects.put(f"uploads/reports/1/{import_id}/errors.csv", b"a,b", "text/csv")
    assert await report_refusals(api, import_id) == {(grpc.StatusCode.NOT_FOUND, "NO_REPORT")}


async def test_a_store_that_is_down_is_not_a_missing_report(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="SUCCEEDED")
    api.objects.is_down = True
    assert await report_refusals(api, import_id) == {
        (StorageUnavailable.code, StorageUnavailable().reason),
    }


async def test_nothing_of_an_import_that_is_not_for_these_eyes_is_told(api: Api) -> None:
    import_id = api.rows.started_import(api.rows.client(), None, state="SUCCEEDED")
    theirs = Rows(api.rows.connection, tenant_id=2)
    foreign = theirs.started_import(theirs.client(), None, state="SUCCEEDED", user_id=7)
    for one, tenant_id in ((import_id, 1), (foreign, 2)):
        await api.objects.put(f"uploads/reports/{tenant_id}/{one}/errors.csv", b"a,b", "text/csv")
    for one, callers in ((import_id, ("colleague", "stranger", "limited")), (foreign, ("importer", "admin"))):
        id_ = str(one)
        for caller in callers:
            calls = (
                api.native.GetReport(status_pb2.GetReportRequest(import_id=id_), metadata=as_(caller)),
                api.native.ListUndoItems(status_pb2.ListUndoItemsRequest(import_id=id_), metadata=as_(caller)),
                api.plextrac.ListMyImportErrors(pb.PageOfMyImport(id=id_), metadata=as_(caller)),
                api.plextrac.ListMyUndoItems(pb.PageOfMyImport(id=id_), metadata=as_(caller)),
                api.plextrac.GetMyImportReport(pb.GetMyImportRequest(id=id_), metadata=as_(caller)),
                api.plextrac.WatchMyImport(pb.GetMyImportRequest(id=id_), metadata=as_(caller)),
            )
            for call in calls:
                assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "IMPORT_NOT_FOUND")


@pytest.mark.parametrize("request_", [{"limit": 1001}, {"limit": -1}, {"page_token": "x"}, {"page_token": "-1"}])
async def test_a_page_that_cannot_be_is_refused(api: Api, request_: dict[str, Any]) -> None:
    import_id = str(api.rows.started_import(api.rows.client(), None))
    reason = "INVALID_PAGE_SIZE" if "limit" in request_ else "INVALID_PAGE_TOKEN"
    for method in (api.plextrac.ListMyImportErrors, api.plextrac.ListMyUndoItems):
        call = method(pb.PageOfMyImport(id=import_id, **request_), metadata=as_())
        assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, reason)

"""The trigger, cancel and requeue against PostgreSQL and the object store, by gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.importer.v1 import importer_pb2
from tests.fakes.people import IMPORTER
from tests.integration.import_api import KEY, Api, as_, opened, refusal
from tests.integration.status.conftest import check_shape
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    async with opened(database, object_store) as api:
        yield api


async def test_a_trigger_writes_every_row_of_an_import(api: Api) -> None:
    imported = await api.create(asset_tags=["A b"], finding_tags=["f"], use_parser_actions=True)
    assert imported.state == importer_pb2.STATE_QUEUED
    assert (imported.client_name, imported.report_name, imported.file_name) == ("Karbo", "Q1", "a b.nessus")
    assert imported.create_time.ToDatetime().year >= 2025
    import_id = UUID(imported.import_id)
    (row,) = await api.rows("SELECT * FROM imports")
    assert (row["tenant_id"], row["import_id"], row["state"], row["lane"]) == (1, import_id, "QUEUED", "small")
    assert (row["asset_tags"], row["finding_tags"], row["use_parser_actions"]) == (["a_b"], ["f"], True)
    assert (row["user_id"], row["user_email"], row["file_size"]) == (7, IMPORTER.email, 50)
    assert row["request_id"] is None
    head = await api.objects.head(f"uploads/{KEY}")
    (first,) = await api.rows("SELECT * FROM import_inputs")
    assert (first["number"], first["object_key"], first["etag"], first["size"]) == (0, f"uploads/{KEY}", head.etag, 50)
    (claim,) = await api.rows("SELECT * FROM import_claims")
    assert (claim["import_id"], claim["attempt"]) == (import_id, 0)
    (progress,) = await api.rows("SELECT * FROM import_progress")
    assert (progress["import_id"], progress["phase"], progress["percent"]) == (import_id, "queued", 0)
    (waiting,) = await api.rows("SELECT *, next_at <= now() AS is_due FROM outbox")
    assert (waiting["import_id"], waiting["lane"], waiting["is_due"]) == (import_id, "small", True)
    assert (waiting["dispatch_number"], waiting["stream_sequence"]) == (0, None)
    assert waiting["traceparent"] == row["traceparent"] != ""


async def test_the_trace_of_the_trigger_goes_on(api: Api) -> None:
    await api.native.CreateImport(api.request(), metadata=as_("importer", ("traceparent", TRACE)))
    (row,) = await api.rows("SELECT traceparent FROM imports")
    assert row["traceparent"].split("-")[1] == TRACE.split("-")[1]


async def test_a_trigger_calls_the_dispatcher(api: Api) -> None:
    await api.execute("LISTEN hythe_outbox")
    await api.create()
    heard = [notice.channel async for notice in api.admin.notifies(timeout=5, stop_after=1)]
    assert heard == ["hythe_outbox"]


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"source": "acunetix"}, grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_SOURCE"),
        ({"client_id": 5}, grpc.StatusCode.NOT_FOUND, "CLIENT_NOT_FOUND"),
        ({"report_id": 5}, grpc.StatusCode.NOT_FOUND, "REPORT_NOT_FOUND"),
        ({"key": "c1/unknown"}, grpc.StatusCode.NOT_FOUND, "UNKNOWN_KEY"),
        ({"key": "c2/not put"}, grpc.StatusCode.FAILED_PRECONDITION, "FILE_NOT_UPLOADED"),
        ({"key": "c3/large"}, grpc.StatusCode.OUT_OF_RANGE, "FILE_TOO_LARGE"),
        ({"key": "c4/theirs"}, grpc.StatusCode.NOT_FOUND, "UNKNOWN_KEY"),
        (
            {"options": importer_pb2.ImportOptions(policy=importer_pb2.Policy(max_errors=1))},
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_POLICY",
        ),
        (
            {"options": importer_pb2.ImportOptions(expected_records=-1)},
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_EXPECTED_RECORDS",
        ),
        (
            {"options": importer_pb2.ImportOptions(expected_sha256="0a")},
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_SHA256",
        ),
    ],
)
async def test_a_refused_trigger_leaves_no_row(
    api: Api, change: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    await api.upload("c2/not put", b"")
    await api.objects.delete(api.objects.object_key("c2/not put"))
    await api.upload("c3/large", b"x" * 1_001)
    await api.upload("c4/theirs", b"x", tenant_id=2)
    assert await refusal(api.create(**change)) == (code, reason)
    for table in ("imports", "import_inputs", "import_claims", "import_progress", "outbox"):
        assert await api.rows("SELECT 1 FROM " + table) == []


async def test_another_tenant_finds_neither_client_report_nor_key(api: Api) -> None:
    assert await refusal(api.create("stranger")) == (grpc.StatusCode.NOT_FOUND, "CLIENT_NOT_FOUND")
    client = await api.native.CreateClient(importer_pb2.CreateClientRequest(name="C"), metadata=as_("stranger"))
    theirs = {"client_id": client.client_id}
    assert await refusal(api.create("stranger", **theirs)) == (grpc.StatusCode.NOT_FOUND, "REPORT_NOT_FOUND")
    report = await api.native.CreateReport(
        importer_pb2.CreateReportRequest(client_id=client.client_id, name="R"), metadata=as_("stranger")
    )
    theirs["report_id"] = report.report_id
    assert await refusal(api.create("stranger", **theirs)) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_KEY")
    imported = await api.create()
    cancel = importer_pb2.CancelImportRequest(import_id=imported.import_id)
    code = grpc.StatusCode.NOT_FOUND, "IMPORT_NOT_FOUND"
    assert await refusal(api.native.CancelImport(cancel, metadata=as_("stranger"))) == code
    requeue = importer_pb2.RequeueImportRequest(import_id=imported.import_id)
    assert await refusal(api.native.RequeueImport(requeue, metadata=as_("stranger"))) == code


async def test_the_tenants_own_limit_holds(api: Api) -> None:
    request = importer_pb2.SetLimitsRequest(tenant_id=1, limits=importer_pb2.Limits(max_file_bytes=49))
    assert await refusal(api.native.SetLimits(request, metadata=as_("admin"))) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "OPERATOR_REQUIRED",
    )
    await api.native.SetLimits(request, metadata=as_("operator"))
    assert (await refusal(api.create()))[1] == "FILE_TOO_LARGE"
    request.limits.max_file_bytes = 0
    reply = await api.native.SetLimits(request, metadata=as_("operator"))
    assert (reply.limits.max_file_bytes, reply.limits.max_running_imports) == (0, 0)
    await api.create()


async def test_a_hundred_equal_requests_at_once_make_one_import(api: Api) -> None:
    replies = await asyncio.gather(*(api.create(request_id="once") for _ in range(100)))
    assert len({reply.import_id for reply in replies}) == 1
    assert len(await api.rows("SELECT 1 FROM imports")) == 1
    assert len(await api.rows("SELECT 1 FROM outbox")) == 1


async def test_a_request_id_of_another_request_is_refused(api: Api) -> None:
    first = await api.create(request_id="once")
    await api.upload("c5/again", b"x" * 50)
    assert (await api.create(request_id="once", key="c5/again")).import_id == first.import_id
    await api.upload("c6/other", b"y" * 50)
    options = importer_pb2.ImportOptions(dry_run=True)
    for change in ({"key": "c6/other"}, {"asset_tags": ["t"]}, {"options": options}):
        assert await refusal(api.create(request_id="once", **change)) == (
            grpc.StatusCode.ALREADY_EXISTS,
            "IDEMPOTENCY_MISMATCH",
        )
    assert (await api.create("colleague", request_id="once")).import_id != first.import_id


async def test_an_import_that_waits_is_cancelled_at_once(api: Api) -> None:
    imported = await api.create()
    request = importer_pb2.CancelImportRequest(import_id=imported.import_id)
    cancelled = getattr(await api.native.CancelImport(request, metadata=as_("importer")), "import")
    assert cancelled.state == importer_pb2.STATE_CANCELLED
    assert (cancelled.error_code, cancelled.error_message) == ("CANCELLED", f"cancelled by {IMPORTER.email}")
    assert cancelled.HasField("end_time")
    assert await api.rows("SELECT 1 FROM outbox WHERE topic = 'run'") == []
    assert await refusal(api.native.CancelImport(request, metadata=as_("importer"))) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "IMPORT_FINISHED",
    )


async def test_a_running_import_is_asked_to_stop_even_while_a_flip_holds_it(api: Api) -> None:
    imported = await api.create()
    await api.execute("UPDATE imports SET state = 'RUNNING'")
    request = importer_pb2.CancelImportRequest(import_id=imported.import_id)
    async with await psycopg.AsyncConnection.connect(api.admin.info.dsn, password=api.admin.info.password) as flip:
        # What a flip holds of the import until it ends: its row errors refer to it.
        await flip.execute("INSERT INTO row_errors VALUES (1, %s, 1, '', '', 'C', 'm', '')", [UUID(imported.import_id)])
        for _ in range(2):
            running = getattr(await api.native.CancelImport(request, metadata=as_("importer")), "import")
            assert (running.state, running.cancel_requested) == (importer_pb2.STATE_RUNNING, True)
    assert [row["requested_by"] for row in await api.rows("SELECT * FROM import_requests")] == [IMPORTER.user_id]


async def test_a_requeue_makes_the_dispatcher_send_it_again(api: Api) -> None:
    imported = await api.create()
    request = importer_pb2.RequeueImportRequest(import_id=imported.import_id)
    await api.execute("UPDATE outbox SET next_at = now() + interval '1 hour', stream_sequence = 5, dispatch_number = 3")
    await api.execute("UPDATE imports SET not_before = now() + interval '1 hour'")
    await api.native.RequeueImport(request, metadata=as_("admin"))
    (row,) = await api.rows("SELECT *, next_at <= now() AS is_due FROM outbox")
    assert (row["is_due"], row["stream_sequence"], row["dispatch_number"]) == (True, None, 3)
    assert (await api.rows("SELECT not_before FROM imports"))[0]["not_before"] is None
    await api.execute("DELETE FROM outbox")
    await api.native.RequeueImport(request, metadata=as_("admin"))
    (row,) = await api.rows("SELECT *, next_at <= now() AS is_due FROM outbox")
    # Beyond every number of the row that was lost.
    assert row["is_due"]
    assert row["dispatch_number"] > 1_000_000


async def test_an_import_with_a_living_worker_is_not_requeued(api: Api) -> None:
    imported = await api.create()
    request = importer_pb2.RequeueImportRequest(import_id=imported.import_id)
    await api.execute("UPDATE imports SET state = 'RUNNING'")
    await api.execute(
        "INSERT INTO import_leases VALUES (1, %s, 1, 'worker', now() + interval '1 minute')", UUID(imported.import_id)
    )
    assert await refusal(api.native.RequeueImport(request, metadata=as_("admin"))) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "IMPORT_RUNNING",
    )
    await api.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    await api.native.RequeueImport(request, metadata=as_("admin"))


async def test_roles_are_asked_for(api: Api) -> None:
    denied = grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"
    assert await refusal(api.create("viewer")) == denied
    requeue = importer_pb2.RequeueImportRequest(import_id="x")
    assert await refusal(api.native.RequeueImport(requeue, metadata=as_("importer"))) == denied
    assert (await refusal(api.native.CreateImport(api.request())))[0] == grpc.StatusCode.UNAUTHENTICATED


async def test_sources_are_listed(api: Api) -> None:
    reply = await api.native.ListSources(importer_pb2.ListSourcesRequest(), metadata=as_("viewer"))
    assert [(source.source, source.display_name, source.assets_only) for source in reply.sources] == [
        ("nessus", "Nessus", False),
        ("nmap-xml", "Nmap", True),
    ]
    assert [(source.brings_findings, source.brings_assets) for source in reply.sources] == [
        (True, False),
        (False, True),
    ]


async def test_sources_have_a_route_of_ours(api: Api) -> None:
    answer = MessageToDict(await api.plextrac.ListSources(plextrac_pb2.Empty(), metadata=as_("viewer")))
    check_shape("Sources", answer)
    assert answer["sources"][0] == {
        "source": "nessus",
        "name": "Nessus",
        "imports": ["findings"],
        "extensions": [".nessus", ".xml"],
        "formats": [
            {
                "name": "nessus",
                "title": "a Nessus report",
                "syntax": "xml",
                "extensions": [".nessus", ".xml"],
                "imports": "findings",
            }
        ],
    }
    assert answer["sources"][1]["imports"] == ["assets"]


@pytest.mark.parametrize(
    ("head", "look", "found"),
    [
        (b"<NessusClientData_v2>", "XML with the root element <NessusClientData_v2>", [("nessus", "findings")]),
        (b"<nmaprun>", "XML with the root element <nmaprun>", [("nmap-xml", "assets")]),
        (b"%PDF-1.7", "a PDF document", []),
        (b"", "an empty file", []),
    ],
)
async def test_the_source_of_a_file_is_told_by_its_beginning(
    api: Api, head: bytes, look: str, found: list[tuple[str, str]]
) -> None:
    request = plextrac_pb2.DetectSourceRequest(content=HttpBody(content_type="application/octet-stream", data=head))
    answer = MessageToDict(await api.plextrac.DetectSource(request, metadata=as_("viewer")))
    check_shape("DetectedSources", answer)
    assert answer["look"] == look
    assert [(each["source"], each["imports"]) for each in answer["sources"]] == found
    reply = await api.native.DetectSource(importer_pb2.DetectSourceRequest(head=head), metadata=as_("viewer"))
    assert reply.look == look
    assert [(each.source, each.assets_only) for each in reply.sources] == [
        (source, imports == "assets") for source, imports in found
    ]


async def test_the_beginning_of_a_file_is_bounded(api: Api) -> None:
    request = importer_pb2.DetectSourceRequest(head=b"x" * (256 * 1024 + 1))
    denied = await refusal(api.native.DetectSource(request, metadata=as_("viewer")))
    assert denied == (grpc.StatusCode.INVALID_ARGUMENT, "HEAD_TOO_LARGE")


async def test_the_published_trigger(api: Api) -> None:
    payload = {
        "tags": '{"assets":["A b"],"findings":[]}',
        "useParserActions": False,
        "key": KEY,
        "fileName": "burp_sample_small.xml",
    }
    request = plextrac_pb2.StartImportRequest(
        client_id=api.client_id, report_id=api.report_id, source="nessus", payload=ParseDict(payload, Struct())
    )
    metadata = as_("importer", ("idempotency-key", "k1"))
    reply = await api.plextrac.StartImport(request, metadata=metadata)
    again = await api.plextrac.StartImport(request, metadata=metadata)
    body = MessageToDict(reply, always_print_fields_with_no_presence=True)
    assert reply.operation_id == reply.import_job.id == again.operation_id
    assert body["status"] == "success"
    job = body["importJob"]
    assert (job["file_location"], job["original_filename"]) == (KEY, "burp_sample_small.xml")
    assert (job["file_type"], job["file_size"]) == ("text/xml", "50")
    assert (job["status"], job["error_status"]) == ("IN QUEUE", None)
    assert (job["asset_tags"], job["finding_tags"]) == (["a_b"], [])
    assert len(await api.rows("SELECT 1 FROM imports")) == 1


async def test_a_trigger_says_how_the_file_is_to_be_imported(api: Api) -> None:
    payload = {
        "key": KEY,
        "dryRun": "true",
        "force": True,
        "onError": "abortAbove",
        "maxErrors": 3,
        "maxErrorPercent": "0.5",
        "expectedRecords": "12",
        "sha256": "0A" * 32,
    }
    request = plextrac_pb2.StartImportRequest(
        client_id=api.client_id, report_id=api.report_id, source="nessus", payload=ParseDict(payload, Struct())
    )
    await api.plextrac.StartImport(request, metadata=as_("importer"))
    (row,) = await api.rows("SELECT dry_run, force, policy, expected_sha256 FROM imports")
    assert row == {
        "dry_run": True,
        "force": True,
        "policy": {
            "on_error": "abort_above",
            "max_errors": 3,
            "max_error_percent": 0.5,
            "expected_records": 12,
        },
        "expected_sha256": b"\n" * 32,
    }


async def test_an_import_is_held_to_the_checksum_that_its_upload_was_declared_with(api: Api) -> None:
    await api.execute("UPDATE files SET sha256 = %s", b"\n" * 32)
    imported = await api.create()
    assert imported.options.expected_sha256 == "0a" * 32
    assert (await api.rows("SELECT expected_sha256 FROM imports"))[0]["expected_sha256"] == b"\n" * 32
    same, other = (importer_pb2.ImportOptions(expected_sha256=byte * 32) for byte in ("0A", "0b"))
    await api.create(options=same)
    assert await refusal(api.create(options=other)) == (grpc.StatusCode.INVALID_ARGUMENT, "CHECKSUM_CONFLICT")


async def test_a_trigger_into_report_0_is_no_asset_import(api: Api) -> None:
    request = plextrac_pb2.StartImportRequest(
        client_id=api.client_id, source="nessus", payload=ParseDict({"key": KEY}, Struct())
    )
    assert (await refusal(api.plextrac.StartImport(request, metadata=as_("importer"))))[1] == "REPORT_NOT_FOUND"


async def test_a_cancelled_import_reads_as_a_row_of_my_imports(api: Api) -> None:
    imported = await api.create()
    request = plextrac_pb2.CancelMyImportRequest(id=imported.import_id)
    row = MessageToDict(await api.plextrac.CancelMyImport(request, metadata=as_("importer")))
    assert row == {
        "key": imported.import_id,
        "name": "a b.nessus",
        "reportName": "Q1",
        "clientName": "Karbo",
        "fileSize": "50",
        "status": "ERROR",
        "progress": 0,
        "errorStatus": f"CANCELLED: cancelled by {IMPORTER.email}",
        "source": "nessus",
        "id": imported.import_id,
        "importId": imported.import_id,
        "state": "CANCELLED",
        "dryRun": False,
        "duplicateOf": None,
        "undoneBy": None,
    }


async def test_clients_and_reports_are_created_as_scripts_do(api: Api) -> None:
    payload = ParseDict({"name": "Karbo Industries", "poc": "p", "tags": ["Web App"]}, Struct())
    client = MessageToDict(
        await api.plextrac.CreateClient(plextrac_pb2.CreateClientRequest(payload=payload), metadata=as_("importer"))
    )
    assert client["status"] == "success"
    client_id = int(client["client_id"])
    (row,) = await api.rows("SELECT * FROM clients WHERE client_id = %s", client_id)
    assert (row["tenant_id"], row["name"], row["poc"], row["tags"]) == (1, "Karbo Industries", "p", ["web_app"])
    form = HttpBody(
        content_type="application/x-www-form-urlencoded",
        data=b"name=a.nessus&description=d&status=Open&logistics=&template=&start_date=&end_date=&fields_template=x",
    )
    report = MessageToDict(
        await api.plextrac.CreateReport(
            plextrac_pb2.CreateReportRequest(client_id=client_id, content=form), metadata=as_("importer")
        )
    )
    assert (report["message"], report["status"]) == ("success", "success")
    (row,) = await api.rows("SELECT * FROM reports WHERE report_id = %s", int(report["report_id"]))
    assert (row["client_id"], row["name"], row["status"]) == (client_id, "a.nessus", "Open")
    assert row["details"] == {"fields_template": "x"}


async def test_the_audit_log_names_what_was_made(api: Api) -> None:
    made = await api.create(request_id="once")
    await api.create(request_id="once")
    await api.plextrac.CancelMyImport(
        plextrac_pb2.CancelMyImportRequest(id=made.import_id), metadata=as_("importer", ("x-dialect", "plextrac"))
    )
    client, report, *imports, cancel = api.audit.events
    ids = {"client_id": str(api.client_id)}
    assert client.object == ids
    assert report.object == ids | {"report_id": str(api.report_id)}
    assert [event.object["import_id"] for event in imports] == [made.import_id] * 2
    assert cancel.object == {"import_id": made.import_id}

"""Runs of import sources as the Assets API tells of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from hythe.dialects.assets.v1 import assets_pb2 as pb
from runtime.reports import errors_report_key
from tests.fakes.workspaces import FOREIGN, HOME, SECOND
from tests.integration.serving import PUBLIC_URL
from tests.integration.status.asset_rows import OTHER, SOURCE, AssetRows
from tests.integration.status.conftest import Api, as_, check_shape, refusal
from tests.integration.status.rows import WHEN, WHEN_ISO

BASE = f"{PUBLIC_URL}/jsm/assets/workspace/{HOME.workspace_id}/v1/importsource/{SOURCE}"
NO_SOURCE = (grpc.StatusCode.NOT_FOUND, "IMPORT_SOURCE_NOT_FOUND")
NO_RUN = (grpc.StatusCode.NOT_FOUND, "EXECUTION_NOT_FOUND")
SHAPES = "assets/v1"
RUN_READS = ("GetExecution", "GetExecutionProgress", "GetExecutionStatus", "GetExecutionData", "ListExecutionErrors")
REQUESTS = {"GetExecutionData": pb.ExecutionDataRequest, "ListExecutionErrors": pb.ExecutionErrorsRequest}
DONE: dict[str, Any] = {"phase": "done", "percent": 100, "read": 10, "inserted": 4, "updated": 3, "unchanged": 1}
DONE |= {"deleted": 1, "rejected": 2, "processed_bytes": 1000}


@pytest.fixture
def assets(api: Api) -> AssetRows:
    assets = AssetRows(api.rows)
    assets.ids["schema"] = assets.schema()
    assets.source(assets.ids["schema"])
    return assets


def asking(api: Api, method: str, execution_id: object, caller: str = "viewer", **members: Any) -> Any:
    made = {"workspace_id": str(HOME.workspace_id), "import_source_id": str(SOURCE), "execution_id": str(execution_id)}
    request = REQUESTS.get(method, pb.ExecutionReadRequest)(**(made | members))
    return getattr(api.assets, method)(request, metadata=as_(caller))


async def progress(api: Api, execution_id: UUID) -> Any:
    found = await api.answered(asking(api, "GetExecutionProgress", execution_id))
    check_shape("Progress", found, SHAPES)
    return found


async def test_a_run_that_has_ended_is_told_of_with_all_its_counters(api: Api, assets: AssetRows) -> None:
    type_id = assets.type(assets.ids["schema"], "Host")
    counters = {"created": 4, "updated": 3, "identical": 1, "missing_deleted": 1, "entries": 12, "duplicates": 1}
    counters |= {"empty_labels": 1, "empty_keys": 1, "filtered": 2, "updated_references": 1, "errors": 2}
    counters |= {"missing_updated": 5, "not_found": 6}
    told = [["BAD_VALUE", "Cores: It is no number."], ["BAD_VALUE", "Load: It is no number."], ["EMPTY", "Nothing."]]
    ended = WHEN + timedelta(seconds=5)
    run = assets.run(
        "SUCCEEDED",
        progress=DONE | {"entities": {str(type_id): {**counters, "messages": told}}},
        started_at=WHEN,
        ended_at=ended,
    )
    assets.rows.row_error(run, 3)
    found = await api.answered(asking(api, "GetExecutionStatus", run))
    check_shape("ExecutionStatus", found, SHAPES)
    result = found.pop("progressResult")
    assert found == {"status": "DONE", "importStatus": "COMPLETED", "executionId": str(run)}
    by_type = result.pop("objectTypeResultMap")
    assert by_type == {
        str(type_id): {
            "id": type_id,
            "objectTypeId": type_id,
            "objectTypeName": "Host",
            "objectsCreated": 4,
            "objectsUpdated": 3,
            "objectsIdentical": 1,
            "objectsMissingUpdated": 5,
            "objectsMissingDeleted": 1,
            "entriesInSource": 12,
            "duplicateEnries": 1,
            "duplicateEntries": 1,
            "emptyLabelEntries": 1,
            "emptyExternalIdEntries": 1,
            "objectsFilteredWithQlQuery": 2,
            "objectsWithUpdatedReferences": 1,
            "referencesNotFound": 6,
            "errorCount": 2,
            "errorMessages": {
                "BAD_VALUE": ["Cores: It is no number.", "Load: It is no number."],
                "EMPTY": ["Nothing."],
            },
        }
    }
    assert result == {
        "type": "IMPORT",
        "id": 1,
        "jobId": str(run),
        "importSourceId": str(SOURCE),
        "objectSchemaId": assets.ids["schema"],
        "started": WHEN_ISO,
        "ended": "2026-03-04T05:06:12.890Z",
        "status": "FINISHED",
        "result": "OK",
        "infoMessage": "4 objects were created, 8 updated, 2 removed; 1 are as they were. 2 entries were rejected.",
        "populatedObjectTypes": [type_id],
        "onlyExecutedForObjectTypes": [],
        "errorMessages": {"INVALID_PORT": ["line 3: The port is not a number from 0 to 65535."]},
        "totalNumberEntriesInImport": 12,
        "entriesCreated": 4,
        "entriesUpdated": 3,
        "entriesFailed": 2,
        "entriesProcessed": 10,
    }


async def test_a_failed_run_is_done_and_says_why(api: Api, assets: AssetRows) -> None:
    run = assets.run("FAILED", error_code="CLIENT_FAILED", error_message="The scanner is gone.", ended_at=WHEN)
    found = await api.answered(asking(api, "GetExecutionStatus", run))
    result = found["progressResult"]
    assert (found["status"], found["importStatus"]) == ("DONE", "FAILED")
    assert (result["status"], result["result"]) == ("FINISHED", "ERROR")
    assert result["errorMessages"] == {"CLIENT_FAILED": ["The scanner is gone."]}
    assert result["infoMessage"] == "The scanner is gone."
    told = await progress(api, run)
    assert (told["status"], told["result"], told["resultMessage"]) == ("FAILED", "ERROR", "The scanner is gone.")


STEPS: dict[str, tuple[str, dict[str, Any], tuple[int, str, int, int]]] = {
    "waits in the queue": ("QUEUED", {"phase": "queued"}, (2, "Connection", 0, 0)),
    "starts": ("RUNNING", {"phase": "starting"}, (2, "Connection", 0, 0)),
    "is fetched": ("RUNNING", {"phase": "fetching", "read": 5}, (2, "Connection", 5, 5)),
    "is recognised": ("RUNNING", {"phase": "staging"}, (3, "Schema Discovery", 0, 0)),
    "is mapped": (
        "RUNNING",
        {"phase": "staging", "percent": 45, "processed_bytes": 500, "read": 20},
        (4, "Mapping", 20, 40),
    ),
    "is merged": (
        "RUNNING",
        {"phase": "changing objects", "percent": 95, "processed_bytes": 1000, "read": 40},
        (5, "Processing", 20, 40),
    ),
    "is over": ("SUCCEEDED", DONE, (6, "Completion", 10, 10)),
    "failed in the merge": ("FAILED", {"phase": "failed", "percent": 93, "read": 40}, (5, "Processing", 12, 40)),
    "was paused": (
        "PAUSED",
        {"phase": "paused", "percent": 45, "processed_bytes": 500, "read": 20},
        (4, "Mapping", 20, 40),
    ),
}


@pytest.mark.parametrize("name", STEPS)
async def test_progress_has_the_published_steps(api: Api, assets: AssetRows, name: str) -> None:
    state, told, expected = STEPS[name]
    fetched = {"needs_fetch": True, "started_at": WHEN} if told["phase"] == "fetching" else {}
    found = await progress(api, assets.run(state, progress=told, **fetched))
    counted = found["currentWorkUnits"], found["currentStepTotalWorkUnits"]
    assert (found["currentStep"], found["stepDescription"], *counted) == expected
    assert found["totalWorkUnits"] == found["currentStepTotalWorkUnits"]


async def test_progress_has_every_published_member(api: Api, assets: AssetRows) -> None:
    started = datetime.now(UTC) - timedelta(seconds=10)
    told = {"phase": "staging", "percent": 50, "processed_bytes": 500, "read": 750}
    run = assets.run("RUNNING", progress=told, started_at=started)
    found = await progress(api, run)
    estimate = datetime.fromisoformat(found.pop("estimatedFinishDate"))
    assert abs(estimate - started - timedelta(seconds=20)) < timedelta(seconds=5)
    assert datetime.fromisoformat(found.pop("startDate")) - started < timedelta(milliseconds=1)
    result_data = found.pop("resultData")
    assert result_data["executedType"] == "MANUAL"
    assert result_data["executedAsUser"]["emailAddress"] == "importer@example.com"
    assert found == {
        "progressInPercent": 50,
        "resourceId": str(SOURCE),
        "category": "imports",
        "status": "IN_PROGRESS",
        "importStatus": "IN_PROGRESS",
        "stepDescription": "Mapping",
        "currentStep": 4,
        "numberOfSteps": 6,
        "currentWorkUnits": 750,
        "currentWorkDescription": "Mapping objects...",
        "currentStepTotalWorkUnits": 1500,
        "totalWorkUnits": 1500,
        "actor": "importer@example.com",
        "endDate": None,
        "executionUUID": str(run),
    }


async def test_the_end_has_a_date_by_both_names(api: Api, assets: AssetRows) -> None:
    found = await progress(api, assets.run("SUCCEEDED", progress=DONE, ended_at=WHEN))
    assert (found["finishedDate"], found["endDate"], found["result"]) == (WHEN_ISO, WHEN_ISO, "OK")
    assert "estimatedFinishDate" not in found


async def test_while_it_takes_data_progress_is_what_the_client_says(api: Api, assets: AssetRows) -> None:
    told = {"steps": {"total": 3, "current": 1, "description": "Page 3"}, "objects": {"total": 900, "processed": 30}}
    found = await progress(api, assets.run("OPEN", told_progress=told))
    assert (found["status"], found["currentStep"], found["currentWorkDescription"]) == ("IN_PROGRESS", 2, "Page 3")
    assert (found["currentWorkUnits"], found["totalWorkUnits"]) == (30, 900)


async def test_progress_of_a_source_is_that_of_its_latest_run(api: Api, assets: AssetRows) -> None:
    first, second = assets.run("SUCCEEDED", progress=DONE), assets.run("RUNNING")
    assets.run("RUNNING", kind="undo", origin="undo", origin_import_id=first)
    for asked, expected in ((SOURCE, second), (first, first)):
        request = pb.ProgressRequest(workspace_id=str(HOME.workspace_id), id=str(asked))
        found = await api.answered(api.assets.GetImportProgress(request, metadata=as_("viewer")))
        assert found["executionUUID"] == str(expected)
        assert found["resourceId"] == str(SOURCE)


async def test_the_latest_status_is_that_of_the_run_that_was_made_last(api: Api, assets: AssetRows) -> None:
    request = pb.SourceReadRequest(workspace_id=str(HOME.workspace_id), import_source_id=str(SOURCE))
    assert await refusal(api.assets.GetLatestExecutionStatus(request, metadata=as_())) == NO_RUN
    assets.run("SUCCEEDED", progress=DONE)
    last = assets.run("OPEN")
    found = await api.answered(api.assets.GetLatestExecutionStatus(request, metadata=as_()))
    assert (found["executionId"], found["status"]) == (str(last), "INGESTING")
    assert "result" not in found["progressResult"]


async def test_the_history_has_a_line_for_every_run(api: Api, assets: AssetRows) -> None:
    undo = uuid4()
    done = DONE | {"entities": {"1": {"missing_deleted": 7}}}
    first = assets.run("SUCCEEDED", progress=done, is_scheduled=True, undone_by=undo, undone_at=WHEN, ended_at=WHEN)
    second = assets.run("FAILED", error_code="INGESTION_TIMEOUT", error_message="No data came.")
    third = assets.run("OPEN")
    request = pb.ExecutionsRequest(workspace_id=str(HOME.workspace_id), import_source_id=str(SOURCE))
    found = await api.answered(api.assets.ListExecutions(request, metadata=as_()))
    check_shape("Executions", found, SHAPES)
    assert [each["executionId"] for each in found] == [str(each) for each in (third, second, first)]
    assert found[1]["failureReason"] == "No data came."
    assert (found[2]["isScheduled"], found[2]["rolledBack"], found[2]["rolledBackBy"]) == (True, True, str(undo))
    assert (found[2]["counters"]["created"], found[2]["counters"]["removed"]) == (4, 8)
    assert found[2]["actor"]["emailAddress"] == "importer@example.com"
    assert found[0]["links"] == {
        "submitProgress": f"{BASE}/executions/{third}/progress",
        "submitResults": f"{BASE}/executions/{third}/data",
        "getExecutionStatus": f"{BASE}/executions/{third}/status",
        "cancel": f"{BASE}/executions/{third}",
        "self": f"{BASE}/executions/{third}",
        "progress": f"{BASE}/executions/{third}/progress",
        "errors": f"{BASE}/executions/{third}/errors",
    }
    assert "submitResults" not in found[1]["links"]
    request.start_at, request.max_results = 1, 1
    page = await api.answered(api.assets.ListExecutions(request, metadata=as_()))
    assert [each["executionId"] for each in page] == [str(second)]


async def test_details_of_a_run_and_of_what_takes_it_back(api: Api, assets: AssetRows) -> None:
    caution = {"code": "UNKNOWN_OPTION", "message": "It is none of the options.", "count": 2}
    run = assets.run("SUCCEEDED", progress=DONE | {"cautions": [caution]})
    found = await api.answered(asking(api, "GetExecution", run))
    check_shape("ExecutionDetails", found, SHAPES)
    assert (found["kind"], found["warnings"]) == ("IMPORT", [caution])
    assert found["progressResult"]["entriesCreated"] == 4
    undo = assets.run("RUNNING", kind="undo", origin="undo", origin_import_id=run)
    found = await api.answered(asking(api, "GetExecution", undo))
    assert (found["kind"], found["originExecutionId"]) == ("ROLLBACK", str(run))


async def test_the_pieces_of_a_run_come_in_their_order(api: Api, assets: AssetRows) -> None:
    run = assets.run("OPEN")
    assets.piece(run, 0, "a")
    assets.piece(run, 1, None, digest=None, size=20)
    assets.piece(run, 2, "c", purged_at=WHEN)
    found = await api.answered(asking(api, "GetExecutionData", run, max_results=2))
    check_shape("ExecutionData", found, SHAPES)
    assert found == {
        "startAt": 0,
        "maxResults": 2,
        "total": 3,
        "isLast": False,
        "last": False,
        "values": [
            {
                "order": 0,
                "clientGeneratedId": "a",
                "size": 10,
                "digest": "00" * 32,
                "digestAlgorithm": "SHA-256",
                "isKept": True,
            },
            {"order": 1, "size": 20, "isKept": True},
        ],
    }
    found = await api.answered(asking(api, "GetExecutionData", run, start_at=2))
    assert (found["isLast"], [each["clientGeneratedId"] for each in found["values"]]) == (True, ["c"])
    assert found["values"][0]["isKept"] is False


async def test_rejected_entries_are_listed_with_a_link_to_all_of_them(api: Api, assets: AssetRows) -> None:
    run = assets.run("SUCCEEDED", progress=DONE | {"rejected": 1500})
    for number in (1, 2):
        assets.rows.row_error(run, number)
    found = await api.answered(asking(api, "ListExecutionErrors", run))
    check_shape("ExecutionErrors", found, SHAPES)
    assert "download" not in found
    await api.objects.put(api.objects.object_key(errors_report_key(1, run)), b"line,code\n", "text/csv")
    found = await api.answered(asking(api, "ListExecutionErrors", run, start_at=1))
    assert (found["total"], found["listed"], found["isLast"]) == (1500, 2, True)
    assert found["values"] == [
        {
            "record": 2,
            "position": "line 2",
            "field": "port",
            "code": "INVALID_PORT",
            "value": "x",
            "message": "The port is not a number from 0 to 65535.",
        }
    ]
    assert str(run) in found["download"]


@pytest.mark.parametrize("method", RUN_READS)
async def test_runs_of_others_are_not_there(api: Api, assets: AssetRows, method: str) -> None:
    assets.source(assets.ids["schema"], OTHER)
    elsewhere = uuid4()
    assets.source(assets.schema(key="E", workspace_id=SECOND.workspace_id), elsewhere, workspace_id=SECOND.workspace_id)
    mine, others = assets.run("OPEN"), assets.run("OPEN", import_source_id=OTHER)
    assert await asking(api, method, mine, "container")
    no_workspace = (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert await refusal(asking(api, method, others)) == NO_RUN
    assert await refusal(asking(api, method, uuid4())) == NO_RUN
    assert await refusal(asking(api, method, "latest")) == NO_RUN
    assert await refusal(asking(api, method, others, import_source_id="x")) == NO_SOURCE
    assert await refusal(asking(api, method, others, "container", import_source_id=str(OTHER))) == NO_SOURCE
    assert await refusal(asking(api, method, mine, import_source_id=str(elsewhere))) == NO_SOURCE
    assert await refusal(asking(api, method, mine, workspace_id=str(SECOND.workspace_id))) == NO_SOURCE
    assert await refusal(asking(api, method, mine, "stranger")) == no_workspace
    assert await refusal(asking(api, method, mine, "stranger", workspace_id=str(FOREIGN.workspace_id))) == NO_SOURCE
    assert (await refusal(asking(api, method, mine, "limited")))[1] == "CLIENT_GRANTS"


async def test_a_container_token_sees_the_progress_of_its_source_alone(api: Api, assets: AssetRows) -> None:
    assets.source(assets.ids["schema"], OTHER)
    others = assets.run("OPEN", import_source_id=OTHER)
    for asked in (OTHER, others, uuid4(), "x"):
        request = pb.ProgressRequest(workspace_id=str(HOME.workspace_id), id=str(asked))
        assert await refusal(api.assets.GetImportProgress(request, metadata=as_("container"))) == NO_SOURCE


async def test_pages_begin_at_nothing_less_than_the_first(api: Api, assets: AssetRows) -> None:
    run = assets.run("OPEN")
    pages: list[dict[str, Any]] = [{"start_at": -1}, {"max_results": -1}]
    for members in pages:
        refused = await refusal(asking(api, "GetExecutionData", run, **members))
        assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_SIZE")

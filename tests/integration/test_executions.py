"""Runs of import sources, by the calls of the Assets API, over PostgreSQL and an object store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from hythe.dialects.assets.v1 import assets_pb2
from runtime.errors import FailedPrecondition
from tests.fakes.people import IMPORTER, calling
from tests.fakes.workspaces import FOREIGN, HOME, SECOND
from tests.integration.execution_api import FILE_KEY, FILED, PLAN, PULLED, PUSHED, RULES, THEIRS, Runs, opened_runs
from tests.integration.import_api import as_, refusal
from tests.integration.serving import PUBLIC_URL
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

BASE = f"{PUBLIC_URL}/jsm/assets/workspace/{HOME.workspace_id}/v1/importsource"
BUSY = (grpc.StatusCode.FAILED_PRECONDITION, "IN_PROGRESS")
CLOSED = (grpc.StatusCode.INVALID_ARGUMENT, "EXECUTION_NOT_INGESTING")
NO_SOURCE = (grpc.StatusCode.NOT_FOUND, "IMPORT_SOURCE_NOT_FOUND")
NO_RUN = (grpc.StatusCode.NOT_FOUND, "EXECUTION_NOT_FOUND")


@pytest.fixture
async def runs(database: Database, object_store: Bucket) -> AsyncIterator[Runs]:
    async with opened_runs(database, object_store) as runs:
        yield runs


async def test_an_external_source_opens_a_run_that_waits_for_data(runs: Runs) -> None:
    answer = await runs.call("StartExecution", payload={"scheduled": True})
    execution_id = answer["executionId"]
    at = f"{BASE}/{PUSHED}/executions/{execution_id}"
    assert answer == {
        "result": "success",
        "id": execution_id,
        "executionId": execution_id,
        "importSourceId": str(PUSHED),
        "status": "INGESTING",
        "importStatus": "IN_PROGRESS",
        "waits": False,
        "dryRun": False,
        "links": {
            "submitProgress": f"{at}/progress",
            "submitResults": f"{at}/data",
            "getExecutionStatus": f"{at}/status",
            "cancel": at,
        },
    }
    row = await runs.row(execution_id)
    assert (row["state"], row["target"], row["source"], row["plan"]) == ("OPEN", "objects", "objects-chunk", PLAN)
    assert (row["workspace_id"], row["is_scheduled"], row["needs_fetch"]) == (HOME.workspace_id, True, False)
    assert row["open_until"] - row["created_at"] == RULES.open_life
    assert row["execution_number"] > 0
    assert not await runs.is_sent(execution_id)
    assert runs.audit.events[-1].object["import_id"] == execution_id


async def test_a_source_of_a_file_is_queued_with_it(runs: Runs) -> None:
    progress = await runs.call("StartImport", FILED, payload={"dryRun": True, "force": True})
    assert (progress["status"], progress["category"], progress["currentStep"]) == ("PENDING", "imports", 1)
    assert (progress["resourceId"], progress["numberOfSteps"]) == (str(FILED), 6)
    assert progress["stepDescription"] == "Starting CSV import..."
    assert set(progress["links"]) == {"getExecutionStatus", "cancel"}
    row = await runs.row(progress["executionUUID"])
    assert (row["state"], row["lane"], row["source"]) == ("QUEUED", "small", "objects-csv")
    assert (row["key"], row["file_name"], row["file_size"]) == (FILE_KEY, "hosts.csv", 11)
    assert (row["dry_run"], row["force"]) == (True, True)
    assert await runs.pieces(progress["id"]) == [b"name\nalpha\n"]
    assert await runs.is_sent(progress["id"])


async def test_a_source_that_is_pulled_goes_to_the_fetcher(runs: Runs) -> None:
    execution_id = await runs.started(PULLED)
    row = await runs.row(execution_id)
    assert (row["state"], row["lane"], row["needs_fetch"], row["source"]) == ("QUEUED", "fetch", True, "objects-json")
    assert await runs.rows("SELECT * FROM import_inputs") == []
    assert (await runs.rows("SELECT lane FROM outbox"))[0]["lane"] == "fetch"


async def test_the_published_start_opens_a_run_of_an_external_source_too(runs: Runs) -> None:
    progress = await runs.call("StartImport")
    assert progress["status"] == "IN_PROGRESS"
    assert progress["links"]["submitResults"].endswith(f"{progress['id']}/data")


async def test_what_cannot_run_is_refused_by_its_published_code(runs: Runs) -> None:
    await runs.execute("UPDATE import_sources SET plan = NULL WHERE import_source_id = %s", FILED)
    await runs.execute("UPDATE import_sources SET is_enabled = false WHERE import_source_id = %s", PULLED)
    assert (await refusal(runs.calling("StartImport", FILED)))[1] == "MISSING_MAPPING"
    assert (await refusal(runs.calling("StartImport", PULLED)))[1] == "DISABLED"
    assert await runs.rows("SELECT * FROM imports") == []


async def test_a_file_that_is_not_there_is_refused(runs: Runs) -> None:
    await runs.objects.delete(runs.objects.object_key(FILE_KEY))
    assert (await refusal(runs.calling("StartImport", FILED)))[1] == "FILE_NOT_UPLOADED"
    await runs.execute("UPDATE import_sources SET file_key = NULL WHERE import_source_id = %s", FILED)
    assert (await refusal(runs.calling("StartImport", FILED)))[1] == "FILE_NOT_UPLOADED"


async def test_a_file_is_read_again_however_old_it_is(runs: Runs) -> None:
    await runs.execute("UPDATE files SET created_at = now() - interval '100 days'")
    await runs.end(await runs.started(FILED))
    await runs.started(FILED)


async def test_a_source_runs_once_at_a_time(runs: Runs) -> None:
    first = await runs.started()
    assert await refusal(runs.calling("StartExecution")) == BUSY
    assert await refusal(runs.calling("StartImport", PUSHED, "colleague")) == BUSY
    await runs.call("CancelExecution", execution_id=first)
    assert await runs.started() != first


async def test_of_two_starts_at_once_one_is_refused(runs: Runs) -> None:
    calls = [runs.calling("StartExecution") for _ in range(6)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in found) == 1
    assert len(await runs.rows("SELECT * FROM imports")) == 1


async def test_a_run_that_may_wait_takes_its_turn_when_the_one_before_ends(runs: Runs) -> None:
    first, second, third = [await runs.started(FILED, queue=True) for _ in range(3)]
    assert [(await runs.row(each))["waits"] for each in (first, second, third)] == [False, True, True]
    assert not await runs.is_sent(second)
    assert await refusal(runs.calling("StartExecution", FILED)) == BUSY
    await runs.call("CancelExecution", FILED, execution_id=first)
    assert [await runs.is_sent(each) for each in (first, second, third)] == [False, True, False]
    await runs.call("CancelExecution", FILED, execution_id=third)
    await runs.call("CancelExecution", FILED, execution_id=second)
    assert {row["state"] for row in await runs.rows("SELECT state FROM imports")} == {"CANCELLED"}


async def test_no_run_waits_for_ever_whatever_ends_and_starts_at_once(runs: Runs) -> None:
    async def cycle(number: int) -> None:
        for _ in range(8):
            execution_id = await runs.started(FILED, queue=True)
            await asyncio.sleep(number / 500)
            await runs.call("CancelExecution", FILED, execution_id=execution_id)

    last = await runs.started(FILED, queue=True)
    await asyncio.wait_for(asyncio.gather(*(cycle(number) for number in range(5))), 60)
    await runs.openings.sweep()
    assert (await runs.row(last))["waits"] is False
    live = await runs.rows("SELECT * FROM imports WHERE state = 'QUEUED'")
    assert [str(row["import_id"]) for row in live] == [last]


async def test_a_workspace_has_so_many_places(runs: Runs) -> None:
    sources = [await runs.added("database") for _ in range(RULES.max_running + 2)]
    running = [await runs.started(source) for source in sources[: RULES.max_running]]
    status, reason = await refusal(runs.calling("StartExecution", sources[-1]))
    assert (status, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_EXECUTIONS")
    waiting = [await runs.started(source, queue=True) for source in sources[RULES.max_running :]]
    assert [(await runs.row(each))["waits"] for each in waiting] == [True, True]
    await runs.call("CancelExecution", sources[0], execution_id=running[0])
    assert [(await runs.row(each))["waits"] for each in waiting] == [False, True]


async def test_a_run_that_waits_for_its_turn_takes_data_meanwhile(runs: Runs) -> None:
    first = await runs.started()
    second = await runs.started(PUSHED, "importer", queue=True)
    await runs.sending(second, {"data": {"hosts": [{"name": "alpha"}]}, "completed": True})
    row = await runs.row(second)
    assert (row["state"], row["waits"]) == ("QUEUED", True)
    assert not await runs.is_sent(second)
    await runs.sending(first, {"completed": True})
    await runs.call("CancelExecution", execution_id=first)
    assert await runs.is_sent(second)


async def test_the_sweep_gives_places_that_no_end_has_given(runs: Runs) -> None:
    first = await runs.started(FILED)
    second = await runs.started(FILED, queue=True)
    await runs.openings.sweep()
    assert (await runs.row(second))["waits"] is True
    await runs.end(first)
    await runs.openings.sweep()
    assert await runs.is_sent(second)
    await runs.openings.sweep()
    assert len(await runs.rows("SELECT * FROM outbox WHERE import_id = %s", second)) == 1


async def test_a_paused_run_keeps_its_place_and_one_that_waits_can_be_paused(runs: Runs) -> None:
    first = await runs.started(FILED)
    second = await runs.started(FILED, queue=True)
    paused = await runs.call("PauseExecution", FILED, execution_id=first)
    assert (paused["status"], paused["importStatus"]) == ("PROCESSING", "PAUSED")
    await runs.call("PauseExecution", FILED, execution_id=second)
    resumed = await runs.call("ResumeExecution", FILED, execution_id=second)
    assert (resumed["importStatus"], resumed["waits"]) == ("PENDING", True)
    await runs.openings.sweep()
    assert not await runs.is_sent(second)
    await runs.call("CancelExecution", FILED, execution_id=first)
    assert await runs.is_sent(second)


async def test_a_run_is_cancelled_in_every_state(runs: Runs) -> None:
    execution_id = await runs.started(FILED)
    await runs.execute("UPDATE imports SET state = 'RUNNING' WHERE import_id = %s", execution_id)
    await runs.call("CancelExecution", FILED, execution_id=execution_id)
    assert [row["action"] for row in await runs.rows("SELECT * FROM import_requests")] == ["cancel"]
    for state in ("SUCCEEDED", "FAILED", "CANCELLED"):
        await runs.end(execution_id, state)
        await runs.call("CancelExecution", FILED, execution_id=execution_id)
        assert (await runs.row(execution_id))["state"] == state


async def test_the_client_may_give_up_while_it_sends(runs: Runs) -> None:
    execution_id = await runs.started()
    call = runs.calling("FailExecution", execution_id=execution_id, payload={"failureReason": "No more pages."})
    await call
    assert dict(await call.initial_metadata())["x-http-status"] == "204"
    row = await runs.row(execution_id)
    assert (row["state"], row["error_code"], row["error_message"]) == ("FAILED", "CLIENT_FAILED", "No more pages.")
    again = runs.calling("FailExecution", execution_id=execution_id, payload={"failureReason": "Twice."})
    assert await refusal(again) == CLOSED


@pytest.mark.parametrize("reason", [None, "", "x" * 1_025, 5, "a\0b"])
async def test_a_reason_that_is_none_is_refused(runs: Runs, reason: object) -> None:
    call = runs.calling("FailExecution", execution_id=await runs.started(), payload={"failureReason": reason})
    assert (await refusal(call))[1] == "INVALID_FAILURE_REASON"


async def test_what_the_client_says_of_its_work_is_kept_and_keeps_the_run_open(runs: Runs) -> None:
    execution_id = await runs.started()
    await runs.execute("UPDATE imports SET open_until = now() + interval '1 second'")
    told = {"steps": {"total": 3, "current": 1, "description": "Reading"}, "objects": {"processed": 5}}
    await runs.call("PutProgress", execution_id=execution_id, payload=told)
    row = await runs.row(execution_id)
    assert row["told_progress"] == told
    assert row["open_until"] - row["updated_at"] == RULES.open_life
    await runs.end(execution_id)
    assert await refusal(runs.calling("PutProgress", execution_id=execution_id, payload=told)) == CLOSED


async def test_an_open_run_that_hears_nothing_ends(runs: Runs) -> None:
    first = await runs.started()
    second = await runs.started(PUSHED, "importer", queue=True)
    await runs.openings.sweep()
    assert (await runs.row(first))["state"] == "OPEN"
    await runs.execute("UPDATE imports SET open_until = now() - interval '1 second' WHERE import_id = %s", first)
    await asyncio.gather(runs.openings.sweep(), runs.openings.sweep())
    row = await runs.row(first)
    assert (row["state"], row["error_code"]) == ("FAILED", "INGESTION_TIMEOUT")
    assert len(await runs.rows("SELECT * FROM outbox WHERE topic = 'ended'")) == 1
    assert (await runs.row(second))["waits"] is False


async def test_a_roll_back_is_a_run_of_its_own(runs: Runs) -> None:
    execution_id = await runs.started(FILED)
    early = await refusal(runs.calling("RollbackExecution", FILED, execution_id=execution_id))
    assert early[1] == "IMPORT_NOT_UNDOABLE"
    await runs.end(execution_id)
    trial = await runs.call("RollbackExecution", FILED, execution_id=execution_id, payload={"dryRun": True})
    undo = await runs.call("RollbackExecution", FILED, execution_id=execution_id)
    assert (trial["dryRun"], undo["dryRun"], undo["importStatus"]) == (True, False, "PENDING")
    row = await runs.row(undo["executionId"])
    assert (row["kind"], row["import_source_id"], row["plan"]) == ("undo", FILED, PLAN)
    # It takes no turn: the source may run beside it.
    await runs.started(FILED)


@pytest.mark.parametrize("how", ["CancelExecution", "FailExecution"])
async def test_a_part_of_the_data_is_never_run_again_as_all_of_it(runs: Runs, how: str) -> None:
    part = await runs.started()
    await runs.sending(part, {"data": {"hosts": [{"name": "alpha"}]}})
    payload = {"failureReason": "lost"} if how == "FailExecution" else {}
    await runs.call(how, execution_id=part, payload=payload)
    with calling(IMPORTER), pytest.raises(FailedPrecondition) as raised:
        await runs.repeats.rerun(IMPORTER, part)
    assert raised.value.reason == "DATA_INCOMPLETE"
    whole = await runs.started()
    await runs.sending(whole, {"data": {"hosts": [{"name": "alpha"}]}, "completed": True})
    await runs.end(whole, "FAILED")
    with calling(IMPORTER):
        assert (await runs.repeats.rerun(IMPORTER, whole)).origin_import_id == UUID(whole)


async def test_others_do_not_reach_a_source_or_its_runs(runs: Runs) -> None:
    execution_id = await runs.started()
    for caller, source in (("other token", PUSHED), ("importer", THEIRS), ("importer", UUID(int=9)), ("importer", "x")):
        assert await refusal(runs.calling("StartExecution", source, caller)) == NO_SOURCE
        assert await refusal(runs.calling("CancelExecution", source, caller, execution_id=execution_id)) == NO_SOURCE
        assert await refusal(runs.sending(execution_id, {"completed": True}, source, caller)) == NO_SOURCE
    assert (await refusal(runs.calling("StartExecution", PUSHED, "stranger")))[1] == "WORKSPACE_NOT_FOUND"
    assert (await refusal(runs.calling("StartExecution", PUSHED, "limited")))[1] == "CLIENT_GRANTS"
    assert (await refusal(runs.calling("StartExecution", PUSHED, "viewer")))[1] == "ROLE_REQUIRED"
    for workspace in (SECOND, FOREIGN):
        call = runs.calling("StartExecution", workspace_id=str(workspace.workspace_id))
        assert (await refusal(call))[0] is grpc.StatusCode.NOT_FOUND
    assert (await runs.row(execution_id))["state"] == "OPEN"


async def test_a_run_of_another_source_is_not_found(runs: Runs) -> None:
    execution_id = await runs.started()
    for number in (execution_id, str(UUID(int=9)), "x", ""):
        call = runs.calling("PauseExecution", FILED, execution_id=number)
        assert await refusal(call) == NO_RUN


async def test_a_colleague_and_the_token_command_the_same_runs(runs: Runs) -> None:
    await runs.call("CancelExecution", PUSHED, "token", execution_id=await runs.started())
    await runs.call("CancelExecution", PUSHED, "colleague", execution_id=await runs.started(PUSHED, "token"))
    assert {row["state"] for row in await runs.rows("SELECT state FROM imports")} == {"CANCELLED"}


async def test_a_container_token_begins_with_its_links(runs: Runs) -> None:
    request = assets_pb2.ImportsInfoRequest()
    answer = MessageToDict(await runs.stub.GetImportsInfo(request, metadata=as_("token")))
    at = f"{BASE}/{PUSHED}"
    assert answer == {
        "links": {"getStatus": f"{at}/configstatus", "start": f"{at}/executions", "mapping": f"{at}/mapping"}
    }
    refused = await refusal(runs.stub.GetImportsInfo(request, metadata=as_("importer")))
    assert refused == (grpc.StatusCode.PERMISSION_DENIED, "CONTAINER_TOKEN_REQUIRED")


async def test_what_is_changed_of_a_source_does_not_touch_a_run_that_has_begun(runs: Runs) -> None:
    execution_id = await runs.started(FILED)
    await runs.execute("UPDATE import_sources SET plan = '{\"types\": [1]}', file_key = NULL")
    assert (await runs.row(execution_id))["plan"] == PLAN
    assert await runs.pieces(execution_id) == [b"name\nalpha\n"]


@pytest.mark.parametrize("member", ["dryRun", "force", "queue", "scheduled"])
async def test_flags_are_true_or_false(runs: Runs, member: str) -> None:
    assert (await refusal(runs.calling("StartExecution", payload={member: "yes"})))[1] == "INVALID_FLAG"

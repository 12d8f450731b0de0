"""Triggers of files of records, by gRPC, over PostgreSQL and an object store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from hythe.importer.v1 import importer_pb2 as pb
from tests.fakes.workspaces import FOREIGN, HOME, SECOND
from tests.integration.import_api import Api, as_, opened, refusal
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

FORCED = pb.ImportOptions(force=True)
TRIAL = pb.ImportOptions(dry_run=True)


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    async with opened(database, object_store) as api:
        yield api


async def end(api: Api, started: pb.Import, state: str = "SUCCEEDED") -> None:
    await api.execute("UPDATE imports SET state = %s, ended_at = now() WHERE import_id = %s", state, started.import_id)


async def test_a_trigger_queues_the_file_for_its_workspace(api: Api) -> None:
    key = await api.record_file("f1")
    started = await api.start("f1", workspace=HOME.name, bucket_id=HOME.bucket_id, description="nightly")
    assert (started.state, started.source, started.key) == (pb.STATE_QUEUED, "cc5", key)
    assert (started.workspace_id, started.action_id, started.description) == (
        str(HOME.workspace_id), "announced", "nightly",
    )  # fmt: skip
    (row,) = await api.rows("SELECT * FROM imports")
    assert (row["target"], row["client_id"], row["report_id"]) == ("records", 0, None)
    assert (row["workspace_id"], row["policy"], row["entity_type"]) == (HOME.workspace_id, {}, None)
    assert len(await api.rows("SELECT * FROM outbox")) == 1
    assert api.audit.events[-1].object == {
        "file_id": "f1", "bucket_id": HOME.bucket_id, "import_id": started.import_id,
    }  # fmt: skip


async def test_a_file_may_be_named_by_its_key_and_the_workspace_by_its_id(api: Api) -> None:
    key = await api.record_file("f1")
    started = await api.start(key, workspace=str(HOME.workspace_id))
    assert started.key == key


async def test_how_to_read_it_is_kept_with_the_import(api: Api) -> None:
    await api.record_file("f1")
    await api.start("f1", empty_values=pb.EMPTY_VALUES_KEEP, require_footer=False)
    (row,) = await api.rows("SELECT policy FROM imports")
    assert row["policy"] == {"empty": "keep", "require_footer": False}


@pytest.mark.parametrize("file_id", ["", "no-such-file", "x" * 5_000, "a\0b"])
async def test_an_unknown_file_is_not_found(api: Api, file_id: str) -> None:
    assert await refusal(api.start(file_id)) == (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND")


async def test_files_and_workspaces_of_others_are_not_found(api: Api) -> None:
    await api.record_file("mine")
    await api.record_file("theirs", FOREIGN, tenant_id=2)
    for call, reason in (
        (api.start("theirs"), "FILE_NOT_FOUND"),
        (api.start("mine", caller="stranger"), "FILE_NOT_FOUND"),
        (api.start("mine", workspace=SECOND.name), "FILE_NOT_FOUND"),
        (api.start("mine", workspace=FOREIGN.name), "WORKSPACE_NOT_FOUND"),
        (api.start("mine", bucket_id="another"), "WORKSPACE_NOT_FOUND"),
    ):
        assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, reason)
    assert await api.rows("SELECT * FROM imports") == []


async def test_an_upload_that_is_no_file_of_records_is_not_found(api: Api) -> None:
    await api.upload("plain/scan.nessus", b"x")
    for named in ("plain", "plain/scan.nessus"):
        assert await refusal(api.start(named)) == (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND")


@pytest.mark.parametrize("file_type", ["", "nessus", "xlsx"])
async def test_another_file_type_is_refused(api: Api, file_type: str) -> None:
    await api.record_file("f1")
    assert await refusal(api.start("f1", file_type=file_type)) == (
        grpc.StatusCode.INVALID_ARGUMENT, "FILE_TYPE_UNSUPPORTED",
    )  # fmt: skip


async def test_the_json_twin_is_read_by_the_same_source(api: Api) -> None:
    await api.record_file("f1")
    assert (await api.start("f1", file_type="json")).source == "cc5"


async def test_a_file_that_is_announced_and_not_there_is_refused(api: Api) -> None:
    key = await api.record_file("f1")
    await api.objects.delete(api.objects.object_key(key))
    assert await refusal(api.start("f1")) == (grpc.StatusCode.FAILED_PRECONDITION, "FILE_NOT_UPLOADED")


async def test_a_viewer_may_not_import(api: Api) -> None:
    await api.record_file("f1")
    status, _ = await refusal(api.start("f1", caller="viewer"))
    assert status is grpc.StatusCode.PERMISSION_DENIED


async def test_a_file_is_imported_once(api: Api) -> None:
    await api.record_file("f1")
    first = await api.start("f1")
    assert (await api.start("f1")).import_id == first.import_id
    await end(api, first)
    again = await api.start("f1", file_type=" CC5 ")
    assert (again.import_id, again.state) == (first.import_id, pb.STATE_SUCCEEDED)
    assert len(await api.rows("SELECT * FROM imports")) == 1


async def test_force_imports_it_again_once_the_first_has_ended(api: Api) -> None:
    await api.record_file("f1")
    first = await api.start("f1")
    running = (grpc.StatusCode.FAILED_PRECONDITION, "IMPORT_ALREADY_RUNNING")
    assert await refusal(api.start("f1", options=FORCED)) == running
    await end(api, first)
    second = await api.start("f1", options=FORCED)
    assert second.import_id != first.import_id
    assert (await api.start("f1")).import_id == second.import_id


async def test_a_file_that_was_overwritten_is_another_one(api: Api) -> None:
    key = await api.record_file("f1")
    first = await api.start("f1")
    await api.objects.put(api.objects.object_key(key), b"00|y|cc5||", "application/octet-stream")
    running = (grpc.StatusCode.FAILED_PRECONDITION, "IMPORT_ALREADY_RUNNING")
    assert await refusal(api.start("f1")) == running
    await end(api, first)
    assert (await api.start("f1")).import_id != first.import_id


async def test_a_file_whose_object_is_not_kept_any_more_answers_its_import(api: Api) -> None:
    key = await api.record_file("f1")
    first = await api.start("f1")
    await end(api, first)
    await api.objects.delete(api.objects.object_key(key))
    assert (await api.start("f1")).import_id == first.import_id


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
async def test_an_import_that_came_to_nothing_is_no_reason_to_leave_the_next_one_out(api: Api, state: str) -> None:
    await api.record_file("f1")
    first = await api.start("f1")
    await end(api, first, state)
    assert (await api.start("f1")).import_id != first.import_id


async def test_an_import_that_was_taken_back_is_none_either(api: Api) -> None:
    await api.record_file("f1")
    first = await api.start("f1")
    await end(api, first)
    await api.execute("UPDATE imports SET undone_at = now()")
    assert (await api.start("f1")).import_id != first.import_id


async def test_dry_runs_neither_count_as_imports_nor_stand_in_the_way(api: Api) -> None:
    await api.record_file("f1")
    trials = [await api.start("f1", options=TRIAL) for _ in range(2)]
    first = await api.start("f1")
    trials.append(await api.start("f1", options=TRIAL))
    assert len({first.import_id, *(each.import_id for each in trials)}) == 4


async def test_triggers_of_one_file_at_once_make_one_import(api: Api) -> None:
    await api.record_file("f1")
    started = await asyncio.gather(*(api.start("f1") for _ in range(8)))
    assert len({each.import_id for each in started}) == 1
    assert len(await api.rows("SELECT * FROM imports")) == 1


async def test_a_rerun_reads_the_file_as_the_first_time(api: Api) -> None:
    await api.record_file("f1")
    first = await api.start("f1", empty_values=pb.EMPTY_VALUES_KEEP, require_footer=False)
    await end(api, first)
    request = pb.RerunImportRequest(
        import_id=first.import_id,
        options=pb.ImportOptions(policy=pb.Policy(on_error=pb.ON_ERROR_ABORT)),
    )
    again = getattr(await api.native.RerunImport(request, metadata=as_("importer")), "import")
    (row,) = await api.rows("SELECT * FROM imports WHERE import_id = %s", again.import_id)
    assert row["policy"] == {"on_error": "abort", "empty": "keep", "require_footer": False}
    assert (row["workspace_id"], row["target"], row["force"]) == (HOME.workspace_id, "records", True)
    assert await refusal(api.native.RerunImport(request, metadata=as_("importer"))) == (
        grpc.StatusCode.FAILED_PRECONDITION, "IMPORT_ALREADY_RUNNING",
    )  # fmt: skip

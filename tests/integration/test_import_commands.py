"""Pausing, resuming, retrying, repeating and undoing imports against PostgreSQL and the object store, by gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.importer.v1 import importer_pb2
from tests.fakes.people import ADMIN, IMPORTER
from tests.integration.import_api import KEY, Api, as_, opened, refusal
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

VERBS = ("Pause", "Resume", "Retry", "Rerun", "Undo")
OPTIONS = importer_pb2.ImportOptions(
    policy=importer_pb2.Policy(on_error=importer_pb2.ON_ERROR_ABORT), expected_records=9, expected_sha256="0a" * 32
)
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
async def api(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    async with opened(database, object_store) as api:
        yield api


async def command(api: Api, verb: str, import_id: str, caller: str = "importer", **more: Any) -> importer_pb2.Import:
    request = getattr(importer_pb2, f"{verb}ImportRequest")(import_id=import_id, **more)
    reply = await getattr(api.native, f"{verb}Import")(request, metadata=as_(caller))
    return getattr(reply, "import")  # type: ignore[no-any-return]


async def refused(api: Api, verb: str, import_id: str, caller: str = "importer", **more: Any) -> str:
    """The reason of a command that finds the import in the wrong state."""
    code, reason = await refusal(command(api, verb, import_id, caller, **more))
    assert code == FAILED_PRECONDITION, reason
    return reason


async def row_of(api: Api, import_id: str) -> dict[str, Any]:
    query = "SELECT * FROM imports JOIN import_progress USING (tenant_id, import_id) WHERE import_id = %s"
    (row,) = await api.rows(query, UUID(import_id))
    return row


async def set_state(api: Api, import_id: str, state: str, more: str = "") -> None:
    ended = ", ended_at = now()" if state in {"SUCCEEDED", "FAILED", "CANCELLED"} else ""
    await api.execute(f"UPDATE imports SET state = %s{ended}{more} WHERE import_id = %s", state, UUID(import_id))
    if ended:
        await api.execute("DELETE FROM outbox WHERE import_id = %s AND topic = 'run'", UUID(import_id))


async def requests(api: Api) -> list[tuple[str, int]]:
    return [(row["action"], row["requested_by"]) for row in await api.rows("SELECT * FROM import_requests")]


# ---------------------------------------------------------------------------------------------------- pause and resume


async def test_a_queued_import_is_paused_at_once_and_goes_on_when_it_is_resumed(api: Api) -> None:
    import_id = (await api.create()).import_id
    for _ in range(2):
        paused = await command(api, "Pause", import_id)
        assert (paused.state, paused.phase, paused.pause_requested) == (importer_pb2.STATE_PAUSED, "paused", False)
        assert await api.rows("SELECT 1 FROM outbox") == []
    resumed = await command(api, "Resume", import_id)
    assert (resumed.state, resumed.phase) == (importer_pb2.STATE_QUEUED, "queued")
    (row,) = await api.rows("SELECT *, next_at <= now() AS is_due FROM outbox")
    assert (row["topic"], row["lane"], row["is_due"], row["stream_sequence"]) == ("run", "small", True, None)
    assert row["traceparent"] == (await row_of(api, import_id))["traceparent"] != ""
    assert await refused(api, "Resume", import_id) == "IMPORT_NOT_PAUSED"


async def test_no_two_dispatches_have_the_same_message_id_however_often_an_import_is_resumed(api: Api) -> None:
    import_id = (await api.create()).import_id
    numbers = set()
    for _ in range(10):
        await command(api, "Pause", import_id)
        await command(api, "Resume", import_id)
        numbers.add((await api.rows("SELECT dispatch_number FROM outbox"))[0]["dispatch_number"])
    assert len(numbers) == 10


async def test_a_resumed_import_does_not_wait_for_what_it_waited_for_before(api: Api) -> None:
    import_id = (await api.create()).import_id
    await api.execute("UPDATE imports SET not_before = now() + interval '1 hour'")
    await command(api, "Pause", import_id)
    await command(api, "Resume", import_id)
    assert (await row_of(api, import_id))["not_before"] is None


async def test_pause_and_resume_call_the_dispatcher(api: Api) -> None:
    import_id = (await api.create()).import_id
    await api.execute("LISTEN hythe_outbox")
    for verb in ("Pause", "Resume"):
        await command(api, verb, import_id)
        assert [notice.channel async for notice in api.admin.notifies(timeout=5, stop_after=1)] == ["hythe_outbox"]


async def test_a_running_import_is_asked_to_pause_until_it_is_resumed(api: Api) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, "RUNNING")
    for caller in ("importer", "admin"):
        running = await command(api, "Pause", import_id, caller)
        assert (running.state, running.pause_requested) == (importer_pb2.STATE_RUNNING, True)
        assert not running.cancel_requested
    assert await requests(api) == [("pause", IMPORTER.user_id)]
    resumed = await command(api, "Resume", import_id)
    assert (resumed.state, resumed.pause_requested) == (importer_pb2.STATE_RUNNING, False)
    assert await requests(api) == []
    assert await refused(api, "Resume", import_id) == "IMPORT_NOT_PAUSED"


async def test_a_running_import_is_asked_to_pause_even_while_a_flip_holds_it(api: Api) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, "RUNNING")
    async with await psycopg.AsyncConnection.connect(api.admin.info.dsn, password=api.admin.info.password) as flip:
        await flip.execute("INSERT INTO row_errors VALUES (1, %s, 1, '', '', 'C', 'm', '')", [UUID(import_id)])
        assert (await command(api, "Pause", import_id)).pause_requested


async def test_an_import_that_merges_is_not_paused(api: Api) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, "RUNNING")
    await api.execute("UPDATE import_progress SET percent = 91, phase = 'merging findings'")
    assert await refused(api, "Pause", import_id) == "IMPORT_MERGING"
    assert await requests(api) == []


async def test_a_cancel_wins_over_a_pause_whichever_came_first(api: Api) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, "RUNNING")
    await command(api, "Pause", import_id)
    cancelled = await command(api, "Cancel", import_id, "admin")
    assert (cancelled.cancel_requested, cancelled.pause_requested) == (True, False)
    assert await requests(api) == [("cancel", ADMIN.user_id)]
    paused = await command(api, "Pause", import_id)
    assert (paused.cancel_requested, paused.pause_requested) == (True, False)
    # Handed back meanwhile, it is still to be cancelled and must not be kept from it.
    await set_state(api, import_id, "QUEUED")
    assert (await command(api, "Pause", import_id)).state == importer_pb2.STATE_QUEUED
    assert await refused(api, "Resume", import_id) == "IMPORT_NOT_PAUSED"
    assert await requests(api) == [("cancel", ADMIN.user_id)]


async def test_a_pause_that_its_worker_has_not_heard_of_takes_effect_in_the_queue(api: Api) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, "RUNNING")
    await command(api, "Pause", import_id)
    await set_state(api, import_id, "QUEUED")
    assert (await command(api, "Pause", import_id)).state == importer_pb2.STATE_PAUSED
    assert await requests(api) == []


async def test_a_paused_import_is_cancelled_at_once_and_its_end_announced(api: Api) -> None:
    import_id = (await api.create()).import_id
    await command(api, "Pause", import_id)
    cancelled = await command(api, "Cancel", import_id)
    assert (cancelled.state, cancelled.error_code) == (importer_pb2.STATE_CANCELLED, "CANCELLED")
    assert [row["topic"] for row in await api.rows("SELECT topic FROM outbox")] == ["ended"]
    for verb, reason in (("Pause", "IMPORT_FINISHED"), ("Resume", "IMPORT_NOT_PAUSED")):
        assert await refused(api, verb, import_id) == reason


async def test_pauses_and_resumes_at_once_leave_one_of_the_two_states(api: Api) -> None:
    import_id = (await api.create()).import_id
    calls = [command(api, verb, import_id) for verb in ("Pause", "Resume") * 10]
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, (importer_pb2.Import, grpc.aio.AioRpcError)), outcome
    state = (await row_of(api, import_id))["state"]
    waiting = await api.rows("SELECT topic FROM outbox")
    assert (state, len(waiting)) in {("PAUSED", 0), ("QUEUED", 1)}


# --------------------------------------------------------------------------------------------------------------- retry


async def fail_resumably(api: Api, import_id: str, interval: str = "1 hour") -> None:
    await set_state(api, import_id, "FAILED", f", resumable_until = now() + interval '{interval}'")


async def test_a_waiting_import_goes_on_at_once(api: Api) -> None:
    import_id = (await api.create()).import_id
    await api.execute("UPDATE import_claims SET attempt = 1")
    await api.execute("UPDATE imports SET not_before = now() + interval '1 hour', retries = 1")
    await api.execute("UPDATE outbox SET next_at = now() + interval '1 hour', dispatch_number = 3")
    for _ in range(2):
        assert (await command(api, "Retry", import_id)).import_id == import_id
    (row,) = await api.rows("SELECT *, next_at <= now() AS is_due FROM outbox")
    assert (row["is_due"], row["stream_sequence"], row["dispatch_number"]) == (True, None, 3)
    imported = await row_of(api, import_id)
    assert (imported["not_before"], imported["retries"]) == (None, 1)


async def test_a_failed_import_is_continued_by_a_new_one_with_the_same_inputs(api: Api) -> None:
    first = await api.create(
        request_id="once", options=OPTIONS, asset_tags=["a"], finding_tags=["f"], use_parser_actions=True
    )
    await fail_resumably(api, first.import_id)
    retry = await command(api, "Retry", first.import_id)
    assert (retry.origin, retry.origin_import_id, retry.kind) == ("retry", first.import_id, importer_pb2.KIND_IMPORT)
    assert retry.options == first.options == OPTIONS
    old, new = await row_of(api, first.import_id), await row_of(api, retry.import_id)
    for name in (
        *("client_id", "report_id", "target", "source", "key", "file_name", "file_type", "file_size", "lane"),
        *("asset_tags", "finding_tags", "use_parser_actions", "dry_run", "force", "policy", "expected_sha256"),
        *("user_id", "user_email"),
    ):
        assert new[name] == old[name], name
    assert (new["state"], new["request_id"]) == ("QUEUED", None)
    inputs = await api.rows("SELECT number, object_key, etag, size FROM import_inputs")
    assert len(inputs) == 2
    assert inputs[0] == inputs[1]
    assert await api.rows("SELECT topic FROM outbox WHERE import_id = %s", UUID(retry.import_id)) == [{"topic": "run"}]
    assert await api.rows("SELECT attempt FROM import_claims WHERE import_id = %s", UUID(retry.import_id)) == [
        {"attempt": 0}
    ]
    # The first stays what it was.
    assert (old["state"], old["origin"]) == ("FAILED", None)


async def test_retries_at_once_are_one(api: Api) -> None:
    first = await api.create()
    await fail_resumably(api, first.import_id)
    callers = ("importer", "admin") * 10
    replies = await asyncio.gather(*(command(api, "Retry", first.import_id, caller) for caller in callers))
    assert len({reply.import_id for reply in replies}) == 1
    assert len(await api.rows("SELECT 1 FROM imports")) == 2
    # Whoever asked, the owner of the first import may follow it.
    assert replies[0].user_id == IMPORTER.user_id


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "CANCELLED", "FAILED"])
async def test_an_import_with_nothing_to_continue_is_not_retried(api: Api, state: str) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, state)
    assert await refused(api, "Retry", import_id) == "IMPORT_NOT_RETRYABLE"
    await api.execute("UPDATE imports SET resumable_until = now() - interval '1 second'")
    assert await refused(api, "Retry", import_id) == "IMPORT_NOT_RETRYABLE"


# -------------------------------------------------------------------------------------------------------------- re-run


async def test_a_stored_file_is_imported_again_pinned_as_it_was(api: Api) -> None:
    first = await api.create(options=OPTIONS, asset_tags=["a"])
    await set_state(api, first.import_id, "SUCCEEDED")
    again = await command(api, "Rerun", first.import_id, "admin")
    assert (again.origin, again.origin_import_id) == ("rerun", first.import_id)
    assert (again.options.force, again.options.policy, again.user_id) == (True, OPTIONS.policy, ADMIN.user_id)
    inputs = await api.rows("SELECT object_key, etag, size, purged_at FROM import_inputs")
    assert inputs[0] == inputs[1]
    given = importer_pb2.ImportOptions(dry_run=True)
    dry = await command(api, "Rerun", first.import_id, options=given)
    assert dry.options == importer_pb2.ImportOptions(
        dry_run=True, force=True, policy=importer_pb2.Policy(on_error=importer_pb2.ON_ERROR_CONTINUE)
    )


async def test_client_assets_are_imported_again_without_a_report(api: Api) -> None:
    first = await api.create(report_id=0, source="nmap-xml")
    await set_state(api, first.import_id, "FAILED")
    assert (await command(api, "Rerun", first.import_id)).report_id == 0


async def test_a_rerun_with_a_request_id_is_repeatable(api: Api) -> None:
    first = await api.create(request_id="trigger")
    await set_state(api, first.import_id, "SUCCEEDED")
    calls = (command(api, "Rerun", first.import_id, request_id="once") for _ in range(20))
    assert len({reply.import_id for reply in await asyncio.gather(*calls)}) == 1
    assert len(await api.rows("SELECT 1 FROM imports")) == 2
    mismatch = grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_MISMATCH"
    assert await refusal(command(api, "Rerun", first.import_id, request_id="trigger")) == mismatch
    other = importer_pb2.ImportOptions(dry_run=True)
    assert await refusal(command(api, "Rerun", first.import_id, request_id="once", options=other)) == mismatch


async def test_a_file_that_is_gone_or_another_is_not_imported_again(api: Api) -> None:
    first = await api.create()
    await set_state(api, first.import_id, "SUCCEEDED")
    await api.upload(KEY, b"y" * 50)
    assert await refused(api, "Rerun", first.import_id) == "FILE_CHANGED"
    await api.objects.delete(api.objects.object_key(KEY))
    assert await refused(api, "Rerun", first.import_id) == "FILE_PURGED"
    await api.upload(KEY, b"x" * 50)
    await api.execute("UPDATE import_inputs SET purged_at = now()")
    assert await refused(api, "Rerun", first.import_id) == "FILE_PURGED"
    assert len(await api.rows("SELECT 1 FROM imports")) == 1


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "PAUSED"])
async def test_an_import_that_has_not_ended_is_not_run_again(api: Api, state: str) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, state)
    assert await refused(api, "Rerun", import_id) == "IMPORT_NOT_FINISHED"


# ---------------------------------------------------------------------------------------------------------------- undo


async def succeeded(api: Api, **changes: Any) -> str:
    import_id = (await api.create(**changes)).import_id
    await set_state(api, import_id, "SUCCEEDED")
    return import_id


async def test_an_undo_is_queued_with_all_its_rows_and_no_input(api: Api) -> None:
    import_id = await succeeded(api, options=OPTIONS, asset_tags=["a"])
    undo = await command(api, "Undo", import_id)
    assert (undo.kind, undo.origin, undo.origin_import_id) == (importer_pb2.KIND_UNDO, "undo", import_id)
    assert (undo.state, undo.file_size_bytes, undo.options.dry_run) == (importer_pb2.STATE_QUEUED, 0, False)
    row = await row_of(api, undo.import_id)
    assert (row["lane"], row["target"], row["policy"], row["expected_sha256"]) == ("small", "findings", {}, None)
    tables = {
        table: len(await api.rows(f"SELECT 1 FROM {table} WHERE import_id = %s", UUID(undo.import_id)))
        for table in ("import_inputs", "import_claims", "import_progress", "outbox")
    }
    assert tables == {"import_inputs": 0, "import_claims": 1, "import_progress": 1, "outbox": 1}
    await set_state(api, undo.import_id, "SUCCEEDED")
    assert await refused(api, "Rerun", undo.import_id) == "IMPORT_WITHOUT_FILE"
    assert await refused(api, "Undo", undo.import_id) == "IMPORT_NOT_UNDOABLE"


async def test_undos_at_once_are_one(api: Api) -> None:
    import_id = await succeeded(api)
    callers = ("importer", "admin") * 10
    replies = await asyncio.gather(*(command(api, "Undo", import_id, caller) for caller in callers))
    assert len({reply.import_id for reply in replies}) == 1
    assert replies[0].user_id == IMPORTER.user_id
    dry = await asyncio.gather(*(command(api, "Undo", import_id, dry_run=True) for _ in range(10)))
    assert len({reply.import_id for reply in dry}) == 1
    assert len(await api.rows("SELECT 1 FROM imports")) == 3


async def test_an_import_is_undone_once(api: Api) -> None:
    import_id = await succeeded(api)
    undo = await command(api, "Undo", import_id)
    await set_state(api, undo.import_id, "SUCCEEDED")
    await api.execute(
        "UPDATE imports SET undone_at = now(), undone_by = %s WHERE import_id = %s",
        UUID(undo.import_id),
        UUID(import_id),
    )
    assert await refused(api, "Undo", import_id) == "IMPORT_UNDONE"
    assert await refused(api, "Undo", import_id, dry_run=True) == "IMPORT_UNDONE"


@pytest.mark.parametrize(
    ("state", "more"),
    [
        ("QUEUED", ""),
        ("RUNNING", ""),
        ("PAUSED", ""),
        ("FAILED", ""),
        ("CANCELLED", ""),
        ("SUCCEEDED", ", dry_run = true"),
        ("SUCCEEDED", ", duplicate_of = import_id"),
    ],
)
async def test_an_import_that_brought_nothing_is_not_undone(api: Api, state: str, more: str) -> None:
    import_id = (await api.create()).import_id
    await set_state(api, import_id, state, more)
    assert await refused(api, "Undo", import_id) == "IMPORT_NOT_UNDOABLE"
    assert len(await api.rows("SELECT 1 FROM imports")) == 1


async def test_an_undo_comes_too_late_when_outcomes_are_not_kept_any_more(api: Api) -> None:
    import_id = await succeeded(api)
    await api.execute("UPDATE imports SET ended_at = now() - interval '90 days'")
    assert await refused(api, "Undo", import_id) == "UNDO_EXPIRED"
    await api.execute("UPDATE imports SET ended_at = now() - interval '89 days'")
    await command(api, "Undo", import_id)


# ----------------------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("verb", VERBS)
async def test_nobody_finds_an_import_that_is_not_theirs(api: Api, verb: str) -> None:
    import_id = await succeeded(api)
    before = await api.rows("SELECT * FROM imports")
    for caller in ("stranger", "colleague"):
        assert await refusal(command(api, verb, import_id, caller)) == (
            grpc.StatusCode.NOT_FOUND,
            "IMPORT_NOT_FOUND",
        )
    assert (await refusal(command(api, verb, import_id, "viewer")))[0] is grpc.StatusCode.PERMISSION_DENIED
    for unknown in ("", "x", str(UUID(int=5))):
        assert (await refusal(command(api, verb, unknown)))[1] == "IMPORT_NOT_FOUND"
    assert await api.rows("SELECT * FROM imports") == before


async def rest_command(
    api: Api, verb: str, import_id: str, payload: dict[str, Any] | None = None, key: str = ""
) -> dict[str, Any]:
    """The answer of one of PlexTrac's routes, as a row of my-imports."""
    metadata = as_("importer", *([("idempotency-key", key)] if key else []))
    if verb in {"Rerun", "Undo"}:
        body = ParseDict(payload or {}, Struct())
        request: Any = plextrac_pb2.MyImportCommandWithBody(id=import_id, payload=body)
    else:
        request = plextrac_pb2.MyImportCommand(id=import_id)
    return MessageToDict(await getattr(api.plextrac, f"{verb}MyImport")(request, metadata=metadata))


async def test_the_commands_by_rest_answer_rows_of_my_imports(api: Api) -> None:
    import_id = (await api.create()).import_id
    paused = await rest_command(api, "Pause", import_id)
    assert (paused["id"], paused["state"], paused["status"]) == (import_id, "PAUSED", "IN QUEUE")
    assert (await rest_command(api, "Resume", import_id))["state"] == "QUEUED"
    await api.execute("UPDATE import_claims SET attempt = 1")
    assert (await rest_command(api, "Retry", import_id))["id"] == import_id
    await set_state(api, import_id, "SUCCEEDED")
    undo = await rest_command(api, "Undo", import_id, {"dryRun": "true"})
    assert (await row_of(api, undo["id"]))["dry_run"]
    again = await rest_command(api, "Rerun", import_id)
    assert len({import_id, undo["id"], again["id"]}) == 3


async def test_a_rerun_by_rest_changes_only_what_its_body_says(api: Api) -> None:
    import_id = await succeeded(api, options=OPTIONS)
    body = {"dryRun": True, "expectedRecords": "10"}
    again = await rest_command(api, "Rerun", import_id, body, key="k")
    row = await row_of(api, again["id"])
    assert (row["dry_run"], row["force"]) == (True, True)
    assert row["policy"] == {"on_error": "abort", "expected_records": 10}
    assert row["expected_sha256"] == b"\n" * 32
    assert (await rest_command(api, "Rerun", import_id, body, key="k"))["id"] == again["id"]
    assert (await refusal(rest_command(api, "Rerun", import_id, {"onError": "explode"})))[1] == "INVALID_POLICY"
    assert (await refusal(rest_command(api, "Undo", import_id, {"dryRun": "perhaps"})))[1] == "INVALID_FLAG"


async def test_the_audit_log_names_the_import_and_what_was_made_of_it(api: Api) -> None:
    first = (await api.create()).import_id
    await command(api, "Pause", first)
    await command(api, "Resume", first)
    await fail_resumably(api, first)
    retry = (await command(api, "Retry", first)).import_id
    await set_state(api, first, "SUCCEEDED")
    rerun = (await command(api, "Rerun", first)).import_id
    undo = (await command(api, "Undo", first)).import_id
    assert await refused(api, "Pause", first) == "IMPORT_FINISHED"
    *_, paused, resumed, retried, rerun_, undone, refused_ = api.audit.events
    noted = [event.object for event in (paused, resumed, retried, rerun_, undone, refused_)]
    own = {"import_id": first}
    assert noted == [
        own,
        own,
        own | {"new_import_id": retry},
        own | {"new_import_id": rerun},
        own | {"new_import_id": undo},
        own,
    ]
    assert refused_.reason == "IMPORT_FINISHED"

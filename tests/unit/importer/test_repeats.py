from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from runtime.auth import Principal
from runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PayloadTooLarge,
    ServiceError,
    Unavailable,
)
from runtime.objects import ObjectInfo
from services.importer.model import Kind, Lane, Origin, State
from services.importer.policy import OnError, Options, Policy
from tests.fakes.people import ADMIN, COLLEAGUE, IMPORTER, LIMITED, STRANGER
from tests.unit.importer.bench import KEY, OUTCOMES_KEPT, TRIGGER, Bench

LIVE = [State.OPEN, State.QUEUED, State.RUNNING, State.PAUSED]
ENDED = [State.SUCCEEDED, State.FAILED, State.CANCELLED]
OPTIONS = Options(
    dry_run=True, policy=Policy(OnError.ABORT_ABOVE, max_errors=3, expected_records=9), expected_sha256=bytes(32)
)


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
async def first(bench: Bench) -> UUID:
    """An import with everything that a repetition could lose."""
    trigger = replace(
        TRIGGER,
        file_name="told.nessus",
        asset_tags=("a",),
        finding_tags=("f",),
        use_parser_actions=True,
        request_id="first",
        options=OPTIONS,
    )
    return (await bench.imports.create(IMPORTER, trigger)).import_id


def plain(bench: Bench, import_id: UUID) -> None:
    """No dry run, so that there is something to undo."""
    bench.store.change(1, import_id, options=Options())


async def refused(call: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        await call
    return refusal.value


# ------------------------------------------------------------------------------------------------------------- retry


async def test_an_import_that_waits_for_its_next_attempt_goes_on_now(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, attempt=1)
    bench.store.rows[first].not_before = in_an_hour()
    for _ in range(2):
        snapshot = await bench.repeats.retry(IMPORTER, str(first))
        assert (snapshot.import_id, snapshot.state) == (first, State.QUEUED)
    assert bench.store.rows[first].dispatched == 1
    assert len(bench.store.imports) == 1


async def test_a_failed_import_that_may_pass_is_continued_by_a_new_one(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.FAILED, resumable_until=in_an_hour())
    retry = await bench.repeats.retry(IMPORTER, str(first))
    assert retry.import_id != first
    assert (retry.state, retry.kind, retry.origin, retry.origin_import_id) == (
        State.QUEUED,
        Kind.IMPORT,
        Origin.RETRY,
        first,
    )
    old, new = (bench.store.rows[each].new for each in (first, retry.import_id))
    own = ("import_id", "object_key", "etag", "request_id", "request_digest", "origin", "origin_import_id")
    for name in old.__dataclass_fields__.keys() - set(own):
        assert getattr(new, name) == getattr(old, name), name
    assert (new.request_id, new.request_digest) == (None, None)
    assert bench.store.rows[retry.import_id].inputs == bench.store.rows[first].inputs


@pytest.mark.parametrize("state", [*LIVE, State.SUCCEEDED])
async def test_asking_for_a_retry_twice_answers_the_same_one(bench: Bench, first: UUID, state: State) -> None:
    bench.store.change(1, first, state=State.FAILED, resumable_until=in_an_hour())
    retry = await bench.repeats.retry(IMPORTER, str(first))
    # The retry has taken what was staged.
    bench.store.change(1, first, resumable_until=None)
    bench.store.change(1, retry.import_id, state=state)
    assert (await bench.repeats.retry(IMPORTER, str(first))).import_id == retry.import_id


async def test_a_retry_that_was_cancelled_before_it_began_leaves_room_for_another(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.FAILED, resumable_until=in_an_hour())
    retry = await bench.repeats.retry(IMPORTER, str(first))
    await bench.commands.cancel(IMPORTER, str(retry.import_id))
    assert (await bench.repeats.retry(IMPORTER, str(first))).import_id not in {first, retry.import_id}


@pytest.mark.parametrize("state", list(State))
async def test_what_has_nothing_to_continue_is_not_retried(bench: Bench, first: UUID, state: State) -> None:
    bench.store.change(1, first, state=state, resumable_until=an_hour_ago())
    refusal = await refused(bench.repeats.retry(IMPORTER, str(first)))
    assert isinstance(refusal, FailedPrecondition)
    assert refusal.reason == "IMPORT_NOT_RETRYABLE"
    assert not bench.store.rows[first].dispatched


async def test_who_loses_a_race_for_a_retry_is_told_to_ask_again(
    bench: Bench, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.store.change(1, first, state=State.FAILED, resumable_until=in_an_hour())
    await bench.repeats.retry(IMPORTER, str(first))

    async def sees_nothing(*_: object) -> None:
        return None

    monkeypatch.setattr("tests.fakes.imports.FakeImportSession.retry_of", sees_nothing)
    assert isinstance(await refused(bench.repeats.retry(IMPORTER, str(first))), Unavailable)


# ------------------------------------------------------------------------------------------------------------- re-run


@pytest.mark.parametrize("state", ENDED)
async def test_a_stored_file_is_imported_again_as_the_first_time_but_in_earnest(
    bench: Bench, first: UUID, state: State
) -> None:
    bench.store.change(1, first, state=state)
    again = await bench.repeats.rerun(IMPORTER, str(first))
    assert (again.state, again.origin, again.origin_import_id) == (State.QUEUED, Origin.RERUN, first)
    assert again.options == msgspec.structs.replace(OPTIONS, dry_run=False, force=True)
    assert (again.file_name, again.asset_tags, again.finding_tags) == ("told.nessus", ("a",), ("f",))
    assert again.use_parser_actions
    assert bench.store.rows[again.import_id].inputs == bench.store.rows[first].inputs
    assert (await bench.repeats.rerun(IMPORTER, str(first))).import_id != again.import_id


async def test_a_rerun_may_be_done_in_another_way_and_is_always_forced(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.SUCCEEDED)
    given = Options(dry_run=True, policy=Policy(OnError.ABORT))
    again = await bench.repeats.rerun(IMPORTER, str(first), lambda _: given)
    assert again.options == Options(dry_run=True, force=True, policy=Policy(OnError.ABORT))


async def test_a_rerun_in_an_impossible_way_is_refused(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.SUCCEEDED)
    given = Options(policy=Policy(max_errors=1))
    assert isinstance(await refused(bench.repeats.rerun(IMPORTER, str(first), lambda _: given)), InvalidArgument)


async def test_a_rerun_of_client_assets_needs_no_report(bench: Bench) -> None:
    made = await bench.imports.create(IMPORTER, replace(TRIGGER, report_id=None, source="nmap-xml"))
    bench.store.change(1, made.import_id, state=State.SUCCEEDED)
    assert (await bench.repeats.rerun(IMPORTER, str(made.import_id))).report_id is None


async def test_a_rerun_belongs_to_who_asked_for_it(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.SUCCEEDED)
    assert (await bench.repeats.rerun(ADMIN, str(first))).user_email == ADMIN.email


async def test_a_rerun_without_the_file_is_refused(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.SUCCEEDED)
    bench.upload(KEY, ObjectInfo(100, "other"))
    assert (await refused(bench.repeats.rerun(IMPORTER, str(first)))).reason == "FILE_CHANGED"
    bench.objects.known.clear()
    assert (await refused(bench.repeats.rerun(IMPORTER, str(first)))).reason == "FILE_PURGED"
    bench.upload(KEY, ObjectInfo(100, "etag"))
    row = bench.store.rows[first]
    row.inputs = tuple(replace(each, is_purged=True) for each in row.inputs)
    assert (await refused(bench.repeats.rerun(IMPORTER, str(first)))).reason == "FILE_PURGED"
    assert len(bench.store.imports) == 1


async def test_a_file_above_the_limit_of_now_is_not_imported_again(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.SUCCEEDED)
    bench.store.limits[1] = 99
    assert isinstance(await refused(bench.repeats.rerun(IMPORTER, str(first))), PayloadTooLarge)


@pytest.mark.parametrize("state", LIVE)
async def test_an_import_that_has_not_ended_is_not_run_again(bench: Bench, first: UUID, state: State) -> None:
    bench.store.change(1, first, state=state)
    assert (await refused(bench.repeats.rerun(IMPORTER, str(first)))).reason == "IMPORT_NOT_FINISHED"


async def test_an_undo_has_no_file_to_import(bench: Bench, first: UUID) -> None:
    plain(bench, first)
    bench.store.change(1, first, state=State.SUCCEEDED)
    undo = await bench.repeats.undo(IMPORTER, str(first))
    bench.store.change(1, undo.import_id, state=State.SUCCEEDED)
    assert (await refused(bench.repeats.rerun(IMPORTER, str(undo.import_id)))).reason == "IMPORT_WITHOUT_FILE"


async def test_the_same_rerun_with_the_same_request_id_is_one(bench: Bench, first: UUID) -> None:
    bench.store.change(1, first, state=State.SUCCEEDED)
    again = await bench.repeats.rerun(IMPORTER, str(first), request_id=" r ")
    bench.objects.known.clear()
    assert (await bench.repeats.rerun(IMPORTER, str(first), request_id="r")).import_id == again.import_id
    other = refused(bench.repeats.rerun(IMPORTER, str(first), lambda _: Options(dry_run=True), "r"))
    assert isinstance(await other, AlreadyExists)
    assert (await refused(bench.repeats.rerun(IMPORTER, str(first), request_id="first"))).reason == (
        "IDEMPOTENCY_MISMATCH"
    )


# --------------------------------------------------------------------------------------------------------------- undo


@pytest.fixture
async def merged(bench: Bench, first: UUID) -> UUID:
    """An import that has brought something."""
    plain(bench, first)
    bench.store.change(1, first, state=State.SUCCEEDED)
    return first


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_undo_is_queued_as_an_import_of_its_own_kind(bench: Bench, merged: UUID, dry_run: bool) -> None:
    undo = await bench.repeats.undo(IMPORTER, str(merged), dry_run=dry_run)
    assert (undo.state, undo.kind, undo.origin, undo.origin_import_id) == (
        State.QUEUED,
        Kind.UNDO,
        Origin.UNDO,
        merged,
    )
    assert undo.options == Options(dry_run=dry_run)
    row = bench.store.rows[undo.import_id]
    assert row.inputs == ()
    assert (row.new.file_size, row.new.lane, row.new.target) == (0, Lane.SMALL, "findings")
    assert (undo.client_id, undo.report_id, undo.source, undo.key, undo.file_name) == (
        1000,
        500_000,
        "nessus",
        KEY,
        "told.nessus",
    )


async def test_an_undo_that_is_under_way_is_answered_again(bench: Bench, merged: UUID) -> None:
    undo = await bench.repeats.undo(ADMIN, str(merged))
    assert (await bench.repeats.undo(IMPORTER, str(merged))).import_id == undo.import_id
    # It is the owner's, so that the owner may follow it.
    assert undo.user_id == IMPORTER.user_id
    dry = await bench.repeats.undo(IMPORTER, str(merged), dry_run=True)
    assert dry.import_id != undo.import_id
    bench.store.change(1, dry.import_id, state=State.SUCCEEDED)
    assert (await bench.repeats.undo(IMPORTER, str(merged), dry_run=True)).import_id != dry.import_id


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_an_undo_that_did_not_work_may_be_tried_again(bench: Bench, merged: UUID, state: State) -> None:
    undo = await bench.repeats.undo(IMPORTER, str(merged))
    bench.store.change(1, undo.import_id, state=state)
    assert (await bench.repeats.undo(IMPORTER, str(merged))).import_id != undo.import_id


@pytest.mark.parametrize("dry_run", [False, True])
async def test_what_was_undone_is_not_undone_again(bench: Bench, merged: UUID, dry_run: bool) -> None:
    by = uuid4()
    bench.store.change(1, merged, undone_at=an_hour_ago(), undone_by=by)
    refusal = await refused(bench.repeats.undo(IMPORTER, str(merged), dry_run=dry_run))
    assert (refusal.reason, refusal.metadata) == ("IMPORT_UNDONE", {"undone_by": str(by)})


@pytest.mark.parametrize(
    "change",
    [
        *({"state": state} for state in State if state is not State.SUCCEEDED),
        {"options": Options(dry_run=True)},
        {"duplicate_of": UUID(int=1)},
        {"kind": Kind.UNDO},
    ],
)
async def test_what_has_brought_nothing_is_not_undone(bench: Bench, merged: UUID, change: dict[str, Any]) -> None:
    bench.store.change(1, merged, **change)
    refusal = await refused(bench.repeats.undo(IMPORTER, str(merged)))
    assert isinstance(refusal, FailedPrecondition)
    assert refusal.reason == "IMPORT_NOT_UNDOABLE"
    assert len(bench.store.imports) == 1


async def test_an_undo_comes_too_late_when_what_it_needs_is_gone(bench: Bench, merged: UUID) -> None:
    bench.store.change(1, merged, ended_at=datetime.now(UTC) - OUTCOMES_KEPT - timedelta(seconds=1))
    refusal = await refused(bench.repeats.undo(IMPORTER, str(merged)))
    assert (refusal.reason, refusal.metadata) == ("UNDO_EXPIRED", {"days": "90"})
    bench.store.change(1, merged, ended_at=datetime.now(UTC) - OUTCOMES_KEPT + timedelta(minutes=1))
    assert (await bench.repeats.undo(IMPORTER, str(merged))).kind is Kind.UNDO


# ---------------------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("principal", [COLLEAGUE, STRANGER, LIMITED])
async def test_nobody_else_finds_the_import(bench: Bench, merged: UUID, principal: Principal) -> None:
    for command in (bench.repeats.retry, bench.repeats.rerun, bench.repeats.undo):
        assert isinstance(await refused(command(principal, str(merged))), NotFound)
    assert len(bench.store.imports) == 1

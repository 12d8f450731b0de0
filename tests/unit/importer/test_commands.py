from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from runtime.auth import Principal
from runtime.errors import FailedPrecondition, NotFound
from services.importer.model import State
from tests.fakes.people import ADMIN, COLLEAGUE, IMPORTER, LIMITED, STRANGER
from tests.unit.importer.bench import Bench


@pytest.mark.parametrize("state", [State.OPEN, State.QUEUED, State.PAUSED])
async def test_an_import_that_does_not_run_is_cancelled_at_once(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.change(1, queued, state=state)
    snapshot = await bench.commands.cancel(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.error_code) == (State.CANCELLED, "CANCELLED")
    assert snapshot.error_message == "cancelled by importer@example.com"
    row = bench.store.rows[queued]
    assert (row.requests, row.is_in_outbox) == ([], False)


async def test_a_running_import_is_asked_to_stop(bench: Bench, queued: UUID) -> None:
    bench.store.change(1, queued, state=State.RUNNING)
    snapshot = await bench.commands.cancel(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.cancel_requested) == (State.RUNNING, True)
    assert bench.store.rows[queued].requests == [("cancel", IMPORTER.user_id)]


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_a_finished_import_can_be_neither_stopped_nor_sent_again(
    bench: Bench, queued: UUID, state: State
) -> None:
    bench.store.change(1, queued, state=state)
    for command in (bench.commands.cancel, bench.commands.pause, bench.commands.requeue):
        with pytest.raises(FailedPrecondition) as refusal:
            await command(ADMIN, str(queued))
        assert refusal.value.reason == "IMPORT_FINISHED"


async def test_an_administrator_cancels_what_others_started(bench: Bench, queued: UUID) -> None:
    assert (await bench.commands.cancel(ADMIN, str(queued))).state is State.CANCELLED


@pytest.mark.parametrize("principal", [COLLEAGUE, STRANGER, LIMITED])
async def test_nobody_else_finds_it(bench: Bench, queued: UUID, principal: Principal) -> None:
    for command in (bench.commands.cancel, bench.commands.pause, bench.commands.resume):
        with pytest.raises(NotFound):
            await command(principal, str(queued))
    assert bench.store.imports[1, queued].state is State.QUEUED


@pytest.mark.parametrize("import_id", ["", "x", pytest.param(str(uuid4()), id="none")])
async def test_an_unknown_import_is_not_found(bench: Bench, import_id: str) -> None:
    for command in (bench.commands.cancel, bench.commands.pause, bench.commands.resume, bench.commands.requeue):
        with pytest.raises(NotFound) as refusal:
            await command(IMPORTER, import_id)
        assert refusal.value.reason == "IMPORT_NOT_FOUND"


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
async def test_an_import_that_nobody_works_on_is_dispatched_again(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.change(1, queued, state=state)
    assert (await bench.commands.requeue(ADMIN, str(queued))).state is state
    assert bench.store.rows[queued].dispatched == 1


@pytest.mark.parametrize(
    ("state", "reason"),
    [(State.RUNNING, "IMPORT_RUNNING"), (State.OPEN, "IMPORT_NOT_QUEUED"), (State.PAUSED, "IMPORT_NOT_QUEUED")],
)
async def test_an_import_that_needs_no_requeue_is_left_alone(
    bench: Bench, queued: UUID, state: State, reason: str
) -> None:
    bench.store.change(1, queued, state=state)
    bench.store.rows[queued].has_live_lease = True
    with pytest.raises(FailedPrecondition) as refusal:
        await bench.commands.requeue(ADMIN, str(queued))
    assert refusal.value.reason == reason
    assert not bench.store.rows[queued].dispatched


async def test_a_queued_import_is_paused_at_once_and_leaves_the_outbox(bench: Bench, queued: UUID) -> None:
    snapshot = await bench.commands.pause(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.phase, snapshot.pause_requested) == (State.PAUSED, "paused", False)
    assert not bench.store.rows[queued].is_in_outbox
    again = await bench.commands.pause(IMPORTER, str(queued))
    assert again.state is State.PAUSED


async def test_a_running_import_is_asked_to_pause(bench: Bench, queued: UUID) -> None:
    bench.store.change(1, queued, state=State.RUNNING, percent=90)
    for _ in range(2):
        snapshot = await bench.commands.pause(IMPORTER, str(queued))
        assert (snapshot.state, snapshot.pause_requested) == (State.RUNNING, True)
    assert bench.store.rows[queued].requests == [("pause", IMPORTER.user_id)]


async def test_an_import_that_merges_is_not_paused_any_more(bench: Bench, queued: UUID) -> None:
    bench.store.change(1, queued, state=State.RUNNING, percent=91)
    with pytest.raises(FailedPrecondition) as refusal:
        await bench.commands.pause(IMPORTER, str(queued))
    assert refusal.value.reason == "IMPORT_MERGING"
    assert not bench.store.rows[queued].requests


async def test_an_import_that_is_still_put_together_cannot_be_paused(bench: Bench, queued: UUID) -> None:
    bench.store.change(1, queued, state=State.OPEN)
    with pytest.raises(FailedPrecondition) as refusal:
        await bench.commands.pause(IMPORTER, str(queued))
    assert refusal.value.reason == "IMPORT_NOT_QUEUED"


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
async def test_a_pause_does_not_take_the_place_of_a_cancel(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.change(1, queued, state=state, cancel_requested=True)
    snapshot = await bench.commands.pause(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.cancel_requested, snapshot.pause_requested) == (state, True, False)


async def test_a_cancel_takes_the_place_of_a_pause(bench: Bench, queued: UUID) -> None:
    bench.store.change(1, queued, state=State.RUNNING)
    await bench.commands.pause(IMPORTER, str(queued))
    snapshot = await bench.commands.cancel(IMPORTER, str(queued))
    assert (snapshot.cancel_requested, snapshot.pause_requested) == (True, False)


async def test_a_paused_import_is_queued_again(bench: Bench, queued: UUID) -> None:
    await bench.commands.pause(IMPORTER, str(queued))
    snapshot = await bench.commands.resume(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.phase) == (State.QUEUED, "queued")
    row = bench.store.rows[queued]
    assert (row.is_in_outbox, row.dispatched) == (True, 1)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
async def test_a_pause_that_has_not_come_into_effect_is_taken_back(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.change(1, queued, state=state, pause_requested=True)
    snapshot = await bench.commands.resume(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.pause_requested) == (state, False)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PAUSED])
async def test_only_what_is_paused_can_be_resumed(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.change(1, queued, state=state)
    with pytest.raises(FailedPrecondition) as refusal:
        await bench.commands.resume(IMPORTER, str(queued))
    assert refusal.value.reason == "IMPORT_NOT_PAUSED"

"""Schedules of import sources, by the calls of the Assets API, and what the dispatcher does when their time comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest

from runtime.errors import Unavailable
from runtime.outbound import NotAnswered
from services.importer.assets import firing
from services.importer.assets.callbacks import CallbackPlaces
from services.importer.assets.firing import Firing
from services.importer.assets.starts import Starts
from services.importer.imports import Thresholds
from services.importer.store.assets_executions import SqlRunStore
from services.importer.store.assets_schedules import SqlRunWatch, SqlScheduleSession, SqlScheduleStore
from services.importer.store.backlog import measured
from services.importer.store.imports import SqlImportStore
from tests.fakes.workspaces import HOME
from tests.integration.execution_api import FILE_KEY, FILED, PULLED, PUSHED, RULES, THEIRS, Runs, opened_runs
from tests.integration.import_api import refusal
from tests.integration.serving import PUBLIC_URL
from tests.receiver import Receiver, receiving
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

NO_SCHEDULE = (grpc.StatusCode.NOT_FOUND, "SCHEDULE_NOT_FOUND")
AT = f"{PUBLIC_URL}/jsm/assets/workspace/{HOME.workspace_id}/v1/importsource/{FILED}/importschedule"


@pytest.fixture
async def runs(database: Database, object_store: Bucket) -> AsyncIterator[Runs]:
    async with opened_runs(database, object_store) as runs:
        yield runs


def tomorrow() -> str:
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def daily(**members: Any) -> dict[str, Any]:
    return {"runFrequency": "DAILY", "startTime": tomorrow(), "timezone": "Europe/Berlin", **members}


async def make_due(runs: Runs, ago: str = "1 second") -> datetime:
    """As if its time had come; the second is whole, as all times of schedules are."""
    (row,) = await runs.rows(
        "UPDATE import_schedules SET start_at = date_trunc('second', now()) - interval '3 days', "
        f"next_at = date_trunc('second', now()) - interval '{ago}' RETURNING next_at"
    )
    return row["next_at"]  # type: ignore[no-any-return]


async def schedule_row(runs: Runs) -> dict[str, Any]:
    (row,) = await runs.rows("SELECT * FROM import_schedules")
    return row


async def imports_of(runs: Runs) -> list[dict[str, Any]]:
    return await runs.rows("SELECT * FROM imports ORDER BY import_id")


@pytest.mark.parametrize("spelling", ["runFrequency", "runInterval"])
async def test_a_schedule_is_made_in_either_spelling_and_told_in_both(runs: Runs, spelling: str) -> None:
    start = tomorrow()
    made = await runs.call("CreateSchedule", FILED, payload={spelling: "weekly", "startTime": start})
    shown = {name: made[name] for name in ("runFrequency", "runInterval", "startTime", "timezone", "isActive")}
    assert shown == {
        "runFrequency": "WEEKLY", "runInterval": "WEEKLY", "startTime": start, "timezone": "UTC", "isActive": True,
    }  # fmt: skip
    assert (made["nextScheduledTime"], made["importSourceId"]) == (start, str(FILED))
    assert made["created"] == made["createdAt"]
    assert await runs.call("GetSchedule", FILED, schedule_id=made["id"]) == made


async def test_links_lead_to_the_one_schedule(runs: Runs) -> None:
    assert await runs.call("GetSchedules", FILED) == {"result": "success", "links": {"createSchedule": AT}}
    made = await runs.call("CreateSchedule", FILED, payload=daily())
    links = (await runs.call("GetSchedules", FILED))["links"]
    assert links == {"createSchedule": AT, "schedule": f"{AT}/{made['id']}"}
    assert (await refusal(runs.calling("CreateSchedule", FILED, payload=daily())))[1] == "SCHEDULE_EXISTS"
    await runs.call("DeleteSchedule", FILED, schedule_id=made["id"])
    assert await refusal(runs.calling("GetSchedule", FILED, schedule_id=made["id"])) == NO_SCHEDULE


async def test_of_two_that_make_one_at_once_one_does(runs: Runs) -> None:
    calls = [runs.calling("CreateSchedule", FILED, payload=daily()) for _ in range(4)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in found) == 1
    assert len(await runs.rows("SELECT * FROM import_schedules")) == 1


async def test_a_schedule_is_replaced(runs: Runs) -> None:
    made = await runs.call("CreateSchedule", FILED, payload=daily())
    said = {"runInterval": "MONTHLY", "startTime": made["startTime"], "isActive": False}
    changed = await runs.call("UpdateSchedule", FILED, schedule_id=made["id"], payload=said)
    assert (changed["runFrequency"], changed["timezone"], changed["isActive"]) == ("MONTHLY", "UTC", False)
    assert "nextScheduledTime" not in changed
    # Its start has passed meanwhile, which is no reason to refuse it.
    await runs.execute("UPDATE import_schedules SET start_at = '2026-01-31T10:00:00Z'")
    said = {"runInterval": "MONTHLY", "startTime": "2026-01-31T10:00:00Z"}
    changed = await runs.call("UpdateSchedule", FILED, schedule_id=made["id"], payload=said)
    assert datetime.fromisoformat(changed["nextScheduledTime"]) > datetime.now(UTC)


async def test_cron_needs_no_start(runs: Runs) -> None:
    made = await runs.call("CreateSchedule", FILED, payload={"cron": "0 6 * * MON-FRI", "timezone": "Asia/Kolkata"})
    assert (made["runFrequency"], made["cron"]) == ("CRON", "0 6 * * MON-FRI")
    assert made["nextScheduledTime"].endswith("T00:30:00.000Z")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"startTime": "2020-01-01T00:00:00Z"}, "INVALID_START_TIME"),
        ({"startTime": "2999-01-01T00:00:00Z"}, "INVALID_START_TIME"),
        ({"startTime": "soon"}, "INVALID_START_TIME"),
        ({"startTime": None}, "FIELD_REQUIRED"),
        ({"startTime": 5}, "FIELD_NOT_TEXT"),
        ({"runFrequency": "HOURLY"}, "INVALID_FREQUENCY"),
        ({"runFrequency": None}, "INVALID_FREQUENCY"),
        ({"runInterval": "WEEKLY"}, "INVALID_FREQUENCY"),
        ({"timezone": "Mars/Olympus"}, "INVALID_TIMEZONE"),
        ({"cron": "* * * * *"}, "INVALID_CRON"),
        ({"runFrequency": "CRON", "cron": "99 * * * *"}, "INVALID_CRON"),
        ({"isActive": "no"}, "INVALID_FLAG"),
        ({"callbackUrl": "https://client.example.com/start"}, "INVALID_CALLBACK_URL"),
    ],
)
async def test_a_schedule_that_is_none_is_refused(runs: Runs, members: dict[str, Any], reason: str) -> None:
    status, found = await refusal(runs.calling("CreateSchedule", FILED, payload=daily(**members)))
    assert (status, found) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_an_external_source_needs_a_url_that_may_be_called(runs: Runs) -> None:
    for url, reason in ((None, "FIELD_REQUIRED"), ("ftp://example.com", "INVALID_CALLBACK_URL")):
        refused = await refusal(runs.calling("CreateSchedule", PUSHED, payload=daily(callbackUrl=url)))
        assert refused[1] == reason
    made = await runs.call("CreateSchedule", PUSHED, payload=daily(callbackUrl="https://client.example.com/start"))
    assert made["callbackUrl"] == "https://client.example.com/start"


async def test_a_source_without_a_mapping_gets_no_schedule(runs: Runs) -> None:
    await runs.execute("UPDATE import_sources SET plan = NULL")
    assert (await refusal(runs.calling("CreateSchedule", FILED, payload=daily())))[1] == "MISSING_MAPPING"


async def test_others_do_not_reach_a_schedule(runs: Runs) -> None:
    made = await runs.call("CreateSchedule", FILED, payload=daily())
    for method in ("GetSchedule", "DeleteSchedule"):
        assert await refusal(runs.calling(method, PULLED, schedule_id=made["id"])) == NO_SCHEDULE
        assert await refusal(runs.calling(method, FILED, schedule_id=str(UUID(int=9)))) == NO_SCHEDULE
        foreign = await refusal(runs.calling(method, FILED, "token", schedule_id=made["id"]))
        assert foreign == (grpc.StatusCode.NOT_FOUND, "IMPORT_SOURCE_NOT_FOUND")
        assert (await refusal(runs.calling(method, FILED, "stranger", schedule_id=made["id"])))[0] is (
            grpc.StatusCode.NOT_FOUND
        )


async def test_a_run_begins_when_its_time_has_come_and_the_next_time_goes_on(runs: Runs) -> None:
    await runs.call("CreateSchedule", FILED, "colleague", payload=daily())
    await runs.fire()
    assert await imports_of(runs) == []
    due = await make_due(runs)
    await runs.fire()
    await runs.fire()
    (run,) = await imports_of(runs)
    assert (run["state"], run["is_scheduled"], run["import_source_id"]) == ("QUEUED", True, FILED)
    assert (run["user_id"], run["user_email"]) == (8, "colleague@example.com")
    assert await runs.is_sent(str(run["import_id"]))
    row = await schedule_row(runs)
    assert (row["last_import_id"], row["last_error"], row["is_active"]) == (run["import_id"], "", True)
    assert row["next_at"] > due
    assert row["fired_at"] is not None


async def test_times_that_were_missed_are_one_run(runs: Runs) -> None:
    await runs.call("CreateSchedule", FILED, payload=daily())
    await make_due(runs, "2 days")
    await runs.fire()
    assert len(await imports_of(runs)) == 1
    assert (await schedule_row(runs))["next_at"] > datetime.now(UTC)


async def test_once_is_over_when_it_has_fired(runs: Runs) -> None:
    made = await runs.call("CreateSchedule", FILED, payload=daily(runFrequency="ONCE"))
    await make_due(runs)
    await runs.fire()
    shown = await runs.call("GetSchedule", FILED, schedule_id=made["id"])
    assert shown["isActive"] is False
    assert "nextScheduledTime" not in shown
    assert shown["lastExecutionId"] == str((await imports_of(runs))[0]["import_id"])


async def test_two_replicas_that_see_it_at_once_begin_one_run(runs: Runs) -> None:
    await runs.call("CreateSchedule", FILED, payload=daily())
    await make_due(runs)
    await asyncio.gather(*(runs.fire() for _ in range(5)))
    assert len(await imports_of(runs)) == 1


async def test_a_run_that_cannot_begin_stands_in_the_history(runs: Runs) -> None:
    await runs.call("CreateSchedule", FILED, payload=daily())
    first = await runs.started(FILED)
    due = await make_due(runs)
    await runs.fire()
    _, failed = await imports_of(runs)
    assert (failed["state"], failed["error_code"], failed["is_scheduled"]) == ("FAILED", "IN_PROGRESS", True)
    assert failed["ended_at"] is not None
    assert not await runs.is_sent(str(failed["import_id"]))
    assert len(await runs.rows("SELECT * FROM outbox WHERE topic = 'ended'")) == 1
    row = await schedule_row(runs)
    assert (row["last_error"], row["last_import_id"], row["is_active"]) == ("IN_PROGRESS", failed["import_id"], True)
    assert row["next_at"] > due
    await runs.end(first)
    await make_due(runs)
    await runs.fire()
    assert (await schedule_row(runs))["last_error"] == ""


async def test_a_file_that_is_gone_is_told_of_too(runs: Runs) -> None:
    await runs.call("CreateSchedule", FILED, payload=daily())
    await runs.objects.delete(runs.objects.object_key(FILE_KEY))
    await make_due(runs)
    await runs.fire()
    (failed,) = await imports_of(runs)
    assert (failed["state"], failed["error_code"]) == ("FAILED", "FILE_NOT_UPLOADED")


async def test_a_scheduled_run_waits_for_a_place_of_its_workspace(runs: Runs) -> None:
    for _ in range(RULES.max_running):
        await runs.started(await runs.added("database"))
    await runs.call("CreateSchedule", FILED, payload=daily())
    await make_due(runs)
    await runs.fire()
    run = (await imports_of(runs))[-1]
    assert (run["state"], run["waits"]) == ("QUEUED", True)


async def test_a_death_before_the_commit_loses_no_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    await runs.call("CreateSchedule", FILED, payload=daily())
    due = await make_due(runs)

    async def die(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as broken:
        broken.setattr(SqlScheduleSession, "note", die)
        await runs.fire()
    assert await imports_of(runs) == []
    assert (await schedule_row(runs))["next_at"] == due
    await runs.fire()
    assert len(await imports_of(runs)) == 1


@pytest.mark.parametrize("refusal", ["OWNER_DISABLED", "OWNER_RIGHTS_MISSING", "WORKSPACE_DISABLED"])
async def test_times_pass_without_a_run_while_its_owner_may_not_import(runs: Runs, refusal: str) -> None:
    made = await runs.call("CreateSchedule", FILED, "colleague", payload=daily())
    due = await make_due(runs)
    runs.standings.refusals[1, 8] = refusal
    await runs.fire()
    assert runs.standings.asked == [(1, 8, HOME.workspace_id)]
    assert await imports_of(runs) == []
    row = await schedule_row(runs)
    assert (row["is_active"], row["last_error"], row["next_at"] > due) == (True, refusal, True)
    assert (await runs.call("GetSchedule", FILED, schedule_id=made["id"]))["lastErrorCode"] == refusal
    runs.standings.refusals.clear()
    await make_due(runs)
    await runs.fire()
    (run,) = await imports_of(runs)
    assert (run["state"], run["user_id"], (await schedule_row(runs))["last_error"]) == ("QUEUED", 8, "")


async def test_a_client_is_not_called_for_an_owner_who_is_disabled(runs: Runs) -> None:
    runs.standings.refusals[1, 7] = "OWNER_DISABLED"
    with receiving() as receiver:
        await runs.call("CreateSchedule", PUSHED, payload=daily(callbackUrl=receiver.url()))
        await make_due(runs)
        await runs.fire()
        assert body_of(receiver) == []
    assert (await schedule_row(runs))["last_error"] == "OWNER_DISABLED"


async def test_while_nobody_can_say_who_may_import_a_schedule_stays_due(runs: Runs) -> None:
    await runs.call("CreateSchedule", FILED, payload=daily())
    due = await make_due(runs)
    runs.standings.failure = Unavailable("IDENTITY_UNAVAILABLE", "The identity service does not answer.")
    await runs.fire()
    row = await schedule_row(runs)
    assert (row["next_at"], row["last_error"], row["fired_at"]) == (due, "", None)
    assert await imports_of(runs) == []
    assert 1 <= await lateness(runs) < 60
    runs.standings.failure = None
    await runs.fire()
    assert len(await imports_of(runs)) == 1
    assert await lateness(runs) == 0


async def test_what_was_refused_stays_due_and_hides_nothing(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "BATCH", 1)
    for source in (FILED, PULLED):
        await runs.call("CreateSchedule", source, payload=daily())
    await overdue(runs, FILED, 9)
    await overdue(runs, PULLED, 5)
    patient = firing_of(runs)
    runs.standings.failure = Unavailable("IDENTITY_UNAVAILABLE", "The identity service does not answer.")
    await look(patient)
    runs.standings.failure = None
    await look(patient)
    await look(patient)
    assert [run["import_source_id"] for run in await imports_of(runs)] == [PULLED]
    assert await lateness(runs) >= 9
    await runs.fire()
    assert len(await imports_of(runs)) == 2, "whoever leads next begins anew"


async def test_the_first_of_each_tenant_is_before_the_second_of_any(runs: Runs) -> None:
    for source, seconds in ((FILED, 9), (PULLED, 8)):
        await runs.call("CreateSchedule", source, payload=daily())
        await overdue(runs, source, seconds)
    await runs.execute(
        "INSERT INTO import_schedules (tenant_id, schedule_id, import_source_id, frequency, start_at, next_at, "
        "user_id, user_email) VALUES (2, gen_random_uuid(), %s, 'DAILY', now(), now() - interval '1 second', 7, 'x')",
        THEIRS,
    )
    watch = SqlRunWatch(runs.dispatch)
    first, second = await watch.due(2)
    assert (first.tenant_id, second.tenant_id) == (1, 2)
    assert [due.tenant_id for due in await watch.due(9, [first.schedule_id])] == [1, 2]
    assert len(await watch.due(9)) == 3


async def overdue(runs: Runs, source: UUID, seconds: int) -> None:
    await runs.execute(
        "UPDATE import_schedules SET start_at = date_trunc('second', now()) - interval '3 days', "
        "next_at = date_trunc('second', now()) - interval '1 second' * %s WHERE import_source_id = %s",
        *(seconds, source),
    )


def firing_of(runs: Runs) -> Firing:
    """As in production: what was refused is left for a while."""
    starts = Starts(SqlImportStore(runs.importer), runs.objects, Thresholds(1_000, 100), RULES)
    schedules, found = SqlScheduleStore(runs.importer), SqlRunStore(runs.importer)
    watch = SqlRunWatch(runs.dispatch)
    return Firing(watch, schedules, found, starts, runs.standings, runs.outbound, poll_seconds=0.02)


async def look(duty: Firing) -> None:
    async with asyncio.TaskGroup() as calls:
        await duty.look(calls)


async def lateness(runs: Runs) -> float:
    async with runs.dispatch.transaction(None) as connection:
        return (await measured(connection, [], 2)).schedule_lag_seconds


def body_of(receiver: Receiver) -> list[Any]:
    return [json.loads(each.body) for each in receiver.received]


async def test_the_client_of_an_external_source_is_called(runs: Runs) -> None:
    with receiving() as receiver:
        await runs.call("CreateSchedule", PUSHED, payload=daily(callbackUrl=receiver.url()))
        await make_due(runs)
        await asyncio.gather(runs.fire(), runs.fire())
        assert body_of(receiver) == [{"workspaceId": str(HOME.workspace_id), "importsourceId": str(PUSHED)}]
    assert await imports_of(runs) == []
    row = await schedule_row(runs)
    assert (row["last_error"], row["next_at"] > datetime.now(UTC) + timedelta(hours=1)) == ("", True)
    await runs.started(PUSHED, "token", scheduled=True)


async def test_a_call_without_success_stands_in_the_history(runs: Runs) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: 500
        await runs.call("CreateSchedule", PUSHED, payload=daily(callbackUrl=receiver.url()))
        await make_due(runs)
        await runs.fire()
    (failed,) = await imports_of(runs)
    assert (failed["error_code"], failed["error_message"]) == ("CALLBACK_FAILED", "The callback answered 500.")
    row = await schedule_row(runs)
    assert (row["last_error"], row["next_at"] > datetime.now(UTC) + timedelta(hours=1)) == ("CALLBACK_FAILED", True)


async def test_a_client_that_does_not_answer_delays_no_other(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = asyncio.Event()

    async def hang(*_: object) -> None:
        await is_over.wait()
        raise NotAnswered("No answer.")

    monkeypatch.setattr(runs.outbound, "post", hang)
    monkeypatch.setattr(runs.firing, "_callbacks", CallbackPlaces(in_hand_per_tenant=1))
    second = await runs.added()
    for source in (PUSHED, second):
        await runs.call("CreateSchedule", source, payload=daily(callbackUrl="https://client.example.com/start"))
    await overdue(runs, PUSHED, 9)
    async with asyncio.TaskGroup() as calls, asyncio.timeout(10):
        await runs.firing.look(calls)
        await runs.call("CreateSchedule", FILED, payload=daily())
        await overdue(runs, FILED, 1)
        await overdue(runs, second, 5)
        await runs.firing.look(calls)
        assert [run["import_source_id"] for run in await imports_of(runs)] == [FILED]
        (row,) = await runs.rows("SELECT * FROM import_schedules WHERE import_source_id = %s", second)
        wait = row["next_at"] - datetime.now(UTC)
        assert timedelta(0) < wait <= firing.SOON, "it found no room, and lets others go before it"
        is_over.set()
    failed = [run["import_source_id"] for run in await imports_of(runs) if run["error_code"] == "CALLBACK_FAILED"]
    assert failed == [PUSHED]


async def test_a_death_during_the_call_is_made_good_by_another(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        await runs.call("CreateSchedule", PUSHED, payload=daily(callbackUrl=receiver.url()))
        await make_due(runs)
        with monkeypatch.context() as broken:

            async def die(*_: object) -> None:
                raise asyncio.CancelledError

            broken.setattr(runs.outbound, "post", die)
            await runs.fire()
        row = await schedule_row(runs)
        assert timedelta(0) < row["next_at"] - datetime.now(UTC) <= timedelta(minutes=2)
        await runs.execute("UPDATE import_schedules SET next_at = date_trunc('second', now())")
        await runs.fire()
        assert len(body_of(receiver)) == 1
    assert await imports_of(runs) == []


async def test_the_duty_runs_until_it_is_stopped(runs: Runs) -> None:
    await runs.call("CreateSchedule", FILED, payload=daily())
    await make_due(runs)
    stop = asyncio.Event()
    task = asyncio.create_task(firing_of(runs).run(stop))
    async with asyncio.timeout(10):
        while not await imports_of(runs):  # noqa: ASYNC110 - nothing tells us when
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(task, 5)

"""Import sources that are read by the fetcher: a database, a directory, an HTTP API; and callbacks of schedules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.e2e.assets import ENDED, Assets, assets, counted
from tests.e2e.assets_documents import host, hosts, hosts_only
from tests.e2e.assets_origins import COUNT, ORIGINS, SECRET, WRONG, Origin, guarded_api, settings_of
from tests.e2e.test_assets_files import HOST_ONE, schedule_of, soon
from tests.integration.fetcher.api import Api
from tests.receiver import HANG, Received, Receiver, receiving
from tests.stack import LiveStack

SECONDS = 60
TOLD = ("fetcher", "importer", "worker", "status", "identity", "gateway")
Document = dict[str, Any]


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Assets]:
    with assets(stack) as made:
        yield made


@pytest.fixture(params=list(ORIGINS))
def origin(request: pytest.FixtureRequest, stack: LiveStack) -> Iterator[Origin]:
    with ORIGINS[request.param](stack) as made:
        yield made


@pytest.fixture
def api() -> Iterator[Api]:
    with guarded_api() as made:
        yield made


def pulled(caller: Assets, kind: str, settings: Document) -> str:
    """The id of a source whose records are hosts."""
    return caller.source(kind, hosts_only(selector=""), settings=settings)


def watched(caller: Assets, source: str) -> list[Document]:
    """Starts a run as the published page has it: all that its progress says until the end."""
    caller.data("POST", f"/import/start/{source}")
    seen: list[Document] = []
    deadline = time.monotonic() + SECONDS
    while not seen or seen[-1]["status"] not in {"COMPLETED", "FAILED", "CANCELLED"}:
        assert time.monotonic() < deadline, seen[-1]
        seen.append(caller.data("GET", f"/progress/category/imports/{source}"))
    return seen


def hurried(stack: LiveStack, caller: Assets, source: str, execution: str) -> Document:
    """The status at the end of a run whose waits between its tries are cut short."""
    deadline = time.monotonic() + SECONDS
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as admin:
        while (status := caller.status(source, execution))["status"] not in ENDED:
            assert time.monotonic() < deadline, status
            admin.execute("UPDATE imports SET not_before = NULL WHERE import_id = %s AND retries > 0", (execution,))
            admin.execute("UPDATE outbox SET next_at = now() WHERE import_id = %s AND next_at > now()", (execution,))
            admin.execute("SELECT pg_notify('hythe_outbox', '')")
            time.sleep(0.2)
    return status


def nothing_has(stack: LiveStack, caller: Assets, source: str, secret: str) -> None:
    """No answer about the source, no row of the database, and no log has the secret in it."""
    execution = caller.data("GET", f"/importsource/{source}/executions")[0]["executionId"]
    run = f"/importsource/{source}/executions/{execution}"
    ours = f"/importsource/{source}"
    for path in (ours, f"{ours}/schema-and-mapping", f"{ours}/executions", run, f"{run}/status", f"{run}/progress"):
        assert secret not in caller.call("GET", path).text, path
    with psycopg.connect(stack.database.superuser_url) as admin:
        tables = admin.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
            "AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert "import_sources" in {name for _, name in tables}
        for schema, name in tables:
            look = sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE %s").format(sql.Identifier(schema, name))
            assert admin.execute(look, (f"%{secret}%",)).fetchone() == (0,), name
    for process in TOLD:
        assert secret not in stack.log(process), process


def test_a_pulled_source_becomes_objects_and_its_second_run_changes_nothing(
    caller: Assets, origin: Origin, stack: LiveStack
) -> None:
    source = pulled(caller, origin.kind, origin.settings)
    seen = watched(caller, source)
    steps = [each["currentStep"] for each in seen]
    assert steps == sorted(steps)
    assert {each["numberOfSteps"] for each in seen} == {6}
    assert (seen[-1]["status"], steps[-1], seen[-1]["progressInPercent"]) == ("COMPLETED", 6, 100)
    status = caller.status(source, seen[-1]["executionUUID"])
    assert (status["status"], status["importStatus"]) == ("DONE", "COMPLETED")
    assert counted(status, "Host") == {"objectsCreated": COUNT}
    assert caller.objects('objectType = Host AND Name = "host-1"') == {"host-1": HOST_ONE}
    assert set(caller.objects()) == {each["name"] for each in hosts(COUNT)}
    again = caller.run(source)
    assert (again["importStatus"], counted(again, "Host")) == ("COMPLETED", {"objectsIdentical": COUNT})
    nothing_has(stack, caller, source, SECRET)


def test_a_wrong_password_fails_with_its_code_and_is_shown_nowhere(
    caller: Assets, origin: Origin, stack: LiveStack
) -> None:
    source = pulled(caller, origin.kind, origin.with_wrong_password)
    fails(caller, source, "AUTHENTICATION_FAILED", caller.run(source))
    nothing_has(stack, caller, source, WRONG)
    # Nothing but the password was wrong.
    caller.data("PUT", f"/importsource/{source}", {"settings": origin.settings})
    assert counted(caller.run(source), "Host") == {"objectsCreated": COUNT}


def fails(caller: Assets, source: str, code: str, status: Document) -> None:
    """Status, progress and history say so, with the code and the same words; there is no object."""
    result = status["progressResult"]
    assert (status["status"], status["importStatus"], result["result"]) == ("DONE", "FAILED", "ERROR"), status
    assert set(result["errorMessages"]) == {code}
    progress = caller.data("GET", f"/progress/category/imports/{source}")
    assert progress["status"] == "FAILED"
    assert progress["resultMessage"] == result["infoMessage"] == result["errorMessages"][code][0]
    assert progress["resultData"]["errorCode"] == code
    assert (progress["currentStep"], progress["stepDescription"]) == (2, "Connection")
    line = caller.data("GET", f"/importsource/{source}/executions")[0]
    assert (line["errorCode"], line["failureReason"]) == (code, result["infoMessage"])
    assert caller.data("GET", f"/importsource/{source}/configstatus")["status"] == "IDLE"
    assert caller.objects() == {}


@pytest.mark.parametrize("host_name", ["10.0.0.1", "169.254.169.254", "[::ffff:169.254.169.254]", "[::1]", "127.0.0.2"])
def test_an_address_that_nobody_has_allowed_is_refused(caller: Assets, host_name: str) -> None:
    settings = {"url": f"http://{host_name}/hosts", "auth": {"kind": "bearer", "token": SECRET}}
    source = pulled(caller, "rest", settings)
    fails(caller, source, "DESTINATION_FORBIDDEN", caller.run(source))


@pytest.mark.parametrize("kind", ["database", "ldap"])
def test_a_closed_port_is_tried_five_times(caller: Assets, stack: LiveStack, kind: str) -> None:
    with ORIGINS[kind](stack) as origin:
        source = pulled(caller, kind, {**origin.settings, "port": 1})
        execution = caller.start(source)
        fails(caller, source, "CONNECTION_REFUSED", hurried(stack, caller, source, execution))
    with psycopg.connect(stack.database.superuser_url) as admin:
        tried = admin.execute("SELECT retries FROM imports WHERE import_id = %s", (execution,)).fetchone()
    assert tried == (4,)


def fetching(caller: Assets, api: Api) -> tuple[str, str]:
    """A source and its run, of which a row has come and no more will."""
    api.hangs_after = b'[{"serial": "S1", "name": "host-1"},'
    source = pulled(caller, "rest", settings_of(api, "/hosts"))
    execution = caller.start(source)
    deadline = time.monotonic() + SECONDS
    while not api.requests:
        assert time.monotonic() < deadline, "nobody has come"
        time.sleep(0.05)
    caller.wait_until(source, execution, "IN_PROGRESS")
    return source, execution


def answers_at_last(api: Api) -> None:
    api.hangs_after = b""
    api.pages["/hosts"] = [host(1), host(2)]


def test_a_slow_source_is_at_its_second_step_and_a_cancel_ends_it_at_once(caller: Assets, api: Api) -> None:
    source, execution = fetching(caller, api)
    progress = caller.data("GET", f"/progress/category/imports/{source}")
    assert (progress["currentStep"], progress["stepDescription"]) == (2, "Connection")
    assert caller.data("GET", f"/importsource/{source}/configstatus")["status"] == "RUNNING"
    assert caller.refused("POST", f"/importsource/{source}/executions", {}) == (409, "IN_PROGRESS")
    caller.data("DELETE", f"/importsource/{source}/executions/{execution}")
    status = caller.wait(source, execution, seconds=10)
    assert (status["status"], status["importStatus"]) == ("CANCELLED", "CANCELLED")
    assert caller.objects() == {}
    answers_at_last(api)
    assert counted(caller.run(source), "Host") == {"objectsCreated": 2}


def test_a_paused_fetch_begins_anew(caller: Assets, api: Api) -> None:
    source, execution = fetching(caller, api)
    caller.call("POST", f"/importsource/{source}/executions/{execution}/pause").raise_for_status()
    caller.wait_until(source, execution, "PAUSED")
    answers_at_last(api)
    caller.call("POST", f"/importsource/{source}/executions/{execution}/resume").raise_for_status()
    assert counted(caller.wait(source, execution), "Host") == {"objectsCreated": 2}


def test_a_fetcher_that_is_killed_is_followed_by_another(caller: Assets, api: Api, stack: LiveStack) -> None:
    source, execution = fetching(caller, api)
    answers_at_last(api)
    killed = stack.kill("fetcher")
    stack.wait_ready("fetcher", not_pid=killed)
    assert counted(caller.wait(source, execution), "Host") == {"objectsCreated": 2}


def scheduled(caller: Assets, receiver: Receiver) -> tuple[str, Document]:
    source = caller.source(document=hosts_only())
    made = schedule_of(caller, source, runInterval="DAILY", startTime=soon(), callbackUrl=receiver.url("/start"))
    return source, made


def test_the_schedule_of_an_external_source_calls_its_client(caller: Assets) -> None:
    started: list[str] = []

    def start(asked: Received) -> int:
        started.append(caller.start(asked.event["importsourceId"], scheduled=True))
        return 204

    with receiving() as receiver:
        receiver.answer = start
        source, _ = scheduled(caller, receiver)
        deadline = time.monotonic() + SECONDS
        while not started:
            assert time.monotonic() < deadline, "nobody has called"
            time.sleep(0.1)
        (asked,) = receiver.received
    assert (asked.path, asked.event) == ("/start", {"workspaceId": caller.workspace_id, "importsourceId": source})
    caller.send(source, started[0], {"hosts": hosts(1)}, completed=True)
    assert counted(caller.wait(source, started[0]), "Host") == {"objectsCreated": 1}
    (line,) = caller.data("GET", f"/importsource/{source}/executions")
    assert (line["isScheduled"], line["importStatus"]) == (True, "COMPLETED")


@pytest.mark.parametrize("reply", [HANG, 503])
def test_a_client_that_does_not_answer_well_is_a_failed_entry_of_the_history(caller: Assets, reply: int | str) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: reply
        source, made = scheduled(caller, receiver)
        deadline = time.monotonic() + SECONDS
        while not (history := caller.data("GET", f"/importsource/{source}/executions")):
            assert time.monotonic() < deadline, "no entry"
            time.sleep(0.2)
    (line,) = history
    assert (line["importStatus"], line["errorCode"], line["isScheduled"]) == ("FAILED", "CALLBACK_FAILED", True)
    assert line["failureReason"].startswith("The callback ")
    found = caller.data("GET", f"/importsource/{source}/importschedule/{made['id']}")
    assert found["lastErrorCode"] == "CALLBACK_FAILED"
    assert found["isActive"] is True

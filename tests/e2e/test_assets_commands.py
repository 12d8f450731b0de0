"""Executions in every state: cancelled, paused, resumed, waiting for another, refused because of another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.assets import Assets, assets, counted
from tests.e2e.assets_documents import HOSTS, hosts, hosts_only, table
from tests.stack import LiveStack

# So many are staged for some seconds.
MANY = 120_000


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Assets]:
    with assets(stack) as made:
        yield made


@pytest.fixture(scope="module")
def large() -> str:
    return table(hosts(MANY))


@contextmanager
def no_worker(stack: LiveStack) -> Iterator[None]:
    stack.stop("worker")
    try:
        yield
    finally:
        stack.start("worker")


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(caller: Assets, large: str) -> tuple[str, str]:
    """Source and execution, which a worker has just taken: it stages for some seconds from now."""
    source = caller.source("csv", hosts_only(), fileKey=caller.upload(large))
    execution = caller.start(source)

    def is_taken() -> bool:
        progress = caller.data("GET", f"/importsource/{source}/executions/{execution}/progress")
        assert progress["status"] in {"PENDING", "IN_PROGRESS"}, progress
        return bool(progress["status"] == "IN_PROGRESS")

    until(is_taken)
    return source, execution


def cancel(caller: Assets, source: str, execution: str) -> None:
    caller.data(
        "DELETE", f"/importsource/{source}/executions/{execution}", headers={"Content-Type": "application/json"}
    )


def assert_cancelled(caller: Assets, source: str, execution: str) -> None:
    status = caller.wait(source, execution)
    assert (status["status"], status["importStatus"]) == ("CANCELLED", "CANCELLED")
    assert caller.objects() == {}
    config = caller.data("GET", f"/importsource/{source}/configstatus")
    assert (config["status"], "links" in config) == ("IDLE", False)
    cancel(caller, source, execution)
    assert caller.status(source, execution) == status


def test_what_takes_data_is_cancelled_at_once_and_takes_no_more(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.start(source)
    caller.send(source, execution, {"hosts": hosts(2)})
    cancel(caller, source, execution)
    assert caller.status(source, execution)["status"] == "CANCELLED"
    path = f"/importsource/{source}/executions/{execution}/data"
    assert caller.refused("POST", path, {"completed": True}) == (400, "EXECUTION_NOT_INGESTING")
    assert_cancelled(caller, source, execution)


def test_what_is_queued_is_cancelled_at_once(stack: LiveStack, caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    with no_worker(stack):
        execution = caller.start(source)
        caller.send(source, execution, {"hosts": hosts(2)}, completed=True)
        assert caller.status(source, execution)["importStatus"] == "PENDING"
        cancel(caller, source, execution)
        assert caller.status(source, execution)["status"] == "CANCELLED"
    assert_cancelled(caller, source, execution)
    assert counted(caller.push(source, {"hosts": hosts(2)}), "Host") == {"objectsCreated": 2}


def test_what_runs_is_cancelled_by_its_worker(caller: Assets, large: str) -> None:
    source, execution = running(caller, large)
    cancel(caller, source, execution)
    assert_cancelled(caller, source, execution)


def test_what_is_paused_is_cancelled_at_once(caller: Assets, large: str) -> None:
    source, execution = running(caller, large)
    caller.data("POST", f"/importsource/{source}/executions/{execution}/pause")
    caller.wait_until(source, execution, "PAUSED")
    cancel(caller, source, execution)
    assert_cancelled(caller, source, execution)


def test_what_has_ended_stays_as_it_is(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.push(source, {"hosts": hosts(2)})["executionId"]
    cancel(caller, source, execution)
    caller.data("DELETE", f"/importsource/{source}/executions/{execution}/cancel")
    assert caller.status(source, execution)["importStatus"] == "COMPLETED"
    assert len(caller.objects()) == 2


def test_what_is_paused_goes_on_where_it_was(caller: Assets, large: str) -> None:
    source, execution = running(caller, large)
    paused = caller.data("POST", f"/importsource/{source}/executions/{execution}/pause")
    assert paused["executionId"] == execution
    status = caller.wait_until(source, execution, "PAUSED")
    assert status["status"] == "PROCESSING"
    assert caller.data("GET", f"/progress/category/imports/{source}")["status"] == "PAUSED"
    assert caller.data("GET", f"/importsource/{source}/configstatus")["status"] == "RUNNING"
    caller.data("POST", f"/importsource/{source}/executions/{execution}/resume")
    ended = caller.wait(source, execution, seconds=120)
    assert (ended["importStatus"], counted(ended, "Host")) == ("COMPLETED", {"objectsCreated": MANY})
    assert caller.found("", maxResults=1)["total"] == MANY


def test_a_source_runs_once_at_a_time(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.start(source)
    assert caller.refused("POST", f"/importsource/{source}/executions") == (409, "IN_PROGRESS")
    assert caller.refused("POST", f"/import/start/{source}") == (409, "IN_PROGRESS")
    assert caller.refused("DELETE", f"/importsource/{source}")[0] == 409
    cancel(caller, source, execution)
    assert caller.push(source, {"hosts": hosts(1)})["importStatus"] == "COMPLETED"


def test_who_asks_for_it_waits_and_runs_then(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    first = caller.start(source)
    waiting = caller.data("POST", f"/importsource/{source}/executions", {"queue": True})
    assert waiting["waits"] is True
    second = waiting["executionId"]
    # It takes its data meanwhile.
    caller.send(source, second, {"hosts": hosts(3)}, completed=True)
    caller.send(source, first, {"hosts": hosts(2)})
    assert caller.status(source, second)["importStatus"] == "PENDING"
    caller.send(source, first, completed=True)
    assert counted(caller.wait(source, first), "Host") == {"objectsCreated": 2}
    assert counted(caller.wait(source, second), "Host") == {"objectsCreated": 1, "objectsIdentical": 2}
    history = [each["executionId"] for each in caller.data("GET", f"/importsource/{source}/executions")]
    assert history == [second, first]


def test_what_waits_is_let_go_by_a_cancelled_one_too(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    first, second = caller.start(source), caller.start(source, queue=True)
    caller.send(source, second, {"hosts": hosts(3)}, completed=True)
    cancel(caller, source, first)
    assert counted(caller.wait(source, second), "Host") == {"objectsCreated": 3}


def test_what_waits_can_be_cancelled(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    first, second = caller.start(source), caller.start(source, queue=True)
    cancel(caller, source, second)
    assert caller.status(source, second)["status"] == "CANCELLED"
    caller.send(source, first, {"hosts": hosts(1)}, completed=True)
    assert caller.wait(source, first)["importStatus"] == "COMPLETED"


def test_clients_that_send_nothing_keep_no_other_source_from_running(caller: Assets) -> None:
    sources = [caller.source(document=HOSTS, name=f"source {number}") for number in range(5)]
    started = [(source, caller.start(source)) for source in sources]
    source, last = started.pop()
    caller.send(source, last, {"hosts": hosts(1)}, completed=True)
    assert caller.wait(source, last)["importStatus"] == "COMPLETED"
    for source, execution in started:
        cancel(caller, source, execution)


def test_a_source_that_cannot_run_says_why(caller: Assets) -> None:
    source = caller.source()
    assert caller.refused("POST", f"/importsource/{source}/executions") == (409, "MISSING_MAPPING")
    assert caller.refused("POST", f"/import/start/{source}") == (409, "MISSING_MAPPING")
    caller.data("PUT", f"/importsource/{source}/mapping", HOSTS, status=204)
    caller.data("PUT", f"/importsource/{source}", {"isEnabled": False})
    assert caller.data("GET", f"/importsource/{source}/configstatus")["status"] == "DISABLED"
    assert caller.refused("POST", f"/importsource/{source}/executions") == (409, "DISABLED")


def test_a_piece_counts_once_and_other_bytes_under_its_id_are_refused(caller: Assets) -> None:
    source = caller.source(document=HOSTS)
    execution = caller.start(source)
    for _ in range(3):
        caller.send(source, execution, {"hosts": hosts(2)}, clientGeneratedId="one")
    path = f"/importsource/{source}/executions/{execution}/data"
    other = {"data": {"hosts": hosts(3)}, "clientGeneratedId": "one"}
    assert caller.refused("POST", path, other) == (409, "CHUNK_MISMATCH")
    assert caller.data("GET", path)["total"] == 1
    caller.send(source, execution, completed=True)
    status = caller.wait(source, execution)
    assert status["progressResult"]["totalNumberEntriesInImport"] == 2

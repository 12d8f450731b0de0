"""What can be done with an import by REST: pause, resume, retry, re-run, dry run, undo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.chaos.killing import Size, assert_exactly, kill_at, while_staging
from tests.e2e.rest import Rest
from tests.scans import nessus, write_nessus
from tests.stack import LiveStack

# Progress is written by the second: staging has to take some.
SIZE = Size(hosts=2_000, plugins=40, output_characters=1_200)
SCAN = nessus(hosts=3, plugins=4)
ITEMS = 12

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("commands") / "scan.nessus"
    return write_nessus(path, SIZE.hosts, SIZE.plugins, output_characters=SIZE.output_characters)


@pytest.fixture
def database(stack: LiveStack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        yield connection


def command(caller: Rest, import_id: str, verb: str, body: Any = None, **headers: str) -> httpx.Response:
    return caller.http.post(f"/api/v2/my-imports/{import_id}/{verb}", json=body or {}, headers=headers)


def done(caller: Rest, import_id: str, verb: str, body: Any = None, **headers: str) -> dict[str, Any]:
    response = command(caller, import_id, verb, body, **headers)
    assert response.status_code == 200, response.text
    row: dict[str, Any] = response.json()
    return row


def ended(caller: Rest, import_id: str, state: str = "SUCCEEDED") -> dict[str, Any]:
    """The import in its terminal state, also an undo, which `my-imports` does not list."""
    detail = until(lambda: caller.detail(import_id), lambda found: found["endedAt"] is not None)
    assert detail["state"] == state, detail
    return detail


def until(look: Callable[[], dict[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while not holds(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def wait_while_staging(database: psycopg.Connection[Any], import_id: str) -> None:
    query = (
        "SELECT state, percent, phase FROM imports JOIN import_progress USING (tenant_id, import_id) "
        "WHERE import_id = %s"
    )
    deadline = time.monotonic() + 60
    while True:
        row = database.execute(query, (import_id,)).fetchone()
        assert row is not None
        if while_staging(*row):
            return
        assert row[0] in {"QUEUED", "RUNNING"}, f"ended before it could be commanded: {row}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def undone(detail: dict[str, Any]) -> dict[str, int]:
    """How many rows of all kinds an undo has removed, restored and kept."""
    counts: dict[str, int] = {}
    for each in detail["undo"]:
        counts[each["action"]] = counts.get(each["action"], 0) + each["count"]
    return counts


def test_a_large_import_is_paused_while_it_runs_and_ends_exactly_after_it_is_resumed(
    stack: LiveStack, caller: Rest, database: psycopg.Connection[Any], large: Path
) -> None:
    import_id = caller.trigger(caller.upload(large.read_bytes()))
    wait_while_staging(database, import_id)
    row = done(caller, import_id, "pause")
    assert row["state"] in {"RUNNING", "PAUSED"}
    paused = until(lambda: caller.detail(import_id), lambda found: found["state"] == "PAUSED")
    assert (paused["status"], paused["phase"], paused["pauseRequested"]) == ("IN QUEUE", "paused", False)
    assert 0 < paused["progress"] < 100
    assert caller.flaws() == []
    # It holds no lease and waits for no worker.
    for table in ("import_leases", "outbox", "import_requests"):
        found = database.execute(f"SELECT count(*) FROM {table} WHERE import_id = %s".encode(), (import_id,))
        assert found.fetchone() == (0,), table
    assert done(caller, import_id, "resume")["state"] == "QUEUED"
    assert ended(caller, import_id)["counters"]["inserted"] == SIZE.items
    assert_exactly(stack, caller, SIZE)
    attempts = "SELECT attempt, crashes, retries FROM import_claims JOIN imports USING (import_id) WHERE import_id = %s"
    assert database.execute(attempts, (import_id,)).fetchone() == (2, 0, 0)
    assert command(caller, import_id, "pause").status_code == 409


def test_a_paused_import_is_cancelled_and_brings_nothing(
    caller: Rest, database: psycopg.Connection[Any], large: Path
) -> None:
    import_id = caller.trigger(caller.upload(large.read_bytes()))
    wait_while_staging(database, import_id)
    done(caller, import_id, "pause")
    until(lambda: caller.detail(import_id), lambda found: found["state"] == "PAUSED")
    assert done(caller, import_id, "cancel")["state"] == "CANCELLED"
    assert caller.flaws() == []
    assert command(caller, import_id, "resume").status_code == 409


def test_an_import_that_waits_after_an_error_goes_on_when_it_is_retried(
    stack: LiveStack, caller: Rest, database: psycopg.Connection[Any]
) -> None:
    key = caller.upload(SCAN)
    stack.pause("worker")
    try:
        import_id = caller.trigger(key)
        # As after an attempt that failed because something was away.
        for statement in (
            "UPDATE imports SET not_before = now() + interval '1 hour', retries = 1 WHERE import_id = %s",
            "UPDATE import_claims SET attempt = 1 WHERE import_id = %s",
        ):
            database.execute(statement, (import_id,))
    finally:
        stack.resume("worker")
    assert done(caller, import_id, "retry")["id"] == import_id
    assert ended(caller, import_id)["attempt"] == 2
    assert len(caller.flaws()) == 4
    assert command(caller, import_id, "retry").status_code == 409


def test_an_import_whose_worker_died_too_often_is_continued_by_a_retry(
    stack: LiveStack, caller: Rest, database: psycopg.Connection[Any], large: Path
) -> None:
    import_id = caller.trigger(caller.upload(large.read_bytes()))
    kill_at(stack, "worker", import_id, has_a_checkpoint(database, import_id))
    database.execute("UPDATE imports SET crashes = 2 WHERE import_id = %s", (import_id,))
    failed = ended(caller, import_id, "FAILED")
    assert failed["errorStatus"].startswith("WORKER_CRASHED: ")
    assert failed["resumableUntil"]
    assert caller.flaws() == []
    retry = done(caller, import_id, "retry")["id"]
    assert retry != import_id
    assert done(caller, import_id, "retry")["id"] == retry
    detail = ended(caller, retry)
    assert (detail["origin"], detail["originImportId"]) == ("retry", import_id)
    assert_exactly(stack, caller, SIZE)
    assert caller.detail(import_id)["resumableUntil"] is None


def has_a_checkpoint(database: psycopg.Connection[Any], import_id: str) -> Callable[[str, int, str], bool]:
    def is_there(state: str, percent: int, phase: str) -> bool:
        query = "SELECT 1 FROM staging.checkpoints WHERE import_id = %s"
        return while_staging(state, percent, phase) and bool(database.execute(query, (import_id,)).fetchone())

    return is_there


def test_a_stored_file_is_imported_again_without_an_upload(caller: Rest) -> None:
    first = caller.imported(SCAN)["key"]
    again = done(caller, first, "rerun", **{"Idempotency-Key": f"again {first}"})
    assert again["id"] != first
    detail = ended(caller, again["id"])
    assert (detail["origin"], detail["originImportId"], detail["options"]["force"]) == ("rerun", first, True)
    assert (detail["duplicateOf"], detail["counters"]["unchanged"]) == (None, ITEMS)
    assert done(caller, first, "rerun", **{"Idempotency-Key": f"again {first}"})["id"] == again["id"]


def test_commands_take_a_request_without_a_body(caller: Rest) -> None:
    first = caller.imported(SCAN)["key"]
    for verb in ("rerun", "undo"):
        response = caller.http.post(f"/api/v2/my-imports/{first}/{verb}")
        assert response.status_code == 200, response.text
        ended(caller, response.json()["id"])


def test_a_dry_run_tells_what_would_come_and_brings_nothing(caller: Rest) -> None:
    row = caller.imported(SCAN, dryRun="true")
    assert row["status"] == "IMPORT COMPLETE"
    detail = caller.detail(row["key"])
    assert (detail["options"]["dryRun"], detail["counters"]["inserted"]) == (True, ITEMS)
    assert detail["importJob"]["processed_findings"] == 4
    assert caller.flaws() == []
    assert caller.get(f"/api/v1/client/{caller.client_id}/assets") == []
    refused = command(caller, row["key"], "undo")
    assert refused.status_code == 409
    assert "dry run" in refused.json()["message"]
    # In earnest, it does what it said.
    again = ended(caller, done(caller, row["key"], "rerun")["id"])
    assert again["counters"] == detail["counters"]
    assert len(caller.flaws()) == 4


def test_a_file_is_held_to_what_its_trigger_says_of_it(caller: Rest) -> None:
    key = caller.upload(SCAN)
    for said, code in (({"sha256": "0" * 64}, "CHECKSUM_MISMATCH"), ({"expectedRecords": 11}, "COUNT_MISMATCH")):
        row = caller.wait(caller.trigger(key, **said))
        assert row["errorStatus"].startswith(f"{code}: ")
    assert caller.flaws() == []
    sha256 = caller.detail(row["key"])["sha256"]
    assert caller.wait(caller.trigger(key, sha256=sha256, expectedRecords=str(ITEMS)))["status"] == "IMPORT COMPLETE"
    assert caller.trigger_response(key, maxErrors=1).status_code == 400


def test_an_import_is_taken_back_and_brought_again(caller: Rest) -> None:
    first = caller.imported(SCAN)["key"]
    flaws = caller.flaws()
    dry = ended(caller, done(caller, first, "undo", {"dryRun": True})["id"])
    assert (dry["kind"], dry["originImportId"]) == ("undo", first)
    would_be = undone(dry)
    assert would_be.keys() == {"removed"}
    assert caller.flaws() == flaws
    assert caller.detail(first)["undoneBy"] is None
    undo = ended(caller, done(caller, first, "undo")["id"])
    assert undone(undo) == would_be
    assert undo["undo"] == dry["undo"]
    assert caller.flaws() == []
    assert caller.get(f"/api/v1/client/{caller.client_id}/assets") == []
    assert caller.detail(first)["undoneBy"] == undo["id"]
    assert command(caller, first, "undo").status_code == 409
    assert command(caller, undo["id"], "rerun").status_code == 409
    listed = [row["key"] for row in caller.get("/api/v2/my-imports", params={"limit": 20})]
    assert first in listed
    assert undo["id"] not in listed
    assert ended(caller, done(caller, first, "rerun")["id"])["counters"]["inserted"] == ITEMS
    assert len(caller.flaws()) == len(flaws)


def test_what_a_later_import_needs_is_kept_and_named(caller: Rest) -> None:
    first = caller.imported(nessus(hosts=3, plugins=4))["key"]
    caller.imported(nessus(hosts=2, plugins=4))
    undo = ended(caller, done(caller, first, "undo")["id"])
    counts = undone(undo)
    assert counts["kept"] > 0
    assert counts["removed"] > 0
    assert {each["reason"] for each in undo["undo"] if each["action"] == "kept"} == {"SEEN_LATER"}
    assert len(caller.flaws()) == 4
    assert len(caller.get(f"/api/v1/client/{caller.client_id}/assets")) == 2


def test_nobody_else_can_command_an_import(stack: LiveStack, caller: Rest) -> None:
    import_id = caller.imported(SCAN)["key"]
    with httpx.Client(base_url=stack.url) as nobody:
        for verb in ("pause", "resume", "retry", "rerun", "undo"):
            response = nobody.post(f"/api/v2/my-imports/{import_id}/{verb}", json={})
            assert response.status_code == 401, verb

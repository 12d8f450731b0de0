"""A worker that is told to stop in the middle of an import."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psycopg
import pytest

from tests.chaos.contents import Content
from tests.chaos.killing import Size, assert_exactly, while_staging
from tests.chaos.rolling import under_load
from tests.e2e.rest import Rest
from tests.scans import nessus, write_nessus
from tests.stack import LiveStack

SIZE = Size(hosts=3_000, plugins=40, output_characters=0)

pytestmark = pytest.mark.timeout(300)


def test_a_restarted_worker_hands_its_import_over_which_counts_as_no_crash(
    stack: LiveStack, caller: Rest, tmp_path: Path
) -> None:
    file = write_nessus(tmp_path / "scan.nessus", SIZE.hosts, SIZE.plugins, output_characters=SIZE.output_characters)
    mark = len(stack.log("worker"))
    import_id = caller.trigger(caller.upload(file.read_bytes()))
    wait_while_staging(stack, import_id)
    stack.restart("worker")
    assert caller.wait(import_id, seconds=150)["status"] == "IMPORT COMPLETE"
    assert_exactly(stack, caller, SIZE)
    with psycopg.connect(stack.database.superuser_url) as connection:
        query = (
            "SELECT crashes, retries, attempt FROM imports JOIN import_claims USING (import_id) WHERE import_id = %s"
        )
        assert connection.execute(query, (import_id,)).fetchone() == (0, 0, 2)
    lines = [json.loads(line) for line in stack.log("worker")[mark:].splitlines()]
    endings = [line["ending"] for line in lines if line.get("import_id") == import_id and "ending" in line]
    assert endings == ["drained", "succeeded"]


def wait_while_staging(stack: LiveStack, import_id: str) -> None:
    query = (
        "SELECT state, percent, phase FROM imports JOIN import_progress USING (tenant_id, import_id) "
        "WHERE import_id = %s"
    )
    deadline = time.monotonic() + 60
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        while True:
            row = connection.execute(query, (import_id,)).fetchone()
            assert row is not None
            if while_staging(*row):
                return
            assert row[0] in {"QUEUED", "RUNNING"}, f"ended before the worker could be stopped: {row}"
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_rolling_restart_of_every_service_under_load_loses_and_fails_nothing(
    stack: LiveStack, tmp_path: Path
) -> None:
    content = Content("a scan", "nessus", nessus(hosts=200, plugins=20))

    def restart_each() -> None:
        for process in ("worker", "upload", "importer", "status", "identity", "gateway"):
            stack.restart(process)

    ended = under_load(stack, tmp_path, content, restart_each)
    assert ended.refused == []
    assert ended.states == {"SUCCEEDED": ended.jobs}
    assert ended.crashes == 0, "what was handed over costs no attempt"

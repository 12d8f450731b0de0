"""Restoring PostgreSQL to an earlier moment, with a queue that is empty and an object store that went on.

What docs/operations.md says of it, done with PostgreSQL's own programs: `make test-backup`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from minio import Minio
from psycopg import sql

from deploy.local import bootstrap, postgres, s3
from deploy.local.instance import ROOT
from deploy.local.ports import LOOPBACK
from deploy.local.services import MODULES
from deploy.local.stack import Stack
from tests.chaos.checker.reading import Servers, read_left, read_rows
from tests.chaos.checker.world import Rows
from tests.chaos.killing import Size
from tests.e2e.rest import Rest, rest
from tests.e2e.test_drain import wait_while_staging
from tests.scans import nessus, write_nessus
from tests.stack import Database, LiveStack, keep_logs, own_instance

SIZE = Size(hosts=2_000, plugins=40, output_characters=1_000)
REST_SECONDS = 18
"""After which an upload that nobody imports is removed; below it, longer than any test takes from upload to trigger."""
SETTINGS = {
    "HYTHE_REAP_UPLOADS_HOURS": str(REST_SECONDS / 3_600),
    "HYTHE_REAP_SECONDS": "1",
    "HYTHE_DISPATCH_FIRST_DELAY_SECONDS": "1",
    "HYTHE_DISPATCH_LAST_DELAY_SECONDS": "5",
}
TERMINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def live(request: pytest.FixtureRequest) -> Iterator[LiveStack]:
    """A stack of this test's own, because it throws away what is in it."""
    instance = own_instance("backup")
    stack = Stack(replace(instance, service_settings={**instance.service_settings, **SETTINGS}))
    try:
        stack.start()
        yield LiveStack(stack)
    finally:
        stack.stop()
        if request.session.testsfailed:
            print(f"\nThe logs of the stack are in {keep_logs(stack)}.")  # noqa: T201 - for whoever reads the failure
        stack.reset()


@pytest.fixture
def caller(live: LiveStack) -> Iterator[Callable[[], Rest]]:
    """Makes callers, each with a client and a report of its own."""
    with ExitStack() as closing:

        def make() -> Rest:
            made = rest(live)
            closing.callback(made.http.close)
            return made

        yield make


def test_a_restored_database_with_an_empty_queue_and_todays_objects_comes_to_rest(
    live: LiveStack, caller: Callable[[], Rest], tmp_path: Path
) -> None:
    data = write_nessus(
        tmp_path / "scan.nessus", SIZE.hosts, SIZE.plugins, output_characters=SIZE.output_characters
    ).read_bytes()
    objects = s3.client(live.stack.instance, live.stack.secrets)

    # At T one has ended, one runs, one waits, one waits whose file will be gone, one is paused; and one uploads.
    ended, running, waiting, doomed, paused = (caller() for _ in range(5))
    assert ended.imported(nessus())["status"] == "IMPORT COMPLETE"
    running_id = running.trigger(running.upload(data))
    wait_while_staging(live, running_id)
    live.pause("worker")
    waiting_id = waiting.trigger(waiting.upload(nessus(hosts=3)))
    doomed_id = doomed.trigger(doomed.upload(nessus(hosts=4)))
    paused_id = paused.trigger(paused.upload(nessus(hosts=5)))
    paused.post(f"/api/v2/my-imports/{paused_id}/pause", {})
    assert states(live) == {running_id: "RUNNING", waiting_id: "QUEUED", doomed_id: "QUEUED", paused_id: "PAUSED"}
    kept = rows_of(live, ended)
    back_up(live, tmp_path / "hythe.dump")

    # After T everything goes on, and more comes.
    live.resume("worker")
    for each, import_id in ((running, running_id), (waiting, waiting_id), (doomed, doomed_id)):
        assert each.wait(import_id)["status"] == "IMPORT COMPLETE"
    later = caller()
    later_id = later.trigger(later.upload(nessus(hosts=6)))
    assert later.wait(later_id)["status"] == "IMPORT COMPLETE"
    wanted = {each.report_id: rows_of(live, each) for each in (running, waiting)}
    assert wanted[running.report_id].finding_assets == SIZE.items
    later_key, doomed_key = object_key(live, later_id), object_key(live, doomed_id)
    objects.remove_object(s3.BUCKET, doomed_key)

    restore(live, tmp_path / "hythe.dump")

    # What came after T is not there; what there was at T ends, as its file allows, and with the same rows.
    for each, import_id in ((running, running_id), (waiting, waiting_id)):
        assert each.wait(import_id)["status"] == "IMPORT COMPLETE"
        assert rows_of(live, each) == wanted[each.report_id]
    assert doomed.wait(doomed_id)["status"] == "ERROR"
    assert query(live, "SELECT error_code FROM imports WHERE import_id = %s", doomed_id) == [("FILE_MISSING",)]
    assert paused.detail(paused_id)["state"] == "PAUSED", "somebody has asked for it"
    paused.post(f"/api/v2/my-imports/{paused_id}/resume", {})
    assert paused.wait(paused_id)["status"] == "IMPORT COMPLETE"
    assert rows_of(live, ended) == kept
    assert running.http.get(f"/api/v2/my-imports/{later_id}").status_code == 404
    assert later.http.get(f"/api/v1/client/{later.client_id}/report/{later.report_id}/flaws").status_code == 404
    # It serves as before, and gives no id a second time.
    fresh = caller()
    assert fresh.imported(nessus(hosts=7))["status"] == "IMPORT COMPLETE"
    assert fresh.client_id > later.client_id
    assert fresh.report_id > later.report_id
    assert set(states(live, everything=True).values()) <= TERMINAL
    assert later_id not in states(live, everything=True)
    wait_for_rest(live, objects, gone=later_key)


def query(live: LiveStack, text: str, *values: object) -> list[tuple[str, ...]]:
    with psycopg.connect(live.database.superuser_url) as connection:
        return connection.execute(text.encode(), values).fetchall()


def states(live: LiveStack, *, everything: bool = False) -> dict[str, str]:
    """By import, of those that have not ended or of all."""
    rows = query(live, "SELECT import_id::text, state FROM imports")
    return {import_id: state for import_id, state in rows if everything or state not in TERMINAL}


def object_key(live: LiveStack, import_id: str) -> str:
    return query(live, "SELECT object_key FROM import_inputs WHERE import_id = %s", import_id)[0][0]


def rows_of(live: LiveStack, caller: Rest) -> Rows:
    with psycopg.connect(live.database.superuser_url) as connection:
        return read_rows(connection, caller.report_id)


def postgres_program(live: LiveStack, name: str, database: str, *options: str) -> None:
    """One of PostgreSQL's own, as its superuser: row-level security hides the rows of tenants from everybody else."""
    instance = live.stack.instance
    command = [str(postgres.binaries(instance) / name), "--host", LOOPBACK, "--port", str(instance.ports.postgres)]
    environment = {**os.environ, "PGPASSWORD": live.stack.secrets.postgres}
    account = ["--username", postgres.SUPERUSER, "--no-password", "--dbname", database]
    done = subprocess.run([*command, *account, *options], check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def back_up(live: LiveStack, file: Path) -> None:
    postgres_program(live, "pg_dump", bootstrap.DATABASE, "--format=custom", f"--file={file}")


def restore(live: LiveStack, file: Path) -> None:
    """The steps of docs/operations.md: stop, an empty database with its rights, the dump, an empty queue, start."""
    instance, secrets = live.stack.instance, live.stack.secrets
    for process in (*MODULES, "nats"):
        live.stop(process)
    with psycopg.connect(Database(live.stack, "postgres").superuser_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(bootstrap.DATABASE)))
    bootstrap.ensure_database(instance, secrets)
    postgres_program(live, "pg_restore", bootstrap.DATABASE, "--exit-on-error", str(file))
    counters = file.with_name("counters.sql")
    counters.write_text(documented_sql())
    postgres_program(live, "psql", bootstrap.DATABASE, "--set=ON_ERROR_STOP=1", f"--file={counters}")
    shutil.rmtree(live.state / "nats")
    programs = [live.program(process) for process in ("nats", *MODULES)]
    live.stack.supervisor.start_programs(programs)
    # Nothing is migrated or made anew: the dump has it all.
    live.stack.wait_until_ready(programs)


def documented_sql() -> str:
    """The one statement that a person is told to run after a restore."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (chapter,) = re.findall(r"^## Back up and restore\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    (found,) = re.findall(r"^ *```sql\n(.*?)```", chapter, re.DOTALL | re.MULTILINE)
    return textwrap.dedent(found)


def wait_for_rest(live: LiveStack, objects: Minio, *, gone: str, seconds: float = 90) -> None:
    """Until nothing is left of any import's work, and the store has the files that the database knows, no others."""
    servers = Servers(live.database.superuser_url, live.nats_url, objects, s3.BUCKET)
    tenants = [int(row[0]) for row in query(live, "SELECT tenant_id::text FROM identity.tenants")]
    deadline = time.monotonic() + seconds
    while True:
        left = {what: count for what, count in read_left(servers, tenants).items() if count}
        stored = {each.object_name for each in objects.list_objects(s3.BUCKET, recursive=True)}
        known = {row[0] for row in query(live, "SELECT object_key FROM import_inputs")}
        strays = {key for key in stored - known if key and "/reports/" not in key}
        if not left and not strays:
            break
        assert time.monotonic() < deadline, f"left: {left}, strays: {strays}"
        time.sleep(0.5)
    assert gone not in stored
    assert len(known - stored) == 1, "what was lost after T, and no more"

"""What is done to imports of sync files that have not ended: stop them, start them again, start several at once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.e2e.appfile import AppFile, appfile
from tests.stack import LiveStack
from tests.sync_files import family

# What an import counts of each of its rows.
OUTCOMES = ("Inserted", "Updated", "Unchanged", "Deleted", "Failed", "Skipped")
LARGE = 150_000


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


@pytest.fixture(scope="module")
def rows() -> list[str]:
    """Of an import that takes some seconds."""
    return [family(number, "Garcia " + "x" * 200) for number in range(LARGE)]


def until_running(caller: AppFile, file_id: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (file := caller.status(file_id))["Status"] != status:
        assert file["FinishedAt"] is None, file
        assert time.monotonic() < deadline, file
        time.sleep(0.01)
    return file


def staged_tables(stack: LiveStack, file: dict[str, Any]) -> int:
    query = "SELECT FROM pg_tables WHERE schemaname = 'staging' AND tablename LIKE '%%' || %s"
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        return connection.execute(query, (file["ImportId"].replace("-", ""),)).rowcount


def cancelled(caller: AppFile, file_id: str) -> dict[str, Any]:
    """The file, once its import is cancelled; nothing of it is there."""
    started = caller.status(file_id)["ImportId"]
    data = caller.data("POST", f"/appfile/file/{file_id}/cancel")
    assert (data["FileId"], data["File"]["ImportId"], data["Url"]) == (file_id, started, "")
    file = caller.wait(file_id, started)
    assert (file["Status"], file["PortalStatus"]) == ("Cancelled", "failed")
    assert (file["Logs"][-1]["Level"], file["Logs"][-1]["Message"]) == ("Warning", "Import cancelled")
    assert file["FinishedAt"]
    assert caller.records() == {}
    # There is nothing left that it could be done to.
    for command in ("cancel", "undo"):
        assert caller.refused("POST", f"/appfile/file/{file_id}/{command}") == (409, "FileNotImported")
    return file


def test_an_import_is_cancelled_while_it_reads_and_the_file_can_be_imported_afterwards(
    stack: LiveStack, caller: AppFile, rows: list[str]
) -> None:
    file_id = caller.upload(caller.file(*rows))
    caller.start(file_id)
    assert until_running(caller, file_id, "Validating")["PortalStatus"] == "pending"
    file = cancelled(caller, file_id)
    assert (file["Attempts"], staged_tables(stack, file)) == (1, 0)

    # It does not count as an import of the file, so no force is needed.
    caller.start(file_id)
    again = caller.wait(file_id)
    assert again["ImportId"] != file["ImportId"]
    assert (again["Status"], again["Progress"]["RowsInserted"]) == ("Imported", LARGE)


def test_an_import_is_cancelled_while_it_waits_to_apply_its_rows(stack: LiveStack, caller: AppFile) -> None:
    """Another import of the workspace is in the middle of its own, as it seems."""
    lock = (
        "SELECT pg_advisory_lock(hashtextextended('records ' || %s, tenant_id)) FROM identity.tenants WHERE name = %s"
    )
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        assert connection.execute(lock, (caller.workspace_id, stack.tenant)).rowcount == 1
        file_id = caller.upload(caller.file(family(1), "90|F2"))
        caller.start(file_id)
        running = until_running(caller, file_id, "Importing")
        assert running["PortalStatus"] == "pending"
        assert staged_tables(stack, running) > 0
        file = cancelled(caller, file_id)
    assert staged_tables(stack, file) == 0
    caller.start(file_id)
    assert caller.wait(file_id)["Status"] == "Imported"


def test_an_import_is_cancelled_before_a_worker_has_it(stack: LiveStack, caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family(1)))
    stack.pause("worker")
    try:
        caller.start(file_id)
        assert caller.status(file_id)["Status"] == "Queued"
        file = cancelled(caller, file_id)
        assert (file["StartedAt"], file["Attempts"]) == (None, 0)
    finally:
        stack.resume("worker")
    caller.start(file_id)
    assert caller.wait(file_id)["Status"] == "Imported"


def test_an_import_that_has_not_ended_is_not_started_again(stack: LiveStack, caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family(1)))
    stack.pause("worker")
    try:
        caller.start(file_id)
        import_id = caller.status(file_id)["ImportId"]
        # The same file is the same import; what would be another one has to wait for the end of this one.
        caller.start(file_id)
        assert caller.status(file_id)["ImportId"] == import_id
        body = {"FileType": "cc5", "FileId": file_id, "Force": True}
        for route in ("/appfile/file/import", "/appdata/import/file/async"):
            assert caller.refused("POST", route, body) == (409, "ImportAlreadyRunning")
        assert caller.refused("POST", f"/appfile/file/{file_id}/undo") == (409, "ImportNotUndoable")
    finally:
        stack.resume("worker")
    assert caller.wait(file_id)["ImportId"] == import_id


def rows_of(rng: random.Random, name: str, keys: int) -> list[str]:
    """Upserts and deletions of these keys in any order, some several times, a few of no use."""
    rows = []
    for number in rng.choices(range(keys), k=keys):
        kind = rng.random()
        rows.append(f"90|F{number}" if kind < 0.2 else family(number, name, size="many" if kind < 0.22 else "3"))
    return rows


def applied(before: dict[str, str], rows: Sequence[str]) -> dict[str, str]:
    """Names by key after the rows that can be used."""
    after = dict(before)
    for row in rows:
        row_type, key, *values = row.split("|")
        if row_type == "90":
            after.pop(key, None)
        elif values[2] != "many":
            after[key] = values[0]
    return after


@pytest.mark.parametrize("seed", range(3))
def test_imports_of_the_same_keys_at_once_are_applied_one_after_the_other(caller: AppFile, seed: int) -> None:
    """What comes out is what one order of both makes; each counts each of its rows once; none waits for ever."""
    rng, keys = random.Random(seed), 3_000
    first = [family(number, "before") for number in range(0, keys, 2)]
    caller.imported(caller.file(*first))
    before = applied({}, first)
    sets = [rows_of(rng, name, keys) for name in ("left", "right")]
    files = [caller.upload(caller.file(*rows)) for rows in sets]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(caller.start, files))
    for file_id, rows in zip(files, sets, strict=True):
        file = caller.wait(file_id)
        assert file["Status"] == "ImportedWithErrors", file
        progress = file["Progress"]
        assert sum(progress[f"Rows{word}"] for word in OUTCOMES) == progress["RowsRead"] == len(rows)
        assert progress["RowsFailed"] == sum("|many|" in row for row in rows)
    found = names(caller)
    left, right = sets
    orders = {
        "left, right": applied(applied(before, left), right),
        "right, left": applied(applied(before, right), left),
    }
    assert found in orders.values(), {order: len(found.items() ^ made.items()) for order, made in orders.items()}


def test_many_imports_at_once_of_one_workspace_all_end(caller: AppFile) -> None:
    """Two run at a time, the others wait; the last state is that of one file, and deletions do not deadlock."""
    count, number_of_files = 400, 8
    contents = []
    for at in range(number_of_files):
        order = list(range(count))
        random.Random(at).shuffle(order)
        contents.append(caller.file(*(family(number, f"n{at}") for number in order), *(f"90|X{n}" for n in order)))
    files = [caller.upload(content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(caller.start, files))
    ended = [caller.wait(file_id) for file_id in files]
    assert {file["Status"] for file in ended} == {"Imported"}
    assert sum(file["Progress"]["RowsInserted"] for file in ended) == count
    assert sum(file["Progress"]["RowsUpdated"] for file in ended) == (number_of_files - 1) * count
    assert len(set(names(caller).values())) == 1


def names(caller: AppFile) -> dict[str, str]:
    """Of all records by key."""
    found: dict[str, str] = {}
    while page := caller.records(Skip=len(found), Fields=["entityId", "name"]):
        found |= {key: each["name"] for key, each in page.items()}
    return found

"""What becomes of a fetch when it is cancelled, paused, repeated, taken over or given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psutil
import pytest

from services.fetcher import attempt
from services.fetcher.store import FetchStore
from services.importer.engine.claims import Claim, Refusal
from services.importer.engine.failures import ImportFailure
from services.importer.engine.progress import Progress
from tests.integration.fetcher.api import Api, serving
from tests.integration.fetcher.quay import Quay
from tests.integration.importer.office import eventually
from tests.integration.importer.workbench import LEASE, TENANT

NO_LEASE = timedelta(seconds=-1)


def children() -> list[psutil.Process]:
    """Those of this process that read a source."""
    found = psutil.Process().children()
    return [each for each in found if "services.fetcher.child" in " ".join(_command(each))]


def _command(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return command


async def slow(quay: Quay, api: Api) -> Any:
    """A run of a source that gives a row and then says nothing more."""
    api.hangs_after = b'[{"Name": "web1"},'
    await quay.source("rest", {"url": api.url("/slow")})
    return await quay.run()


async def has_child() -> bool:
    return bool(children())


async def test_a_cancel_ends_a_silent_fetch_at_once_and_leaves_nothing(quay: Quay) -> None:
    with serving() as api:
        import_id = await slow(quay, api)
        async with quay.working():
            await quay.post(import_id)
            await quay.until(import_id, "RUNNING", "fetching")
            await eventually(has_child)
            await quay.bench.ask(import_id, "cancel")
            await quay.until(import_id, "CANCELLED", "cancelled")
            await quay.until_settled(1)
    assert children() == []
    assert await quay.stored() == []
    assert await quay.bench.engine.value("SELECT count(*) FROM import_leases") == 0


async def test_a_pause_keeps_nothing_and_a_later_attempt_begins_anew(quay: Quay) -> None:
    with serving() as api:
        import_id = await slow(quay, api)
        async with quay.working():
            await quay.post(import_id)
            await quay.until(import_id, "RUNNING", "fetching")
            await quay.bench.ask(import_id, "pause")
            await quay.until(import_id, "PAUSED", "paused")
        assert await quay.stored() == []
        api.hangs_after = b""
        api.pages["/slow"] = [{"Name": "web2"}]
        await quay.bench.engine.admin.execute("UPDATE imports SET state = 'QUEUED' WHERE import_id = %s", (import_id,))
        assert (await quay.fetched(import_id))["lane"] == "small"
    assert await quay.landed(import_id) == [{"Name": "web2"}]


async def test_a_fetcher_that_goes_away_gives_the_import_back(quay: Quay) -> None:
    with serving() as api:
        import_id = await slow(quay, api)
        async with quay.working() as stop:
            await quay.post(import_id)
            await quay.until(import_id, "RUNNING", "fetching")
            stop.set()
            await quay.until_settled(1)
    row = await quay.bench.row(import_id)
    assert (row["state"], row["lane"], row["crashes"], row["retries"]) == ("QUEUED", "fetch", 0, 0)
    assert children() == []


async def test_a_message_that_comes_again_lands_nothing_twice(quay: Quay) -> None:
    with serving() as api:
        api.pages["/hosts"] = [{"Name": "web1"}]
        await quay.source("rest", {"url": api.url("/hosts")})
        import_id = await quay.run()
        await quay.fetched(import_id)
        before = await quay.bench.row(import_id)
        await quay.fetched(import_id)
        assert len(api.requests) == 1
    after = await quay.bench.row(import_id)
    assert (after["state"], after["lane"], after["updated_at"]) == ("QUEUED", "small", before["updated_at"])
    assert len(await quay.inputs(import_id)) == len(await quay.stored()) == 1


async def test_another_tenant_has_no_such_import(quay: Quay) -> None:
    await quay.source("rest", {"url": "http://127.0.0.1:1/"})
    import_id = await quay.run()
    async with quay.working():
        await quay.post(import_id, tenant=TENANT + 1)
        await quay.until_settled(1)
    assert (await quay.bench.row(import_id))["state"] == "QUEUED"


async def test_the_third_dead_fetcher_is_the_end(quay: Quay) -> None:
    store = FetchStore(quay.database, lease=NO_LEASE, small_file_bytes=1)
    await quay.source("rest", {"url": "http://127.0.0.1:1/"})
    import_id = await quay.run()
    for _ in range(3):
        assert isinstance(await store.claim(TENANT, import_id, "dead"), Claim)
    assert await store.claim(TENANT, import_id, "dead") is Refusal.POISON
    row = await quay.bench.row(import_id)
    assert (row["state"], row["error_code"], row["resumable_until"]) == ("FAILED", "WORKER_CRASHED", None)


async def test_what_a_dead_attempt_has_landed_is_not_mixed_with_the_next(quay: Quay) -> None:
    store = FetchStore(quay.database, lease=NO_LEASE, small_file_bytes=1)
    with serving() as api:
        api.pages["/hosts"] = [{"Name": "web1"}]
        await quay.source("rest", {"url": api.url("/hosts")})
        import_id = await quay.run()
        dead = await store.claim(TENANT, import_id, "dead")
        assert isinstance(dead, Claim)
        await quay.fetched(import_id)
        row = await quay.bench.row(import_id)
        assert (row["state"], row["crashes"]) == ("QUEUED", 0)
        # It wakes up: it is fenced out, whatever it tries.
        dead = replace(dead, lease=LEASE)
        seen = Progress(0, 0)
        assert await store.hand_over(dead, seen, []) == "fenced"
        assert await store.fail(dead, seen, ImportFailure("SOURCE_REFUSED", "late")) == "fenced"
    assert await quay.bench.row(import_id) == row
    assert await quay.landed(import_id) == [{"Name": "web1"}]


async def test_a_reader_that_is_killed_is_tried_again(quay: Quay) -> None:
    with serving() as api:
        import_id = await slow(quay, api)
        async with quay.working():
            await quay.post(import_id)
            await eventually(has_child)
            for each in children():
                each.kill()
            await quay.until(import_id, "QUEUED")
    assert (await quay.bench.row(import_id))["retries"] == 1


async def test_five_tries_are_enough(quay: Quay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "FIRST_RETRY_SECONDS", 0.0)
    await quay.source("rest", {"url": "http://127.0.0.1:1/"})
    monkeypatch.setattr("services.fetcher.http.FIRST_WAIT_SECONDS", 0.0)
    import_id = await quay.run()
    await quay.bench.engine.admin.execute("UPDATE imports SET retries = 4 WHERE import_id = %s", (import_id,))
    row = await quay.fetched(import_id)
    assert (row["state"], row["error_code"]) == ("FAILED", "CONNECTION_REFUSED")


async def test_credentials_of_another_key_are_told_as_such(quay: Quay) -> None:
    await quay.source("rest", {"url": "http://127.0.0.1:1/"})
    await quay.bench.engine.admin.execute("UPDATE import_sources SET secret = 'nonsense'")
    row = await quay.fetched(await quay.run())
    assert (row["state"], row["error_code"]) == ("FAILED", "SECRET_UNREADABLE")


async def test_a_run_whose_source_is_gone_fails(quay: Quay) -> None:
    row = await quay.fetched(await quay.run())
    assert (row["state"], row["error_code"]) == ("FAILED", "SOURCE_MISSING")


async def test_a_fetch_has_its_time(quay: Quay) -> None:
    with serving() as api:
        import_id = await slow(quay, api)
        row = await quay.fetched(import_id, seconds=1.0)
    assert (row["state"], row["error_code"]) == ("FAILED", "FETCH_LIMIT")
    assert children() == []

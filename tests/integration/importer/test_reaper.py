from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

from runtime.database import Database as Pool
from runtime.errors import Unavailable
from runtime.objects import ObjectMissing, ObjectStore, StorageUnavailable
from runtime.reports import errors_report_key
from services.importer.reaper import Reaper
from services.importer.settings import DispatchSettings
from tests.fakes.objects import FakeObjectStore
from tests.integration.importer.office import PATIENTLY, answered, eventually
from tests.integration.importer.workbench import TENANT, Engine
from tests.integration.serving import connected, objects_in
from tests.stack import LISTS_ALL_UPLOADS, Database
from tests.stack import ObjectStore as Bucket

OTHER_TENANT = 2
HOUR = timedelta(hours=1)


@dataclass
class Shore:
    """Objects as they were some hours ago: the reaper's clock goes before, because no store lets one set the time."""

    engine: Engine
    objects: ObjectStore
    dispatch: Pool

    def reaper(self, hours: float, objects: Any = None, **changes: Any) -> Reaper:
        members = {"nats_url": "not used", "dispatch_database_url": "not used", **changes}
        settings = DispatchSettings.model_validate(members)
        return Reaper(self.dispatch, objects or self.objects, settings, clock=lambda: datetime.now(UTC) + hours * HOUR)

    async def sweep(self, hours: float, **changes: Any) -> None:
        await self.reaper(hours, **changes).sweep()

    async def put(self, key: str) -> str:
        await self.objects.put(self.objects.object_key(key), b"x", "text/xml")
        return key

    async def imported(self, key: str, *, tenant: int = TENANT) -> UUID:
        import_id = await self.engine.queued(tenant=tenant)
        await self.engine.admin.execute(
            "UPDATE import_inputs SET object_key = %s WHERE import_id = %s", (self.objects.object_key(key), import_id)
        )
        return import_id

    async def has(self, key: str) -> bool:
        try:
            await self.objects.head(self.objects.object_key(key))
        except ObjectMissing:
            return False
        return True

    async def unfinished(self) -> set[str]:
        return {each.upload_id async for page in self.objects.list_unfinished() for each in page}


@pytest.fixture
async def shore(engine: Engine, database: Database, object_store: Bucket) -> AsyncIterator[Shore]:
    objects = objects_in(object_store)
    async with connected(database, "hythe_dispatch") as dispatch:
        yield Shore(engine, objects, dispatch)
    objects.close()


async def test_an_upload_that_nobody_imports_goes_after_a_day_and_an_hour(shore: Shore) -> None:
    key = await shore.put("c1/a")
    await shore.sweep(24.9)
    assert await shore.has(key)
    await shore.sweep(25.1)
    assert not await shore.has(key)
    await shore.sweep(25.1)


async def test_what_an_import_of_any_tenant_reads_stays(shore: Shore) -> None:
    mine, theirs, nobodys = [await shore.put(f"c{number}/a") for number in range(3)]
    await shore.imported(mine)
    await shore.imported(theirs, tenant=OTHER_TENANT)
    await shore.sweep(24 * 365)
    assert [await shore.has(key) for key in (mine, theirs, nobodys)] == [True, True, False]


async def test_the_file_of_an_import_source_stays_for_as_long_as_the_source_names_it(shore: Shore) -> None:
    for key in ("c1/hosts.csv", "c2/hosts.csv"):
        await shore.put(key)
    await shore.engine.source(OTHER_TENANT, file_key="c1/hosts.csv")
    await shore.sweep(24 * 365)
    assert [await shore.has(key) for key in ("c1/hosts.csv", "c2/hosts.csv")] == [True, False]
    await shore.engine.admin.execute("UPDATE import_sources SET file_key = NULL")
    await shore.sweep(24 * 365)
    assert not await shore.has("c1/hosts.csv")


@pytest.mark.parametrize("state", ["PAUSED", "FAILED", "SUCCEEDED", "CANCELLED"])
async def test_it_does_not_matter_how_the_import_stands(shore: Shore, state: str) -> None:
    key = await shore.put("c1/a")
    import_id = await shore.imported(key)
    await shore.engine.admin.execute("UPDATE imports SET state = %s WHERE import_id = %s", (state, import_id))
    await shore.sweep(24 * 365)
    assert await shore.has(key)


async def test_reports_stay_as_long_as_the_errors_that_they_list(shore: Shore) -> None:
    key = await shore.put(errors_report_key(TENANT, uuid4()))
    await shore.sweep(24 * 20, keep_errors_days=20)
    assert await shore.has(key)
    await shore.sweep(24 * 21 + 2, keep_errors_days=20)
    assert not await shore.has(key)


@pytest.mark.skipif(not LISTS_ALL_UPLOADS, reason="this store lists uploads of one key only")
async def test_parts_go_when_none_has_come_for_a_day(shore: Shore) -> None:
    object_key = shore.objects.object_key("c1/a")
    begun = await shore.objects.begin_parts(object_key)
    with_part = await shore.objects.begin_parts(object_key)
    await asyncio.to_thread(shore.objects._parts.put, object_key, with_part, 1, b"x")
    await shore.sweep(24.9)
    assert await shore.unfinished() == {begun, with_part}
    await shore.sweep(25.1)
    assert await shore.unfinished() == set()


async def test_an_upload_that_goes_on_for_days_is_left_alone(shore: Shore) -> None:
    store = FakeObjectStore()
    now = datetime.now(UTC)
    store.now = now - 72 * HOUR
    slow, resting = [await store.begin_parts(store.object_key(f"c{number}/a")) for number in range(2)]
    for upload_id in (slow, resting):
        store.put_part(upload_id, 1, b"x")
    store.now = now - HOUR
    store.put_part(slow, 2, b"x")
    await shore.reaper(0, store).sweep()
    assert list(store.uploads) == [slow]


async def test_the_rest_can_be_set(shore: Shore) -> None:
    key = await shore.put("c1/a")
    await shore.sweep(2, reap_uploads_hours=2)
    assert await shore.has(key)
    await shore.sweep(2.2, reap_uploads_hours=2)
    assert not await shore.has(key)


class Failing(FakeObjectStore):
    """A store that cannot remove what has this in its key."""

    async def delete(self, object_key: str) -> None:
        if "stuck" in object_key:
            raise StorageUnavailable("AccessDenied")
        await super().delete(object_key)

    async def abort_parts(self, object_key: str, upload_id: str) -> None:
        if "stuck" in object_key:
            raise StorageUnavailable("AccessDenied")
        await super().abort_parts(object_key, upload_id)


async def test_what_cannot_be_removed_keeps_nothing_else(shore: Shore) -> None:
    store = Failing()
    for key in ("a", "stuck", "z"):
        await store.put(store.object_key(f"{key}/a"), b"x", "text/plain")
        await store.begin_parts(store.object_key(f"{key}/a"))
    await shore.reaper(26, store).sweep()
    assert list(store.objects) == ["uploads/stuck/a"]
    assert [upload.object_key for upload in store.uploads.values()] == ["uploads/stuck/a"]


async def test_nothing_is_removed_while_the_database_cannot_tell_what_is_read(shore: Shore, database: Database) -> None:
    key = await shore.put("c1/a")
    lost = Pool(
        database.url("hythe_dispatch").replace(database.name, "no_such_database"), application_name="test", pool_size=1
    )
    settings = DispatchSettings.model_validate({"nats_url": "n", "dispatch_database_url": "d"})
    with pytest.raises((Unavailable, psycopg.Error)):
        await Reaper(lost, shore.objects, settings, clock=lambda: datetime.now(UTC) + 26 * HOUR).sweep()
    await lost.close()
    assert await shore.has(key)


async def test_sweeps_go_on_after_failures_of_every_kind(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    outages = iter([StorageUnavailable("down"), RuntimeError("a mistake of ours")])
    sweeps = []
    original = Reaper.sweep

    async def sweep(self: Reaper) -> None:
        sweeps.append(self)
        for outage in outages:
            raise outage
        await original(self)

    monkeypatch.setattr(Reaper, "sweep", sweep)
    key = await shore.put("c1/a")
    stop = asyncio.Event()
    task = asyncio.create_task(shore.reaper(26, reap_seconds=0.01).run(stop))

    async def is_gone() -> bool:
        return not await shore.has(key)

    await eventually(is_gone)
    await eventually(lambda: answered(len(sweeps) >= 4))
    stop.set()
    async with asyncio.timeout(PATIENTLY):
        await task


async def test_the_dispatchers_role_sees_keys_of_inputs_and_no_more_of_them(shore: Shore) -> None:
    await shore.imported("c1/a")
    async with shore.dispatch.transaction(None) as connection:
        found = (await connection.execute(text("SELECT object_key FROM import_inputs"))).all()
        assert [row.object_key for row in found] == [shore.objects.object_key("c1/a")]
    with pytest.raises(Exception, match="permission denied"):
        async with shore.dispatch.transaction(None) as connection:
            await connection.execute(text("SELECT etag FROM import_inputs"))

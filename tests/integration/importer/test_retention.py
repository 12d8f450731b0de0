from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from runtime.database import Database as Pool
from runtime.objects import ObjectMissing, ObjectStore, StorageUnavailable
from runtime.reports import error_file_key
from services.importer import retention
from services.importer.engine.report import report_key
from services.importer.retention import Retention
from services.importer.settings import DispatchSettings
from services.importer.targets.findings.records import Finding, Severity
from tests.integration.importer.office import PATIENTLY, answered, eventually
from tests.integration.importer.workbench import TENANT, Engine
from tests.integration.serving import connected, objects_in
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

OTHER_TENANT = 2


@dataclass
class Archive:
    """Imports that ended some days ago, with all that an import can leave."""

    engine: Engine
    objects: ObjectStore
    dispatch: Pool
    importer: Pool

    def retention(self, objects: Any = None, **changes: Any) -> Retention:
        settings = DispatchSettings.model_validate(
            {
                "nats_url": "not used",
                "dispatch_database_url": "not used",
                "keep_files_days": 10,
                "keep_errors_days": 20,
                "keep_outcomes_days": 30,
                "keep_history_days": 40,
                **changes,
            }
        )
        return Retention(self.dispatch, self.importer, objects or self.objects, settings)

    async def sweep(self, **changes: Any) -> None:
        await self.retention(**changes).sweep()

    async def ended(self, days: int, *, tenant: int = TENANT, key: str = "") -> UUID:
        import_id = await self.engine.queued(tenant=tenant)
        object_key = self.objects.object_key(key or f"{import_id}/file")
        await self.objects.put(object_key, b"x", "text/xml")
        for each in (report_key, error_file_key):
            report = self.objects.object_key(each(tenant, import_id))
            await self.objects.put(report, b"report", "text/csv")
        run = self.engine.admin.execute
        await run(
            "UPDATE imports SET state = 'SUCCEEDED', ended_at = now() - make_interval(days => %s) WHERE import_id = %s",
            (days, import_id),
        )
        await run("UPDATE import_inputs SET object_key = %s WHERE import_id = %s", (object_key, import_id))
        await run("DELETE FROM outbox WHERE import_id = %s", (import_id,))
        await run(
            "INSERT INTO row_errors (tenant_id, import_id, record_number, position, field, code, message, value) "
            "VALUES (%s, %s, 1, '', '', '', '', '')",
            (tenant, import_id),
        )
        for table in ("sightings", "before_images"):
            await run(
                f"INSERT INTO {table} (tenant_id, kind, row_id, import_id) VALUES (%s, 'asset', 1, %s)".encode(),
                (tenant, import_id),
            )
        return import_id

    async def live(self, state: str) -> UUID:
        """An import that began long ago and has not ended."""
        import_id = await self.ended(0)
        await self.engine.admin.execute(
            "UPDATE imports SET state = %s, ended_at = NULL, created_at = now() - interval '3 years' "
            "WHERE import_id = %s",
            (state, import_id),
        )
        return import_id

    async def left_of(self, import_id: UUID, tenant: int = TENANT) -> set[str]:
        """Which of its traces an import still has."""
        (row,) = await self.engine.rows(
            "SELECT (SELECT object_key FROM import_inputs WHERE import_id = %s AND purged_at IS NULL) AS file, "
            "EXISTS (SELECT 1 FROM row_errors WHERE import_id = %s) AS errors, "
            "EXISTS (SELECT 1 FROM sightings WHERE import_id = %s) AS sightings, "
            "EXISTS (SELECT 1 FROM before_images WHERE import_id = %s) AS images, "
            "EXISTS (SELECT 1 FROM imports WHERE import_id = %s) AS history",
            *[import_id] * 5,
        )
        left = {name for name, value in row.items() if value}
        if await self.has_object(f"{import_id}/file"):
            left.add("object")
        if await self.has_object(report_key(tenant, import_id)):
            left.add("report")
        if await self.has_object(error_file_key(tenant, import_id)):
            left.add("error file")
        return left

    async def has_object(self, key: str) -> bool:
        try:
            await self.objects.head(self.objects.object_key(key))
        except ObjectMissing:
            return False
        return True


EVERYTHING = {"file", "object", "errors", "report", "error file", "sightings", "images", "history"}


@pytest.fixture
async def archive(engine: Engine, database: Database, object_store: Bucket) -> AsyncIterator[Archive]:
    objects = objects_in(object_store)
    async with connected(database, "hythe_dispatch") as dispatch, connected(database, "hythe_importer") as importer:
        yield Archive(engine, objects, dispatch, importer)
    objects.close()


@pytest.mark.parametrize(
    ("days", "left"),
    [
        (9, EVERYTHING),
        (11, EVERYTHING - {"file", "object"}),
        (21, {"sightings", "images", "history"}),
        (31, {"history"}),
        (41, set()),
    ],
    ids=["young", "files", "errors", "outcomes", "history"],
)
async def test_each_kind_of_trace_goes_at_its_own_age(archive: Archive, days: int, left: set[str]) -> None:
    import_id, young = await archive.ended(days), await archive.ended(1)
    await archive.sweep()
    assert await archive.left_of(import_id) == left
    assert await archive.left_of(young) == EVERYTHING
    await archive.sweep()
    assert await archive.left_of(import_id) == left, "a second sweep has nothing to do"


@pytest.mark.parametrize("state", ["OPEN", "QUEUED", "RUNNING", "PAUSED"])
async def test_a_live_import_keeps_everything_however_old(archive: Archive, state: str) -> None:
    import_id = await archive.live(state)
    await archive.sweep()
    assert await archive.left_of(import_id) == EVERYTHING


async def test_every_tenant_is_swept_by_the_age_of_its_own_imports(archive: Archive) -> None:
    old = await archive.ended(41)
    foreign_old, foreign_young = (
        await archive.ended(11, tenant=OTHER_TENANT),
        await archive.ended(9, tenant=OTHER_TENANT),
    )
    await archive.sweep()
    assert await archive.left_of(old) == set()
    assert await archive.left_of(foreign_old, OTHER_TENANT) == EVERYTHING - {"file", "object"}
    assert await archive.left_of(foreign_young, OTHER_TENANT) == EVERYTHING


async def test_a_younger_or_a_live_import_of_the_same_upload_keeps_it(archive: Archive) -> None:
    old, young = await archive.ended(11, key="shared/a"), await archive.ended(9, key="shared/a")
    await archive.ended(11, key="shared/b")
    waiting = await archive.live("QUEUED")
    await archive.engine.admin.execute(
        "UPDATE import_inputs SET object_key = %s WHERE import_id = %s",
        (archive.objects.object_key("shared/b"), waiting),
    )
    await archive.sweep()
    assert await archive.has_object("shared/a")
    assert await archive.has_object("shared/b")
    assert "file" in await archive.left_of(old)

    await archive.engine.admin.execute(
        "UPDATE imports SET ended_at = now() - interval '11 days' WHERE import_id = %s", (young,)
    )
    await archive.sweep()
    assert not await archive.has_object("shared/a")
    assert await archive.has_object("shared/b")


async def test_the_file_that_an_import_source_reads_outlives_the_runs_that_have_read_it(archive: Archive) -> None:
    run, other = await archive.ended(11, key="c1/hosts.csv"), await archive.ended(11)
    await archive.engine.source(TENANT, file_key="c1/hosts.csv")
    await archive.engine.source(OTHER_TENANT, file_key=f"{other}/file")
    await archive.sweep()
    assert await archive.has_object("c1/hosts.csv")
    # The run itself counts as one without a file, so that its history can go.
    assert "file" not in await archive.left_of(run)
    assert await archive.left_of(other) == EVERYTHING - {"file", "object"}


async def test_the_log_of_deliveries_goes_at_its_own_age_but_for_what_is_still_tried(archive: Archive) -> None:
    import_id = await archive.ended(1)
    await archive.engine.admin.execute(
        "WITH w AS (INSERT INTO webhooks (tenant_id, url, secret, user_id) VALUES (1, 'u', '', 1) "
        "RETURNING webhook_id) "
        "INSERT INTO webhook_deliveries (tenant_id, delivery_id, webhook_id, import_id, event_id, payload, state, "
        "created_at) SELECT 1, gen_random_uuid(), webhook_id, %s, state || days, '', state, "
        "now() - make_interval(days => days) FROM w, unnest(ARRAY['PENDING', 'DELIVERED', 'FAILED']) AS state, "
        "unnest(ARRAY[4, 6]) AS days",
        (import_id,),
    )
    await archive.sweep(keep_deliveries_days=5)
    rows = await archive.engine.rows("SELECT event_id FROM webhook_deliveries")
    assert {row["event_id"] for row in rows} == {"PENDING4", "DELIVERED4", "FAILED4", "PENDING6"}


async def test_imported_data_outlives_the_history_of_its_import(archive: Archive) -> None:
    await archive.engine.imported([[Finding(key="1", number=1, title="t", severity=Severity.LOW)]])
    await archive.engine.admin.execute("UPDATE imports SET ended_at = now() - interval '41 days'")
    await archive.sweep()
    assert await archive.engine.value("SELECT count(*) FROM imports") == 0
    assert await archive.engine.value("SELECT title FROM findings") == "t"


async def test_history_waits_for_files_that_are_kept_longer(archive: Archive) -> None:
    import_id = await archive.ended(45)
    await archive.sweep(keep_files_days=50)
    assert await archive.left_of(import_id) == {"file", "object", "history"}
    await archive.sweep()
    assert await archive.left_of(import_id) == set()


async def test_what_is_kept_longer_than_history_goes_with_it(archive: Archive) -> None:
    import_id = await archive.ended(41)
    await archive.sweep(keep_errors_days=365, keep_outcomes_days=365)
    assert await archive.left_of(import_id) == set()


async def test_more_than_one_batch_of_files_goes_in_one_sweep(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    imports = [await archive.ended(11) for _ in range(5)]
    await archive.sweep()
    assert [await archive.has_object(f"{import_id}/file") for import_id in imports] == [False] * 5


class Failing:
    """An object store that cannot delete what has this in its key."""

    def __init__(self, objects: ObjectStore, part: str) -> None:
        self._objects = objects
        self.part = part

    def object_key(self, key: str) -> str:
        return self._objects.object_key(key)

    async def delete(self, object_key: str) -> None:
        if self.part in object_key:
            raise StorageUnavailable("AccessDenied")
        await self._objects.delete(object_key)


async def test_a_failure_of_storage_keeps_the_rows_and_no_other_tenant_waiting(archive: Archive) -> None:
    stuck, other = await archive.ended(11), await archive.ended(11, tenant=OTHER_TENANT)
    await archive.retention(Failing(archive.objects, str(stuck))).sweep()
    assert await archive.left_of(stuck) == EVERYTHING, "a file that is there is still known"
    assert "object" not in await archive.left_of(other, OTHER_TENANT)
    await archive.sweep()
    assert "object" not in await archive.left_of(stuck)


async def test_a_report_that_cannot_be_deleted_keeps_its_errors(archive: Archive) -> None:
    import_id = await archive.ended(21)
    await archive.retention(Failing(archive.objects, "reports/")).sweep()
    assert {"report", "errors"} <= await archive.left_of(import_id)


async def test_sweeps_go_on_after_failures_of_every_kind(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    outages = iter([StorageUnavailable("down"), RuntimeError("a mistake of ours")])
    sweeps = []
    original = Retention.sweep

    async def sweep(self: Retention) -> None:
        sweeps.append(self)
        for outage in outages:
            raise outage
        await original(self)

    monkeypatch.setattr(Retention, "sweep", sweep)
    import_id = await archive.ended(11)
    stop = asyncio.Event()
    task = asyncio.create_task(archive.retention(retention_seconds=0.01).run(stop))

    async def is_gone() -> bool:
        return not await archive.has_object(f"{import_id}/file")

    await eventually(is_gone)
    await eventually(lambda: answered(len(sweeps) >= 4))
    stop.set()
    async with asyncio.timeout(PATIENTLY):
        await task


def test_the_defaults_keep_things_for_a_month_at_least() -> None:
    settings = DispatchSettings.model_validate({"nats_url": "n", "dispatch_database_url": "d"})
    assert settings.keep_files_days >= 30
    assert settings.keep_errors_days >= 30
    assert settings.keep_outcomes_days >= 30
    assert settings.keep_history_days >= 365

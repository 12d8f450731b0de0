"""What undo relies on: the flips of an owner are numbered as they commit, and say when they changed what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from services.importer.engine.failures import Cancelled
from services.importer.engine.flip import flip
from services.importer.engine.progress import Progress
from services.importer.engine.target import Job, Outcomes, Step, Tally
from services.importer.targets.findings.records import AffectedAsset, Asset, Evidence, Finding, Severity
from services.importer.targets.findings.target import FindingsTarget
from tests.integration.importer.office import eventually
from tests.integration.importer.workbench import TENANT, Engine


def item(key: str, host: str, **more: Any) -> list[Any]:
    return [
        Finding(key=key, number=int(key), title=f"Title {key}", severity=Severity.HIGH),
        Asset(ref=host, name=host, **more),
        AffectedAsset(finding=key, asset=host, evidence=(Evidence("output", "seen", 4),)),
    ]


class HeldTarget(FindingsTarget):
    """Stands still in its merge until it is told to go on."""

    def __init__(self) -> None:
        self.is_merging = asyncio.Event()
        self.go_on = asyncio.Event()

    async def merge(
        self, connection: AsyncConnection, job: Job, staged: Mapping[Table, str], family: str, tally: Tally, step: Step
    ) -> Outcomes:
        self.is_merging.set()
        await self.go_on.wait()
        return await super().merge(connection, job, staged, family, tally, step)


async def begin_flip(
    engine: Engine, target: FindingsTarget, items: Sequence[list[Any]]
) -> tuple[Any, asyncio.Task[None]]:
    claim = await engine.claimed(await engine.queued())
    staging, checkpoint = await engine.staged(claim, items)
    task = asyncio.create_task(flip(engine.worker, target, claim, staging, checkpoint, Progress(1, 5)))
    return claim.job.import_id, task


async def waits_for_lock(engine: Engine) -> bool:
    return bool(await engine.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


async def test_flips_of_one_client_are_numbered_in_the_order_in_which_they_commit(engine: Engine) -> None:
    held = HeldTarget()
    first, first_task = await begin_flip(engine, held, [item("10", "a")])
    await held.is_merging.wait()
    second, second_task = await begin_flip(engine, FindingsTarget(), [item("10", "a")])
    await eventually(lambda: waits_for_lock(engine))
    assert await engine.value("SELECT count(*) FROM imports WHERE flip_number IS NOT NULL") == 0
    held.go_on.set()
    await asyncio.gather(first_task, second_task)
    rows = await engine.rows("SELECT import_id FROM imports ORDER BY flip_number")
    assert [row["import_id"] for row in rows] == [first, second]
    assert await engine.outcome(second) == {"unchanged": 1}, "the second has seen what the first has committed"


async def test_the_row_of_an_import_is_free_while_it_merges(engine: Engine) -> None:
    """Whoever wants to cancel it must not wait for the merge that the cancel is to stop."""
    held = HeldTarget()
    import_id, task = await begin_flip(engine, held, [item("10", "a")])
    await held.is_merging.wait()
    async with asyncio.timeout(20):
        async with engine.worker.transaction(TENANT):
            await engine.admin.execute(
                "SELECT FROM imports WHERE import_id = %s FOR NO KEY UPDATE NOWAIT", (import_id,)
            )
        await engine.admin.execute(
            "INSERT INTO import_requests (action, tenant_id, import_id, requested_by) VALUES ('cancel', 1, %s, 1)",
            (import_id,),
        )
    held.go_on.set()
    with pytest.raises(Cancelled):
        await task


async def test_a_flip_that_is_rolled_back_has_no_number(engine: Engine) -> None:
    claim = await engine.claimed(await engine.queued())
    staging, checkpoint = await engine.staged(claim, [item("10", "a")])
    await engine.admin.execute(
        "INSERT INTO import_requests (action, tenant_id, import_id, requested_by) VALUES ('cancel', 1, %s, 1)",
        (claim.job.import_id,),
    )
    with pytest.raises(Cancelled):
        await flip(engine.worker, FindingsTarget(), claim, staging, checkpoint, Progress(1, 5))
    assert await engine.value("SELECT flip_number FROM imports") is None


async def test_a_changed_row_and_its_image_have_the_time_of_the_flip_and_an_unchanged_row_keeps_its_own(
    engine: Engine,
) -> None:
    await engine.imported([item("10", "a"), item("11", "b")])
    before = await engine.rows("SELECT asset_id, updated_at FROM assets ORDER BY asset_id")
    second = await engine.imported([item("10", "a", mac="00:11"), item("11", "b")], finding_tags=["new"])
    images = await engine.rows("SELECT kind, row_id, changed_at FROM before_images WHERE import_id = %s", second)
    assert sorted(image["kind"] for image in images) == ["asset", "finding", "finding"]
    assert len({image["changed_at"] for image in images}) == 1
    changed = await engine.rows(
        "SELECT t.updated_at = b.changed_at AS is_same FROM before_images b JOIN ("
        "SELECT 'asset' AS kind, asset_id AS row_id, updated_at FROM assets "
        "UNION ALL SELECT 'finding', finding_id, updated_at FROM findings) t USING (kind, row_id)"
    )
    assert [row["is_same"] for row in changed] == [True] * 3
    after = await engine.rows("SELECT asset_id, updated_at FROM assets ORDER BY asset_id")
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)


@pytest.mark.parametrize("table", ["findings", "assets", "affected_assets"])
async def test_rows_are_updated_exactly_where_they_leave_an_image(engine: Engine, table: str) -> None:
    scans = [
        [item("10", "a"), item("11", "a")],
        [item("10", "a", mac="1"), item("12", "b", ips=("10.0.0.1",))],
        [item("11", "b", operating_systems=("BSD",)), item("10", "c", hostname="a")],
        [item("12", "b", ips=("10.0.0.1", "10.0.0.2"), netbios="N"), item("10", "a")],
    ]
    for number, scan in enumerate(scans):
        await engine.imported(scan, asset_tags=["even"] if number % 2 else [])
    kind = {"findings": "finding", "assets": "asset", "affected_assets": "affected_asset"}[table]
    column = f"{kind.removesuffix('_asset')}_id"
    wrong = await engine.rows(
        f"SELECT t.* FROM {table} t LEFT JOIN (SELECT row_id, max(changed_at) AS changed_at FROM before_images "
        f"WHERE kind = '{kind}' GROUP BY 1) b ON b.row_id = t.{column} "
        "WHERE t.updated_at <> COALESCE(b.changed_at, t.created_at)"
    )
    assert wrong == []


async def test_a_tag_names_the_import_that_brought_it(engine: Engine) -> None:
    first = await engine.imported([item("10", "a")], asset_tags=["x"])
    second = await engine.imported([item("10", "a")], asset_tags=["x"], finding_tags=["y"])
    rows = await engine.rows("SELECT tag, import_id FROM tags ORDER BY tag")
    assert [(row["tag"], row["import_id"]) for row in rows] == [("x", first), ("y", second)]


async def test_an_import_of_one_client_does_not_wait_for_another_clients(engine: Engine) -> None:
    held = HeldTarget()
    _, task = await begin_flip(engine, held, [item("10", "a")])
    await held.is_merging.wait()
    engine.client_id += 1
    engine.report_id += 1
    async with asyncio.timeout(20):
        await engine.imported([item("10", "a")])
    held.go_on.set()
    await task

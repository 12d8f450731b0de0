from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from services.importer.engine import runner
from services.importer.engine.attempt import Ending
from services.importer.engine.flip import flip
from tests.integration.importer.workbench import TENANT, Bench, Engine
from tests.scans import nessus

SCAN = nessus(hosts=4, plugins=5).replace(b'pluginID="90001"', b'pluginID="x"')
OVERLAPPING = nessus(hosts=6, plugins=7)

# What tells of the dry run itself.
OWN_REPORT = {"imports", "row_errors", "outbox"}


async def dump(engine: Engine) -> dict[str, list[str]]:
    """Every row of every table of every schema but the imports' own, as text, system columns included."""
    tables = await engine.rows(
        "SELECT format('%%I.%%I', schemaname, tablename) AS name, tablename FROM pg_tables "
        "WHERE schemaname IN ('public', 'staging', 'identity') ORDER BY 1"
    )
    return {
        each["name"]: [
            row["row"]
            for row in await engine.rows(f"SELECT xmin || ' ' || t::text AS row FROM {each['name']} t ORDER BY 1")
        ]
        for each in tables
        if each["tablename"] not in OWN_REPORT and not each["tablename"].startswith("import_")
    }


async def dry_run(bench: Bench, data: bytes, **columns: Any) -> UUID:
    import_id = await bench.triggered(data, dry_run=True, **columns)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    return import_id


async def report(bench: Bench, import_id: UUID) -> dict[str, Any]:
    """What the import says of itself, without what differs between any two imports."""
    (progress,) = await bench.engine.rows("SELECT * FROM import_progress WHERE import_id = %s", import_id)
    errors = await bench.engine.rows("SELECT * FROM row_errors WHERE import_id = %s ORDER BY record_number", import_id)
    own = {"import_id", "updated_at"}
    return {
        "progress": {name: value for name, value in progress.items() if name not in own},
        "errors": [{name: value for name, value in each.items() if name not in own} for each in errors],
        "lines": await bench.report_of(import_id) if errors else [],
    }


@pytest.mark.parametrize("tags", [{}, {"asset_tags": ["new"], "finding_tags": ["new", "too"]}], ids=["plain", "tags"])
async def test_a_dry_run_changes_no_row_of_any_table_but_its_own_report(bench: Bench, tags: dict[str, Any]) -> None:
    assert await bench.attempt(await bench.triggered(SCAN)) is Ending.SUCCEEDED
    before = await dump(bench.engine)
    await dry_run(bench, OVERLAPPING, **tags)
    assert await dump(bench.engine) == before
    await bench.assert_nothing_left()


@pytest.mark.parametrize("data", [SCAN, OVERLAPPING], ids=["the same file", "another file"])
async def test_a_dry_run_reports_exactly_what_the_real_one_then_does(bench: Bench, data: bytes) -> None:
    assert await bench.attempt(await bench.triggered(SCAN)) is Ending.SUCCEEDED
    tags: dict[str, Any] = {"asset_tags": ["new"]}
    trial = await dry_run(bench, data, **tags)
    real = await bench.triggered(data, **tags)
    assert await bench.attempt(real) is Ending.SUCCEEDED
    assert await report(bench, trial) == await report(bench, real)
    assert (await bench.row(trial))["flip_number"] is None
    assert (await bench.row(real))["flip_number"] is not None


async def test_a_dry_run_into_an_empty_report_leaves_it_empty(bench: Bench) -> None:
    trial = await dry_run(bench, SCAN, asset_tags=["x"])
    assert await bench.engine.outcome(trial) == {"inserted": 16, "rejected": 4}
    row = await bench.row(trial)
    assert (row["state"], row["flip_number"], row["content_sha256"] is None) == ("SUCCEEDED", None, False)
    for table in ("tags", "sightings", "before_images", "asset_keys"):
        assert await bench.engine.value(f"SELECT count(*) FROM {table}") == 0
    assert await bench.engine.value("SELECT count(*) FROM outbox WHERE topic = 'ended'") == 1
    await bench.assert_nothing_imported()


async def test_a_dry_run_obeys_its_policy(bench: Bench) -> None:
    import_id = await bench.triggered(SCAN, dry_run=True, policy={"on_error": "all_or_nothing"})
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "TOO_MANY_ERRORS"


async def test_a_dry_run_is_cancelled_like_any_import(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await bench.triggered(SCAN, dry_run=True)

    async def cancelled_flip(*everything: Any) -> None:
        await bench.ask(import_id, "cancel")
        await flip(*everything)

    monkeypatch.setattr(runner, "flip", cancelled_flip)
    assert await bench.attempt(import_id) is Ending.CANCELLED
    await bench.assert_nothing_imported()


async def test_dry_runs_and_imports_of_one_client_at_once_neither_deadlock_nor_disturb(bench: Bench) -> None:
    import_ids = [await bench.triggered(OVERLAPPING, dry_run=number % 2 == 0) for number in range(6)]
    async with asyncio.timeout(60):
        endings = await asyncio.gather(*(bench.attempt(import_id) for import_id in import_ids))
    assert endings == [Ending.SUCCEEDED] * 6
    assert await bench.engine.value("SELECT count(*) FROM affected_assets") == 42
    assert (
        await bench.engine.value("SELECT count(*) FROM sightings s JOIN imports i USING (import_id) WHERE i.dry_run")
        == 0
    )
    assert await bench.engine.value("SELECT count(*) FROM findings WHERE tenant_id <> %s", TENANT) == 0

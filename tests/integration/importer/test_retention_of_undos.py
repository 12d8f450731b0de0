# ruff: noqa: F811  (a fixture is imported by its name and asked for by its name)
from __future__ import annotations

from uuid import UUID

import pytest

from runtime.reports import undo_report_key
from services.importer.targets.findings.records import Finding, Severity
from tests.integration.importer.test_retention import Archive, archive  # noqa: F401  (a fixture)
from tests.integration.importer.undoing import Undoer
from tests.integration.importer.workbench import TENANT


async def aged(archive: Archive, import_id: UUID, days: int) -> None:
    await archive.engine.admin.execute(
        "UPDATE imports SET ended_at = now() - make_interval(days => %s) WHERE import_id = %s", (days, import_id)
    )


async def undone(archive: Archive) -> UUID:
    import_id = await archive.engine.imported([[Finding(key="1", number=1, title="t", severity=Severity.LOW)]])
    return (await Undoer(archive.engine, archive.objects).undo(import_id)).undo_id


@pytest.mark.parametrize(("days", "is_kept"), [(19, True), (21, False)])
async def test_rows_and_report_of_an_undo_go_with_the_errors_of_imports(
    archive: Archive,
    days: int,
    is_kept: bool,
) -> None:
    undo_id = await undone(archive)
    await aged(archive, undo_id, days)
    await archive.sweep()
    assert await archive.engine.value("SELECT count(*) FROM undo_items") == int(is_kept)
    assert await archive.has_object(undo_report_key(TENANT, undo_id)) is is_kept
    assert await archive.engine.value("SELECT count(*) FROM imports WHERE import_id = %s", undo_id) == 1


async def test_the_report_of_an_undo_that_did_not_succeed_goes_with_its_history(archive: Archive) -> None:
    undo_id = await undone(archive)
    await archive.engine.admin.execute("DELETE FROM undo_items")
    await archive.engine.admin.execute("UPDATE imports SET state = 'CANCELLED' WHERE import_id = %s", (undo_id,))
    await aged(archive, undo_id, 41)
    await archive.sweep()
    assert not await archive.has_object(undo_report_key(TENANT, undo_id))
    assert await archive.engine.value("SELECT count(*) FROM imports WHERE import_id = %s", undo_id) == 0


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "PAUSED"])
async def test_nothing_that_a_live_undo_needs_goes(archive: Archive, state: str) -> None:
    """Neither of the import itself nor of those after it, which say what must be kept."""
    import_id, later = await archive.ended(31), await archive.ended(31)
    undo_id = await Undoer(archive.engine, archive.objects).queued(import_id)
    await archive.engine.admin.execute("UPDATE imports SET state = %s WHERE import_id = %s", (state, undo_id))
    await archive.sweep()
    for each in (import_id, later):
        assert {"sightings", "images"} <= await archive.left_of(each)
    await archive.engine.admin.execute("UPDATE imports SET state = 'CANCELLED' WHERE import_id = %s", (undo_id,))
    await archive.sweep()
    for each in (import_id, later):
        assert not {"sightings", "images"} & await archive.left_of(each)

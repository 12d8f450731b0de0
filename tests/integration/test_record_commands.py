"""Undo and cancel of a file of records, over PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from hythe.importer.v1 import importer_pb2 as pb
from runtime.errors import FailedPrecondition, NotFound
from services.importer.commands import Commands
from services.importer.imports import Thresholds
from services.importer.model import Kind, State
from services.importer.record_commands import RecordCommands
from services.importer.record_imports import RecordFile
from services.importer.repeats import Repeats
from services.importer.store.imports import SqlImportStore
from services.importer.store.record_files import SqlRecordFileStore
from tests.fakes.people import ADMIN, COLLEAGUE, IMPORTER, calling
from tests.integration.import_api import Api, opened
from tests.integration.serving import connected
from tests.stack import Database
from tests.stack import ObjectStore as Bucket


@dataclass
class Desk:
    """The commands, and the API by which files are imported."""

    api: Api
    files: SqlRecordFileStore
    commands: RecordCommands

    async def file(self, file_id: str = "f1") -> RecordFile:
        found = await self.files.find(IMPORTER.tenant_id, file_id)
        assert found is not None
        return found

    async def started(self, state: str = "", **members: Any) -> pb.Import:
        """An import of f1, brought into this state past the engine."""
        imported = await self.api.start("f1", **members)
        if state:
            await self.api.execute(
                "UPDATE imports SET state = %s, ended_at = now() WHERE import_id = %s", state, imported.import_id
            )
        return imported


@pytest.fixture
async def desk(database: Database, object_store: Bucket) -> AsyncIterator[Desk]:
    async with opened(database, object_store) as api, connected(database, "hythe_importer") as adapter:
        await api.record_file("f1")
        store, files = SqlImportStore(adapter), SqlRecordFileStore(adapter)
        repeats = Repeats(store, api.objects, Thresholds(1_000, 100), timedelta(days=90), max_running_executions=4)
        with calling(IMPORTER):
            yield Desk(api, files, RecordCommands(files, Commands(store), repeats))


async def test_a_queued_import_is_cancelled_at_once(desk: Desk) -> None:
    imported = await desk.started()
    cancelled = await desk.commands.cancel(IMPORTER, await desk.file())
    assert (str(cancelled.import_id), cancelled.state) == (imported.import_id, State.CANCELLED)
    # There is nothing left that it could be done to.
    for command in (desk.commands.cancel, desk.commands.undo):
        with pytest.raises(FailedPrecondition) as raised:
            await command(IMPORTER, await desk.file())
        assert raised.value.reason == "FILE_NOT_IMPORTED"


async def test_an_import_that_stands_is_undone_as_an_import_of_its_own(desk: Desk) -> None:
    imported = await desk.started("SUCCEEDED")
    undo = await desk.commands.undo(IMPORTER, await desk.file())
    assert (undo.kind, str(undo.origin_import_id), undo.state) == (Kind.UNDO, imported.import_id, State.QUEUED)
    assert (await desk.commands.undo(IMPORTER, await desk.file())).import_id == undo.import_id


async def test_a_dry_undo_is_another_one(desk: Desk) -> None:
    await desk.started("SUCCEEDED")
    dry = await desk.commands.undo(IMPORTER, await desk.file(), dry_run=True)
    real = await desk.commands.undo(IMPORTER, await desk.file())
    assert (dry.options.dry_run, real.options.dry_run) == (True, False)
    assert dry.import_id != real.import_id


async def test_the_last_import_that_stands_is_meant(desk: Desk) -> None:
    first = await desk.started("SUCCEEDED")
    second = await desk.started("SUCCEEDED", options=pb.ImportOptions(force=True))
    await desk.started("FAILED", options=pb.ImportOptions(force=True))
    await desk.started("SUCCEEDED", options=pb.ImportOptions(dry_run=True))
    undo = await desk.commands.undo(IMPORTER, await desk.file())
    assert str(undo.origin_import_id) == second.import_id
    await desk.api.execute("UPDATE imports SET undone_at = now() WHERE import_id = %s", second.import_id)
    undo = await desk.commands.undo(IMPORTER, await desk.file())
    assert str(undo.origin_import_id) == first.import_id


async def test_an_import_of_somebody_else_is_for_administrators(desk: Desk) -> None:
    await desk.started("SUCCEEDED")
    with pytest.raises(NotFound):
        await desk.commands.undo(COLLEAGUE, await desk.file())
    assert (await desk.commands.undo(ADMIN, await desk.file())).kind is Kind.UNDO


async def test_one_that_runs_or_waits_is_not_undone_and_one_that_has_ended_not_cancelled(desk: Desk) -> None:
    imported = await desk.started()
    with pytest.raises(FailedPrecondition) as raised:
        await desk.commands.undo(IMPORTER, await desk.file())
    assert raised.value.reason == "IMPORT_NOT_UNDOABLE"
    await desk.api.execute("UPDATE imports SET state = 'SUCCEEDED' WHERE import_id = %s", imported.import_id)
    with pytest.raises(FailedPrecondition) as raised:
        await desk.commands.cancel(IMPORTER, await desk.file())
    assert raised.value.reason == "IMPORT_FINISHED"

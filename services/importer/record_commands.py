"""Commands on a file of records, which are commands on its last import: undo and cancel.

What they do is said once, for every import, in repeats.py and commands.py.
"""

from __future__ import annotations

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition
from services.importer.commands import Commands
from services.importer.record_imports import Imported, RecordFile, RecordFileStore
from services.importer.repeats import Repeats
from services.importer.snapshot import Snapshot


class RecordCommands:
    """By whoever may command the import: its own, or an administrator any."""

    def __init__(self, files: RecordFileStore, commands: Commands, repeats: Repeats) -> None:
        self._files = files
        self._commands = commands
        self._repeats = repeats

    async def undo(self, principal: Principal, file: RecordFile, *, dry_run: bool = False) -> Snapshot:
        """Queues the undo of the last import that stands; answers the one that is under way if there is one."""
        found = await self._last(principal, file)
        return await self._repeats.undo(principal, str(found.import_id), dry_run=dry_run)

    async def cancel(self, principal: Principal, file: RecordFile) -> Snapshot:
        """Stops the import that has not ended."""
        found = await self._last(principal, file)
        return await self._commands.cancel(principal, str(found.import_id))

    async def _last(self, principal: Principal, file: RecordFile) -> Imported:
        note_object(file_id=file.file_id)
        found = await self._files.imported(principal.tenant_id, file)
        if found is None:
            raise FailedPrecondition("FILE_NOT_IMPORTED", "No import of this file stands or is under way.")
        return found

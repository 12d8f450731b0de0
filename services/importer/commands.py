"""Stopping an import and letting it go on: cancel, pause, resume, requeue."""

from __future__ import annotations

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition
from services.importer.access import lock_visible, refuse_finished
from services.importer.metrics import COMMANDS, IMPORTS_CANCELLED
from services.importer.model import State
from services.importer.ports import ImportStore
from services.importer.snapshot import Snapshot

PAUSE = "pause"


class Commands:
    """Commands on an import that has not ended. One's own, or an administrator any."""

    def __init__(self, store: ImportStore) -> None:
        self._store = store

    async def cancel(self, principal: Principal, import_id: str) -> Snapshot:
        """Ends an import that does not run; asks the worker of one that does, whatever it was asked before."""
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            refuse_finished(locked)
            if locked.state is State.RUNNING:
                await session.request_cancel(number, principal.user_id)
            else:
                await session.end_cancelled(number, f"cancelled by {principal.email}")
            IMPORTS_CANCELLED.inc()
            return await session.read(number)

    async def pause(self, principal: Principal, import_id: str) -> Snapshot:
        """Stops a queued import at once, and a running one at its next chunk.

        What it has staged is kept. An import that was asked to cancel goes that way.
        """
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            refuse_finished(locked)
            if locked.state is State.OPEN:
                raise FailedPrecondition("IMPORT_NOT_QUEUED", "The import is still being put together.")
            if locked.is_merging:
                raise FailedPrecondition("IMPORT_MERGING", "The import merges already and cannot be paused any more.")
            if locked.state is State.RUNNING:
                await session.request_pause(number, principal.user_id)
            elif locked.state is State.QUEUED and locked.requested in {None, PAUSE}:
                await session.pause(number)
            COMMANDS.labels("pause").inc()
            return await session.read(number)

    async def resume(self, principal: Principal, import_id: str) -> Snapshot:
        """Queues a paused import again; takes back a pause that has not come into effect."""
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            if locked.state is State.PAUSED:
                await session.resume(number, locked)
            elif locked.requested == PAUSE:
                await session.withdraw_pause(number)
            else:
                raise FailedPrecondition("IMPORT_NOT_PAUSED", f"The import is {locked.state}, not paused.")
            COMMANDS.labels("resume").inc()
            return await session.read(number)

    async def requeue(self, principal: Principal, import_id: str) -> Snapshot:
        """Sends an import to the workers again, now: a queued one, or a running one whose worker is gone."""
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            refuse_finished(locked)
            if locked.state not in {State.QUEUED, State.RUNNING}:
                raise FailedPrecondition("IMPORT_NOT_QUEUED", f"The import is {locked.state}, not queued.")
            if locked.waits:
                raise FailedPrecondition("IMPORT_NOT_QUEUED", "The import waits for the end of another one.")
            if locked.state is State.RUNNING and locked.has_live_lease:
                raise FailedPrecondition("IMPORT_RUNNING", "A worker is running this import.")
            await session.dispatch_now(number, locked)
            return await session.read(number)

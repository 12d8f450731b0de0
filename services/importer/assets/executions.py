"""Runs of import sources, which the Assets API calls executions: started, told of, stopped, paused and taken back.

What these commands do is said once, for every import, in commands.py and repeats.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from runtime.auth import Principal, current_request, note_object
from runtime.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from services.importer.assets.places import Place, Workspaces, execution_not_found, reached, source_not_found, uuid_of
from services.importer.assets.runs import Execution, Runner, RunStore, StartOptions
from services.importer.assets.starts import Rules, Starts
from services.importer.assets.turns import RunnableSource
from services.importer.commands import Commands
from services.importer.metrics import COMMANDS
from services.importer.model import State
from services.importer.repeats import Repeats

log = structlog.get_logger(__name__)


class Executions:
    """By whoever may import in the workspace; the holder of a container token commands those of its source only."""

    def __init__(
        self,
        store: RunStore,
        starts: Starts,
        workspaces: Workspaces,
        commands: Commands,
        repeats: Repeats,
        rules: Rules,
    ) -> None:
        self._store = store
        self._starts = starts
        self._workspaces = workspaces
        self._commands = commands
        self._repeats = repeats
        self._rules = rules

    async def start(self, principal: Principal, place: Place, options: StartOptions) -> Execution:
        """The new run. Raises what `Starts` does, and NotFound for a source that is not there."""
        source = await self.source(principal, place)
        prepared = await self._starts.prepare(principal.tenant_id, source)
        runner = Runner(
            principal.tenant_id, principal.user_id, principal.email, traceparent=current_request().traceparent
        )
        async with self._store.session(principal.tenant_id) as session:
            return Execution(source, await self._starts.start(session, prepared, runner, options))

    async def source(self, principal: Principal, place: Place) -> RunnableSource:
        """Raises NotFound for one that this caller does not reach in this workspace."""
        workspace_id, import_source_id = await reached(self._workspaces, principal, place)
        source = await self._store.source(principal.tenant_id, import_source_id)
        if source is None or source.workspace_id != workspace_id:
            raise source_not_found()
        return source

    async def own_source(self, principal: Principal) -> RunnableSource:
        """The source of the caller's container token."""
        if principal.import_source_id is None:
            raise PermissionDenied("CONTAINER_TOKEN_REQUIRED", "This is for the container token of an import source.")
        place = Place(str(principal.workspace_id), str(principal.import_source_id))
        return await self.source(principal, place)

    async def find(self, principal: Principal, place: Place, execution_id: str) -> Execution:
        """Raises NotFound for a run that this source does not have."""
        source = await self.source(principal, place)
        number = uuid_of(execution_id)
        found = None
        if number is not None:
            found = await self._store.find(principal.tenant_id, source.import_source_id, number)
        if found is None:
            raise execution_not_found()
        note_object(import_id=found.import_id)
        return Execution(source, found)

    async def cancel(self, principal: Principal, place: Place, execution_id: str) -> Execution:
        """Ends a run in whatever state it is: at once, or by its worker. One that has ended stays as it is.

        That is no error: clients end what may be left of an earlier run before they begin.
        """
        found = await self.find(principal, place, execution_id)
        if found.run.state.is_terminal:
            return found
        was_open = found.run.state is State.OPEN
        try:
            found = replace(found, run=await self._commands.cancel(principal, str(found.run.import_id)))
        except FailedPrecondition as error:
            if error.reason != "IMPORT_FINISHED":
                raise
            return await self.find(principal, place, execution_id)
        if was_open:
            # It has left its source and no place; whether there is one for the next run, the rules say.
            async with self._store.session(principal.tenant_id) as session:
                await session.pass_on(found.source.workspace_id, self._rules.max_running)
        return found

    async def pause(self, principal: Principal, place: Place, execution_id: str) -> Execution:
        found = await self.find(principal, place, execution_id)
        return replace(found, run=await self._commands.pause(principal, str(found.run.import_id)))

    async def resume(self, principal: Principal, place: Place, execution_id: str) -> Execution:
        found = await self.find(principal, place, execution_id)
        return replace(found, run=await self._commands.resume(principal, str(found.run.import_id)))

    async def roll_back(
        self, principal: Principal, place: Place, execution_id: str, *, dry_run: bool = False
    ) -> Execution:
        """The undo of what the run has brought, queued: an import of its own."""
        found = await self.find(principal, place, execution_id)
        return replace(found, run=await self._repeats.undo(principal, str(found.run.import_id), dry_run=dry_run))

    async def tell_progress(
        self, principal: Principal, place: Place, execution_id: str, told: Mapping[str, Any]
    ) -> None:
        """What the client says of its own work. A word of it keeps a run open."""
        found = await self.find(principal, place, execution_id)
        async with self._store.session(principal.tenant_id) as session:
            locked = await session.lock_open(found.source.import_source_id, found.run.import_id)
            if locked is None or locked.state.is_terminal:
                raise not_ingesting()
            await session.tell_progress(found.run.import_id, told)
            if locked.state is State.OPEN:
                await session.keep_open(found.run.import_id, self._rules.open_life, self._rules.most_open)

    async def fail(self, principal: Principal, place: Place, execution_id: str, reason: str) -> None:
        """The client gives up while it sends: the run ends with its words. Raises InvalidArgument afterwards."""
        found = await self.find(principal, place, execution_id)
        async with self._store.session(principal.tenant_id) as session:
            locked = await session.lock_open(found.source.import_source_id, found.run.import_id)
            if locked is None or locked.state is not State.OPEN:
                raise not_ingesting()
            await session.end_failed(found.run.import_id, "CLIENT_FAILED", reason)
            await session.pass_on(found.source.workspace_id, self._rules.max_running)
        COMMANDS.labels("fail").inc()
        log.info("run failed by its client", import_id=str(found.run.import_id))


def not_ingesting() -> InvalidArgument:
    """Its public status is 400, whatever the state."""
    return InvalidArgument("EXECUTION_NOT_INGESTING", "This run does not take any data or word of it any more.")

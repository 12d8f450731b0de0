"""Reading the runs of import sources, which the Assets API calls executions.

Whoever may read a workspace reads all its runs; a container token those of its own source.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from runtime.auth import Principal
from runtime.database import Database
from services.status.asset_places import reached_source, reached_workspace
from services.status.import_reports import ImportReports
from services.status.model import TERMINAL, Row
from services.status.records import Workspaces
from services.status.store import executions as store
from services.status.store.asset_access import get_execution, get_source, source_not_found, uuid_of

SHOWN_ERRORS = 10
"""In a status; all that are kept are in a list of their own."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A run, with the first of what it has rejected."""

    run: Row
    errors: list[Row]


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """`kept` of all that were rejected can be listed; all are behind the URL, which is empty where there is none."""

    run: Row
    errors: list[Row]
    kept: int
    url: str


class Executions:
    """All methods raise NotFound for what the caller does not reach, or what is not there."""

    def __init__(self, database: Database, workspaces: Workspaces, reports: ImportReports) -> None:
        self._database = database
        self._workspaces = workspaces
        self._reports = reports

    async def list_runs(
        self, principal: Principal, workspace: str, source_id: str, *, offset: int, limit: int
    ) -> list[Row]:
        """Newest first."""
        workspace_id, number = await self._place(principal, workspace, source_id)
        async with self._database.transaction(principal.tenant_id) as connection:
            source = await get_source(connection, principal.tenant_id, workspace_id, number)
            return await store.list_executions(connection, principal.tenant_id, source, offset=offset, limit=limit)

    async def get(self, principal: Principal, workspace: str, source_id: str, execution_id: str = "") -> Execution:
        """The run that was made last, where none is named."""
        workspace_id, number = await self._place(principal, workspace, source_id)
        async with self._database.transaction(principal.tenant_id) as connection:
            source = await get_source(connection, principal.tenant_id, workspace_id, number)
            run = await get_execution(connection, principal.tenant_id, source, execution_id)
            _, errors = await store.list_errors(
                connection, principal.tenant_id, run["import_id"], offset=0, limit=SHOWN_ERRORS
            )
        return Execution(run, errors)

    async def find_progress(self, principal: Principal, workspace: str, number: str) -> Row:
        """Of the latest run of a source, or of the run that has this id."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        key = uuid_of(number)
        if key is None:
            raise source_not_found()
        async with self._database.transaction(principal.tenant_id) as connection:
            found = await store.find_source(connection, principal.tenant_id, workspace_id, key)
            if found is not None:
                reached_source(principal, str(key))
                return await get_execution(connection, principal.tenant_id, found)
            of = await store.find_source_of(connection, principal.tenant_id, key)
            reached = reached_source(principal, str(of))
            source = await get_source(connection, principal.tenant_id, workspace_id, reached)
            return await get_execution(connection, principal.tenant_id, source, str(key))

    async def list_inputs(
        self, principal: Principal, workspace: str, source_id: str, execution_id: str, *, offset: int, limit: int
    ) -> tuple[int, list[Row]]:
        """How many there are, and a page."""
        workspace_id, number = await self._place(principal, workspace, source_id)
        async with self._database.transaction(principal.tenant_id) as connection:
            source = await get_source(connection, principal.tenant_id, workspace_id, number)
            run = await get_execution(connection, principal.tenant_id, source, execution_id)
            return await store.list_inputs(
                connection, principal.tenant_id, run["import_id"], offset=offset, limit=limit
            )

    async def list_errors(
        self, principal: Principal, workspace: str, source_id: str, execution_id: str, *, offset: int, limit: int
    ) -> RejectedPage:
        """They are written at the end of a run, so before that there are none."""
        workspace_id, number = await self._place(principal, workspace, source_id)
        async with self._database.transaction(principal.tenant_id) as connection:
            source = await get_source(connection, principal.tenant_id, workspace_id, number)
            run = await get_execution(connection, principal.tenant_id, source, execution_id)
            kept, errors = await store.list_errors(
                connection, principal.tenant_id, run["import_id"], offset=offset, limit=limit
            )
        return RejectedPage(run, errors, kept, await self._report_url(principal.tenant_id, run))

    async def _report_url(self, tenant_id: int, run: Row) -> str:
        if run["state"] not in TERMINAL or not run["rejected"]:
            return ""
        signed = await self._reports.find_errors(tenant_id, run["import_id"])
        return "" if signed is None else signed.url

    async def _place(self, principal: Principal, workspace: str, source_id: str) -> tuple[UUID, UUID]:
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        return workspace_id, reached_source(principal, source_id)

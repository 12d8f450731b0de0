"""Workspaces of the dialects that have them."""

from __future__ import annotations

from uuid import UUID

import uuid_utils.compat

from runtime.auth import Principal, note_object
from runtime.errors import InvalidArgument, NotFound
from services.identity.authority import current_administrator
from services.identity.checks import checked_name
from services.identity.model import DIALECTS_WITH_WORKSPACES, Page, Workspace
from services.identity.paging import after_uuid, checked_size, page_of
from services.identity.store.transactions import Store


class Workspaces:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, caller: Principal, *, dialect: str, name: str) -> Workspace:
        checked = checked_name(name)
        if dialect not in DIALECTS_WITH_WORKSPACES:
            known = " or ".join(sorted(DIALECTS_WITH_WORKSPACES))
            raise InvalidArgument("BAD_DIALECT", f"dialect must be {known}.", field="dialect")
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            workspace = await queries.workspaces.add(
                administrator.tenant_id, uuid_utils.compat.uuid7(), dialect=dialect, name=checked
            )
        note_object(workspace_id=workspace.workspace_id)
        return workspace

    async def list(self, caller: Principal, *, page_size: int, page_token: str) -> Page[Workspace]:
        size = checked_size(page_size)
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            workspaces = await queries.workspaces.list(
                administrator.tenant_id, after=after_uuid(page_token), limit=size + 1
            )
        return page_of(workspaces, size, lambda workspace: workspace.workspace_id)

    async def set_disabled(self, caller: Principal, workspace_id: str, *, disabled: bool) -> Workspace:
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            known = _read_id(workspace_id)
            workspace = known and await queries.workspaces.set_disabled(
                administrator.tenant_id, known, disabled=disabled
            )
        if not workspace:
            raise NotFound("WORKSPACE_NOT_FOUND", "There is no such workspace.", workspace_id=workspace_id[:64])
        return workspace


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

"""Workspaces of the dialects that have them."""

from __future__ import annotations

from collections.abc import Sequence
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

    async def create(self, caller: Principal, *, dialect: str, name: str, bucket_id: str = "") -> Workspace:
        """`bucket_id` empty: one is made of the workspace's id."""
        checked = checked_name(name)
        bucket = checked_name(bucket_id, "bucket_id") if bucket_id.strip() else None
        if dialect not in DIALECTS_WITH_WORKSPACES:
            known = " or ".join(sorted(DIALECTS_WITH_WORKSPACES))
            raise InvalidArgument("BAD_DIALECT", f"dialect must be {known}.", field="dialect")
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            workspace = await queries.workspaces.add(
                administrator.tenant_id, uuid_utils.compat.uuid7(), dialect=dialect, name=checked, bucket_id=bucket
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

    async def find(self, caller: Principal, *, dialect: str, workspace: str = "", bucket_id: str = "") -> Workspace:
        """The one that a request is for, by its id or its name, and by its bucket; both empty: the tenant's oldest.

        What is disabled, has another bucket, or is not that of a container token, is not found.
        """
        wanted = workspace.strip()
        async with self._store.begin() as queries:
            usable = await queries.workspaces.usable(
                caller.tenant_id, dialect, str(read_id(wanted) or wanted).replace("\0", "")
            )
        bucket = bucket_id.strip()
        for found in usable:
            if bucket in {"", found.bucket_id} and caller.may_reach_workspace(found.workspace_id):
                return found
        raise workspace_not_found(wanted)

    async def usable(self, caller: Principal, dialect: str) -> Sequence[Workspace]:
        """Those that the caller may work in, oldest first."""
        async with self._store.begin() as queries:
            usable = await queries.workspaces.usable(caller.tenant_id, dialect, "")
        return [one for one in usable if caller.may_reach_workspace(one.workspace_id)]

    async def set_disabled(self, caller: Principal, workspace_id: str, *, disabled: bool) -> Workspace:
        async with self._store.begin() as queries:
            administrator = await current_administrator(queries, caller)
            known = read_id(workspace_id)
            workspace = known and await queries.workspaces.set_disabled(
                administrator.tenant_id, known, disabled=disabled
            )
        if not workspace:
            raise workspace_not_found(workspace_id)
        return workspace


def workspace_not_found(wanted: str) -> NotFound:
    return NotFound("WORKSPACE_NOT_FOUND", "There is no such workspace.", workspace_id=wanted[:64])


def read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

"""Workspaces as the identity service tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from runtime.auth import Principal
from runtime.errors import NotFound
from runtime.workspaces import Workspace

HOME = Workspace(UUID("01990000-0000-7000-8000-000000000001"), "ws-demo", "bk-demo")
SECOND = Workspace(UUID("01990000-0000-7000-8000-000000000002"), "ws-second", "bk-second")
FOREIGN = Workspace(UUID("01990000-0000-7000-8000-000000000003"), "ws-foreign", "bk-foreign")
WORKSPACES: Mapping[int, Sequence[Workspace]] = {1: (HOME, SECOND), 2: (FOREIGN,)}


class FakeWorkspaces:
    """By tenant, the oldest first."""

    def __init__(self, workspaces: Mapping[int, Sequence[Workspace]] = WORKSPACES) -> None:
        self._workspaces = workspaces

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Workspace:
        for each in self._workspaces.get(principal.tenant_id, ()):
            if workspace in ("", str(each.workspace_id), each.name) and bucket_id in ("", each.bucket_id):
                return each
        raise NotFound("WORKSPACE_NOT_FOUND", "There is no such workspace.", workspace=workspace)

"""Where in the Assets API a call is: a workspace of the caller's tenant, and an import source in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from runtime.auth import Principal
from runtime.errors import NotFound, PermissionDenied


@dataclass(frozen=True, slots=True)
class Place:
    """As the path of a call says it."""

    workspace: str
    import_source_id: str


class Workspace(Protocol):
    """What is needed of a workspace."""

    @property
    def workspace_id(self) -> UUID: ...


class Workspaces(Protocol):
    """The part of `runtime.workspaces.RemoteWorkspaces` that is used here."""

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Workspace: ...


async def reached(workspaces: Workspaces, principal: Principal, place: Place) -> tuple[UUID, UUID]:
    """The ids of workspace and source. Whether there is such a source in it, the tables know.

    Raises NotFound for what the caller's credential does not reach.
    """
    workspace_id = await reached_workspace(workspaces, principal, place.workspace)
    import_source_id = uuid_of(place.import_source_id)
    if import_source_id is None or not principal.may_reach_source(import_source_id):
        raise source_not_found()
    return workspace_id, import_source_id


async def reached_workspace(workspaces: Workspaces, principal: Principal, workspace: str) -> UUID:
    """By its id or its name. Raises NotFound for one that is not the caller's.

    Workspaces have no clients, so who is limited to some has no part in them.
    """
    if principal.client_ids is not None:
        raise PermissionDenied(
            "CLIENT_GRANTS", "Your account is limited to certain clients; a workspace is for all of them."
        )
    found = await workspaces.find(principal, workspace)
    return found.workspace_id


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def source_not_found() -> NotFound:
    return NotFound("IMPORT_SOURCE_NOT_FOUND", "There is no such import source.")


def execution_not_found() -> NotFound:
    return NotFound("EXECUTION_NOT_FOUND", "This import source has no such execution.")

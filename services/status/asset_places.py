"""Where in the Assets API a caller may read: a workspace of theirs, and import sources in it."""

from __future__ import annotations

from uuid import UUID

from runtime.auth import Principal
from runtime.errors import InvalidArgument
from services.status.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from services.status.records import Workspaces, check_reader
from services.status.store.asset_access import source_not_found, uuid_of


async def reached_workspace(workspaces: Workspaces, principal: Principal, workspace: str) -> UUID:
    """By its id or its name. Raises NotFound for one that is not the caller's, PermissionDenied for the limited."""
    check_reader(principal)
    return (await workspaces.find(principal, workspace)).workspace_id


def reached_source(principal: Principal, import_source_id: str) -> UUID:
    """The id, if the caller's credential reaches it. Whether there is such a source, the tables know."""
    number = uuid_of(import_source_id)
    if number is None or not principal.may_reach_source(number):
        raise source_not_found()
    return number


def window(start: int, size: int, default: int = DEFAULT_PAGE_SIZE, most: int = MAX_PAGE_SIZE) -> tuple[int, int]:
    """`startAt` and `maxResults` of a page. 0 asks for as many as is usual; for more than the most, those are given."""
    if start < 0 or size < 0:
        field = "startAt" if start < 0 else "maxResults"
        raise InvalidArgument("INVALID_PAGE_SIZE", f"{field} must be 0 or more.", field=field)
    return start, min(size or default, most)

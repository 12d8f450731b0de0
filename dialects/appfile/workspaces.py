"""Which workspace a request of the AppFile API is for: its headers say so, else its body, else there is only one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dialects.appfile.headers import BUCKET, WORKSPACE, Metadata, header
from runtime.context import Principal
from runtime.errors import NotFound, PermissionDenied

Found = TypeVar("Found")


async def chosen(
    find: Callable[[Principal, str, str], Awaitable[Found]],
    principal: Principal,
    metadata: Metadata,
    workspace: str = "",
    bucket_id: str = "",
) -> Found:
    """What `find` gives for the headers, or for what the body says.

    A workspace or a bucket that is not the caller's is a permission that is missing, to this API.
    """
    try:
        return await find(principal, header(metadata, WORKSPACE) or workspace, header(metadata, BUCKET) or bucket_id)
    except NotFound as error:
        raise workspace_denied() from error


def workspace_denied() -> PermissionDenied:
    return PermissionDenied("WORKSPACE_DENIED", "The credential does not reach this workspace and bucket.")

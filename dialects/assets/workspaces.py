"""The list of workspaces, as clients of Jira Service Management read it to find the id of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from runtime.errors import InvalidArgument

PATH = "/rest/servicedeskapi/assets/workspace"
DEFAULT_SIZE = 50
LARGEST_SIZE = 1_000


def workspaces_page(workspace_ids: Sequence[UUID], start: int, limit: int, public_url: str) -> dict[str, Any]:
    """A page of all of them; `limit` 0 means 50. `public_url` is the gateway's origin, without a slash at its end."""
    if start < 0 or limit < 0:
        raise InvalidArgument("INVALID_PAGE_SIZE", "start and limit must not be negative.", field="limit")
    size = min(limit or DEFAULT_SIZE, LARGEST_SIZE)
    end = start + size
    shown = workspace_ids[start:end]
    is_last = end >= len(workspace_ids)
    links = {"base": public_url, "context": "", "self": f"{public_url}{PATH}?start={start}&limit={size}"}
    if not is_last:
        links["next"] = f"{public_url}{PATH}?start={end}&limit={size}"
    if start > 0:
        links["prev"] = f"{public_url}{PATH}?start={max(0, start - size)}&limit={size}"
    return {
        "size": len(shown),
        "start": start,
        "limit": size,
        "isLastPage": is_last,
        "_links": links,
        "values": [{"workspaceId": str(workspace_id)} for workspace_id in shown],
    }

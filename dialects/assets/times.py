"""Points in time as the Assets API writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: `2021-04-20T13:57:52.404Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The tenant's list of tags: its rows, and the odd way in which its pages are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialects.plextrac.times import epoch_ms
from runtime.errors import InvalidArgument

_MOST_DIGITS = 9


def tag_id(tenant_id: int, tag: str) -> str:
    """PlexTrac's id of a tag."""
    return f"tag_tenant_{tenant_id}_{tag}"


def tag_row(tag: Mapping[str, Any]) -> dict[str, Any]:
    """The members with which PlexTrac makes a tag, and its id."""
    return {
        "id": tag_id(tag["tenant_id"], tag["tag"]),
        "name": tag["tag"],
        "scope": "tenant",
        "ownerId": tag["tenant_id"],
        "createdAt": epoch_ms(tag["created_at"]),
    }


def tag_page(limit: str, offset: str) -> tuple[int | None, int]:
    """Limit (None: all) and offset. PlexTrac's own wrapper sends both as one, `limit=10?offset=20`."""
    limit, _, rest = limit.partition("?offset=")
    return (_number("limit", limit) if limit else None), (_number("offset", offset or rest) if offset or rest else 0)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidArgument("INVALID_PAGINATION", f"{name} must be a whole number, 0 or more.", field=name)
    return int(text)

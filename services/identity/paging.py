"""Pages of a list in the order of its ids: a page's token is the last id of the page before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from runtime.errors import InvalidArgument
from services.identity.model import Page

T = TypeVar("T")

DEFAULT_SIZE = 100
LARGEST_SIZE = 1_000
FIRST_UUID = UUID(int=0)
LARGEST_ID = 2**31 - 1


def checked_size(page_size: int) -> int:
    """0 is the default; more than the largest is the largest (AIP-158)."""
    if page_size < 0:
        raise InvalidArgument("INVALID_PAGE_SIZE", "page_size must not be negative.", field="page_size")
    return min(page_size or DEFAULT_SIZE, LARGEST_SIZE)


def after_number(page_token: str) -> int:
    if not page_token:
        return 0
    if not (page_token.isascii() and page_token.isdecimal()) or int(page_token) > LARGEST_ID:
        raise bad_token()
    return int(page_token)


def after_uuid(page_token: str) -> UUID:
    try:
        return UUID(page_token) if page_token else FIRST_UUID
    except ValueError:
        raise bad_token() from None


def bad_token() -> InvalidArgument:
    return InvalidArgument("INVALID_PAGE_TOKEN", "page_token is not one that this list gave.", field="page_token")


def page_of(items: Sequence[T], size: int, token_of: Callable[[T], object]) -> Page[T]:
    """The first `size` of `items`, of which one more was asked for to know whether there are any."""
    shown = list(items[:size])
    return Page(items=shown, next_token=str(token_of(shown[-1])) if len(items) > size else "")

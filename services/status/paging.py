"""Page sizes and page tokens of every list that goes on behind a key."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

from runtime.errors import InvalidArgument

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MOST_DIGITS = 19
LARGEST_INTEGER = 2**31 - 1
LARGEST_BIGINT = 2**63 - 1

T = TypeVar("T")


def page_size(asked: int, field: str = "page_size") -> int:
    """1 to 1,000; 0 means 100."""
    if asked == 0:
        return DEFAULT_PAGE_SIZE
    if 1 <= asked <= MAX_PAGE_SIZE:
        return asked
    raise InvalidArgument(
        "INVALID_PAGE_SIZE", f"{field} must be between 1 and {MAX_PAGE_SIZE}.", field=field, limit=str(MAX_PAGE_SIZE)
    )


def after_import(page_token: str) -> UUID | None:
    """The import that the page begins behind."""
    if not page_token:
        return None
    try:
        return UUID(page_token)
    except ValueError:
        raise invalid_token() from None


def after_number(page_token: str, largest: int = LARGEST_INTEGER) -> int:
    """The number that the page begins behind: -1 is before all of them."""
    number = parse_number(page_token, largest) if page_token else -1
    if number is None:
        raise invalid_token()
    return number


def after_record(page_token: str) -> tuple[str, str] | None:
    """Data source and key of the record that the page begins behind."""
    if not page_token:
        return None
    try:
        texts = msgspec.json.decode(urlsafe_b64decode(page_token), type=tuple[str, str])
    except (ValueError, msgspec.DecodeError):
        raise invalid_token() from None
    if any("\0" in text for text in texts):
        raise invalid_token()
    return texts


def record_token(data_source: str, key: str) -> str:
    """What `after_record` reads."""
    return urlsafe_b64encode(msgspec.json.encode((data_source, key))).decode()


def parse_number(text: str, largest: int) -> int | None:
    """Decimal digits as a number of 0 to `largest`; None for anything else."""
    is_number = len(text) <= MOST_DIGITS and text.isascii() and text.isdecimal() and int(text) <= largest
    return int(text) if is_number else None


def invalid_token() -> InvalidArgument:
    return InvalidArgument("INVALID_PAGE_TOKEN", "page_token is none that this list has given.", field="page_token")


def cut(found: Sequence[T], size: int) -> tuple[list[T], bool]:
    """The page out of up to one row more than it holds, and whether there are more behind it."""
    return list(found[:size]), len(found) > size

"""The stored form of a tag: lower case with underscores, as PlexTrac's own pages write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from runtime.errors import InvalidArgument

MAX_TAGS = 100
MAX_TAG_LENGTH = 255


def normal_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Without blanks and repetitions, in the order given; InvalidArgument for too many or too long ones."""
    normal = tuple(dict.fromkeys(tag for tag in map(normal_tag, tags) if tag))
    if len(normal) > MAX_TAGS:
        raise InvalidArgument("TOO_MANY_TAGS", f"There may be {MAX_TAGS} tags at most.", limit=str(MAX_TAGS))
    if any(len(tag) > MAX_TAG_LENGTH for tag in normal):
        raise InvalidArgument(
            "TAG_TOO_LONG", f"A tag may have {MAX_TAG_LENGTH} characters at most.", limit=str(MAX_TAG_LENGTH)
        )
    return normal


def normal_tag(tag: str) -> str:
    return re.sub(r"[\s\0]+", "_", tag.replace("\0", " ").strip().lower())

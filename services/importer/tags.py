"""The stored form of a tag: lower case with underscores, as PlexTrac writes them.

The rule is that of PlexTrac's own script for tags (`bulk-update-tags`, `format_tag`): lower case; blanks and dashes are
underscores; of the rest only letters, digits, underscores and colons stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from runtime.errors import InvalidArgument

MAX_TAGS = 100
MAX_TAG_LENGTH = 255
# A longer one in a file is no tag, whatever of it would be left.
_LONGEST_GIVEN = 4 * MAX_TAG_LENGTH

_SEPARATORS = re.compile(r"[\s-]+")
_FOREIGN = re.compile(r"[^\w:]+")


def normal_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """A caller's tags, without blanks and repetitions, in the order given.

    InvalidArgument for too many, too long ones, and one of which nothing would be left.
    """
    given = [tag for tag in tags if not is_blank(tag)]
    normal = tuple(dict.fromkeys(map(normal_tag, given)))
    if "" in normal:
        raise InvalidArgument("INVALID_TAGS", "A tag must have a letter or a digit.", field="tags")
    if len(normal) > MAX_TAGS:
        raise InvalidArgument("TOO_MANY_TAGS", f"There may be {MAX_TAGS} tags at most.", limit=str(MAX_TAGS))
    if any(len(tag) > MAX_TAG_LENGTH for tag in normal):
        raise InvalidArgument(
            "TAG_TOO_LONG", f"A tag may have {MAX_TAG_LENGTH} characters at most.", limit=str(MAX_TAG_LENGTH)
        )
    return normal


def tags_of_file(tags: tuple[str, ...]) -> tuple[list[str], int]:
    """The tags that a file gives to one thing, and how many of them cannot be used: nobody is there to mend those."""
    if not tags:
        return [], 0
    given = [tag for tag in tags if not is_blank(tag)]
    short = [tag for tag in given if len(tag) <= _LONGEST_GIVEN]
    normal = dict.fromkeys(map(_remembered, short))
    kept = [tag for tag in normal if tag and len(tag) <= MAX_TAG_LENGTH][:MAX_TAGS]
    return kept, len(normal) - len(kept) + len(given) - len(short)


def normal_tag(tag: str) -> str:
    """The stored form; empty where there is none."""
    normal = _FOREIGN.sub("", _SEPARATORS.sub("_", _trimmed(tag).lower()))
    return normal if normal.strip("_:") else ""


_remembered = lru_cache(maxsize=4_096)(normal_tag)


def is_blank(tag: str) -> bool:
    return not _trimmed(tag)


def _trimmed(tag: str) -> str:
    return tag.replace("\0", " ").strip()

r"""Regular expressions that people write, matched by RE2: in a time that grows with the text alone.

In a replacement `\1` to `\9` are the groups, `\0` is the whole match and `\\` a backslash. RE2's own templates are not
used: they read a text that is not ASCII wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import re2

from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping
from services.importer.formats.objects.mapping.texts import MADE_LIMIT, made_too_long

PATTERN_LIMIT = 1_000
# Searching anew behind each match can still take the square of the length.
SEARCHED_LIMIT = 16_384
# Compiling takes time and memory up to this bound: some 70 ms.
MEMORY_BYTES = 1 << 20
# Mappings use the same few again and again, and a mapping is compiled more than once before it is kept.
KEPT = 128

_GROUP = re.compile(r"\\([0-9\\])")

Change = Callable[[str], str]


def _compiled(pattern: str, *, ignore_case: bool) -> re2._Regexp:
    if not pattern or len(pattern) > PATTERN_LIMIT:
        raise InvalidMapping("PATTERN_INVALID", "pattern", f"A pattern must have 1 to {PATTERN_LIMIT} characters.")
    made = _compile(pattern, ignore_case)
    if isinstance(made, str):
        message = f'"{pattern[:100]}" is no regular expression of RE2: {made}.'
        raise InvalidMapping("PATTERN_INVALID", "pattern", message)
    return made


@lru_cache(KEPT)
def _compile(pattern: str, ignore_case: bool) -> re2._Regexp | str:
    """What is wrong with a pattern is kept as well, for it takes as long to find out."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY_BYTES
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        return error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)


def extract(pattern: str, group: int | None, *, ignore_case: bool) -> Change:
    """Takes a group of the first match, by default the first group, or the whole where there is none; "" without one.

    Raises `InvalidMapping` (`PATTERN_INVALID`).
    """
    compiled = _compiled(pattern, ignore_case=ignore_case)
    taken = min(1, compiled.groups) if group is None else group
    if not 0 <= taken <= compiled.groups:
        message = f"The pattern has {compiled.groups} groups, and group {taken} is asked for."
        raise InvalidMapping("PATTERN_INVALID", "group", message)

    def change(text: str) -> str:
        found = compiled.search(_searchable(text))
        return (found[taken] or "") if found else ""

    return change


def replace(pattern: str, replacement: str, *, ignore_case: bool) -> Change:
    """Replaces all matches. Raises `InvalidMapping` (`PATTERN_INVALID`)."""
    compiled = _compiled(pattern, ignore_case=ignore_case)
    if len(replacement) > PATTERN_LIMIT:
        message = f"A replacement has more than {PATTERN_LIMIT} characters."
        raise InvalidMapping("PATTERN_INVALID", "replacement", message)
    # Texts, and between them what stands behind a backslash.
    pieces = _GROUP.split(replacement)
    groups = [int(each) for each in pieces[1::2] if each != "\\"]
    if max(groups, default=0) > compiled.groups:
        message = f"The pattern has {compiled.groups} groups, and the replacement uses group {max(groups)}."
        raise InvalidMapping("PATTERN_INVALID", "replacement", message)

    def change(text: str) -> str:
        size = 0

        def put(match: re2._Match) -> str:
            nonlocal size
            made = [
                piece if not at % 2 else "\\" if piece == "\\" else match[int(piece)] or ""
                for at, piece in enumerate(pieces)
            ]
            size += sum(map(len, made))
            if size > MADE_LIMIT:
                raise made_too_long()
            return "".join(made)

        return str(compiled.sub(put, _searchable(text)))

    return change


def is_found(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    """Is there a match anywhere in a text? Raises `InvalidMapping` (`PATTERN_INVALID`)."""
    compiled = _compiled(pattern, ignore_case=ignore_case)
    return lambda text: compiled.search(_searchable(text)) is not None


def _searchable(text: str) -> str:
    if len(text) > SEARCHED_LIMIT:
        message = f"The value has more than {SEARCHED_LIMIT} characters, too many for a regular expression."
        raise BadValue("VALUE_TOO_LONG", message, text[:200])
    return text

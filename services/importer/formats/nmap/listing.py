"""Reads the tables of the vulners script where they stand as the script mostly writes them, by one pattern.

That is one product, and rows with the same few keys in the same order, whose values are short and need no care: no
reference, no title, no id that names another. Anything else is for the slower way, which reads all that the script may
say.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

SCRIPT_ID = "vulners"

# What the patterns accept for each key. An id is a CVE, or has none in it.
_VALUES = {
    "id": r"CVE-\d{4}-\d{4,10}+|(?:(?!(?i:CVE-))[A-Za-z0-9:._/-]){1,128}+",
    "cvss": r"\d{1,2}+(?:\.\d{1,2}+)?+",
    "type": r"[a-z0-9_-]{0,40}+",
    "is_exploit": "true|false",
    "cvss_type": r"cvss[\d.]{1,4}+",
}
# No control character, as in the patterns of a host.
_BEGIN = re.compile(
    rf'<script id="{SCRIPT_ID}" output="[^"<\x00-\x1f]*+">\n?+<table key="([^"<\x00-\x1f]{{0,512}}+)">\n?+'
    rf'(?=<table>\n?+((?:<elem key="(?:{"|".join(_VALUES)})">[^<]*+</elem>\n?+){{2,5}}+)</table>)'
)
_END = re.compile(r"</table>\n?+</script>\n?+")
_KEYS = re.compile(r'<elem key="([a-z_]+)">')


class Listing(NamedTuple):
    """The script's output about one product: its rows as columns by key, all equally long."""

    product: str
    columns: dict[str, list[str]]

    def rows(self) -> list[dict[str, str]]:
        """One map of values for each row."""
        return [dict(zip(self.columns, values, strict=True)) for values in zip(*self.columns.values(), strict=True)]


def listing_in(script: str) -> Listing | None:
    """The listing that this text, a whole `script` element and no more, is; None where it is another thing.

    The product may hold references.
    """
    begin = _BEGIN.match(script)
    if begin is None:
        return None
    keys = tuple(_KEYS.findall(begin[2]))
    if "id" not in keys or len(set(keys)) < len(keys):
        return None
    # What stands between the rows comes with their values, and must be nothing.
    parts = _row(keys).split(script[begin.end() :])
    step = len(keys) + 1
    between = parts[:-1:step]
    if between.count("") < len(between) or not _END.fullmatch(parts[-1]):
        return None
    return Listing(begin[1], {key: parts[at:-1:step] for at, key in enumerate(keys, 1)})


@lru_cache(64)
def _row(keys: tuple[str, ...]) -> re.Pattern[str]:
    """A row that has these keys, each value captured."""
    elements = "".join(rf'<elem key="{key}">({_VALUES[key]})</elem>\n?+' for key in keys)
    return re.compile(rf"<table>\n?+{elements}</table>\n?+", re.ASCII)

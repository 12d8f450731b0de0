"""The lines of a cc5 sync file: how a row is cut into values, and how a value is written into a row.

Source: the vendor's page `data-sync-file`, which escapes a pipe as `#/#` and CR LF as `#Enter#`. There is no escape for
the escapes themselves, so a value that has one of these words, or a lone CR or LF, cannot be written; nor can `#/|`,
which begins with what ends an escape.
"""

from __future__ import annotations

import re

PIPE, LINE = "#/#", "#Enter#"
_LINE_END = re.compile("\r\n|\r|\n")


def values_of(line: str, count: int) -> list[str] | None:
    """The values of a row behind its row type, as they are written; None when there are not so many.

    One more that is empty is what a trailing pipe makes.
    """
    values = line.split("|")[1:]
    if len(values) == count + 1 and not values[-1]:
        values.pop()
    return values if len(values) == count else None


def unescaped(value: str) -> str:
    """A value as it is meant."""
    return value.replace(PIPE, "|").replace(LINE, "\r\n") if "#" in value else value


def escaped(value: str) -> str:
    """A value as it is written, on one line. One that `is_writable` refuses does not come back as it was."""
    return _LINE_END.sub(LINE, value.replace("|", PIPE))


def is_writable(value: str) -> bool:
    """Does the value come back from a file as it was?"""
    return "\0" not in value and unescaped(escaped(value)) == value


def row(row_type: str, *values: str) -> str:
    """A row of values that are escaped already, ended by a line feed."""
    return "|".join((row_type, *values)) + "\n"

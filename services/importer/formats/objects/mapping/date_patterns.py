"""Patterns of letters that dates are written by (`dd.MM.yyyy HH:mm`), as Java's SimpleDateFormat has them.

Read more strictly than there: a year of four letters has four digits, February has no 30th. Names of months and days
are English. A year of two digits is one from 1970 to 2069, for no file may mean something else next year. No letter
comes twice, so that a pattern takes a bounded time whatever it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import MAXYEAR, date
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

from services.importer.formats.objects.mapping.invalid import InvalidMapping

PATTERN_LIMIT = 100
TEXT_LIMIT = 100

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?"
)
_DAY_NAMES = r"mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r?s(?:day)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
_ZONE = r"(?:UTC|GMT)?(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)|(?P<utc>UTC|GMT)"

_NAMES_FROM = 3
_CENTURY, _PIVOT = 100, 70
_NOON, _HOURS, _MINUTES = 12, 24, 60
_FRACTION = 9

# The letters of numbers: how many digits one has at most.
_DIGITS = MappingProxyType({"d": 2, "H": 2, "k": 2, "K": 2, "h": 2, "m": 2, "s": 2})
_HOUR_LETTERS = frozenset("HkKh")
_ZONE_LETTERS = frozenset("zZX")
_YEAR_LETTERS = frozenset("yu")


class Moment(NamedTuple):
    """What a text says of a date, a time or both. `offset` is that of its zone, in minutes; None: it names none."""

    year: int = 0
    month: int = 0
    day: int = 0
    hour: int = 0
    minute: int = 0
    second: int = 0
    offset: int | None = None
    has_date: bool = False
    has_time: bool = False


class Unreadable(Exception):
    """The text has the shape of the pattern and is no date or time."""


Reader = Callable[[str], Moment | None]
"""Reads a text, trimmed; None when it has not the shape. Raises `Unreadable`."""


def read_pattern(pattern: str) -> Reader:
    """What reads texts of this pattern. Raises `InvalidMapping` (`DATE_FORMAT_INVALID`)."""
    if not pattern or len(pattern) > PATTERN_LIMIT:
        raise _invalid(pattern, f"it must have 1 to {PATTERN_LIMIT} characters")
    parts = list(_parts(pattern))
    letters = [letter for letter, _ in parts if letter]
    kinds = ["hour" if each in _HOUR_LETTERS else "zone" if each in _ZONE_LETTERS else each for each in letters]
    kinds = ["y" if each in _YEAR_LETTERS else "M" if each == "L" else each for each in kinds]
    if len(set(kinds)) != len(kinds):
        raise _invalid(pattern, "a part of the date comes twice")
    has_date, has_time = {"y", "M", "d"} <= set(kinds), "hour" in kinds
    if not has_date and not has_time:
        raise _invalid(pattern, "it has neither year, month and day nor an hour")
    expression = re.compile("".join(_expressions(pattern, parts)), re.IGNORECASE)
    return partial(_read, expression, has_date=has_date, has_time=has_time)


def read_epoch(text: str, *, milliseconds: bool) -> Moment | None:
    """Seconds or milliseconds since 1970 in UTC."""
    if not re.fullmatch(r"-?[0-9]{1,15}", text):
        return None
    seconds = int(text) // 1000 if milliseconds else int(text)
    days, rest = divmod(seconds, _HOURS * _MINUTES * _MINUTES)
    try:
        day = date.fromordinal(date(1970, 1, 1).toordinal() + days)
    except (ValueError, OverflowError):
        raise Unreadable from None
    hour, rest = divmod(rest, _MINUTES * _MINUTES)
    return Moment(day.year, day.month, day.day, hour, *divmod(rest, _MINUTES), 0, has_date=True, has_time=True)


def _parts(pattern: str) -> Iterator[tuple[str, str]]:
    """Letter and its run, or "" and a literal text."""
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "'":
            quoted, at = _quoted(pattern, at)
            yield "", quoted
        elif character.isascii() and character.isalpha():
            run = next("".join(same) for _, same in groupby(pattern[at:]))
            yield character, run
            at += len(run)
        else:
            yield "", character
            at += 1


def _quoted(pattern: str, at: int) -> tuple[str, int]:
    """The text between quotes that begin here, and where they end; two quotes are one."""
    if pattern.startswith("''", at):
        return "'", at + 2
    end = at + 1
    while (end := pattern.find("'", end)) >= 0 and pattern.startswith("''", end):
        end += 2
    if end < 0:
        raise _invalid(pattern, "a quote is not closed")
    return pattern[at + 1 : end].replace("''", "'"), end + 1


def _expressions(pattern: str, parts: list[tuple[str, str]]) -> Iterator[str]:
    for at, (letter, run) in enumerate(parts):
        if not letter:
            yield " {1,8}" if run == " " else re.escape(run)
            continue
        # Between two numbers without a sign the digits are counted.
        is_exact = at + 1 < len(parts) and _is_number(*parts[at + 1])
        is_exact |= at > 0 and _is_number(*parts[at - 1])
        yield _expression(pattern, letter, len(run), is_exact=is_exact)


def _is_number(letter: str, run: str) -> bool:
    if letter in {"M", "L"}:
        return len(run) < _NAMES_FROM
    return letter in _DIGITS or letter in _YEAR_LETTERS or letter == "S"


def _expression(pattern: str, letter: str, count: int, *, is_exact: bool) -> str:
    if letter in _YEAR_LETTERS:
        return "(?P<year>[0-9]{2})" if count == 2 else "(?P<year>[0-9]{4})"  # noqa: PLR2004 - yy
    if letter in {"M", "L"}:
        if count >= _NAMES_FROM:
            return rf"(?P<name>{_MONTH_NAMES})\.?"
        return f"(?P<month>[0-9]{{{count if is_exact else '1,2'}}})"
    if letter in _DIGITS:
        return f"(?P<{letter}>[0-9]{{{count if is_exact else f'1,{_DIGITS[letter]}'}}})"
    if letter == "S":
        return f"[0-9]{{{count if is_exact else f'1,{_FRACTION}'}}}"
    if letter == "a":
        return "(?P<half>am|pm)"
    if letter == "E":
        return rf"(?:{_DAY_NAMES})\.?"
    if letter in _ZONE_LETTERS:
        return f"(?:{_ZONE})"
    raise _invalid(pattern, f'the letter "{letter}" has no meaning in it')


def _read(expression: re.Pattern[str], text: str, *, has_date: bool, has_time: bool) -> Moment | None:
    found = expression.fullmatch(text) if len(text) <= TEXT_LIMIT else None
    if found is None:
        return None
    said = found.groupdict()
    year, month, day = (_year(said), _month(said), int(said["d"])) if has_date else (0, 0, 0)
    hour, minute, second = (_hour(said), int(said.get("m") or 0), int(said.get("s") or 0)) if has_time else (0, 0, 0)
    return checked(Moment(year, month, day, hour, minute, second, offset_of(said), has_date, has_time))


def checked(moment: Moment) -> Moment:
    """The moment, where there is such a day and such a time. Raises `Unreadable`."""
    if moment.has_date:
        try:
            date(moment.year, moment.month, moment.day)
        except ValueError:
            raise Unreadable from None
    if moment.hour >= _HOURS or moment.minute >= _MINUTES or moment.second >= _MINUTES:
        raise Unreadable
    return moment


def offset_of(said: dict[str, str | None]) -> int | None:
    """Minutes, of a match that has `offset` (`Z`, `+01`, `+0130`, `+01:30`) or `utc`. Raises `Unreadable`."""
    text = said.get("offset")
    if not text:
        return 0 if said.get("utc") else None
    if text in {"Z", "z"}:
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours >= _HOURS or minutes >= _MINUTES:
        raise Unreadable
    return (hours * _MINUTES + minutes) * (-1 if text[0] == "-" else 1)


def _year(said: dict[str, str | None]) -> int:
    text = said["year"] or ""
    year = int(text)
    if len(text) == 2:  # noqa: PLR2004 - of yy
        year += 2000 if year < _PIVOT else 2000 - _CENTURY
    return min(year, MAXYEAR)


def _month(said: dict[str, str | None]) -> int:
    name = said.get("name")
    return _MONTHS.index(name[:3].lower()) + 1 if name else int(said.get("month") or 0)


def _hour(said: dict[str, str | None]) -> int:
    letter = next(each for each in "HkKh" if said.get(each))
    hour = int(said[letter] or 0)
    if letter in "kh" and hour == 0:
        raise Unreadable
    if letter in "Kh":
        if hour > _NOON - (letter == "K"):
            raise Unreadable
        hour %= _NOON
        return hour + _NOON if (said.get("half") or "").lower() == "pm" else hour
    if hour > _HOURS - (letter == "H"):
        raise Unreadable
    return hour % _HOURS


def _invalid(pattern: str, reason: str) -> InvalidMapping:
    return InvalidMapping("DATE_FORMAT_INVALID", "", f'"{pattern[:PATTERN_LIMIT]}" is no date format: {reason}.')

"""Times as queries in AQL say them: written out, as an offset from now, or by a function. All are UTC.

The functions and units are those of Atlassian's page; where it says nothing: a week begins on Monday, an offset is
added to what the function gives, and the end of a day is its last microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dialects.assets.aql_tree import Function

WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:[.,]\d{1,9})?)? ?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
OFFSET = re.compile(r"\s*(?:[+-]?\d{1,6}\s*[mhdw]\s*)+", re.ASCII)
STEP = re.compile(r"([+-]?)(\d+)\s*([mhdw])", re.ASCII)
CALL = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*", re.ASCII)
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a text means as a time: a day, a minute, a second. From `start` to before `end`."""

    start: datetime
    end: datetime

    @property
    def day(self) -> str:
        return self.start.date().isoformat()


def _start_of_week(now: datetime) -> datetime:
    return now - now.weekday() * DAY


def _start_of_year(now: datetime) -> datetime:
    return now.replace(month=1, day=1)


STARTS: dict[str, tuple[Callable[[datetime], datetime], timedelta]] = {
    "day": (lambda day: day, DAY),
    "week": (_start_of_week, 7 * DAY),
    "month": (lambda day: day.replace(day=1), 31 * DAY),
    "year": (_start_of_year, 366 * DAY),
}
"""How the first day is found, and how far a day of the next one is at most, counted from there."""
FUNCTIONS = frozenset({"now", *(f"startof{unit}" for unit in STARTS), *(f"endof{unit}" for unit in STARTS)})


def read_moment(value: str | Function, now: datetime) -> Moment | None:
    """None: it is no time. `now` is in UTC."""
    try:
        return _read(value, now)
    except (ValueError, OverflowError):
        # A 30th of February; an offset that leads out of the calendar.
        return None


def read_clock(text: str) -> str | None:
    """A time of day as HH:MM:SS."""
    if found := CLOCK.fullmatch(text.strip()):
        hour, minute, second = found.groups()
        return f"{int(hour):02}:{minute}:{second or '00'}"
    return None


def _read(value: str | Function, now: datetime) -> Moment | None:
    if isinstance(value, Function):
        return _call(value.name, " ".join(value.arguments), now)
    if OFFSET.fullmatch(value):
        return _instant(now + _offset(value))
    if call := CALL.fullmatch(value):
        return _call(call[1].lower(), call[2], now)
    return _written(value.strip())


def _written(text: str) -> Moment | None:
    found = WRITTEN.fullmatch(text)
    if found is None:
        return None
    date, clock, seconds, zone = found.groups()
    if clock is None:
        start = datetime.fromisoformat(date).replace(tzinfo=UTC)
        return _lasting(start, DAY)
    local = datetime.fromisoformat(f"{date}T{clock}{(seconds or '').replace(',', '.')}{(zone or 'Z').upper()}")
    start = local.astimezone(UTC)
    if seconds is None:
        return _lasting(start, timedelta(minutes=1))
    return _lasting(start, INSTANT if start.microsecond else timedelta(seconds=1))


def _call(name: str, argument: str, now: datetime) -> Moment | None:
    argument = argument.strip().strip("\"'")
    if name not in FUNCTIONS or (argument and not OFFSET.fullmatch(argument)):
        return None
    offset = _offset(argument)
    if name == "now":
        return _instant(now + offset)
    unit = name.removeprefix("startof").removeprefix("endof")
    first, longest = STARTS[unit]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start = first(midnight)
    if name.startswith("end"):
        start = first(start + longest) - INSTANT
    return _instant(start + offset)


def _instant(time: datetime) -> Moment:
    return _lasting(time, INSTANT)


def _lasting(start: datetime, length: timedelta) -> Moment:
    """The last day of the calendar is what many systems write for never."""
    return Moment(start, start + min(length, LAST - start))


def _offset(text: str) -> timedelta:
    """A sign holds until another one: -2h 15m is two and a quarter hours ago."""
    whole, sign = timedelta(), 1
    for mark, number, unit in STEP.findall(text):
        sign = {"-": -1, "+": 1, "": sign}[mark]
        whole += sign * timedelta(**{UNITS[unit]: int(number)})
    return whole

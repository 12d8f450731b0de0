"""Dates and times: from a text by the formats that are set, else by ISO 8601, to the one way in which they are stored.

Where a text has the shape of a format that is set and is no date, it is not tried otherwise: `2024-02-13` is no
`yyyy-dd-MM`, although it could be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, partial
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.importer.formats.objects.mapping.date_patterns import (
    TEXT_LIMIT,
    Moment,
    Reader,
    Unreadable,
    checked,
    offset_of,
    read_epoch,
    read_pattern,
)
from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping

_ISO_DATE = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_ISO_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,][0-9]{1,9})?)?"
_ISO_ZONE = r"(?: ?(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?))?"
_ISO = re.compile(rf"{_ISO_DATE}(?:[Tt ]{_ISO_TIME}{_ISO_ZONE})?")
_CLOCK = re.compile(_ISO_TIME + _ISO_ZONE)

# What is tried where no format is set; `MM/dd/yyyy` is the default of the CSV import.
_DAYS = ("MM/dd/yyyy", "dd.MM.yyyy", "yyyy/MM/dd", "dd MMM yyyy", "dd-MMM-yyyy", "dd/MMM/yyyy", "MMM dd, yyyy")
_CLOCKS = (" HH:mm", " HH:mm:ss", " hh:mm a", " hh:mm:ss a")
_TIMES = ("hh:mm a", "hh:mm:ss a")

_EPOCHS = MappingProxyType({"epochSeconds": False, "epochMilliseconds": True})


class Zone(NamedTuple):
    """The zone of times that name none."""

    name: str
    info: ZoneInfo | timezone


Writer = Callable[[Moment, Zone], str]


def zone_of(name: str) -> Zone:
    """An IANA name; "" is UTC. Raises `InvalidMapping` (`TIME_ZONE_UNKNOWN`)."""
    if name in {"", "UTC", "Z"}:
        return Zone("UTC", UTC)
    try:
        return Zone(name, ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f'"{name[:TEXT_LIMIT]}" is no time zone; its name must be like "Europe/Berlin".'
        raise InvalidMapping("TIME_ZONE_UNKNOWN", "", message) from None


def readers_of(formats: Sequence[str]) -> tuple[Reader, ...]:
    """What reads texts of these formats; empty ones are left out. Raises `InvalidMapping` (`DATE_FORMAT_INVALID`)."""
    return tuple(
        partial(read_epoch, milliseconds=_EPOCHS[each]) if each in _EPOCHS else read_pattern(each)
        for each in formats
        if each
    )


@cache
def automatic_readers() -> tuple[Reader, ...]:
    """What reads the formats that are tried where none is set."""
    return readers_of([*_DAYS, *chain.from_iterable(map(with_clocks, _DAYS)), *_TIMES])


def with_clocks(day: str) -> list[str]:
    """The format of a date with each of the usual ones of a time behind it; one that has a time itself has none."""
    return [] if any(letter in day for letter in "HhKk") or day in _EPOCHS else [day + clock for clock in _CLOCKS]


def read_iso(text: str) -> Moment | None:
    """ISO 8601: a date, a date with a time, a time; also with a space in the place of the T."""
    if len(text) > TEXT_LIMIT:
        return None
    if found := _ISO.fullmatch(text):
        said = found.groupdict()
        has_time = said["hour"] is not None
        day = int(said["year"]), int(said["month"]), int(said["day"])
        return checked(Moment(*day, *_clock(said), offset_of(said), has_date=True, has_time=has_time))
    if found := _CLOCK.fullmatch(text):
        said = found.groupdict()
        return checked(Moment(0, 0, 0, *_clock(said), offset_of(said), has_date=False, has_time=True))
    return None


def _clock(said: dict[str, str | None]) -> tuple[int, int, int]:
    return int(said["hour"] or 0), int(said["minute"] or 0), int(said["second"] or 0)


def moment_of(text: str, readers: Sequence[Reader]) -> Moment | None:
    """The first reading that fits, ISO 8601 the last to be tried; None where the text has none of the shapes.

    Raises `Unreadable`.
    """
    for read in (*readers, read_iso):
        if (moment := read(text)) is not None:
            return moment
    return None


def date_text(moment: Moment, zone: Zone) -> str:
    """`YYYY-MM-DD`, the day as it is written: no zone can move it."""
    del zone
    if not moment.has_date:
        raise Unreadable
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}"


def time_text(moment: Moment, zone: Zone) -> str:
    """`HH:MM:SS`, as it is written."""
    del zone
    if not moment.has_time:
        raise Unreadable
    return f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"


def date_time_text(moment: Moment, zone: Zone) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`, in UTC; a date alone is its first second in the zone."""
    if not moment.has_date:
        raise Unreadable
    info = zone.info if moment.offset is None else timezone(timedelta(minutes=moment.offset))
    try:
        local = datetime(*moment[:6], tzinfo=info)
        there = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable from None
    return f"{there.year:04}-{there.month:02}-{there.day:02}T{there.hour:02}:{there.minute:02}:{there.second:02}Z"


def any_text(moment: Moment, zone: Zone) -> str:
    """Whatever the text says: a date, a time or both, as above."""
    if not moment.has_date:
        return time_text(moment, zone)
    return date_time_text(moment, zone) if moment.has_time else date_text(moment, zone)


_WORDS: MappingProxyType[Writer, str] = MappingProxyType(
    {date_text: "date", time_text: "time", date_time_text: "date and time"}
)


def read_date(text: str, readers: Sequence[Reader], zone: Zone, write: Writer) -> str:
    """The text of a date or a time as it is stored. `write` is one of the functions above. Raises `BadValue`."""
    try:
        moment = moment_of(text, readers)
        stored = None if moment is None else write(moment, zone)
    except Unreadable:
        stored = None
    if stored is None:
        message = f"The value is no {_WORDS.get(write, 'date or time')} that can be read."
        raise BadValue("TYPE_MISMATCH", message, text)
    return stored

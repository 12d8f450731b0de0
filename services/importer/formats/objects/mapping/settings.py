"""What a source says for all its attributes."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from services.importer.formats.objects.mapping import dates
from services.importer.formats.objects.mapping.date_patterns import Reader
from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.texts import read_concatenator
from services.importer.targets.objects.plan import ObjectPlan

_CODECS = MappingProxyType(
    {
        "UTF-8": "",
        # Without a mark. One with a mark, or that begins as ASCII does, tells by itself.
        "UTF-16": "utf-16-le",
        "ISO-8859-1": "iso8859-1",
        "ISO-8859-15": "iso8859-15",
        "Windows-1250": "cp1250",
        "Windows-1252": "cp1252",
    }
)
_LINE_ENDS = frozenset("\r\n\0")


class Settings(NamedTuple):
    """`separator` is between several values of one text; "" where they come apart."""

    concatenator: str
    days: tuple[Reader, ...]
    moments: tuple[Reader, ...]
    zone: dates.Zone
    separator: str


class Dialect(NamedTuple):
    """`codec` is Python's; "" is UTF-8."""

    delimiter: str
    quote: str
    codec: str


def settings_of(plan: ObjectPlan, separator: str = "") -> Settings:
    """Raises `InvalidMapping`."""
    day = _readers("dateFormat", plan.date_format)
    moment = _readers("dateTimeFormat", plan.date_time_format)
    automatic = dates.automatic_readers()
    days = (*day, *moment) if day else (*moment, *automatic)
    # Where only the date is set, a time stands behind it in one of the usual ways.
    timed = dates.readers_of(dates.with_clocks(plan.date_format)) if day else automatic
    moments = (*moment, *day) if moment else (*day, *timed)
    try:
        zone = dates.zone_of(plan.time_zone)
    except InvalidMapping as error:
        raise error.within("timeZone") from None
    return Settings(read_concatenator(plan.concatenator), days, moments, zone, separator)


def dialect_of(plan: ObjectPlan) -> Dialect:
    r"""How a table is written; `\t` is a tab. Raises `InvalidMapping` (`DELIMITER_INVALID`)."""
    delimiter = "\t" if plan.delimiter == r"\t" else plan.delimiter
    if len(delimiter) != 1 or len(plan.quote) > 1 or delimiter == plan.quote or {delimiter, plan.quote} & _LINE_ENDS:
        message = "Delimiter and quote must be two different characters that end no line; the quote may be empty."
        raise InvalidMapping("DELIMITER_INVALID", "delimiter", message)
    return Dialect(delimiter, plan.quote, _CODECS[plan.encoding])


def _readers(place: str, pattern: str) -> tuple[Reader, ...]:
    try:
        return dates.readers_of((pattern,))
    except InvalidMapping as error:
        raise error.within(place) from None

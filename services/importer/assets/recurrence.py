"""When a schedule fires: by the clock on the wall of its time zone, whatever daylight saving time does to it.

ONCE, DAILY, WEEKLY and MONTHLY repeat the local date and time of the start. A time that a day does not have, because
clocks go forward over it, is that much later (02:30 is 03:30 then); a time that a day has twice is the first of the
two. A month without the start's day has its last day instead, and the next month has the right one again. CRON is as
Debian's cron does it: a job of a certain time that is skipped fires when the clocks have gone forward, and one that
comes twice fires once; a job of every hour or minute goes by real time.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from runtime.errors import InvalidArgument

LONGEST_ZONE = 64
LONGEST_CRON = 255
CRON_FIELDS = 5
MONTHS_OF_YEAR = 12


class Frequency(StrEnum):
    ONCE = "ONCE"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    CRON = "CRON"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`start_at` has a time zone; nothing fires before it. `cron` has five fields, and only a CRON schedule has one."""

    frequency: Frequency
    start_at: datetime
    timezone: str
    cron: str = ""

    def first(self) -> datetime | None:
        """In UTC; None: it never fires."""
        return self.next_after(self.start_at - timedelta(microseconds=1))

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after `moment`, in UTC; None: it never fires again."""
        earliest = max(moment, self.start_at - timedelta(microseconds=1))
        if self.frequency is Frequency.CRON:
            return _next_of_cron(self.cron, earliest.astimezone(zone_of(self.timezone)))
        return self._next_of_clock(earliest)

    def _next_of_clock(self, earliest: datetime) -> datetime | None:
        if self.frequency is Frequency.ONCE:
            return self.start_at.astimezone(UTC) if self.start_at > earliest else None
        local = self.start_at.astimezone(zone_of(self.timezone))
        repeated = REPEATED[self.frequency]
        # Clocks that are changed move a time by hours at most, so one period before is early enough.
        count = max(0, COUNTED[self.frequency](local, earliest.astimezone(local.tzinfo)) - 1)
        while True:
            found = local if count == 0 else repeated(local, count)
            if found.astimezone(UTC) > earliest:
                return found.astimezone(UTC)
            count += 1


def _days_later(local: datetime, days: int) -> datetime:
    """The same time on the wall. `fold` 0 is the first of two equal times, and the later of one that is skipped."""
    return (local + timedelta(days=days)).replace(fold=0)


def _months_later(local: datetime, months: int) -> datetime:
    years, month = divmod(local.month - 1 + months, MONTHS_OF_YEAR)
    year, month = local.year + years, month + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day, fold=0)


def _days_between(local: datetime, other: datetime) -> int:
    return (other.date() - local.date()).days


def _months_between(local: datetime, other: datetime) -> int:
    return (other.year - local.year) * MONTHS_OF_YEAR + other.month - local.month


REPEATED: Mapping[Frequency, Callable[[datetime, int], datetime]] = {
    Frequency.DAILY: _days_later,
    Frequency.WEEKLY: lambda local, count: _days_later(local, 7 * count),
    Frequency.MONTHLY: _months_later,
}
COUNTED: Mapping[Frequency, Callable[[datetime, datetime], int]] = {
    Frequency.DAILY: _days_between,
    Frequency.WEEKLY: lambda local, other: _days_between(local, other) // 7,
    Frequency.MONTHLY: _months_between,
}


def _next_of_cron(cron: str, after: datetime) -> datetime | None:
    # In the hour that comes twice, a job of a certain time is told of once more although it has fired.
    later = (found.astimezone(UTC) for found in CronSim(cron, after) if found.astimezone(UTC) > after)
    return next(later, None)


def zone_of(name: str) -> ZoneInfo:
    """Raises InvalidArgument for a name that is none of the IANA's."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Of a name that leads out of the folder of zones, or to a folder, the library tells in words of its own.
        raise InvalidArgument(
            "INVALID_TIMEZONE", "timezone must be a name such as Europe/Berlin, or UTC.", field="timezone"
        ) from None


def checked(recurrence: Recurrence) -> Recurrence:
    """The same; InvalidArgument for an unknown zone, an expression that is none, and a schedule that never fires."""
    if len(recurrence.timezone) > LONGEST_ZONE:
        raise InvalidArgument("INVALID_TIMEZONE", "timezone is too long.", field="timezone")
    zone_of(recurrence.timezone)
    if (recurrence.frequency is Frequency.CRON) != bool(recurrence.cron):
        raise InvalidArgument("INVALID_CRON", "A CRON schedule has `cron`, and no other has.", field="cron")
    if recurrence.cron:
        _check_cron(recurrence.cron)
    if recurrence.first() is None:
        raise InvalidArgument("INVALID_CRON", "This schedule would never fire.", field="cron")
    return recurrence


def _check_cron(cron: str) -> None:
    if len(cron) > LONGEST_CRON or len(cron.split()) != CRON_FIELDS:
        raise InvalidArgument(
            "INVALID_CRON", "cron must have five fields: minute, hour, day of month, month, day of week.", field="cron"
        )
    try:
        CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError) as error:
        raise InvalidArgument("INVALID_CRON", f"cron cannot be read: {error}.", field="cron") from None

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidArgument
from services.importer.assets.recurrence import Frequency, Recurrence, checked, zone_of

BERLIN, NEW_YORK, LORD_HOWE, KOLKATA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"
REPEATING = st.sampled_from([Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY])
ZONES = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, KOLKATA, "UTC", "Pacific/Apia"])
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def times(recurrence: Recurrence, after: datetime, count: int) -> list[str]:
    """Local times of the next runs."""
    found = []
    for _ in range(count):
        following = recurrence.next_after(after)
        if following is None:
            break
        found.append(following.astimezone(ZoneInfo(recurrence.timezone)).isoformat(timespec="minutes"))
        after = following
    return found


@pytest.mark.parametrize(
    ("zone", "start", "after", "expected"),
    [
        (
            BERLIN,
            "2026-01-01T02:30",
            "2026-03-28T12:00",
            ["2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00", "2026-03-31T02:30+02:00"],
        ),
        (
            BERLIN,
            "2026-01-01T02:30",
            "2026-10-24T12:00",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00", "2026-10-27T02:30+01:00"],
        ),
        (
            NEW_YORK,
            "2026-01-01T02:15",
            "2026-03-07T12:00",
            ["2026-03-08T03:15-04:00", "2026-03-09T02:15-04:00", "2026-03-10T02:15-04:00"],
        ),
        # Its clocks move by half an hour.
        (
            LORD_HOWE,
            "2026-01-01T02:15",
            "2026-10-03T12:00",
            ["2026-10-04T02:45+11:00", "2026-10-05T02:15+11:00", "2026-10-06T02:15+11:00"],
        ),
        (KOLKATA, "2026-01-01T02:30", "2026-03-28T12:00", [f"2026-03-{day}T02:30+05:30" for day in (29, 30, 31)]),
        ("UTC", "2026-01-01T02:30", "2026-03-28T12:00", [f"2026-03-{day}T02:30+00:00" for day in (29, 30, 31)]),
    ],
)
def test_daily_is_by_the_clock_on_the_wall(zone: str, start: str, after: str, expected: list[str]) -> None:
    recurrence = Recurrence(Frequency.DAILY, local(start, zone), zone)
    assert times(recurrence, local(after, zone), 3) == expected


def test_weekly_keeps_its_weekday_and_time() -> None:
    recurrence = Recurrence(Frequency.WEEKLY, local("2026-03-19T08:00", BERLIN), BERLIN)
    assert times(recurrence, local("2026-03-19T08:00", BERLIN), 2) == [
        "2026-03-26T08:00+01:00",
        "2026-04-02T08:00+02:00",
    ]


def test_a_month_without_the_day_has_its_last_one() -> None:
    recurrence = Recurrence(Frequency.MONTHLY, local("2027-12-31T09:00", BERLIN), BERLIN)
    assert [each[:10] for each in times(recurrence, local("2027-12-31T08:00", BERLIN), 5)] == [
        "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30",
    ]  # fmt: skip


def test_once_fires_once() -> None:
    start = local("2026-05-01T09:00", BERLIN)
    recurrence = Recurrence(Frequency.ONCE, start, BERLIN)
    assert (recurrence.first(), recurrence.next_after(start)) == (start, None)


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        # A job of a certain time that is skipped fires once the clocks have moved; in autumn it fires once.
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("30 2 * * *", "2026-10-24T12:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        # One of every hour goes by real time.
        ("30 * * * *", "2026-10-25T01:45", ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"]),
        ("*/30 * * * *", "2026-03-29T01:15", ["2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00"]),
        ("0 6 * * MON-FRI", "2026-05-01T07:00", ["2026-05-04T06:00+02:00", "2026-05-05T06:00+02:00"]),
        ("0 0 L * *", "2026-02-01T00:00", ["2026-02-28T00:00+01:00", "2026-03-31T00:00+02:00"]),
    ],
)
def test_cron_is_as_debian_does_it(cron: str, after: str, expected: list[str]) -> None:
    recurrence = checked(Recurrence(Frequency.CRON, local("2026-01-01T00:00", BERLIN), BERLIN, cron))
    assert times(recurrence, local(after, BERLIN), 2) == expected


def test_a_cron_job_of_the_hour_that_comes_twice_does_not_fire_in_the_past() -> None:
    recurrence = Recurrence(Frequency.CRON, local("2026-01-01T00:00", BERLIN), BERLIN, "30 2 * * *")
    second_pass = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert times(recurrence, second_pass, 1) == ["2026-10-26T02:30+01:00"]


@given(REPEATING, ZONES, MOMENTS, MOMENTS)
def test_the_next_time_is_later_and_skips_none(
    frequency: Frequency, zone: str, start: datetime, after: datetime
) -> None:
    recurrence = Recurrence(frequency, start, zone)
    following = recurrence.next_after(after)
    assert following is not None
    assert following > after
    assert following >= start
    longest = {Frequency.DAILY: 2, Frequency.WEEKLY: 8, Frequency.MONTHLY: 33}[frequency]
    assert following - max(after, start) <= timedelta(days=longest)
    # Whatever lies between finds the same one.
    between = after + (following - after) / 2
    assert recurrence.next_after(between) in {following, recurrence.next_after(after)}


@given(REPEATING, ZONES, MOMENTS)
def test_nothing_fires_before_its_start(frequency: Frequency, zone: str, start: datetime) -> None:
    assert Recurrence(frequency, start, zone).first() == start


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "a\0b", "x" * 65])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        checked(Recurrence(Frequency.DAILY, datetime(2026, 1, 1, tzinfo=UTC), name))
    assert raised.value.reason == "INVALID_TIMEZONE"


@pytest.mark.parametrize(
    "cron", ["a", "* * * *", "* * * * * *", "99 * * * *", "0 0 30 2 *", "*/0 * * * *", "5-1 * * * *", "* " * 200]
)
def test_an_expression_that_is_none_or_never_fires_is_refused(cron: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        checked(Recurrence(Frequency.CRON, datetime(2026, 1, 1, tzinfo=UTC), "UTC", cron))
    assert raised.value.reason == "INVALID_CRON"


def test_an_expression_is_for_cron_alone() -> None:
    for frequency, cron in ((Frequency.CRON, ""), (Frequency.DAILY, "0 0 * * *")):
        with pytest.raises(InvalidArgument):
            checked(Recurrence(frequency, datetime(2026, 1, 1, tzinfo=UTC), "UTC", cron))


def test_zones_are_there_without_those_of_the_machine() -> None:
    assert zone_of(BERLIN).utcoffset(datetime(2026, 7, 1)) == timedelta(hours=2)  # noqa: DTZ001

"""Times in queries, seen from a Wednesday."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from dialects.assets.aql_times import read_clock, read_moment
from dialects.assets.aql_tree import Function

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]  # Up to seven numbers.


@pytest.mark.parametrize(
    ("text", "start", "length"),
    [
        ("2024-02-29", at(2024, 2, 29), timedelta(days=1)),
        (" 2024-02-29 ", at(2024, 2, 29), timedelta(days=1)),
        ("2024-02-29 12:30", at(2024, 2, 29, 12, 30), timedelta(minutes=1)),
        ("2024-02-29T12:30:15", at(2024, 2, 29, 12, 30, 15), timedelta(seconds=1)),
        ("2024-02-29t12:30:15z", at(2024, 2, 29, 12, 30, 15), timedelta(seconds=1)),
        ("2024-02-29T12:30:15.25Z", at(2024, 2, 29, 12, 30, 15, 250_000), timedelta(microseconds=1)),
        ("2024-02-29T12:30:15.123456789Z", at(2024, 2, 29, 12, 30, 15, 123_456), timedelta(microseconds=1)),
        ("2024-02-29 12:30 +0200", at(2024, 2, 29, 10, 30), timedelta(minutes=1)),
        ("2024-02-29 00:30-01:30", at(2024, 2, 29, 2, 0), timedelta(minutes=1)),
        ("-2h 15m", at(2026, 3, 4, 2, 51, 7, 890_000), timedelta(microseconds=1)),
        ("now(-1d)", at(2026, 3, 3, 5, 6, 7, 890_000), timedelta(microseconds=1)),
        ('NOW("+1w")', at(2026, 3, 11, 5, 6, 7, 890_000), timedelta(microseconds=1)),
        ("startOfDay()", at(2026, 3, 4), timedelta(microseconds=1)),
        ("startOfWeek()", at(2026, 3, 2), timedelta(microseconds=1)),
        ("startOfMonth()", at(2026, 3, 1), timedelta(microseconds=1)),
        ("startOfYear()", at(2026, 1, 1), timedelta(microseconds=1)),
        ("endOfDay()", at(2026, 3, 4, 23, 59, 59, 999_999), timedelta(microseconds=1)),
        ("endOfWeek()", at(2026, 3, 8, 23, 59, 59, 999_999), timedelta(microseconds=1)),
        ("endOfMonth()", at(2026, 3, 31, 23, 59, 59, 999_999), timedelta(microseconds=1)),
        ("endOfYear(-1d)", at(2026, 12, 30, 23, 59, 59, 999_999), timedelta(microseconds=1)),
    ],
)
def test_a_text_is_a_time(text: str, start: datetime, length: timedelta) -> None:
    moment = read_moment(text, NOW)
    assert moment is not None
    assert (moment.start, moment.end - moment.start) == (start, length)


def test_a_function_is_a_time_as_well() -> None:
    assert read_moment(Function("now", ("-2h", "15m")), NOW) == read_moment("-2h 15m", NOW)
    assert read_moment(Function("startofday"), NOW) == read_moment("startOfDay()", NOW)
    assert read_moment(Function("currentuser"), NOW) is None


def test_the_last_day_of_the_calendar_is_a_time() -> None:
    moment = read_moment("9999-12-31", NOW)
    assert moment is not None
    assert moment.day == "9999-12-31"
    assert moment.end > moment.start


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "2024", "2024-02-30", "2024-13-01", "2024-1-1", "2024-02-29 24:30", "20240229", "2024-W05-1",
        "2024-02-29T", "now", "now(x)", "now(1)", "now(-9999999d)", "now(-999999w)", "startOfHour()", "1y", "d",
        "2024-02-29 12:30 CET", "0001-01-01T00:00:00+10:00", "٢٠٢٤-٠٢-٢٩",
    ],
)  # fmt: skip
def test_other_texts_are_none(text: str) -> None:
    assert read_moment(text, NOW) is None


@pytest.mark.parametrize("text", ["1m" * 5_000 + "x", "now(" + " " * 9_990, " " * 9_990 + "x", "a(" + "(" * 9_990])
def test_hostile_texts_are_none_at_once(text: str) -> None:
    begin = time.perf_counter()
    assert read_moment(text, NOW) is None
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("02:30", "02:30:00"), ("2:30", "02:30:00"), (" 23:59:59 ", "23:59:59"),
        ("24:00", None), ("12:60", None), ("noon", None),
    ],
)  # fmt: skip
def test_a_time_of_day_has_six_digits(text: str, clock: str | None) -> None:
    assert read_clock(text) == clock

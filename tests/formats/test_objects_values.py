"""Values by the type of their attribute, dates and numbers above all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.importer.formats.objects.mapping import dates, values
from services.importer.formats.objects.mapping.invalid import BadValue, InvalidMapping
from tests.formats.mapped import from_csv, mapped, one_value, plan_of
from tests.formats.mapped import values as values_of

UTC_ZONE = dates.zone_of("UTC")


@pytest.mark.parametrize(
    ("type_", "text", "stored"),
    [
        ("text", "  web 1 ", "web 1"),
        ("text", "=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
        ("textarea", " two\nlines ", " two\nlines "),
        ("integer", "12", 12),
        ("integer", " -12.0 ", -12),
        ("integer", "+5", 5),
        ("integer", "1e3", 1000),
        ("integer", "9223372036854775807", 9223372036854775807),
        ("double", "1.50", 1.5),
        ("double", "-0", 0),
        ("double", ".5", 0.5),
        ("double", "1E2", 100),
        ("boolean", "TRUE", True),
        ("boolean", "no", False),
        ("boolean", "1", True),
        ("url", "https://example.com/a?b=c", "https://example.com/a?b=c"),
        ("url", "no protocol", "no protocol"),
        ("email", "ann@example.com", "ann@example.com"),
        ("ipaddress", "192.0.2.1", "192.0.2.1"),
        ("ipaddress", "2001:0DB8::0001", "2001:db8::1"),
        ("user", "ann", "ann"),
        ("group", "admins", "admins"),
        ("date", "2024-02-29", "2024-02-29"),
        ("date", "02/29/2024", "2024-02-29"),
        ("date", "29.02.2024", "2024-02-29"),
        ("date", "1 Feb 2024", "2024-02-01"),
        ("date", "2024-02-29T23:59:59.999+14:00", "2024-02-29"),
        ("time", "9:05 pm", "21:05:00"),
        ("time", "21:05", "21:05:00"),
        ("date_time", "2021-04-20T13:57:52.404Z", "2021-04-20T13:57:52Z"),
        ("date_time", "2021-04-20 13:57", "2021-04-20T13:57:00Z"),
        ("date_time", "2021-04-20T13:57:52+0200", "2021-04-20T11:57:52Z"),
        ("date_time", "2021-04-20", "2021-04-20T00:00:00Z"),
        ("date_time", "04/20/2021 01:57 PM", "2021-04-20T13:57:00Z"),
    ],
)
def test_a_value_is_stored_in_one_way(type_: str, text: str, stored: Any) -> None:
    assert mapped(text, None, type_) == stored


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("integer", "12.5"),
        ("integer", "9223372036854775808"),
        ("integer", "twelve"),
        ("integer", "1,000"),
        ("integer", "1e999"),
        ("integer", "٣"),
        ("double", "1.2.3"),
        ("double", "."),
        ("double", "1" * 65),
        ("double", "NaN"),
        ("double", "1e65"),
        ("boolean", "maybe"),
        ("email", "ann at example.com"),
        ("email", "a@b@c"),
        ("ipaddress", "192.0.2.256"),
        ("ipaddress", "192.0.2"),
        ("ipaddress", "192.0.2.01"),
        ("ipaddress", "192.0.2.1."),
        ("date", "2024-02-30"),
        ("date", "2024-13-01"),
        ("date", "02/30/2024"),
        ("date", "21:05"),
        ("date", "0000-01-01"),
        ("date", "9" * 200),
        ("time", "24:00"),
        ("time", "2024-02-29"),
        ("date_time", "2021-04-20T25:00:00Z"),
        ("date_time", "2021-04-20T10:00:00+99:00"),
        ("date_time", "0001-01-01T00:00:00+10:00"),
        ("date_time", "yesterday"),
    ],
)
def test_a_value_of_another_type_rejects_its_record(type_: str, text: str) -> None:
    assert mapped(text, None, type_) == "TYPE_MISMATCH"


@pytest.mark.parametrize(
    ("type_", "limit"), [("text", 1 << 20), ("textarea", 1 << 20), ("url", 8_192), ("select", 512), ("user", 512)]
)
def test_a_text_has_a_limit(type_: str, limit: int) -> None:
    more = {"options": ("x" * limit,)} if type_ == "select" else {}
    assert mapped("x" * limit, None, type_, **more) == "x" * limit
    assert mapped("x" * (limit + 1), None, type_, **more) == "VALUE_TOO_LONG"


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_what_is_white_space_alone_is_empty(text: str) -> None:
    assert mapped(text, None) is None
    assert mapped(text, None, "textarea") is None
    assert mapped(text, None, "integer") is None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=9))
def test_equal_numbers_are_equal_texts(number: Decimal) -> None:
    shortest = values.number(str(number))
    assert Decimal(shortest) == number
    assert values.number(f"{number:f}") == values.number(f"{number:E}") == values.number(shortest) == shortest


def refused_or(stored: str, read: Callable[[], str]) -> str:
    """What is read, or `stored` where it is refused."""
    try:
        return read()
    except BadValue:
        return stored


@given(st.text(max_size=40))
def test_what_is_read_is_read_as_the_same_again(text: str) -> None:
    for read in (values.number, values.integer, values.boolean, values.address, values.email):
        stored = refused_or("", partial(read, text))
        assert not stored or read(stored) == stored


@given(st.integers(-(2**70), 2**70))
def test_whole_numbers_have_64_bits(number: int) -> None:
    if -(2**63) <= number < 2**63:
        assert values.integer(str(number)) == values.integer(f"{number}.000") == str(number)
    else:
        with pytest.raises(BadValue):
            values.integer(str(number))


FORMATS = {
    "yyyy-MM-dd HH:mm:ss": "%Y-%m-%d %H:%M:%S",
    "dd.MM.yyyy HH:mm:ss": "%d.%m.%Y %H:%M:%S",
    "MM/dd/yyyy hh:mm:ss a": "%m/%d/%Y %I:%M:%S %p",
    "EEE, dd MMM yyyy HH:mm:ss": "%a, %d %b %Y %H:%M:%S",
    "EEEE d MMMM yyyy, HH:mm:ss": "%A %d %B %Y, %H:%M:%S",
    "yyyyMMddHHmmss": "%Y%m%d%H%M%S",
    "yyyy-MM-dd'T'HH:mm:ss": "%Y-%m-%dT%H:%M:%S",
    "HH:mm:ss 'on' dd/MM/yyyy": "%H:%M:%S on %d/%m/%Y",
}
MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 30))  # noqa: DTZ001


@given(MOMENTS, st.sampled_from(sorted(FORMATS)))
def test_what_a_format_writes_it_reads(moment: datetime, pattern: str) -> None:
    moment = moment.replace(microsecond=0)
    text = moment.strftime(FORMATS[pattern])
    stored = dates.read_date(text, dates.readers_of((pattern,)), UTC_ZONE, dates.date_time_text)
    assert stored == moment.isoformat() + "Z"


@given(MOMENTS, st.integers(-18 * 60, 18 * 60))
def test_an_offset_is_taken_away(moment: datetime, minutes: int) -> None:
    moment = max(moment, datetime(1000, 1, 2)).replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))  # noqa: DTZ001
    readers = dates.readers_of(("yyyy-MM-dd HH:mm:ssXXX",))
    stored = dates.read_date(moment.isoformat(" "), readers, UTC_ZONE, dates.date_time_text)
    assert stored == moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert dates.read_date(moment.isoformat(), (), UTC_ZONE, dates.date_time_text) == stored


@given(st.text("0123456789/.-: TZamp,JFfeb", max_size=24))
def test_a_date_that_is_read_is_read_as_the_same_again(text: str) -> None:
    for write in (dates.date_text, dates.time_text, dates.date_time_text, dates.any_text):
        readers = dates.automatic_readers()
        stored = refused_or("", partial(dates.read_date, text, readers, UTC_ZONE, write))
        assert not stored or dates.read_date(stored, (), UTC_ZONE, write) == stored


@given(st.text("yMdHhKkmsSaEZXz'./-: T,L", max_size=30))
def test_any_text_is_a_format_or_is_refused_as_one(pattern: str) -> None:
    with suppress(InvalidMapping):
        assert [read("no date") for read in dates.readers_of((pattern,))] == [None] * bool(pattern)


@given(st.dates())
def test_a_day_stays_the_day_whatever_the_zone(day: date) -> None:
    zone = dates.zone_of("Pacific/Auckland")
    assert dates.read_date(day.isoformat(), (), zone, dates.date_text) == day.isoformat()


@pytest.mark.parametrize(
    ("pattern", "text", "stored"),
    [
        ("dd/MM/yy", "01/02/69", "2069-02-01"),
        ("dd/MM/yy", "01/02/70", "1970-02-01"),
        ("d.M.yyyy", "1.2.2024", "2024-02-01"),
        ("dd/MM/yyyy", "1/2/2024", "2024-02-01"),
        ("dd MMM yyyy", "03 SEPT 2024", "2024-09-03"),
        ("MMMM d, yyyy", "may 4, 2024", "2024-05-04"),
        ("yyyy''MM''dd", "2024'05'06", "2024-05-06"),
    ],
)
def test_formats_of_days(pattern: str, text: str, stored: str) -> None:
    assert mapped(text, {"attributeLocators": ["v"], "transformations": [{"type": "date", "from": pattern}]}) == stored


@pytest.mark.parametrize(
    ("pattern", "text", "stored"),
    [
        ("hh:mm a", "12:30 AM", "00:30:00"),
        ("hh:mm a", "12:30 pm", "12:30:00"),
        ("KK:mm a", "00:30 pm", "12:30:00"),
        ("kk:mm", "24:15", "00:15:00"),
        ("H:mm:ss.SSS", "7:08:09.123", "07:08:09"),
    ],
)
def test_formats_of_times(pattern: str, text: str, stored: str) -> None:
    assert mapped(text, {"attributeLocators": ["v"], "transformations": [{"type": "date", "from": pattern}]}) == stored


@pytest.mark.parametrize(
    ("text", "zone", "stored"),
    [
        ("2024-07-01 12:00", "Europe/Berlin", "2024-07-01T10:00:00Z"),
        ("2024-01-01 12:00", "Europe/Berlin", "2024-01-01T11:00:00Z"),
        # The hour that comes twice is the first of them.
        ("2024-10-27 02:30", "Europe/Berlin", "2024-10-27T00:30:00Z"),
        ("2024-07-01 12:00 GMT", "Europe/Berlin", "2024-07-01T12:00:00Z"),
    ],
)
def test_a_time_without_a_zone_is_of_the_sources(text: str, zone: str, stored: str) -> None:
    pattern = "yyyy-MM-dd HH:mm z" if text.endswith("GMT") else "yyyy-MM-dd HH:mm"
    plan = plan_of(one_value("date_time"), date_time_format=pattern, time_zone=zone)
    assert values_of(from_csv(plan, f"n,v\nx,{text}\n")) == [stored]


def test_epochs() -> None:
    for name, text in (("epochSeconds", "1700000000"), ("epochMilliseconds", "1700000000999")):
        mapping = {"attributeLocators": ["v"], "transformations": [{"type": "date", "from": name}]}
        assert mapped(text, mapping, "date_time") == "2023-11-14T22:13:20Z"
        assert mapped("9" * 15, mapping, "date_time") == "TYPE_MISMATCH"
        assert mapped("-1000", mapping, "date")[:2] == "19"


def test_a_text_in_the_shape_of_the_format_is_not_read_otherwise() -> None:
    plan = plan_of(one_value("date"), date_format="yyyy-dd-MM")
    text = "n,v\na,2024-13-02\nb,2024-02-13\nc,2024-02-13T00:00:00Z\n"
    assert values_of(from_csv(plan, text)) == ["2024-02-13", "TYPE_MISMATCH", "2024-02-13"]


def test_the_format_of_dates_is_that_of_their_times_too() -> None:
    plan = plan_of(one_value("date_time"), date_format="dd/MM/yyyy")
    text = "n,v\na,03/04/2024\nb,03/04/2024 10:20\nc,03/04/2024 10:20 pm\n"
    assert values_of(from_csv(plan, text)) == ["2024-04-03T00:00:00Z", "2024-04-03T10:20:00Z", "2024-04-03T22:20:00Z"]


@pytest.mark.parametrize(
    "pattern", ["", "Q", "yyyy", "HH:HH", "dd.MM", "'open", "y" * 101, "EEEE EEE", "hh HH", "XX z"]
)
def test_a_format_that_reads_no_date_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidMapping) as caught:
        mapped("x", {"attributeLocators": ["v"], "transformations": [{"type": "date", "from": [pattern]}]})
    assert caught.value.code == "DATE_FORMAT_INVALID"
    assert caught.value.place == "transformations[0].from"

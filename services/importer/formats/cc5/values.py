"""One value of a sync file, by the type of its column: from text to JSON text.

Types and their forms are those of the vendor's page `data-sync-file`; `datetime` is that of its page of notes. Dates
stay as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any

import msgspec

DIGITS, EXPONENT = 64, 64
INT64 = 2**63

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?")
_SHORTEST = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{0,17}[1-9])?")
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2}))?")
# RFC 3339, with up to nine digits behind the second; without a zone as well, as vendors write it.
_DATETIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
)
_LAST_HOUR, _LAST_MINUTE, _LAST_SECOND = 23, 59, 59
_TRUTHS = MappingProxyType({"true": "true", "1": "true", "false": "false", "0": "false"})
# What no text of PostgreSQL can have: NUL, halves of surrogate pairs.
_UNFIT = re.compile("[\0\ud800-\udfff]")


class BadValue(Exception):
    """The text is no value of the type. The message is a whole sentence."""


def json_text(value: str) -> str:
    """A string as JSON, all characters but quotes, backslashes and controls as they are."""
    return encode_basestring(value)


def whole(value: str) -> str:
    """An `int`: 64 bits, signed."""
    if not _WHOLE.fullmatch(value) or not -INT64 <= int(value) < INT64:
        raise BadValue("The value is not a whole number of 64 bits.")
    return str(int(value))


def number(value: str) -> str:
    """A `number`: decimal, of any precision up to 64 digits, never rounded."""
    if _SHORTEST.fullmatch(value) and value != "-0":
        return value
    found = _NUMBER.fullmatch(value)
    if not found or not (found[2] or found[3]) or len(found[2]) + len(found[3] or "") > DIGITS:
        raise BadValue(f"The value is not a decimal number of {DIGITS} digits at most.")
    if abs(int(found[4] or 0)) > EXPONENT:
        raise BadValue(f"The exponent of the number is beyond {EXPONENT}.")
    text = f"{Decimal(value):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def truth(value: str) -> str:
    """A `bool`: true, false, 1 or 0."""
    if value not in _TRUTHS:
        raise BadValue("The value is none of true, false, 1 and 0.")
    return _TRUTHS[value]


def day(value: str) -> str:
    """A `date`: yyyyMMdd or yyyyMMddHHmmss, a day that there is."""
    found = _DATE.fullmatch(value)
    if not found or not _is_time(*found.groups()):
        raise BadValue("The value is not a date as yyyyMMdd or yyyyMMddHHmmss.")
    return json_text(value)


def moment(value: str) -> str:
    """A `datetime`: RFC 3339, or a date."""
    found = _DATETIME.fullmatch(value) or _DATE.fullmatch(value)
    if not found or not _is_time(*found.groups()):
        raise BadValue("The value is not a time as yyyy-MM-ddTHH:mm:ssZ, yyyyMMddHHmmss or yyyyMMdd.")
    return json_text(value)


def _is_time(year: str, month: str, of_month: str, hour: str | None, minute: str | None, second: str | None) -> bool:
    try:
        date(int(year), int(month), int(of_month))
    except ValueError:
        return False
    return int(hour or 0) <= _LAST_HOUR and int(minute or 0) <= _LAST_MINUTE and int(second or 0) <= _LAST_SECOND


def array(value: str) -> str:
    """An `array`: texts with commas between them."""
    return "[" + ",".join(map(json_text, value.split(","))) + "]"


def _decimal(text: str) -> msgspec.Raw:
    return msgspec.Raw(number(text))


DECODER = msgspec.json.Decoder(float_hook=_decimal)
ENCODER = msgspec.json.Encoder(order="sorted")


def _json(value: str, wanted: type, name: str) -> Any:
    try:
        found = DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        raise BadValue(f"The value is not a JSON {name}.") from None
    if not isinstance(found, wanted):
        raise BadValue(f"The value is not a JSON {name}.")
    if "\\u0000" in value and not is_fit(found):
        raise BadValue("The value has a NUL character, which no text can have.")
    return found


def json_list(value: str) -> str:
    """A `list`: a JSON array. It stays as it is written, on one line: PostgreSQL stores equal ones alike."""
    found = _json(value, list, "array")
    return ENCODER.encode(found).decode() if "\n" in value else value


def json_object(value: str) -> str:
    """An `object`: a JSON object, as it is written, on one line."""
    found = _json(value, dict, "object")
    return ENCODER.encode(found).decode() if "\n" in value else value


def sorted_list(value: str) -> str:
    """A `list`, in one form only."""
    return ENCODER.encode(_json(value, list, "array")).decode()


def sorted_object(value: str) -> str:
    """An `object`, in one form only."""
    return ENCODER.encode(_json(value, dict, "object")).decode()


def are_objects(lines: bytes, count: int) -> bool:
    """Whether each of so many lines is what `json_object` takes; False as well where it takes a closer look to tell."""
    # No value can go over the end of its line then: nowhere in JSON may an opening brace follow a closing one, but
    # behind a whole value.
    if not lines.startswith(b"{") or not lines.endswith(b"}") or lines.count(b"}\n{") != count - 1:
        return False
    # An escape of a character may be one that no text can have.
    if b"\\" in lines and b"\\u" in lines:
        return False
    try:
        return len(DECODER.decode_lines(lines)) == count
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, BadValue):
        return False


def is_fit(value: Any) -> bool:
    """Has no text in this value a character that PostgreSQL refuses?"""
    if isinstance(value, str):
        return _UNFIT.search(value) is None
    if isinstance(value, list):
        return all(map(is_fit, value))
    if isinstance(value, dict):
        return all(map(is_fit, value)) and all(map(is_fit, value.values()))
    return True


TYPES: MappingProxyType[str, Callable[[str], str]] = MappingProxyType(
    {
        "string": json_text,
        "int": whole,
        "number": number,
        "bool": truth,
        "date": day,
        "datetime": moment,
        "array": array,
        "list": json_list,
        "object": json_object,
    }
)
# Equal values of a key must be equal texts.
KEY_TYPES: MappingProxyType[str, Callable[[str], str]] = MappingProxyType(
    {**TYPES, "list": sorted_list, "object": sorted_object}
)

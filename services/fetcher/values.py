"""Rows as lines of JSON: the values of drivers in the words that mappings read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

PLAIN = (str, int, bool, type(None))


def _told(value: Any) -> Any:
    """What JSON has no word for: as its own type writes it."""
    if isinstance(value, memoryview):
        return value.tobytes()
    return str(value)


_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_told)


def line_of(row: Mapping[str, Any]) -> bytes:
    """The row and a line break.

    Decimals stay exact, times are ISO 8601 (without a zone where the source gives none), bytes are base64, UUIDs
    texts. What is no number (NaN, Infinity) is a text; a lone surrogate becomes U+FFFD.
    """
    plain = {name: value if value.__class__ in PLAIN else _plain(value) for name, value in row.items()}
    try:
        return _ENCODER.encode(plain) + b"\n"
    except UnicodeEncodeError:
        return _ENCODER.encode(_clean(plain)) + b"\n"


def _plain(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case Decimal() if not value.is_finite():
            return str(value)
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case set() | frozenset():
            return sorted((_plain(each) for each in value), key=str)
        case _:
            return value


def _clean(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_clean(name): _clean(each) for name, each in value.items()}
        case list():
            return [_clean(each) for each in value]
        case _:
            return value

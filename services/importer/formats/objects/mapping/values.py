"""One value by the type of its attribute: from text to the text that is stored, in one way only for equal values.

The attribute types are those of the published mapping schema, user and group besides. In a document numbers and
booleans stand bare, all else in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from ipaddress import ip_address
from types import MappingProxyType

from services.importer.formats.kit.values import NAME_LIMIT, TEXT_LIMIT, URL_LIMIT
from services.importer.formats.objects.mapping.invalid import BadValue

DIGITS, EXPONENT = 64, 64
INT64 = 2**63
SHOWN = 200

Read = Callable[[str], str]

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?")
_SHORTEST = re.compile(r"0|-?[1-9][0-9]{0,17}|-?(?:0|[1-9][0-9]{0,17})\.[0-9]{0,17}[1-9]")
_SHORTEST_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
# As most are written, and as they are stored.
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}")
_EMAIL = re.compile(r"[^@\s]{1,256}@[^@\s]{1,256}")
_TRUTHS = MappingProxyType({"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"})


def number(text: str) -> str:
    """A decimal number of any precision up to 64 digits, never rounded; in its shortest form."""
    if _SHORTEST.fullmatch(text):
        return text
    found = _NUMBER.fullmatch(text)
    if not found or not (found[2] or found[3]) or len(found[2]) + len(found[3] or "") > DIGITS:
        raise BadValue("TYPE_MISMATCH", f"The value is no decimal number of {DIGITS} digits at most.", text)
    if abs(int(found[4] or 0)) > EXPONENT:
        raise BadValue("TYPE_MISMATCH", f"The exponent of the number is beyond {EXPONENT}.", text)
    plain = f"{Decimal(text):f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in {"-0", ""} else plain


def integer(text: str) -> str:
    """A whole number of 64 bits; `12.0`, as tables write it, is one."""
    if _SHORTEST_WHOLE.fullmatch(text):
        return text
    try:
        plain = number(text)
    except BadValue:
        plain = "."
    if "." in plain or not -INT64 <= int(plain) < INT64:
        raise BadValue("TYPE_MISMATCH", "The value is no whole number of 64 bits.", text)
    return plain


def boolean(text: str) -> str:
    """True, yes, 1, false, no or 0, in any case."""
    truth = _TRUTHS.get(text.lower())
    if truth is None:
        raise BadValue("TYPE_MISMATCH", "The value is none of true, yes, 1, false, no and 0.", text)
    return truth


def address(text: str) -> str:
    """An IPv4 or IPv6 address, the latter in its short form."""
    if _IPV4.fullmatch(text):
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        raise BadValue("TYPE_MISMATCH", "The value is no IPv4 or IPv6 address.", text) from None


def email(text: str) -> str:
    """Something on both sides of one @, without spaces."""
    if not _EMAIL.fullmatch(text):
        raise BadValue("TYPE_MISMATCH", "The value is no e-mail address.", text)
    return text


def text_of(limit: int) -> Read:
    """Any text of so many characters."""

    def read(text: str) -> str:
        if len(text) > limit:
            raise BadValue("VALUE_TOO_LONG", f"The value has more than {limit} characters.", text[:SHOWN])
        return text

    return read


SIMPLE: MappingProxyType[str, Read] = MappingProxyType(
    {
        "text": text_of(TEXT_LIMIT),
        "textarea": text_of(TEXT_LIMIT),
        # One without a protocol is kept as the text that it is, as the original does.
        "url": text_of(URL_LIMIT),
        "email": email,
        "ipaddress": address,
        "select": text_of(NAME_LIMIT),
        "status": text_of(NAME_LIMIT),
        "user": text_of(NAME_LIMIT),
        "group": text_of(NAME_LIMIT),
        "integer": integer,
        "double": number,
        "boolean": boolean,
    }
)
"""The types that need nothing but the text; dates and times need formats besides."""

BARE = frozenset({"integer", "double", "boolean"})
LIMITS = MappingProxyType({"text": TEXT_LIMIT, "textarea": TEXT_LIMIT})
CLOSED = frozenset({"select", "status"})
"""Have options."""
UNTRIMMED = frozenset({"textarea"})
REFERENCE = "referenced_object"

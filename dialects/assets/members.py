"""The members of a JSON object of the Assets API. An explicit null is as if it were not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.errors import InvalidArgument

LARGEST_ID = 2**31 - 1


def whole_numbers(value: Any) -> Any:
    """The same with integers where a Struct has made them floating-point numbers."""
    match value:
        case dict():
            return {name: whole_numbers(each) for name, each in value.items()}
        case list():
            return [whole_numbers(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def text_member(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidArgument("FIELD_NOT_TEXT", f"{name} must be a text.", field=name)
    return value


def flag_member(members: Mapping[str, Any], name: str) -> bool | None:
    value = members.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument("INVALID_FLAG", f"{name} must be true or false.", field=name)
    return value


def object_member(members: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = members.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidArgument("FIELD_NOT_OBJECT", f"{name} must be an object.", field=name)
    return value


def id_member(members: Mapping[str, Any], name: str) -> int:
    """A number or its digits; 0: it is not there."""
    value = members.get(name)
    return 0 if value is None else number_of(name, value)


def number_of(name: str, value: Any) -> int:
    """The id that a text or a number is. InvalidArgument for anything else."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) <= LARGEST_ID):
        raise InvalidArgument("INVALID_NUMBER", f"{name} must be the number of one.", field=name)
    return int(text)

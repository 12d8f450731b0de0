"""Asks decoded JSON objects for their members, whatever kind of value is really there.

A number is text already (`kit/json.py`). What is null, missing or of another kind is the same to a format: nothing.
"""

from __future__ import annotations

from typing import Any

from services.importer.formats.kit.format import RecordError

Members = dict[str, Any]


def members_of(value: Any) -> Members:
    """The item as an object. Raises `RecordError` when it is another kind of value."""
    if not isinstance(value, dict):
        raise RecordError("NOT_AN_OBJECT", "", "The item is not a JSON object.", as_text(value))
    return value


def as_text(value: Any) -> str:
    """A string or number as text without white space around it, a truth as `true` or `false`; "" for all else."""
    if isinstance(value, str):
        return value.strip()
    return str(value).lower() if isinstance(value, bool) else ""


def text(members: Members, *names: str) -> str:
    """The text of the first of these members that has any."""
    for name in names:
        value = members.get(name)
        # Asked so often that most texts should cost no further call.
        if value is not None and (found := value.strip() if value.__class__ is str else as_text(value)):
            return found
    return ""


def is_true(members: Members, name: str) -> bool:
    """Is the member true, `"true"` or a one?"""
    return text(members, name).lower() in {"true", "1", "yes"}


def inner(members: Members, name: str) -> Members:
    """The object that a member is; an empty one where there is none."""
    found = members.get(name)
    return found if isinstance(found, dict) else {}


def each(members: Members, name: str) -> list[Members]:
    """The objects in the array that a member is, or the lone object in its place."""
    found = members.get(name)
    if isinstance(found, dict):
        return [found]
    return [value for value in found if isinstance(value, dict)] if isinstance(found, list) else []


def texts(members: Members, name: str) -> list[str]:
    """The texts in the array that a member is, or the lone text in its place, without empty ones."""
    found = members.get(name)
    values = found if isinstance(found, list) else [found]
    return [shown for value in values if (shown := as_text(value))]

"""Checks of the texts in a request: there, not too long, and such that the database can store them."""

from __future__ import annotations

from runtime.errors import InvalidArgument


def checked_text(field: str, text: str, *, max_length: int, required: bool = False) -> str:
    """`text` without white space around it; InvalidArgument names the field. Lengths are in characters."""
    stripped = text.strip()
    if required and not stripped:
        raise InvalidArgument("FIELD_REQUIRED", f"{field} is required.", field=field)
    if len(stripped) > max_length:
        raise InvalidArgument(
            "FIELD_TOO_LONG", f"{field} may have {max_length} characters at most.", field=field, limit=str(max_length)
        )
    if "\0" in stripped:  # PostgreSQL stores every character but this one.
        raise InvalidArgument("FIELD_NOT_TEXT", f"{field} must not contain a NUL character.", field=field)
    return stripped

"""Uploads in parts, which are ours and in the manner of the other routes: the body that begins one, and the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from dialects.plextrac.bodies import text
from dialects.plextrac.times import iso_or_none
from runtime.errors import InvalidArgument

LARGEST_NUMBER = 2**63 - 1


class Part(Protocol):
    """One part, from 1; `url` None: it has arrived."""

    @property
    def number(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def url(self) -> str | None: ...

    @property
    def expires_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class MultipartBody:
    """Zero and empty: not said."""

    name: str
    size_bytes: int
    sha256: str
    part_size_bytes: int


def multipart_body(payload: Mapping[str, Any]) -> MultipartBody:
    """`name` (or its aliases `filename`, `fileName`), `size`, and `sha256` and `partSize` if wanted."""
    return MultipartBody(
        name=text(payload, "name") or text(payload, "filename") or text(payload, "fileName"),
        size_bytes=_number(payload, "size", "INVALID_SIZE"),
        sha256=text(payload, "sha256"),
        part_size_bytes=_number(payload, "partSize", "INVALID_PART_SIZE"),
    )


def upload_json(key: str, *, size_bytes: int, part_size: int, part_count: int, is_uploaded: bool) -> dict[str, Any]:
    """An upload in parts. 64-bit integers are texts, as everywhere in this API."""
    return {
        "status": "success",
        "key": key,
        "size": str(size_bytes),
        "partSize": str(part_size),
        "partCount": part_count,
        "uploaded": is_uploaded,
    }


def parts_json(key: str, parts: Iterable[Part], following: int) -> dict[str, Any]:
    """A page of parts; `following` 0: the last page."""
    return {
        "status": "success",
        "key": key,
        "parts": [
            {
                "number": part.number,
                "offset": str(part.offset),
                "size": str(part.size_bytes),
                "uploaded": part.url is None,
                "url": part.url,
                "expiresAt": iso_or_none(part.expires_at),
            }
            for part in parts
        ],
        "next": following or None,
    }


def _number(payload: Mapping[str, Any], name: str, reason: str) -> int:
    """A whole number or its digits; absent is 0. JSON's numbers arrive as floats."""
    value = payload.get(name)
    if value is None:
        return 0
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    is_digits = (
        isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST_NUMBER))
    )
    if not (is_whole or is_digits) or not 0 <= int(value) <= LARGEST_NUMBER:
        raise InvalidArgument(reason, f"{name} must be a whole number of bytes.", field=name)
    return int(value)

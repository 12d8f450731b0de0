"""What is asked of objects: a query in AQL, and which page of what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialects.assets.aql import parse_aql
from dialects.assets.aql_tree import Query
from runtime.errors import InvalidArgument

DEFAULT_SIZE = 25
LARGEST_SIZE = 1_000
LAST_START = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ObjectQuery:
    """More than 1,000 are never given at once."""

    query: Query
    start: int
    size: int
    with_attributes: bool


def query_of(body: Mapping[str, Any]) -> Query:
    """That of `qlQuery`, which is empty for all objects. Raises AqlError for what cannot be read."""
    text = body.get("qlQuery")
    if not isinstance(text, str):
        raise InvalidArgument("QUERY_REQUIRED", "qlQuery must be a text: a query in AQL.", field="qlQuery")
    return parse_aql(text)


def object_query(
    body: Mapping[str, Any], *, start: int = 0, size: int = 0, with_attributes: bool | None = None
) -> ObjectQuery:
    """What the body says goes before what stands behind the path."""
    said = body.get("includeAttributes")
    if said is None:
        said = with_attributes
    if said is not None and not isinstance(said, bool):
        raise InvalidArgument("INVALID_FLAG", "includeAttributes must be true or false.", field="includeAttributes")
    return ObjectQuery(
        query_of(body),
        start=_count(body, "startAt", start),
        size=min(_count(body, "maxResults", size) or DEFAULT_SIZE, LARGEST_SIZE),
        with_attributes=said is not False,
    )


@dataclass(frozen=True, slots=True)
class Navigation:
    """A page by its number, which begins with 1."""

    text: str
    asked: ObjectQuery
    page: int
    with_definitions: bool


def navigation(body: Mapping[str, Any]) -> Navigation:
    """Of `qlQuery` or, as it was called before, `iql`. Raises as `object_query` does."""
    text = body.get("qlQuery") or body.get("iql") or ""
    named = {"qlQuery": text, "includeAttributes": body.get("includeAttributes")}
    page = _count(body, "page", 1) or 1
    size = min(_count(body, "resultPerPage", DEFAULT_SIZE) or DEFAULT_SIZE, LARGEST_SIZE)
    start = (page - 1) * size
    if start > LAST_START:
        raise InvalidArgument("INVALID_PAGE_SIZE", "page is behind all that there may be.", field="page")
    with_definitions = body.get("includeTypeAttributes") is not False
    return Navigation(text, object_query(named, start=start, size=size), page, with_definitions)


def _count(body: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = body.get(name)
    if value is None:
        value = otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_START or value % 1:
        raise InvalidArgument("INVALID_PAGE_SIZE", f"{name} must be a whole number, 0 or more.", field=name)
    return int(value)

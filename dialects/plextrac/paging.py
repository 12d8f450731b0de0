"""The bodies and envelopes of PlexTrac's v2 lists: pages by offset, sort keys, filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.errors import InvalidArgument

MAX_LIMIT = 1000
MAX_OFFSET = 2**31 - 1
MAX_SORTS = 10
MAX_FILTERS = 50
MAX_VALUES = 1000
ORDERS = {"ASC": False, "DESC": True}


@dataclass(frozen=True, slots=True)
class Sort:
    by: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """`value` is as it came: a single value or a list of them."""

    by: str
    value: Any


@dataclass(frozen=True, slots=True)
class ListBody:
    """What a list is asked for."""

    offset: int
    limit: int
    sorts: tuple[Sort, ...]
    filters: tuple[Filter, ...]


def list_body(payload: Mapping[str, Any]) -> ListBody:
    """`pagination` is required; the other two may be left out. The original allows a few limits, we any up to 1,000."""
    pagination = payload.get("pagination")
    if not isinstance(pagination, Mapping):
        raise InvalidArgument(
            "PAGINATION_REQUIRED",
            'pagination is required, as {"offset": 0, "limit": 100}.',
            field="pagination",
        )
    return ListBody(
        offset=_number(pagination, "offset", least=0, most=MAX_OFFSET, default=0),
        limit=_number(pagination, "limit", least=1, most=MAX_LIMIT, default=None),
        sorts=tuple(_sort(entry) for entry in _entries(payload, "sort", MAX_SORTS)),
        filters=tuple(_filter(entry) for entry in _entries(payload, "filters", MAX_FILTERS)),
    )


def values_of(given: Filter) -> Sequence[Any]:
    """Its value as a list."""
    values = list(given.value) if isinstance(given.value, list | tuple) else [given.value]
    if len(values) > MAX_VALUES:
        raise InvalidArgument(
            "TOO_MANY_VALUES", f"The filter {given.by} may have {MAX_VALUES} values at most.", field="filters"
        )
    return values


def page_meta(body: ListBody, total: int) -> dict[str, Any]:
    """`meta` of the answer: the page, and what was asked for."""
    return {
        "pagination": {"offset": body.offset, "limit": body.limit, "total": total},
        "sort": [{"by": sort.by, "order": "DESC" if sort.descending else "ASC"} for sort in body.sorts],
        "filters": [{"by": given.by, "value": given.value} for given in body.filters],
    }


def page(member: str, items: Iterable[Any], body: ListBody, total: int) -> dict[str, Any]:
    """The envelope. `member` is `data` in all lists but one."""
    return {"status": "success", member: list(items), "meta": page_meta(body, total)}


def check_known(kind: str, by: str, known: Iterable[str]) -> None:
    """`kind` is `sort` or `filters`."""
    names = sorted(known)
    if by not in names:
        raise InvalidArgument(
            "UNKNOWN_SORT" if kind == "sort" else "UNKNOWN_FILTER",
            f"{kind}: there is no {by[:100]!r} here. Known are {', '.join(names)}.",
            field=kind,
        )


def _number(pagination: Mapping[str, Any], name: str, *, least: int, most: int, default: int | None) -> int:
    """A JSON number, or its digits."""
    value = pagination.get(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    is_whole = number is not None and not isinstance(value, bool) and number == float(value)
    if number is None or not is_whole or not least <= number <= most:
        raise InvalidArgument(
            "INVALID_PAGINATION",
            f"pagination.{name} must be a whole number between {least} and {most}.",
            field=f"pagination.{name}",
        )
    return number


def _entries(payload: Mapping[str, Any], name: str, most: int) -> Sequence[Mapping[str, Any]]:
    value = payload.get(name) or []
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, list | tuple) or not all(_has_name(entry) for entry in entries):
        raise _invalid(name, 'a list of objects with the member "by"')
    if len(entries) > most:
        raise _invalid(name, f"a list of {most} entries at most")
    return entries


def _has_name(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("by"), str)


def _sort(entry: Mapping[str, Any]) -> Sort:
    order = entry.get("order", "ASC")
    if not isinstance(order, str) or order.upper() not in ORDERS:
        raise _invalid("sort", "a list whose orders are ASC or DESC")
    return Sort(entry["by"], ORDERS[order.upper()])


def _filter(entry: Mapping[str, Any]) -> Filter:
    if "value" not in entry:
        raise _invalid("filters", 'a list of objects with the members "by" and "value"')
    return Filter(entry["by"], entry["value"])


def _invalid(name: str, form: str) -> InvalidArgument:
    return InvalidArgument("INVALID_LIST", f"{name} must be {form}.", field=name)

"""What PlexTrac's v2 lists can be filtered and sorted by, as conditions and orders on our columns.

One dict per list and use: the published name, and the column (or how a value is read) behind it. Names that are
published and that nothing here is ever stored for (nobody is assigned, nothing reopened) are known as always empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dialects.plextrac.findings import SEVERITIES
from dialects.plextrac.paging import Filter, ListBody, check_known, values_of
from runtime.errors import InvalidArgument
from services.status.model import Condition, Listing, Match, Order

MAX_TEXT = 500
LARGEST_ID = 2**31 - 1
# The value by which the original asks for what has no tags.
NO_TAGS = "none"
EMPTY_VALUES: tuple[Any, ...] = (None, "", [])

Reader = Callable[[str, Filter], Condition | None]


def _read_text(given: Filter, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        raise _invalid(given, f"texts of {MAX_TEXT} characters at most")
    return value


def _read_id(given: Filter, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise _invalid(given, "whole numbers") from None
    if isinstance(value, bool) or float(value) != number or not 0 <= number <= LARGEST_ID:
        raise _invalid(given, "whole numbers")
    return number


def _read_severity(given: Filter, value: Any) -> int:
    words = {word.lower(): number for number, word in enumerate(SEVERITIES)}
    number = words.get(value.lower()) if isinstance(value, str) else None
    if number is None:
        raise _invalid(given, ", ".join(SEVERITIES))
    return number


def _read_moment(given: Filter, value: Any) -> datetime | None:
    """Milliseconds since 1970 or ISO 8601; null leaves that end open."""
    try:
        if value is None:
            return None
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(value / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise _invalid(given, "two points in time: milliseconds since 1970 or ISO 8601") from None


def _one_of(read: Callable[[Filter, Any], Any]) -> Reader:
    def condition(column: str, given: Filter) -> Condition:
        return Condition(column, Match.ONE_OF, tuple(read(given, value) for value in values_of(given)))

    return condition


def _contains(column: str, given: Filter) -> Condition:
    return Condition(column, Match.CONTAINS, tuple(_read_text(given, value) for value in values_of(given)))


def _has_any(column: str, given: Filter) -> Condition:
    values = tuple(_read_text(given, value) for value in values_of(given))
    return Condition(column, Match.NO_ELEMENT) if values == (NO_TAGS,) else Condition(column, Match.ANY_ELEMENT, values)


def _has_person(column: str, given: Filter) -> Condition:
    return Condition(column, Match.ANY_ELEMENT, tuple(_read_text(given, value) for value in values_of(given)))


def _between(column: str, given: Filter) -> Condition:
    """`[from, to]`, or an object with `from` and `to`."""
    value = given.value
    ends: Sequence[Any] = [value.get("from"), value.get("to")] if isinstance(value, Mapping) else values_of(given)
    moments = tuple(_read_moment(given, end) for end in ends)
    if len(moments) != 2:  # noqa: PLR2004 - a beginning and an end
        raise _invalid(given, "two points in time")
    return Condition(column, Match.BETWEEN, moments)


def _always_empty(_column: str, given: Filter) -> Condition | None:
    """No condition when an empty value is asked for too; else one that nothing fulfils."""
    values = given.value if isinstance(given.value, list | tuple) else [given.value]
    is_wanted = not values or any(value in EMPTY_VALUES for value in values)
    return None if is_wanted else NOTHING


NOTHING = Condition("", Match.ONE_OF)
_texts, _ids, _severities = _one_of(_read_text), _one_of(_read_id), _one_of(_read_severity)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one list can be asked. A sort of None keeps the order, because all values are equal."""

    filters: Mapping[str, tuple[str, Reader]]
    sorts: Mapping[str, str | None]
    default: tuple[Order, ...] = ()


FINDINGS = Terms(
    filters={
        "findingTags": ("tags", _has_any),
        "searchTerm": ("title", _contains),
        "title": ("title", _contains),
        "createdAt": ("created_at", _between),
        "updatedAt": ("updated_at", _between),
        "closedAt": ("closed_at", _between),
        "reopenedAt": ("", _always_empty),
        "assignedTo": ("", _always_empty),
        "subStatus": ("", _always_empty),
        "flaw_id": ("flaw_id", _ids),
        "client_id": ("client_id", _ids),
        "report_id": ("report_id", _ids),
        "severity": ("severity", _severities),
        "source": ("source", _texts),
        "status": ("status", _texts),
        "visibility": ("visibility", _texts),
    },
    sorts={
        "assignedTo": None,
        "clientId": "client_id",
        "createdAt": "created_at",
        "updatedAt": "updated_at",
        "reopenedAt": None,
        "closedAt": "closed_at",
        "flawId": "flaw_id",
        "reportId": "report_id",
        "severity": "severity",
        "source": "source",
        "status": "status",
        "subStatus": None,
        "title": "title",
        "visibility": "visibility",
        "cvss3_1": "cvss3_1",
        "cve_id": "cve",
        "cwe_id": "cwe",
    },
    default=(Order("severity"),),
)
CLIENT_ASSETS = Terms(
    filters={
        "asset": ("name", _contains),
        "searchTerm": ("search", _contains),
        "tags": ("tags", _has_any),
    },
    sorts={"asset": "name", "tags": "tags"},
)
TENANT_ASSETS = Terms(
    filters={
        "asset": ("name", _contains),
        "searchTerm": ("search", _contains),
        "client_id": ("client_id", _ids),
        "tags": ("tags", _has_any),
        "type": ("type", _texts),
        "assetCriticality": ("", _always_empty),
        "pci_status": ("", _always_empty),
        "system_owner": ("", _always_empty),
        "data_owner": ("", _always_empty),
    },
    sorts={
        "asset": "name",
        "searchTerm": "name",
        "client_id": "client_id",
        "tags": "tags",
        "type": "type",
        "createdAt": "created_at",
        "updatedAt": "updated_at",
        "assetCriticality": None,
        "pci_status": None,
        "system_owner": None,
        "data_owner": None,
    },
)
CLIENTS = Terms(
    filters={
        "client_id": ("client_id", _ids),
        "name": ("name", _contains),
        "poc": ("poc", _contains),
        "searchTerm": ("search", _contains),
        "tags": ("tags", _has_any),
    },
    sorts={"client_id": "client_id", "createdAt": "created_at", "name": "name", "poc": "poc", "tags": "tags"},
    default=(Order("name"),),
)
REPORTS = Terms(
    filters={
        "clients": ("client_id", _ids),
        "name": ("name", _contains),
        "operators": ("operators", _has_person),
        "reviewers": ("reviewers", _has_person),
        "searchTerm": ("name", _contains),
        "status": ("status", _texts),
        "tags": ("tags", _has_any),
    },
    sorts={"createdAt": "created_at", "id": "report_id", "name": "name", "status": "status", "tags": "tags"},
    default=(Order("name"),),
)


def listing(body: ListBody, terms: Terms) -> Listing:
    """The page that a body asks for. Raises InvalidArgument that names what is not known or not readable."""
    orders = []
    for sort in body.sorts:
        check_known("sort", sort.by, terms.sorts)
        if (column := terms.sorts[sort.by]) is not None:
            orders.append(Order(column, sort.descending))
    conditions = []
    for given in body.filters:
        check_known("filters", given.by, terms.filters)
        column, read = terms.filters[given.by]
        if given.value == []:  # A form with nothing chosen.
            continue
        if (condition := read(column, given)) is not None:
            conditions.append(condition)
    return Listing(
        offset=body.offset,
        limit=body.limit,
        orders=tuple(orders) or terms.default,
        conditions=tuple(condition for condition in conditions if condition is not NOTHING),
        is_empty=NOTHING in conditions,
    )


def _invalid(given: Filter, form: str) -> InvalidArgument:
    return InvalidArgument("INVALID_FILTER", f"The filter {given.by} takes {form}.", field="filters")

"""The v2 lists: what a body may say, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dialects.plextrac.paging import list_body, page
from runtime.errors import InvalidArgument
from services.status.dialects import lists
from services.status.dialects.lists import Terms, listing
from services.status.model import Condition, Listing, Match, Order
from services.status.store import assets, engagements, findings

PAGE = {"offset": 0.0, "limit": 10.0}


def asked(terms: Terms = lists.FINDINGS, **body: Any) -> Listing:
    return listing(list_body({"pagination": PAGE, **body}), terms)


def refusal(**body: Any) -> tuple[str, str]:
    with pytest.raises(InvalidArgument) as raised:
        asked(**body)
    return raised.value.reason, raised.value.message


def test_numbers_of_a_struct_are_whole_again() -> None:
    body = list_body({"pagination": {"offset": 20.0, "limit": "10"}})
    assert (body.offset, body.limit) == (20, 10)


def test_an_offset_may_be_left_out() -> None:
    assert list_body({"pagination": {"limit": 5.0}}).offset == 0


@pytest.mark.parametrize("limit", [0, -1, 1001, 99999, 1.5, "x", None, True, float("nan"), float("inf"), [], 1e300])
def test_a_limit_outside_is_refused_with_the_range(limit: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"pagination\.limit must be a whole number between 1 and 1000"):
        list_body({"pagination": {"offset": 0.0, "limit": limit}})


@pytest.mark.parametrize("pagination", [None, [], "x"])
def test_pagination_is_required(pagination: Any) -> None:
    with pytest.raises(InvalidArgument) as raised:
        list_body({"pagination": pagination})
    assert raised.value.reason == "PAGINATION_REQUIRED"


@pytest.mark.parametrize(
    "body",
    [
        {"sort": "title"},
        {"sort": [{"order": "ASC"}]},
        {"sort": [{"by": "title", "order": "UP"}]},
        {"sort": [{"by": "title"}] * 11},
        {"filters": [{"by": "title"}]},
        {"filters": [7]},
    ],
)
def test_a_list_of_the_wrong_form_is_refused(body: dict[str, Any]) -> None:
    assert refusal(**body)[0] == "INVALID_LIST"


def test_one_sort_may_stand_without_a_list() -> None:
    assert asked(sort={"by": "title", "order": "desc"}).orders == (Order("title", descending=True),)


def test_an_unknown_name_is_refused_by_name_with_the_known_ones() -> None:
    reason, message = refusal(sort=[{"by": "colour"}])
    assert (reason, "'colour'" in message, "severity" in message) == ("UNKNOWN_SORT", True, True)
    reason, message = refusal(filters=[{"by": "colour", "value": 1}])
    assert (reason, "'colour'" in message, "findingTags" in message) == ("UNKNOWN_FILTER", True, True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"by": "severity", "value": "critical"}, Condition("severity", Match.ONE_OF, (0,))),
        ({"by": "flaw_id", "value": [7.0, "8"]}, Condition("flaw_id", Match.ONE_OF, (7, 8))),
        ({"by": "findingTags", "value": ["none"]}, Condition("tags", Match.NO_ELEMENT)),
        ({"by": "findingTags", "value": ["none", "a"]}, Condition("tags", Match.ANY_ELEMENT, ("none", "a"))),
        (
            {"by": "createdAt", "value": [0.0, "1970-01-02"]},
            Condition(
                "created_at", Match.BETWEEN, (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC))
            ),
        ),
        (
            {"by": "createdAt", "value": {"from": "1970-01-02T00:00:00Z"}},
            Condition("created_at", Match.BETWEEN, (datetime(1970, 1, 2, tzinfo=UTC), None)),
        ),
    ],
)
def test_a_filter_becomes_a_condition(given: dict[str, Any], expected: Condition) -> None:
    assert asked(filters=[given]).conditions == (expected,)


@pytest.mark.parametrize(
    "given",
    [
        {"by": "severity", "value": "Severe"},
        {"by": "flaw_id", "value": 1.5},
        {"by": "flaw_id", "value": 2.0**31},
        {"by": "flaw_id", "value": True},
        {"by": "flaw_id", "value": None},
        {"by": "title", "value": 7.0},
        {"by": "title", "value": "a\0"},
        {"by": "title", "value": "x" * 501},
        {"by": "createdAt", "value": [0.0]},
        {"by": "createdAt", "value": ["yesterday", None]},
        {"by": "createdAt", "value": [1e300, None]},
        {"by": "createdAt", "value": {"from": [1]}},
    ],
)
def test_a_value_that_cannot_be_read_is_refused_by_the_filters_name(given: dict[str, Any]) -> None:
    reason, message = refusal(filters=[given])
    assert (reason, given["by"] in message) == ("INVALID_FILTER", True)


def test_too_many_values_are_refused() -> None:
    assert refusal(filters=[{"by": "title", "value": ["x"] * 1001}])[0] == "TOO_MANY_VALUES"


def test_what_is_never_stored_is_empty_and_nothing_else() -> None:
    nobody = asked(filters=[{"by": "assignedTo", "value": ["ann@example.com"]}])
    assert (nobody.is_empty, nobody.conditions) == (True, ())
    unassigned = asked(filters=[{"by": "assignedTo", "value": [None, "ann@example.com"]}])
    assert (unassigned.is_empty, unassigned.conditions) == (False, ())


def test_a_filter_with_nothing_chosen_filters_nothing() -> None:
    assert asked(filters=[{"by": "status", "value": []}]) == asked()


@pytest.mark.parametrize(
    ("terms", "columns"),
    [
        (lists.FINDINGS, findings.COLUMNS),
        (lists.CLIENT_ASSETS, assets.COLUMNS),
        (lists.TENANT_ASSETS, assets.COLUMNS),
        (lists.CLIENTS, engagements.CLIENT_COLUMNS),
        (lists.REPORTS, engagements.REPORT_COLUMNS),
    ],
)
def test_every_name_leads_to_a_column_of_its_list(terms: Terms, columns: dict[str, Any]) -> None:
    sorts = {column for column in terms.sorts.values() if column is not None}
    filters = {column for column, _ in terms.filters.values() if column}
    assert sorts | filters | {order.column for order in terms.default} <= columns.keys()


def test_a_page_echoes_what_was_asked_for() -> None:
    body = list_body(
        {"pagination": PAGE, "sort": [{"by": "name"}], "filters": [{"by": "tags", "value": ["a"]}], "more": 1}
    )
    assert page("data", [1, 2], body, 7) == {
        "status": "success",
        "data": [1, 2],
        "meta": {
            "pagination": {"offset": 0, "limit": 10, "total": 7},
            "sort": [{"by": "name", "order": "ASC"}],
            "filters": [{"by": "tags", "value": ["a"]}],
        },
    }

from __future__ import annotations

from typing import Any

import pytest

from dialects.plextrac.parser_actions import action_body, bulk_body, field_values, writeup_members, writeup_number
from runtime.errors import InvalidArgument


def test_empty_texts_of_scripts_say_nothing() -> None:
    body = action_body({"id": "1", "action": "", "severity": "", "writeupID": "", "writeupLabel": ""})
    assert (body.action_id, body.code, body.severity, body.writeup_id) == ("1", None, None, None)


def test_words_are_known_in_any_case_and_ids_may_be_numbers() -> None:
    body = action_body({"id": 10028.0, "action": " link ", "severity": "informational", "writeupID": 101219.0})
    assert (body.action_id, body.code, body.severity, body.writeup_id) == ("10028", "LINK", 4, 101219)


@pytest.mark.parametrize(
    ("value", "number"),
    [("101219", 101219), ("template_101219", 101219), (101219.0, 101219), (None, None), ("", None)],
)
def test_a_writeup_has_a_number_under_several_names(value: Any, number: int | None) -> None:
    assert writeup_number(value) == number


@pytest.mark.parametrize("value", ["x", "-1", "1.5", 1.5, "9" * 30, "template_", True, float("inf"), float("nan")])
def test_what_cannot_be_a_writeup_is_one_that_nobody_has(value: Any) -> None:
    assert writeup_number(value) == 0


@pytest.mark.parametrize("payload", [{}, {"actions": {}}, {"actions": "x"}, {"actions": [1]}])
def test_a_bulk_without_a_list_of_objects_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        bulk_body(payload)
    assert refusal.value.reason == "INVALID_ACTIONS"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"id": "1", "action": "DROP"}, "UNKNOWN_ACTION"),
        ({"id": "1", "action": 5.0}, "FIELD_NOT_TEXT"),
        ({"id": "1", "severity": "Awful"}, "INVALID_SEVERITY"),
        ({"id": 1.5}, "FIELD_NOT_TEXT"),
        ({"id": {}}, "FIELD_NOT_TEXT"),
    ],
)
def test_a_wrong_action_is_refused(payload: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        action_body(payload)
    assert refusal.value.reason == reason


def test_fields_come_as_a_map_or_as_a_list_and_scores_are_none() -> None:
    by_key = {"effort": {"key": "effort", "label": "Effort", "value": "low"}, "scores": {"cvss3": {"value": "9"}}}
    assert field_values(by_key) == {"Effort": "low"}
    assert field_values([{"label": "Effort", "value": "low"}, {"key": "k", "value": None}]) == {
        "Effort": "low",
        "k": "",
    }


def test_only_what_a_body_has_is_said_of_a_writeup() -> None:
    assert writeup_members({"title": "T", "repositoryID": "r", "tags": ["x"]}) == {"title": "T", "repository_id": "r"}
    assert writeup_members({"severity": "High", "fields": {}}) == {"severity": 1, "fields": {}}

from __future__ import annotations

from typing import Any

import pytest

from dialects.plextrac.choices import Choices, choices, undo_is_dry_run
from runtime.errors import InvalidArgument


def test_nothing_need_be_said() -> None:
    empty = dict.fromkeys(
        ("dryRun", "force", "onError", "maxErrors", "maxErrorPercent", "expectedRecords", "sha256"), ""
    )
    for payload in ({}, empty, dict.fromkeys(empty)):
        assert choices(payload) == Choices()
        assert not undo_is_dry_run(payload)


@pytest.mark.parametrize(
    "payload",
    [
        {
            "dryRun": True,
            "force": False,
            "onError": "abortAbove",
            "maxErrors": 5.0,
            "maxErrorPercent": 2.5,
            "expectedRecords": 100.0,
            "sha256": "0a",
        },
        {
            "dryRun": "true",
            "force": "No",
            "onError": "ABORT_ABOVE",
            "maxErrors": "5",
            "maxErrorPercent": " 2.5",
            "expectedRecords": "100",
            "sha256": " 0a ",
        },
    ],
)
def test_booleans_and_numbers_may_come_as_text(payload: dict[str, Any]) -> None:
    assert choices(payload) == Choices(
        dry_run=True,
        force=False,
        on_error="abort_above",
        max_errors=5,
        max_error_percent=2.5,
        expected_records=100,
        sha256="0a",
    )
    assert undo_is_dry_run(payload)


@pytest.mark.parametrize(
    ("said", "native"),
    [
        ("continue", "continue"),
        ("abort", "abort"),
        ("abort-above", "abort_above"),
        ("allOrNothing", "all_or_nothing"),
        ("all_or_nothing", "all_or_nothing"),
    ],
)
def test_each_policy_has_its_word(said: str, native: str) -> None:
    assert choices({"onError": said}).on_error == native


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("dryRun", "perhaps", "INVALID_FLAG"),
        ("force", [], "INVALID_FLAG"),
        ("onError", "explode", "INVALID_POLICY"),
        ("onError", 1, "FIELD_NOT_TEXT"),
        ("maxErrors", "many", "INVALID_NUMBER"),
        ("maxErrors", 2.5, "INVALID_NUMBER"),
        ("maxErrors", True, "INVALID_NUMBER"),
        ("maxErrors", [1], "INVALID_NUMBER"),
        ("maxErrors", "9" * 400, "INVALID_NUMBER"),
        ("maxErrorPercent", "nan", "INVALID_NUMBER"),
        ("maxErrorPercent", "inf", "INVALID_NUMBER"),
        ("maxErrorPercent", {}, "INVALID_NUMBER"),
        ("expectedRecords", "1e-1", "INVALID_NUMBER"),
        ("sha256", 5, "FIELD_NOT_TEXT"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, value: Any, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        choices({name: value})
    assert (refusal.value.reason, refusal.value.metadata) == (reason, {"field": name})

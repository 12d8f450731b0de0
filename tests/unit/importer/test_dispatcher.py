from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.importer.dispatcher import delay_after
from services.importer.settings import DispatchSettings
from services.importer.store.outbox import DISPATCHES_OF_A_ROW


def settings(**changes: Any) -> DispatchSettings:
    return DispatchSettings.model_validate({"nats_url": "n", "dispatch_database_url": "d", **changes})


@pytest.mark.parametrize(
    ("dispatches", "seconds"), [(1, 60), (2, 120), (3, 240), (4, 480), (5, 600), (6, 600), (1_000, 600)]
)
def test_the_wait_doubles_from_one_minute_to_ten(dispatches: int, seconds: float) -> None:
    assert delay_after(dispatches, settings()) == timedelta(seconds=seconds)


def test_an_import_whose_row_was_made_anew_waits_like_a_new_one() -> None:
    start = 1_801 * DISPATCHES_OF_A_ROW
    assert [delay_after(start + sent, settings()).total_seconds() for sent in (1, 2, 1_000)] == [60, 120, 600]


def test_both_ends_are_settings() -> None:
    short = settings(dispatch_first_delay_seconds=0.5, dispatch_last_delay_seconds=3)
    assert [delay_after(number, short).total_seconds() for number in range(1, 6)] == [0.5, 1, 2, 3, 3]


def test_a_last_delay_below_the_first_wins() -> None:
    assert delay_after(1, settings(dispatch_last_delay_seconds=10)) == timedelta(seconds=10)

"""The checker is proved on eight bugs, each planted into a real service, and caught.

The same run without the bug is clean.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.planted import BUGS
from tests.chaos.planting import PLANS, Plan, verdict
from tests.stack import LiveStack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_there_is_a_plan_for_every_bug() -> None:
    assert set(PLANS) == set(BUGS) - {"none"}
    assert len(PLANS) == 8


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_a_planted_bug_is_caught(stack: LiveStack, tmp_path: Path, plan: Plan) -> None:
    violations = verdict(stack, tmp_path, plan, is_planted=True)
    assert plan.invariant in {each.partition(" ")[0] for each in violations}, violations


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_the_same_run_without_the_bug_is_clean(stack: LiveStack, tmp_path: Path, plan: Plan) -> None:
    assert verdict(stack, tmp_path, plan, is_planted=False) == []

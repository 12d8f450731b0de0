from __future__ import annotations

import pytest

from services.importer.model import TRANSITIONS, State, may_follow, sources_of

TERMINAL = {State.SUCCEEDED, State.FAILED, State.CANCELLED}


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("state", State)
def test_only_the_three_ends_are_terminal_and_nothing_follows_them(state: State) -> None:
    assert state.is_terminal == (state in TERMINAL)
    assert not any(may_follow(state, other) for other in State) or state not in TERMINAL


@pytest.mark.parametrize("state", [state for state in State if state not in TERMINAL])
def test_every_live_import_can_be_cancelled_and_can_fail(state: State) -> None:
    assert may_follow(state, State.CANCELLED)
    assert may_follow(state, State.FAILED)


def test_success_comes_only_from_running() -> None:
    assert sources_of(State.SUCCEEDED) == (State.RUNNING,)

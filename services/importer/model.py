"""The words of the importer: states of an import and what may follow what, kinds, lanes, targets, parser actions."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Terminal states are final."""

    OPEN = "OPEN"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        """True when nothing follows."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[State, frozenset[State]] = {
    State.OPEN: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    # RUNNING follows RUNNING when another worker takes over; QUEUED follows RUNNING for a retry after a pause.
    State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset(
        {State.RUNNING, State.QUEUED, State.PAUSED, State.SUCCEEDED, State.FAILED, State.CANCELLED}
    ),
    State.PAUSED: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


LIVE = tuple(state for state in State if not state.is_terminal)
"""The states of an import that has not ended."""


def may_follow(current: State, following: State) -> bool:
    """Whether `following` is allowed after `current`."""
    return following in TRANSITIONS[current]


def sources_of(following: State) -> tuple[State, ...]:
    """The states that `following` may come from, for the WHERE of its UPDATE."""
    return tuple(state for state, allowed in TRANSITIONS.items() if following in allowed)


class Kind(StrEnum):
    """An undo is queued, claimed, fenced, watched and cancelled like the import that it takes back."""

    IMPORT = "import"
    UNDO = "undo"


class Origin(StrEnum):
    """What an import was made for, when it was made from an earlier one."""

    RETRY = "retry"
    RERUN = "rerun"
    UNDO = "undo"


class TargetName(StrEnum):
    """What an import brings, in `imports.target`."""

    FINDINGS = "findings"
    PARSER_ACTIONS = "parser_actions"
    RECORDS = "records"
    OBJECTS = "objects"


class ActionCode(StrEnum):
    """What is done with a finding. PlexTrac's words, which mislead: DEFAULT forces the action's severity."""

    PASS_THROUGH = "PASS_THROUGH"  # noqa: S105  (no password)
    DEFAULT = "DEFAULT"
    LINK = "LINK"
    IGNORE = "IGNORE"


class Lane(StrEnum):
    """Two lanes by file size, so that a small import never waits behind a big one.

    The third is for what the fetcher takes: imports whose inputs are to be landed first.
    """

    SMALL = "small"
    LARGE = "large"
    FETCH = "fetch"

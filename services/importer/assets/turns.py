"""Whose turn it is: whether a run of an import source may begin, must wait, or is refused.

One rule for whatever begins a run: a start, a schedule, the retry or re-run of an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from dialects.assets.source_settings import SourceType
from runtime.errors import FailedPrecondition, ResourceExhausted
from services.importer.assets.places import source_not_found

MOST_WAITING = 100
"""Runs of one source that wait."""


@dataclass(frozen=True, slots=True)
class RunnableSource:
    """What a run needs of its source. `plan` None: there is no mapping yet."""

    import_source_id: UUID
    workspace_id: UUID
    name: str
    type: SourceType
    is_enabled: bool
    plan: Mapping[str, Any] | None
    file_key: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """How things stand when a run is to begin."""

    is_busy: bool
    """Another run of the source has not ended, or waits."""
    running: int
    """Places of the workspace that are taken. A run whose data is still being sent takes none."""
    waiting: int
    """Runs of the source that wait."""

    def is_full(self, most_running: int) -> bool:
        return self.running >= most_running


@dataclass(frozen=True, slots=True)
class Terms:
    """How a run is to begin. `most_running` is how many places its workspace has.

    `queue`: it may wait, for the end of another run of its source or for a place; `queues_for_place`: for that only.
    Not `takes_place`: its data is to be sent first, and until that is complete it needs none.
    """

    most_running: int
    queue: bool = False
    queues_for_place: bool = False
    takes_place: bool = True


class TurnSession(Protocol):
    """The part of a transaction that a turn is taken in."""

    async def lock_source(self, import_source_id: UUID) -> RunnableSource | None:
        """It is not changed until the session ends."""
        ...

    async def turn(self, source: RunnableSource) -> Turn:
        """It stays so until the session ends: nobody else gives or frees a place in the workspace."""
        ...


async def take_turn(session: TurnSession, import_source_id: UUID, terms: Terms) -> tuple[RunnableSource, bool]:
    """The source, locked, and whether the run must wait.

    Raises NotFound for a source that is not there, FailedPrecondition for one that cannot run (DISABLED,
    MISSING_MAPPING) or runs already (IN_PROGRESS), ResourceExhausted TOO_MANY_EXECUTIONS where there is no place.
    """
    source = await session.lock_source(import_source_id)
    if source is None:
        raise source_not_found()
    refuse_unfit(source)
    return source, _waits(await session.turn(source), terms)


def _waits(turn: Turn, terms: Terms) -> bool:
    lacks_place = terms.takes_place and turn.is_full(terms.most_running)
    if not turn.is_busy and not lacks_place:
        return False
    if turn.is_busy and not terms.queue:
        raise source_running()
    if not terms.queue and not terms.queues_for_place:
        raise ResourceExhausted(
            "TOO_MANY_EXECUTIONS",
            f"{terms.most_running} runs of this workspace are under way, and no more may be.",
            limit=str(terms.most_running),
        )
    if turn.waiting >= MOST_WAITING:
        raise ResourceExhausted(
            "TOO_MANY_EXECUTIONS",
            f"{MOST_WAITING} runs of this import source wait already.",
            limit=str(MOST_WAITING),
        )
    return True


def refuse_unfit(source: RunnableSource) -> None:
    """A source that is switched off, or has no mapping."""
    if not source.is_enabled:
        raise FailedPrecondition("DISABLED", "This import source is disabled.")
    if source.plan is None:
        raise FailedPrecondition("MISSING_MAPPING", "This import source has no mapping yet.")


def source_running() -> FailedPrecondition:
    return FailedPrecondition("IN_PROGRESS", "Another run of this import source has not ended yet.")

"""What people see of a running import: phase, percent and counters, written by the second and by nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ScalarSelect, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import import_claims, import_progress, imports
from services.importer.engine.claims import Claim
from services.importer.engine.target import Outcomes, Tally
from services.importer.model import State

READING_PERCENT = 90
LAST_PHASES = ("done", "failed", "cancelled", "paused")
COLUMNS = {
    "findings": "processed_findings",
    "assets": "processed_assets",
    "finding_assets": "processed_finding_assets",
    "evidence": "processed_evidence",
    "ignored": "ignored",
    "forced": "forced",
    "linked": "linked",
    "learned": "learned",
}
# Between the id of an object type and the name of one of its counters.
OF_TYPE = ":"


class Progress:
    """The state of one attempt that the engine moves and the heartbeat writes down."""

    def __init__(self, size: int, merge_steps: int) -> None:
        self._size = size
        # Waiting for the owner's lock is a step of the engine's own.
        self._merge_steps = merge_steps + 1
        self._step = 0
        self.phase = "starting"
        self.tally = Tally()
        self.is_closed = False
        """True from the last statements of the flip on: its own numbers are the final ones."""
        self.has_advanced = False
        """True once this attempt has committed a checkpoint of its own."""
        self.is_reported = False
        """True once the report of the rejected items is as complete as it will be."""

    def merging(self, phase: str) -> None:
        """The next step of the flip begins."""
        self.phase = phase
        self._step = min(self._step + 1, self._merge_steps)

    @property
    def percent(self) -> int:
        """0 to 90 by bytes, then to 99 by flip step; 100 is for a finished import. Without a file: 0 to 99 by step."""
        if self._step:
            read = READING_PERCENT if self._size else 0
            return read + self._step * (99 - read) // max(self._merge_steps, 1)
        return READING_PERCENT * self.tally.bytes // self._size if self._size else 0

    def values(self) -> dict[str, Any]:
        """The columns that move while it runs."""
        return {
            "phase": self.phase,
            "percent": self.percent,
            "processed_bytes": self.tally.bytes,
            "read": self.tally.read,
            "rejected": self.tally.rejected,
            **_entity_columns(self.tally.entities, self.tally.messages),
        }


async def write(connection: AsyncConnection, held: Claim, values: Mapping[str, Any]) -> None:
    """Writes progress of this attempt; an earlier attempt's is not touched."""
    await connection.execute(
        update(import_progress)
        .where(
            import_progress.c.tenant_id == held.job.tenant_id,
            import_progress.c.import_id == held.job.import_id,
            import_progress.c.attempt == held.attempt,
            # A report that was waiting for the flip's row lock must not write over the final numbers.
            import_progress.c.phase.not_in(LAST_PHASES),
        )
        # Not the beginning of the transaction: that of a flip is older than what was told since.
        .values(**values, updated_at=func.clock_timestamp())
    )


async def forgive(connection: AsyncConnection, held: Claim) -> None:
    """An attempt that got further than the one before starts the counts of crashes and retries anew.

    They are for imports that do not move.
    """
    await connection.execute(
        update(imports)
        .where(
            imports.c.tenant_id == held.job.tenant_id,
            imports.c.import_id == held.job.import_id,
            # What this attempt has counted at its own end is not for it to forgive.
            imports.c.state == State.RUNNING,
            (imports.c.crashes > 0) | (imports.c.retries > 0),
            _latest_attempt(held) == held.attempt,
        )
        .values(crashes=0, retries=0)
    )


def _latest_attempt(held: Claim) -> ScalarSelect[int]:
    return (
        select(import_claims.c.attempt)
        .where(import_claims.c.tenant_id == held.job.tenant_id, import_claims.c.import_id == held.job.import_id)
        .scalar_subquery()
    )


def final_values(tally: Tally, outcomes: Outcomes) -> dict[str, Any]:
    """The counters of a finished import: read is the sum of the outcomes."""
    cautions = [{"code": code, "message": kept[0], "count": kept[1]} for code, kept in sorted(tally.cautions.items())]
    return {
        "phase": "done",
        "percent": 100,
        "processed_bytes": tally.bytes,
        "read": tally.read,
        "inserted": outcomes.inserted,
        "updated": outcomes.updated,
        "unchanged": outcomes.unchanged,
        "deleted": outcomes.deleted,
        "skipped": outcomes.skipped + tally.empty,
        "rejected": tally.rejected + outcomes.rejected,
        "cautions": cautions,
        **_entity_columns(outcomes.entities, tally.messages),
    }


def _entity_columns(entities: Mapping[str, int], messages: Mapping[str, list[list[str]]]) -> dict[str, Any]:
    """Counters with a column of their own, and `entities`: {object type: {counter: number, "messages": [[…]]}}."""
    by_type: dict[str, dict[str, Any]] = {}
    for name, value in entities.items():
        type_id, is_of_type, counter = name.partition(OF_TYPE)
        if is_of_type:
            by_type.setdefault(type_id, {})[counter] = value
    for type_id, each in messages.items():
        by_type.setdefault(type_id, {})["messages"] = each
    return {**{column: entities.get(name, 0) for name, column in COLUMNS.items()}, "entities": by_type}

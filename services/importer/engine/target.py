"""What the engine asks of a target."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from services.importer.engine.frames import Rejected
from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import UndoKind
from services.importer.model import Kind, Origin
from services.importer.policy import Options
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.records.demands import Demands

Asked = Demands | ObjectPlan
"""What a job asks of its file besides its syntax, or how it is to be read."""


@dataclass(frozen=True, slots=True)
class Job:
    """One import as the engine and its target see it."""

    tenant_id: int
    import_id: UUID
    client_id: int
    report_id: int | None
    source: str
    asset_tags: tuple[str, ...]
    finding_tags: tuple[str, ...]
    use_parser_actions: bool
    kind: Kind = Kind.IMPORT
    origin: Origin | None = None
    origin_import_id: UUID | None = None
    options: Options = field(default_factory=Options)
    key: str = ""
    workspace_id: UUID | None = None
    """Of records only; what they are, the file says: the two are empty until its header has been staged."""
    entity_type: str = ""
    data_source: str = ""
    import_source_id: UUID | None = None
    """Of objects only, like the mapping by which they are read and merged: targets/objects/plan.py, as it is stored."""
    plan: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Tally:
    """What has been counted so far. It is part of each checkpoint, so a resumed attempt counts on from there.

    `staged` are items with rows in staging; `entities` are the target's own counters by name, those of an object type
    by `type:name`; `messages` is the id of an object type -> [code, message] of the first errors that it had, as many
    as the target keeps; `cautions` is code -> [message, count].
    """

    read: int = 0
    staged: int = 0
    rejected: int = 0
    bytes: int = 0
    entities: dict[str, int] = field(default_factory=dict)
    cautions: dict[str, list[Any]] = field(default_factory=dict)
    messages: dict[str, list[list[str]]] = field(default_factory=dict)

    @property
    def empty(self) -> int:
        """Items without a row of their own: ignored, or said before in the file."""
        return self.read - self.staged - self.rejected

    def caution(self, code: str, message: str, count: int = 1) -> None:
        """Counts a caution; the first message of its code is kept."""
        self.cautions.setdefault(code, [message, 0])[1] += count


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the staged items (their sum), and the target's final counters.

    `rejected` are items that only the merge could find unusable; their errors are in staging (engine/row_errors.py).
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    rejected: int = 0
    entities: Mapping[str, int] = field(default_factory=dict)
    cautions: Sequence[tuple[str, str, int]] = ()


class Stager(Protocol):
    """Turns records into staging rows and collects them for the next chunk."""

    weight: int
    """Bytes waiting, about."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the file says of itself, as columns of `imports`; the runner writes it with the next chunk."""

    def add(self, ordinal: int, records: Iterable[Any]) -> int:
        """Takes the records of an item, or the one of a run of them; answers how many items have a row (not: cautions).

        Ordinal 0: they are about the file and no item of it. A run has the ordinals from this one on.
        """

    def reject(self, rejected: Rejected) -> None:
        """Is told of an item that could not be used. The engine has counted it."""

    def take(self) -> Mapping[Table, list[tuple[Any, ...]]]:
        """The rows by staging template, in the order of its columns; the stager is empty afterwards."""


class ErrorFile(Protocol):
    """How rejected items become a file again: behind the header of theirs, as they stand, and before a footer."""

    def is_counted(self, raw: str) -> bool:
        """Whether the footer counts this item."""

    def footer(self, count: int) -> str:
        """The last line, with its end."""


Step = Callable[[str], Awaitable[None]]
"""Told before each step of a merge, in words for people (`merging assets`)."""


class Target(Protocol):
    """Record types, staging tables and merge; no more."""

    name: str
    record_type: Any
    templates: Sequence[Table]
    merge_steps: int
    """How often `merge` says a step."""
    undo_kinds: Sequence[UndoKind]
    """Its rows as an undo sees them, children before parents."""
    error_file: ErrorFile | None
    """None: what was rejected is only told, because no file can be made of it."""

    def reads_assets(self, job: Job) -> bool:
        """Whether the file is read for client assets alone: the same source may then be read by another format."""

    async def demands(self, connection: AsyncConnection, job: Job) -> Asked | None:
        """What the job asks of its file besides its syntax (`Format.adapt`); None: nothing."""

    def stager(self, job: Job, tally: Tally) -> Stager:
        """A stager that counts into `tally`."""

    async def lock(self, connection: AsyncConnection, job: Job) -> None:
        """Takes the advisory lock of the job's owner to the end of the transaction: one flip or undo at a time."""

    async def merge(
        self, connection: AsyncConnection, job: Job, staged: Mapping[Table, str], family: str, tally: Tally, step: Step
    ) -> Outcomes:
        """Merges staging into the target tables inside the caller's transaction.

        `staged` gives the qualified name of this import's copy of each template. The caller holds the lock.
        """

    async def release(self, sql: Statements) -> None:
        """The end of an undo: takes back what has no row of its own in `undo_kinds`, such as tags in use.

        `:tenant`, `:undone` (the import), `:flip_number`, `:client` and `:report` are given.
        """

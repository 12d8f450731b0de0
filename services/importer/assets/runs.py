"""What a run of an import source is made of, and what the tables of runs are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from dialects.assets.source_settings import EXTERNAL, SourceType
from services.importer.assets.turns import RunnableSource
from services.importer.model import Lane, State
from services.importer.policy import Options
from services.importer.ports import ImportSession
from services.importer.snapshot import Snapshot


def format_source(type_: SourceType) -> str:
    """What the registry of formats knows the data of a source by, and `imports.source` says."""
    # The fetcher lands JSON lines.
    return {"csv": "objects-csv", EXTERNAL: "objects-chunk"}.get(type_, "objects-json")


@dataclass(frozen=True, slots=True)
class Execution:
    """A run and its source."""

    source: RunnableSource
    run: Snapshot


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a run is to be done.

    `queue`: it may wait, for the end of another run of its source or for a place; `queues_for_place`: for that only.
    """

    dry_run: bool = False
    force: bool = False
    queue: bool = False
    queues_for_place: bool = False
    is_scheduled: bool = False


@dataclass(frozen=True, slots=True)
class Runner:
    """On whose behalf a run is."""

    tenant_id: int
    user_id: int
    user_email: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file as a run reads it: `key` as the API calls it, `object_key` that in the bucket. Size in bytes."""

    key: str
    name: str
    object_key: str
    etag: str
    size: int
    options: Options


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run as it is written down.

    `open_for` is set while data is to be sent for it, and `failure` (code, message) for one that could not begin and
    stands in the history only.
    """

    import_id: UUID
    source: RunnableSource
    runner: Runner
    state: State
    lane: Lane
    file: File | None = None
    options: Options = field(default_factory=Options)
    is_scheduled: bool = False
    waits: bool = False
    open_for: timedelta | None = None
    failure: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose data is being sent, locked. `size` is that of all pieces so far, in bytes, `pieces` how many."""

    state: State
    waits: bool
    size: int
    pieces: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A stored piece of the data of a run. `chunk_id` is empty where the client gave none; `digest` is a SHA-256."""

    object_key: str
    etag: str
    size: int
    chunk_id: str
    digest: bytes


class RunSession(ImportSession, Protocol):
    """One transaction on the runs of a tenant's sources."""

    async def add_run(self, new: NewRun) -> None: ...

    async def lock_open(self, import_source_id: UUID, import_id: UUID) -> OpenRun | None:
        """Whatever its state is."""
        ...

    async def digest_of(self, import_id: UUID, chunk_id: str) -> bytes | None:
        """Of the piece that the client calls so."""
        ...

    async def add_piece(self, import_id: UUID, number: int, piece: Piece) -> None: ...

    async def keep_open(self, import_id: UUID, life: timedelta, most: timedelta) -> None:
        """For so long from now on; no longer than `most` since it was started."""
        ...

    async def close(self, import_id: UUID, lane: Lane, *, waits: bool) -> None:
        """OPEN to QUEUED: all data is there. It takes its place now, or waits for one."""
        ...

    async def end_failed(self, import_id: UUID, code: str, message: str) -> None:
        """Of a run that no worker has."""
        ...

    async def tell_progress(self, import_id: UUID, told: Mapping[str, Any]) -> None: ...

    async def overdue_for(self, import_id: UUID) -> timedelta | None:
        """The age of a run that is open and should not be any more; None for any other. Locks it."""
        ...

    async def pass_on(self, workspace_id: UUID, limit: int) -> int:
        """Gives free places and sources of the workspace to runs that wait; answers to how many."""
        ...


class RunStore(Protocol):
    """The runs of import sources, by tenant."""

    async def source(self, tenant_id: int, import_source_id: UUID) -> RunnableSource | None: ...

    async def find(self, tenant_id: int, import_source_id: UUID, import_id: UUID) -> Snapshot | None:
        """A run of this source."""
        ...

    async def waiting_workspaces(self, tenant_id: int) -> list[UUID]:
        """Those in which runs wait."""
        ...

    def session(self, tenant_id: int) -> AbstractAsyncContextManager[RunSession]: ...

"""What the use cases ask of the outside: the tables of imports, what can be imported into, and the object store."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from runtime.objects import ObjectInfo
from services.importer.assets.turns import TurnSession
from services.importer.model import Kind, Lane, State
from services.importer.snapshot import NewImport, Snapshot


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a trigger names."""

    client_id: int
    report_id: int | None
    key: str
    user_id: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """An import that this user has triggered with the same request id."""

    import_id: UUID
    request_digest: bytes
    key: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database knows of it; None: there is no such thing in this tenant."""

    file_name: str | None
    client_name: str | None
    report_name: str | None
    max_file_bytes: int | None
    earlier: Earlier | None
    file_sha256: bytes | None = None
    """As the uploader has declared it."""
    declared_size: int = 0
    """The same; bytes, 0: not said."""
    file_age: timedelta = timedelta()
    """Since the upload was asked for, or, of one in parts, was completed."""


@dataclass(frozen=True, slots=True)
class StoredInput:
    """One object that an import reads, as its trigger has pinned it."""

    object_key: str
    etag: str
    is_purged: bool


@dataclass(frozen=True, slots=True)
class Locked:
    """An import whose state nobody else changes until the session ends. Times are by the database's clock."""

    state: State
    kind: Kind
    lane: Lane
    target: str
    client_id: int
    user_id: int
    traceparent: str
    has_live_lease: bool
    attempt: int = 0
    """Attempts begun so far."""
    is_waiting: bool = False
    """Whether its next attempt is put off."""
    is_merging: bool = False
    """Whether it was seen in its flip, up to a second ago."""
    is_resumable: bool = False
    """Whether what a failed import has staged is still kept."""
    ended_for: timedelta | None = None
    """Since when it has ended; None: it has not."""
    requested: str | None = None
    """What the worker has been asked for and has not done yet: cancel or pause."""
    import_source_id: UUID | None = None
    """Of objects only."""
    waits: bool = False
    """Whether it is another run's turn; the dispatcher does not know it then."""


class ImportSession(TurnSession, Protocol):
    """One transaction on the imports of a tenant."""

    async def lock(self, import_id: UUID) -> Locked | None: ...

    async def end_cancelled(self, import_id: UUID, message: str) -> None:
        """The terminal state, at once: no worker has it."""
        ...

    async def request_cancel(self, import_id: UUID, user_id: int) -> None:
        """A word to the worker that runs it. Asking twice is asking once."""
        ...

    async def request_pause(self, import_id: UUID, user_id: int) -> None:
        """The same for a pause. A cancel that was asked for stays one."""
        ...

    async def withdraw_pause(self, import_id: UUID) -> None:
        """As if nobody had asked. A cancel stays."""
        ...

    async def pause(self, import_id: UUID) -> None:
        """QUEUED to PAUSED: the dispatcher does not know it any more."""
        ...

    async def resume(self, import_id: UUID, locked: Locked) -> None:
        """PAUSED to QUEUED, at once."""
        ...

    async def dispatch_now(self, import_id: UUID, locked: Locked) -> None: ...

    async def inputs(self, import_id: UUID) -> tuple[StoredInput, ...]:
        """In reading order."""
        ...

    async def retry_of(self, import_id: UUID) -> UUID | None:
        """The retry of this import that is under way or has succeeded."""
        ...

    async def undo_of(self, import_id: UUID, *, dry_run: bool) -> UUID | None:
        """The undo of this import that is under way."""
        ...

    async def add(self, new: NewImport) -> bool:
        """Queues an import that is made from an earlier one; False: there is such a one already."""
        ...

    async def read(self, import_id: UUID) -> Snapshot: ...


class ImportStore(Protocol):
    """The imports of each tenant."""

    async def facts(self, tenant_id: int, lookup: Lookup) -> Facts: ...

    async def is_read(self, tenant_id: int, object_key: str) -> bool:
        """Whether an import of the tenant reads this object, or has read it and keeps it."""
        ...

    async def insert(self, tenant_id: int, new: NewImport) -> datetime | None:
        """When it was created; None: this user has triggered an import with this request id meanwhile."""
        ...

    async def read(self, tenant_id: int, import_id: UUID) -> Snapshot: ...

    def session(self, tenant_id: int) -> AbstractAsyncContextManager[ImportSession]: ...


@dataclass(frozen=True, slots=True)
class NewClient:
    name: str
    description: str = ""
    poc: str = ""
    poc_email: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewReport:
    client_id: int
    name: str
    description: str = ""
    status: str = ""
    tags: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant may use at most; None: the installation's default."""

    max_file_bytes: int | None
    max_running_imports: int | None


class EngagementStore(Protocol):
    """The clients, reports and limits of each tenant."""

    async def add_client(self, tenant_id: int, client: NewClient) -> int: ...

    async def add_report(self, tenant_id: int, report: NewReport) -> int | None:
        """None: there is no such client."""
        ...

    async def limits(self, tenant_id: int) -> Limits: ...

    async def set_limits(self, tenant_id: int, limits: Limits) -> None: ...


class Objects(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    def object_key(self, key: str) -> str: ...

    async def head(self, object_key: str) -> ObjectInfo: ...

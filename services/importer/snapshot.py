"""An import as it stands, for the answers to commands; and what is needed to make one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.importer.model import Kind, Lane, Origin, State
from services.importer.policy import Options


@dataclass(frozen=True, slots=True)
class NewImport:
    """All that a trigger decides.

    One that was made from an earlier import has that import's inputs (an undo has none); `object_key` and `etag` are
    empty then.
    """

    import_id: UUID
    client_id: int
    report_id: int | None
    target: str
    source: str
    key: str
    file_name: str
    file_type: str
    file_size: int
    object_key: str
    etag: str
    lane: Lane
    asset_tags: tuple[str, ...]
    finding_tags: tuple[str, ...]
    use_parser_actions: bool
    user_id: int
    user_email: str
    request_id: str | None
    request_digest: bytes | None
    traceparent: str
    options: Options = field(default_factory=Options)
    kind: Kind = Kind.IMPORT
    origin: Origin | None = None
    origin_import_id: UUID | None = None
    workspace_id: UUID | None = None
    entity_type: str | None = None
    data_source: str | None = None
    action_id: str | None = None
    description: str | None = None
    import_source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a person should know that cost no record."""

    code: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class UndoCount:
    """How many rows of one kind an undo has removed, restored or kept; `reason` says why they were kept."""

    kind: str
    action: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One import with its progress. Names of client and report are those of now."""

    tenant_id: int
    import_id: UUID
    client_id: int
    client_name: str
    report_id: int | None
    report_name: str
    source: str
    key: str
    file_name: str
    file_type: str
    file_size: int
    state: State
    user_id: int
    user_email: str
    asset_tags: tuple[str, ...]
    finding_tags: tuple[str, ...]
    use_parser_actions: bool
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error_code: str = ""
    error_message: str = ""
    error_position: str = ""
    phase: str = "queued"
    percent: int = 0
    attempt: int = 0
    cancel_requested: bool = False
    counters: dict[str, int] = field(default_factory=dict)
    """By the name in `hythe.importer.v1.Counters`."""
    cautions: tuple[Caution, ...] = ()
    kind: Kind = Kind.IMPORT
    options: Options = field(default_factory=Options)
    content_sha256: bytes | None = None
    duplicate_of: UUID | None = None
    origin: Origin | None = None
    origin_import_id: UUID | None = None
    undone_by: UUID | None = None
    undone_at: datetime | None = None
    pause_requested: bool = False
    resumable_until: datetime | None = None
    undo: tuple[UndoCount, ...] = ()
    workspace_id: UUID | None = None
    """Of records and objects only."""
    action_id: str | None = None
    description: str | None = None
    entity_type: str | None = None
    data_source: str | None = None
    reference_id: str | None = None
    import_source_id: UUID | None = None
    """Of objects only, as the rest."""
    waits: bool = False
    is_scheduled: bool = False
    open_until: datetime | None = None

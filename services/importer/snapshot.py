"""An import as it stands, for the answers to commands; and what is needed to make one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.importer.model import Lane, State


@dataclass(frozen=True, slots=True)
class NewImport:
    """All that a trigger decides."""

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


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a person should know that cost no record."""

    code: str
    message: str
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

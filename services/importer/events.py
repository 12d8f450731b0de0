"""The end of an import as an event: what is told of it, to internal services and to webhooks.

An import ends once, so its event's id is derived from its own. Whatever is repeated after a crash is the same event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.importer.model import Kind, State

ENDED = "import.ended"


def event_id_of(import_id: UUID) -> str:
    """Of the only event that an import has."""
    return f"{import_id}.ended"


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished import. Names of client and report are those of the moment in which the event is made."""

    tenant_id: int
    import_id: UUID
    state: State
    kind: Kind
    ended_at: datetime
    dry_run: bool
    origin: str | None
    origin_import_id: UUID | None
    duplicate_of: UUID | None
    client_id: int
    client_name: str
    report_id: int | None
    report_name: str
    source: str
    file_name: str
    file_size: int
    user_id: int
    created_at: datetime
    started_at: datetime | None
    error_code: str
    error_message: str
    error_position: str
    counters: dict[str, int] = field(default_factory=dict)


def subject_of(ended: Ended) -> str:
    """Where the event is published on NATS."""
    return f"events.{ended.tenant_id}.{ended.state.lower()}"


def notice_of(ended: Ended) -> bytes:
    """JSON for internal services: ids and state, and nothing that belongs to the tenant."""
    return msgspec.json.encode(
        {
            "event_id": event_id_of(ended.import_id),
            "type": ENDED,
            "tenant_id": ended.tenant_id,
            "import_id": ended.import_id,
            "state": ended.state,
            "kind": ended.kind,
            "ended_at": ended.ended_at,
        }
    )


def body_of(ended: Ended) -> str:
    """JSON for webhooks: the import as people see it, without a row of its file. docs/events.md has each member."""
    body: dict[str, Any] = {
        "event_id": event_id_of(ended.import_id),
        "type": ENDED,
        "created_at": ended.ended_at,
        "import": {
            "import_id": ended.import_id,
            "kind": ended.kind,
            "state": ended.state,
            "dry_run": ended.dry_run,
            "origin": ended.origin,
            "origin_import_id": ended.origin_import_id,
            "duplicate_of": ended.duplicate_of,
            "tenant_id": ended.tenant_id,
            "client_id": ended.client_id,
            "client_name": ended.client_name,
            "report_id": ended.report_id,
            "report_name": ended.report_name,
            "source": ended.source,
            "file_name": ended.file_name,
            "file_size_bytes": ended.file_size,
            "user_id": ended.user_id,
            "create_time": ended.created_at,
            "start_time": ended.started_at,
            "end_time": ended.ended_at,
            "error": (
                {"code": ended.error_code, "message": ended.error_message, "position": ended.error_position}
                if ended.error_code
                else None
            ),
            "counters": ended.counters,
        },
    }
    return msgspec.json.encode(body).decode()

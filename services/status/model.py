"""What the read side knows: imports as everybody sees them, and what may be asked of a list.

Rows of what was imported (findings, assets, clients, reports) stay mappings of column names: they are read to be shown,
and nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

Row = Mapping[Any, Any]
"""Values by column name."""
Batches = AsyncGenerator[Sequence[Row], None]
"""Rows as a cursor gives them."""

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
COMPLETE_PERCENT = 100
IMPORT, UNDO = "import", "undo"
NO_CLIENT = 0
"""What an import goes into that belongs to no client, such as one of records."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What an import has done so far; names as in the table and in the native API."""

    processed_bytes: int = 0
    processed_findings: int = 0
    processed_assets: int = 0
    processed_finding_assets: int = 0
    processed_evidence: int = 0
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    rejected: int = 0
    ignored: int = 0
    forced: int = 0
    linked: int = 0
    learned: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """One import, with its progress and the names of what it goes into."""

    tenant_id: int
    import_id: UUID
    client_id: int
    report_id: int | None
    source: str
    key: str
    file_name: str
    file_type: str
    file_size: int
    state: str
    percent: int
    phase: str
    counters: Counters
    cautions: tuple[Mapping[str, Any], ...]
    error_code: str | None
    error_message: str | None
    error_position: str | None
    attempt: int
    asset_tags: tuple[str, ...]
    finding_tags: tuple[str, ...]
    use_parser_actions: bool
    user_id: int
    user_email: str
    cancel_requested: bool
    client_name: str
    report_name: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    kind: str = IMPORT
    origin: str | None = None
    origin_import_id: UUID | None = None
    dry_run: bool = False
    force: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)
    expected_sha256: bytes | None = None
    content_sha256: bytes | None = None
    duplicate_of: UUID | None = None
    undone_by: UUID | None = None
    undone_at: datetime | None = None
    pause_requested: bool = False
    resumable_until: datetime | None = None
    undo: tuple[Mapping[str, Any], ...] = ()
    """Of an undo: kind, action, reason and count."""
    workspace_id: UUID | None = None
    entity_type: str | None = None
    data_source: str | None = None
    reference_id: str | None = None
    """Of records; these three once the header of the file was read."""
    action_id: str | None = None
    description: str | None = None
    """What the client follows its action by, and says of it."""

    @property
    def is_terminal(self) -> bool:
        """True when nothing follows."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class RowError:
    """One rejected item of a file."""

    record_number: int
    position: str
    field: str
    code: str
    message: str
    value: str
    raw: str = ""
    """Its beginning as it stands in the file, of targets whose reports repeat it."""


@dataclass(frozen=True, slots=True)
class UndoItem:
    """One row that an undo has decided on."""

    number: int
    kind: str
    action: str
    reason: str
    name: str
    by_import_id: UUID | None


@dataclass(frozen=True, slots=True)
class SignedReport:
    """Where a report can be read until it expires. The URL is a credential: it is never logged, so no repr shows it."""

    url: str = field(repr=False)
    expires_at: datetime


class Match(Enum):
    """How a condition compares."""

    ONE_OF = auto()
    """The column is one of the values."""
    CONTAINS = auto()
    """The column, a text or a list of texts, contains one of the values, whatever the case."""
    ANY_ELEMENT = auto()
    """The column, a list, has one of the values as an element."""
    NO_ELEMENT = auto()
    """The column, a list, is empty."""
    BETWEEN = auto()
    """The column lies between two values, both included; None leaves that end open."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter. `column` is a name that the list's store module knows."""

    column: str
    match: Match
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A page by offset."""

    offset: int
    limit: int
    orders: tuple[Order, ...] = ()
    conditions: tuple[Condition, ...] = ()
    is_empty: bool = False
    """True when a condition cannot hold for anything we store."""

"""What the upload service knows of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.upload.plan import Plan


@dataclass(frozen=True, slots=True)
class Description:
    """What a client says of a file of records."""

    action_id: str
    """What it follows its action by."""
    entity_type: str = ""
    folder: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file of records in a workspace, beside its row of `files`."""

    key: str
    file_name: str
    workspace_id: UUID
    workspace: str
    """The workspace's name."""
    bucket_id: str
    description: Description

    @property
    def file_id(self) -> str:
        """The first segment of the key, which is unique by itself."""
        return self.key.partition("/")[0]


@dataclass(frozen=True, slots=True)
class NewFile:
    """A key to be reserved for a user."""

    key: str
    file_name: str
    declared_size: int
    """Bytes; 0: not said."""
    user_id: int
    life: timedelta
    """How long from now the file may be written; the database's clock counts."""
    sha256: bytes | None = None
    """Of the bytes, as the client says."""
    multipart_id: str | None = None
    """The object store's id of an upload in parts; None: one PUT."""
    part_size: int | None = None
    """Bytes of each part but the last."""
    record_file: RecordFile | None = None
    """Where it is a file of records."""


@dataclass(frozen=True, slots=True)
class File:
    """A reserved key. Fields as in NewFile."""

    key: str
    file_name: str
    created_at: datetime
    expires_at: datetime
    declared_size: int = 0
    sha256: bytes | None = None
    multipart_id: str | None = None
    part_size: int | None = None
    completed_at: datetime | None = None
    """When its parts were put together; None: not yet, or there are none."""

    @property
    def plan(self) -> Plan | None:
        """How it is cut; None: it is sent by one PUT."""
        return Plan(self.declared_size, self.part_size) if self.part_size else None


@dataclass(frozen=True, slots=True)
class Upload:
    """A reserved key and what stands under it."""

    file: File
    size_bytes: int | None = None
    """Of the object; None: there is none yet."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an upload, from 1. `url` and its end are there until it has arrived."""

    number: int
    offset: int
    size_bytes: int
    url: str | None = None
    expires_at: datetime | None = None

    @property
    def is_uploaded(self) -> bool:
        return self.url is None

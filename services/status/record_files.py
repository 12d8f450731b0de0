"""Files of records, and what has become of them as imports and the object store tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

from runtime.auth import Principal
from runtime.database import Database
from runtime.errors import NotFound
from runtime.objects import ObjectMissing, StorageUnavailable, StoredObject
from services.status.imports import Imports
from services.status.model import Import, Row
from services.status.records import check_reader
from services.status.store import record_files as store

LONGEST_ID = 64
# What a worker says it does before it has read the file to its end.
READING_PHASES = frozenset({"", "queued", "paused", "starting", "scanning", "staging"})


class FileState(Enum):
    """Names as in the native API and, in their own spelling, in the AppFile API."""

    PENDING_UPLOAD = "PENDING_UPLOAD"
    UPLOADED = "UPLOADED"
    QUEUED = "QUEUED"
    VALIDATING = "VALIDATING"
    IMPORTING = "IMPORTING"
    IMPORTED = "IMPORTED"
    IMPORTED_WITH_ERRORS = "IMPORTED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file, what was said of it, and its last import. `size` is in bytes, 0 while it is not there."""

    file_id: str
    key: str
    file_name: str
    workspace_id: UUID
    workspace: str
    bucket_id: str
    entity_type: str
    folder: str
    category: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    action_id: str
    description: str
    created_at: datetime
    uploaded_at: datetime | None
    size: int
    state: FileState
    imported: Import | None


class Objects(Protocol):
    """The object store, as far as it is asked about uploads."""

    def object_key(self, key: str) -> str: ...

    async def describe(self, object_key: str) -> StoredObject: ...


class RecordFiles:
    """Those of a tenant's workspaces."""

    def __init__(self, database: Database, imports: Imports, objects: Objects) -> None:
        self._database = database
        self._imports = imports
        self._objects = objects

    async def get(self, principal: Principal, file_id: str, workspace_id: UUID | None) -> RecordFile:
        """`workspace_id` None: whichever it belongs to. Raises NotFound also for one of another workspace."""
        check_reader(principal)
        tenant_id = principal.tenant_id
        async with self._database.transaction(tenant_id) as connection:
            found = await store.find_record_file(connection, tenant_id, file_id)
            if found is None or workspace_id not in (None, found["workspace_id"]):
                raise unknown_file(file_id)
            import_id = await store.last_import(connection, tenant_id, found["key"])
        imported = None if import_id is None else await self._imports.fetch(tenant_id, import_id)
        return record_file(found, imported, await self._stored(found["key"], imported))

    async def _stored(self, key: str, imported: Import | None) -> StoredObject | None:
        """None also when it cannot be said of a file whose import tells enough."""
        try:
            return await self._objects.describe(self._objects.object_key(key))
        except ObjectMissing:
            return None
        except StorageUnavailable:
            if imported is None:
                raise
            return None


def record_file(found: Row, imported: Import | None, stored: StoredObject | None) -> RecordFile:
    """A row of store.record_files with what else is known of it."""
    return RecordFile(
        **{name: found[name] for name in ("file_id", "key", "file_name", "workspace_id", "workspace", "bucket_id")},
        **{name: found[name] for name in ("entity_type", "folder", "category", "metadata", "action_id", "description")},
        tags=tuple(found["tags"]),
        created_at=found["created_at"],
        # Object stores tell whole seconds, so that a file may seem older than its URL.
        uploaded_at=None if stored is None else max(stored.modified_at, found["created_at"]),
        size=imported.file_size if imported is not None else 0 if stored is None else stored.size,
        state=file_state(imported, is_stored=stored is not None, is_expired=found["expires_at"] <= datetime.now(UTC)),
        imported=imported,
    )


def file_state(imported: Import | None, *, is_stored: bool, is_expired: bool) -> FileState:
    """`is_expired`: nothing can be put to its URL any more."""
    if imported is None:
        if is_stored:
            return FileState.UPLOADED
        return FileState.EXPIRED if is_expired else FileState.PENDING_UPLOAD
    match imported.state:
        case "SUCCEEDED":
            return FileState.IMPORTED_WITH_ERRORS if imported.counters.rejected else FileState.IMPORTED
        case "FAILED":
            return FileState.FAILED
        case "CANCELLED":
            return FileState.CANCELLED
        case "RUNNING":
            return FileState.VALIDATING if imported.phase in READING_PHASES else FileState.IMPORTING
    return FileState.QUEUED


def unknown_file(file_id: str) -> NotFound:
    # The text is the caller's: no more of it is repeated than an id has.
    shown = file_id[:LONGEST_ID]
    return NotFound("FILE_NOT_FOUND", f"There is no file {shown}.", file_id=shown)

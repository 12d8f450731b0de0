"""Triggering imports of records: which file and workspace are meant, and whether that file has been imported already.

All else is as with any import (imports.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import structlog

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition, NotFound, PermissionDenied
from runtime.objects import ObjectMissing
from runtime.texts import checked_text
from services.importer.imports import ALREADY_RUNNING, MAX_KEY_LENGTH, NO_CLIENT, Imports, Trigger, already_running
from services.importer.model import TargetName
from services.importer.policy import Options
from services.importer.ports import ImportStore, Objects
from services.importer.snapshot import Snapshot

log = structlog.get_logger(__name__)

CC5, JSON = "cc5", "json"
MAX_TEXT = 255
MAX_DESCRIPTION = 4_000


@dataclass(frozen=True, slots=True)
class RecordTrigger:
    """The command to import an uploaded file of records.

    `file_id` may be its key, too. `workspace` (id or name) and `bucket_id` are what the caller means; empty: those of
    the file. `action_id` and `description`, empty: as they were said when the file was announced.
    """

    file_id: str
    file_type: str
    workspace: str = ""
    bucket_id: str = ""
    request_id: str = ""
    action_id: str = ""
    description: str = ""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class RecordFile:
    """What the upload service has noted of a file."""

    file_id: str
    key: str
    workspace_id: UUID
    action_id: str
    description: str
    file_name: str = ""
    bucket_id: str = ""
    entity_type: str = ""
    folder: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """The latest import of a file that stands or has not ended, and what it was pinned to."""

    import_id: UUID
    etag: str
    source: str
    is_live: bool


class Workspace(Protocol):
    """What is needed of a workspace."""

    @property
    def workspace_id(self) -> UUID: ...


class Workspaces(Protocol):
    """The part of `runtime.workspaces.RemoteWorkspaces` that is used here."""

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Workspace: ...


class RecordFileStore(Protocol):
    """Files of records, and what was imported of them."""

    async def find(self, tenant_id: int, file_id: str) -> RecordFile | None:
        """By its id or its key."""
        ...

    async def imported(self, tenant_id: int, file: RecordFile) -> Imported | None: ...


class RecordImports:
    """The trigger of files of records."""

    def __init__(
        self,
        files: RecordFileStore,
        store: ImportStore,
        objects: Objects,
        workspaces: Workspaces,
        imports: Imports,
    ) -> None:
        self._files = files
        self._store = store
        self._objects = objects
        self._workspaces = workspaces
        self._imports = imports

    async def file(self, principal: Principal, file_id: str) -> RecordFile:
        """By its id or its key; NotFound for one that is not this tenant's.

        Workspaces have no clients, so who is limited to some has no part in them.
        """
        if principal.client_ids is not None:
            raise PermissionDenied(
                "CLIENT_GRANTS", "Your account is limited to certain clients; a workspace is for all of them."
            )
        is_possible = 0 < len(file_id) <= MAX_KEY_LENGTH and "\0" not in file_id
        file = await self._files.find(principal.tenant_id, file_id) if is_possible else None
        if file is None:
            raise file_not_found()
        return file

    async def start(self, principal: Principal, asked: RecordTrigger) -> Snapshot:
        """The queued import; or, without force, the one that this file has had as it is now, or is having.

        Raises NotFound for a file or workspace that is not the caller's, FailedPrecondition while the file is not
        there, and while an import of it runs that this one would repeat by force or for another content.
        """
        file = await self._file(principal, asked)
        note_object(file_id=file.file_id)
        trigger = Trigger(
            client_id=NO_CLIENT,
            report_id=None,
            source=source_of(asked.file_type),
            key=file.key,
            request_id=asked.request_id,
            options=asked.options,
            target=TargetName.RECORDS,
            workspace_id=file.workspace_id,
            action_id=checked_text("action_id", asked.action_id, max_length=MAX_TEXT) or file.action_id,
            description=checked_text("description", asked.description, max_length=MAX_DESCRIPTION) or file.description,
        )
        earlier = await self._earlier(principal, file, trigger)
        if earlier is not None:
            return earlier
        try:
            return await self._imports.create(principal, trigger)
        except FailedPrecondition as error:
            if error.reason != ALREADY_RUNNING:
                raise
        # Another call for this file was faster by a moment.
        raced = await self._earlier(principal, file, trigger)
        if raced is None:
            raise already_running()
        return raced

    async def _file(self, principal: Principal, asked: RecordTrigger) -> RecordFile:
        """The file, where it is in the workspace that the caller means, and that is open."""
        file = await self.file(principal, asked.file_id)
        meant = await self._workspaces.find(principal, asked.workspace or str(file.workspace_id), asked.bucket_id)
        if meant.workspace_id != file.workspace_id:
            raise file_not_found()
        return file

    async def _earlier(self, principal: Principal, file: RecordFile, trigger: Trigger) -> Snapshot | None:
        """The import that makes this one superfluous. A dry run makes nothing so, and is never superfluous itself."""
        if trigger.options.dry_run:
            return None
        found = await self._files.imported(principal.tenant_id, file)
        if found is None:
            return None
        if found.is_live and trigger.options.force:
            raise already_running()
        is_same = found.source == trigger.source and await self._is_still(file, found.etag)
        if trigger.options.force or not is_same:
            if found.is_live:
                raise already_running()
            return None
        note_object(import_id=found.import_id)
        log.info("file imported already", import_id=str(found.import_id))
        return await self._store.read(principal.tenant_id, found.import_id)

    async def _is_still(self, file: RecordFile, etag: str) -> bool:
        """Also of an object that is not kept any more: the import that has read it is all there is of the file."""
        try:
            return (await self._objects.head(self._objects.object_key(file.key))).etag == etag
        except ObjectMissing:
            return True


def source_of(file_type: str) -> str:
    """One source reads both kinds of file, by what is in them; an unknown one is refused with all others."""
    wanted = file_type.strip().lower()
    return CC5 if wanted == JSON else wanted


def file_not_found() -> NotFound:
    return NotFound("FILE_NOT_FOUND", "There is no such file.")

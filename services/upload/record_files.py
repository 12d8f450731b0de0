"""Files of records: uploads that belong to a workspace, with what the client says of them.

The file itself is an upload like any other. Its id is the first segment of its key, which is all that a client needs
to name it.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from runtime.auth import Principal, note_object
from runtime.errors import InvalidArgument, PermissionDenied
from runtime.texts import checked_text
from runtime.workspaces import Workspace
from services.upload.landing import Landings
from services.upload.model import Description, RecordFile, Upload
from services.upload.names import checked_file_name
from services.upload.uploads import Uploads

MAX_TEXT = 255
MAX_DESCRIPTION = 4_000
MAX_TAGS = 100
MAX_METADATA_BYTES = 16 * 1024


class Workspaces(Protocol):
    """`runtime.workspaces.RemoteWorkspaces`."""

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Workspace:
        """Raises NotFound for one that is not the caller's."""
        ...


@dataclass(frozen=True, slots=True)
class Slot:
    """A reserved file, and the URL for its PUT: a credential, never logged."""

    file: RecordFile
    upload: Upload
    url: str


class RecordFiles:
    """Reserving files of a workspace, and landing those whose content comes with the request."""

    def __init__(self, uploads: Uploads, landings: Landings) -> None:
        self._uploads = uploads
        self._landings = landings

    async def create(
        self,
        principal: Principal,
        workspace: Workspace,
        file_name: str,
        description: Description,
        size_bytes: int = 0,
        sha256: str = "",
    ) -> Slot:
        """`size_bytes` 0 and `sha256` empty: not known yet."""
        require_whole_tenant(principal)
        place = Place(workspace, checked_file_name(file_name, "FileName"), checked(description))
        upload, url = await self._uploads.create(
            principal, place.file_name, size_bytes, sha256, describe=place.record_file
        )
        file = place.record_file(upload.file.key)
        note_object(file_id=file.file_id)
        return Slot(file, upload, url)

    @asynccontextmanager
    async def land(
        self, principal: Principal, workspace: Workspace, file_name: str, description: Description, content: bytes
    ) -> AsyncIterator[RecordFile]:
        """A file of this content; as `Landings.land`, what the block does with it decides whether it stays."""
        require_whole_tenant(principal)
        place = Place(workspace, checked_file_name(file_name, "FileName"), checked(description))
        async with self._landings.land_whole(principal, place.file_name, content, describe=place.record_file) as landed:
            file = place.record_file(landed.key)
            note_object(file_id=file.file_id)
            yield file

    async def discard(self, principal: Principal, file: RecordFile) -> None:
        await self._landings.discard(principal.tenant_id, file.key)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file belongs that has no key yet."""

    workspace: Workspace
    file_name: str
    description: Description

    def record_file(self, key: str) -> RecordFile:
        found = self.workspace
        return RecordFile(key, self.file_name, found.workspace_id, found.name, found.bucket_id, self.description)


def require_whole_tenant(principal: Principal) -> None:
    """Workspaces have no clients, so who is limited to some has no part in them."""
    if principal.client_ids is not None:
        raise PermissionDenied(
            "CLIENT_GRANTS", "Your account is limited to certain clients; a workspace is for all of them."
        )


def checked(description: Description) -> Description:
    """With an action id in any case. Names of members are those of the AppFile API."""
    if len(description.tags) > MAX_TAGS:
        raise InvalidArgument("INVALID_TAGS", f"Tags may have {MAX_TAGS} texts at most.", field="Tags")
    metadata = msgspec.json.encode(description.metadata)
    if len(metadata) > MAX_METADATA_BYTES or b"\\u0000" in metadata:
        message = f"Metadata may have {MAX_METADATA_BYTES} bytes of JSON at most, without NUL characters."
        raise InvalidArgument("INVALID_METADATA", message, field="Metadata")
    return replace(
        description,
        action_id=checked_text("ActionId", description.action_id, max_length=MAX_TEXT) or str(uuid.uuid4()),
        entity_type=checked_text("EntityType", description.entity_type, max_length=MAX_TEXT),
        folder=checked_text("Folder", description.folder, max_length=MAX_TEXT),
        category=checked_text("Category", description.category, max_length=MAX_TEXT),
        tags=tuple(checked_text("Tags", tag, max_length=MAX_TEXT) for tag in description.tags),
        description=checked_text("Description", description.description, max_length=MAX_DESCRIPTION),
    )

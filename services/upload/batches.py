"""Importing records that come with the request: land them as a file, and have its import started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol

from runtime.auth import Principal, note_object
from runtime.errors import PayloadTooLarge
from runtime.workspaces import Workspace
from services.upload.file_imports import MAX_REQUEST_ID, Started
from services.upload.model import Description, RecordFile
from services.upload.record_files import RecordFiles

MOST_BYTES = 16 * 1024 * 1024
"""Of a body. It is kept in memory, and more is sent as a file."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How the records are imported. `on_error` is the native word; None: no such limit, or the default."""

    dry_run: bool = False
    force: bool = False
    on_error: str = "continue"
    max_errors: int | None = None
    max_error_percent: float | None = None
    expected_records: int | None = None
    sha256: str = ""
    keeps_empty: bool = False
    requires_footer: bool = True


@dataclass(frozen=True, slots=True)
class BatchCommand:
    """What the import service is told."""

    file_id: str
    file_type: str
    request_id: str
    options: BatchOptions


class Importer(Protocol):
    """The import service, which acts for the caller."""

    async def start_records(self, command: BatchCommand) -> Started: ...


class Batches:
    """Imports of records that are sent through this service."""

    def __init__(self, files: RecordFiles, importer: Importer) -> None:
        self._files = files
        self._importer = importer

    async def start(
        self,
        principal: Principal,
        workspace: Workspace,
        file_name: str,
        description: Description,
        content: bytes,
        *,
        file_type: str,
        options: BatchOptions,
        request_id: str = "",
    ) -> RecordFile:
        """The file, whose import is queued. With a request id, a repeated call answers the first file again."""
        async with self._files.land(principal, workspace, file_name, description, content) as file:
            # The channel repeats a call that was not answered; the id, which nobody else has, then finds the first.
            command = BatchCommand(file.file_id, file_type, request_id or file.file_id[:MAX_REQUEST_ID], options)
            imported = await self._importer.start_records(command)
        note_object(import_id=imported.import_id)
        if imported.key == file.key:
            return file
        await self._files.discard(principal, file)
        return replace(file, key=imported.key)


async def read_whole(chunks: AsyncIterator[bytes], most: int = MOST_BYTES) -> bytes:
    """Raises PayloadTooLarge as soon as it is too much."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise PayloadTooLarge(
                "FILE_TOO_LARGE", f"A body may have {most} bytes at most. Send more as a file.", limit=str(most)
            )
    return bytes(body)

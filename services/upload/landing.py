"""Landing a multipart body in the object store while it arrives, for the routes that take the file itself.

Nothing is left of a body that does not arrive whole: the client went away, it was too large, its form was broken. Nor
of one whose import was refused, because nobody else knows its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from runtime.auth import Principal, note_object
from runtime.errors import ServiceError
from runtime.objects import ObjectInfo
from services.upload.metrics import LANDED_BYTES, LANDINGS
from services.upload.model import File, NewFile, RecordFile
from services.upload.multipart import FormReader
from services.upload.names import FALLBACK, MAX_NAME_LENGTH, new_key
from services.upload.ports import Files, Objects
from services.upload.uploads import Uploads

CLEANUP_SECONDS = 15
INTERNAL_ERRORS_FROM = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LandedFile:
    """A file that has arrived, and the form's fields."""

    key: str
    file_name: str
    size_bytes: int
    fields: Mapping[str, str]


class Landings:
    """Where streamed files arrive."""

    def __init__(self, uploads: Uploads, files: Files, objects: Objects) -> None:
        self._uploads = uploads
        self._files = files
        self._objects = objects

    @asynccontextmanager
    async def land(
        self, principal: Principal, content_type: str, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[LandedFile]:
        """The file of a body; what the block does with it decides whether it stays.

        It goes when the block is refused. It stays when the block fails otherwise: the import may have been queued.
        """
        form = FormReader(content_type, chunks)
        name = _file_name(await form.find_file())

        async def receive(file: File, limit: int) -> LandedFile:
            info = await self._put(file, form.file_chunks(), limit)
            await form.read_rest()
            return LandedFile(file.key, file.file_name, info.size, form.fields)

        new = NewFile(new_key(name), name, 0, principal.user_id, timedelta())
        async with self._landed(principal, new, receive) as landed:
            yield landed

    @asynccontextmanager
    async def land_whole(
        self, principal: Principal, file_name: str, content: bytes, *, describe: Callable[[str], RecordFile]
    ) -> AsyncIterator[LandedFile]:
        """The same for a file of records whose content is there already."""

        async def receive(file: File, limit: int) -> LandedFile:
            info = await self._put(file, _once(content), limit)
            return LandedFile(file.key, file.file_name, info.size, {})

        key = new_key(file_name)
        new = NewFile(key, file_name, len(content), principal.user_id, timedelta(), record_file=describe(key))
        async with self._landed(principal, new, receive) as landed:
            yield landed

    @asynccontextmanager
    async def _landed(
        self, principal: Principal, new: NewFile, receive: Callable[[File, int], Awaitable[LandedFile]]
    ) -> AsyncIterator[LandedFile]:
        limit = await self._uploads.limit(principal.tenant_id)
        file = await self._files.add(principal.tenant_id, new)
        note_object(key=file.key)
        try:
            landed = await receive(file, limit)
        except BaseException as error:
            LANDINGS.labels(outcome="refused" if isinstance(error, ServiceError) else "aborted").inc()
            await self.discard(principal.tenant_id, file.key)
            raise
        LANDINGS.labels(outcome="landed").inc()
        LANDED_BYTES.inc(landed.size_bytes)
        try:
            yield landed
        except ServiceError as error:
            if error.http_status < INTERNAL_ERRORS_FROM:
                await self.discard(principal.tenant_id, file.key)
            raise

    async def discard(self, tenant_id: int, key: str) -> None:
        """Removes object and row, even while the call is being cancelled; what fails is left to the reaper."""
        removal = asyncio.ensure_future(asyncio.wait_for(self._remove(tenant_id, key), CLEANUP_SECONDS))
        try:
            await asyncio.shield(removal)
        except (ServiceError, TimeoutError) as error:
            log.warning("file not discarded", key=key, error=type(error).__name__)

    async def _put(self, file: File, chunks: AsyncIterator[bytes], limit: int) -> ObjectInfo:
        return await self._objects.put_stream(self._objects.object_key(file.key), chunks, max_bytes=limit)

    async def _remove(self, tenant_id: int, key: str) -> None:
        await self._objects.delete(self._objects.object_key(key))
        await self._files.remove(tenant_id, key)


def _file_name(name: str) -> str:
    """A name that can be stored; some clients send none, and it is no reason to refuse a file."""
    return name.replace("\0", "").strip()[-MAX_NAME_LENGTH:] or FALLBACK


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content

"""Files that are sent in parts: begun, listed with fresh URLs, completed, aborted.

The object store is the truth about parts: nothing of them is kept here but the store's id of the upload. So whatever
dies in between, the next call finds the parts as they are. Completing and aborting one upload go one after the other,
by a lock on its row, because not every store bears two of them at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition, InvalidArgument
from runtime.objects import StorageUnavailable, UploadMissing
from services.upload.metrics import PART_UPLOADS, UPLOADS_CREATED
from services.upload.model import File, NewFile, Part, Upload
from services.upload.names import checked_file_name, new_key
from services.upload.plan import (
    LARGEST_OBJECT_BYTES,
    LARGEST_PART_BYTES,
    LEAST_PART_BYTES,
    MOST_PARTS,
    Plan,
    usual_part_size,
)
from services.upload.ports import FileLock, Files, Objects
from services.upload.uploads import Uploads, digest_of, refuse_too_large, unknown_key

USUAL_PAGE = 100
LARGEST_PAGE = 1_000
AT_ONCE = 4
"""Completions and aborts of this process; each holds a connection of the database for as long as the store takes."""

log = structlog.get_logger(__name__)


class PartUploads:
    """Uploads that survive a break. `life` is how long one may rest before it is removed."""

    def __init__(
        self,
        uploads: Uploads,
        files: Files,
        objects: Objects,
        *,
        url_life: timedelta,
        life: timedelta,
        on_created: Callable[[int], None] = lambda _tenant_id: None,
    ) -> None:
        self._uploads = uploads
        self._files = files
        self._objects = objects
        self._url_life = url_life
        self._life = life
        self._on_created = on_created
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    async def create(
        self, principal: Principal, file_name: str, size_bytes: int, sha256: str = "", part_size: int = 0
    ) -> Upload:
        """A reserved key for a file of this size. `part_size` 0: as it seems best."""
        name = checked_file_name(file_name)
        if size_bytes <= 0:
            raise InvalidArgument("INVALID_SIZE", "An upload in parts needs the size of the file, 1 byte or more.")
        digest = digest_of(sha256)
        limit = await self._uploads.limit(principal.tenant_id)
        refuse_too_large(size_bytes, min(limit, LARGEST_OBJECT_BYTES))
        plan = Plan(size_bytes, part_size or usual_part_size(size_bytes))
        refuse_unusable(plan)
        key = new_key(name)
        upload_id = await self._objects.begin_parts(self._objects.object_key(key))
        new = NewFile(key, name, size_bytes, principal.user_id, self._life, digest, upload_id, plan.part_size)
        try:
            file = await self._files.add(principal.tenant_id, new)
        except Exception:
            await self._forget(key, upload_id)
            raise
        UPLOADS_CREATED.labels(kind="parts").inc()
        note_object(key=key)
        self._on_created(principal.tenant_id)
        return Upload(file)

    async def parts(self, principal: Principal, key: str, first: int = 0, page_size: int = 0) -> tuple[list[Part], int]:
        """Parts from `first` on, a URL with each that has not arrived, and where the next page begins; 0: nowhere."""
        if first < 0:
            raise InvalidArgument("INVALID_PART_NUMBER", "Parts are numbered from 1.")
        if not 0 <= page_size <= LARGEST_PAGE:
            raise InvalidArgument("INVALID_PAGE_SIZE", f"A page has 1 to {LARGEST_PAGE} parts.")
        file = await self._uploads.file(principal.tenant_id, key)
        plan, upload_id = cut(file)
        first = first or 1
        last = min(first + (page_size or USUAL_PAGE) - 1, plan.count)
        missing = set(await self._missing(file, plan, upload_id, first, last))
        expires_at = datetime.now(UTC) + self._url_life
        parts = []
        for number in range(first, last + 1):
            size = plan.size_of(number)
            part = Part(number, plan.offset_of(number), size)
            if number in missing:
                url = self._objects.presigned_part_url(key, upload_id, number, size, self._url_life)
                part = Part(number, part.offset, size, url, expires_at)
            parts.append(part)
        return parts, last + 1 if last < plan.count else 0

    async def complete(self, principal: Principal, key: str) -> Upload:
        """Puts the parts together. Again: the same answer."""
        file = await self._uploads.file(principal.tenant_id, key)
        cut(file)
        note_object(key=key)
        if file.completed_at is None:
            await self._to_the_end(self._complete(principal.tenant_id, key))
        return await self._uploads.get(principal, key)

    async def abort(self, principal: Principal, key: str) -> File:
        """Removes the parts. Again: nothing more. Refused once the upload is complete."""
        file = await self._uploads.file(principal.tenant_id, key)
        cut(file)
        note_object(key=key)
        await self._to_the_end(self._abort(principal.tenant_id, key))
        return file

    async def _missing(self, file: File, plan: Plan, upload_id: str, first: int, last: int) -> list[int]:
        if file.completed_at is not None or first > last:
            return []
        try:
            arrived = await self._objects.stored_parts(self._objects.object_key(file.key), upload_id, first, last)
        except UploadMissing:
            if await self._uploads.stored_size(file) is None:
                raise upload_aborted() from None
            # It has been completed and nobody has heard of it; completing it again tells so.
            return []
        return list(plan.missing(arrived, first, last))

    async def _complete(self, tenant_id: int, key: str) -> None:
        async with self._slots, self._files.lock(tenant_id, key) as found:
            lock = known(found)
            file = lock.file
            if file.completed_at is not None:
                return
            plan, upload_id = cut(file)
            object_key = self._objects.object_key(key)
            try:
                arrived = await self._objects.stored_parts(object_key, upload_id, 1, plan.count)
                refuse_incomplete(plan, list(plan.missing(arrived, 1, plan.count)))
                await self._objects.complete_parts(object_key, upload_id, arrived)
            except UploadMissing:
                log.info("an upload in parts is over already", key=key)
            size = await self._uploads.stored_size(file)
            if size is None:
                raise upload_aborted()
            if size != plan.size:
                raise FailedPrecondition(
                    "SIZE_MISMATCH",
                    f"The file has {size} bytes instead of {plan.size}.",
                    size=str(size),
                    declared_size=str(plan.size),
                )
            await lock.complete()
            PART_UPLOADS.labels(outcome="completed").inc()

    async def _abort(self, tenant_id: int, key: str) -> None:
        async with self._slots, self._files.lock(tenant_id, key) as found:
            lock = known(found)
            file = lock.file
            _, upload_id = cut(file)
            if file.completed_at is not None or await self._uploads.stored_size(file) is not None:
                raise FailedPrecondition("UPLOAD_COMPLETED", "The upload is complete; it cannot be aborted any more.")
            await self._objects.abort_parts(self._objects.object_key(key), upload_id)
            PART_UPLOADS.labels(outcome="aborted").inc()

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Waits for work that must not end half-way when its caller goes: the lock is held until the store is done."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Asked for, so that nobody reports it as forgotten when the caller has gone.
            task.exception()

    async def _forget(self, key: str, upload_id: str) -> None:
        try:
            await self._objects.abort_parts(self._objects.object_key(key), upload_id)
        except StorageUnavailable:
            log.warning("an upload in parts that nobody knows is left to the reaper", key=key)


def cut(file: File) -> tuple[Plan, str]:
    """How the file is cut, and the store's id of its upload; refused for one that is sent by one PUT."""
    if file.plan is None or file.multipart_id is None:
        raise FailedPrecondition("NOT_IN_PARTS", "This upload is not one in parts; it takes one PUT.")
    return file.plan, file.multipart_id


def known(lock: FileLock | None) -> FileLock:
    if lock is None:
        raise unknown_key()
    return lock


def refuse_unusable(plan: Plan) -> None:
    if not LEAST_PART_BYTES <= plan.part_size <= LARGEST_PART_BYTES or plan.count > MOST_PARTS:
        raise InvalidArgument(
            "INVALID_PART_SIZE",
            f"A part has {LEAST_PART_BYTES} to {LARGEST_PART_BYTES} bytes, and there are {MOST_PARTS} parts at most.",
            field="part_size",
        )


def refuse_incomplete(plan: Plan, missing: list[int]) -> None:
    if missing:
        raise FailedPrecondition(
            "PARTS_MISSING",
            f"{len(missing)} of {plan.count} parts are missing; the first is part {missing[0]}.",
            part=str(missing[0]),
            missing=str(len(missing)),
        )


def upload_aborted() -> FailedPrecondition:
    return FailedPrecondition("UPLOAD_ABORTED", "The parts of this upload have been removed. Begin a new one.")

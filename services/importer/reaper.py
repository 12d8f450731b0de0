"""Removes from the object store what nobody will ask for: uploads that no import reads, parts of uploads that rest.

An upload may be triggered for a day after it was asked for (`reap_uploads_hours`); then a trigger refuses it, and a
while later (GRACE) it is removed here. So no object goes that a trigger has just looked at, as long as the clocks of
store, database and this process differ by less than that. The file of an import source stays for as long as the source
names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.objects import ObjectMissing, StorageUnavailable, StoredObject, StoredPart, UnfinishedUpload, UploadMissing
from runtime.reports import FOLDER
from services.importer import retention_store
from services.importer.metrics import REAPED_BYTES, REAPED_OBJECTS
from services.importer.settings import DispatchSettings
from services.importer.waiting import wait

MOST_PARTS = 10_000
GRACE_PART = 24
"""The grace is this part of the age: an hour of a day."""

log = structlog.get_logger(__name__)


class Objects(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    def object_key(self, key: str) -> str: ...

    def list_objects(self) -> AsyncIterator[list[StoredObject]]: ...

    def list_unfinished(self) -> AsyncIterator[list[UnfinishedUpload]]: ...

    async def stored_parts(self, object_key: str, upload_id: str, first: int, last: int) -> list[StoredPart]: ...

    async def abort_parts(self, object_key: str, upload_id: str) -> None: ...

    async def delete(self, object_key: str) -> None: ...


class Reaper:
    """Looks through the whole store, page by page. Of the database it sees the keys of inputs, and no tenant's rows."""

    def __init__(
        self,
        dispatch: Database,
        objects: Objects,
        settings: DispatchSettings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._dispatch = dispatch
        self._objects = objects
        self._interval = settings.reap_seconds
        rest = timedelta(hours=settings.reap_uploads_hours)
        self._age = rest + rest / GRACE_PART
        # Retention removes the reports of imports that it knows; this is for those that no import knows any more.
        self._report_age = timedelta(days=min(settings.keep_errors_days, settings.keep_history_days)) + self._age
        self._reports = objects.object_key(f"{FOLDER}/")
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Looks through the store now and at every interval."""
        while not stop.is_set():
            try:
                await self.sweep()
            except ServiceError as error:
                log.warning("the object store could not be looked through", error=str(error))
            except Exception:
                # Nobody waits for this task; without it nothing would ever be removed again.
                log.exception("looking through the object store failed")
            await wait(stop, self._interval)

    async def sweep(self) -> None:
        """Once. What fails is left to the next time."""
        async for objects in self._objects.list_objects():
            await self._remove_unused(objects)
        async for uploads in self._objects.list_unfinished():
            for upload in uploads:
                await self._abort_if_resting(upload)

    async def _remove_unused(self, objects: Sequence[StoredObject]) -> None:
        now = self._clock()
        reports, uploads = [], []
        for each in objects:
            if each.object_key.startswith(self._reports):
                if each.modified_at < now - self._report_age:
                    reports.append(each)
            elif each.modified_at < now - self._age:
                uploads.append(each)
        if uploads:
            async with self._dispatch.transaction(None) as connection:
                used = await retention_store.used_objects(
                    connection, [each.object_key for each in uploads], self._objects.object_key("")
                )
            uploads = [each for each in uploads if each.object_key not in used]
        for kind, unused in (("upload", uploads), ("report", reports)):
            for each in unused:
                await self._remove(kind, each)

    async def _remove(self, kind: str, each: StoredObject) -> None:
        try:
            await self._objects.delete(each.object_key)
        except StorageUnavailable as error:
            log.warning("an unused object could not be removed", object_key=each.object_key, error=str(error))
            return
        REAPED_OBJECTS.labels(kind).inc()
        REAPED_BYTES.inc(each.size)
        log.info("unused object removed", kind=kind, object_key=each.object_key, size_bytes=each.size)

    async def _abort_if_resting(self, upload: UnfinishedUpload) -> None:
        """An upload over a slow line may go on for days: what counts is when its last part came."""
        since = self._clock() - self._age
        if upload.begun_at >= since:
            return
        try:
            parts = await self._objects.stored_parts(upload.object_key, upload.upload_id, 1, MOST_PARTS)
            if any(part.modified_at >= since for part in parts):
                return
            await self._objects.abort_parts(upload.object_key, upload.upload_id)
        except (UploadMissing, ObjectMissing):
            return
        except StorageUnavailable as error:
            log.warning("an unfinished upload could not be removed", object_key=upload.object_key, error=str(error))
            return
        REAPED_OBJECTS.labels("parts").inc()
        REAPED_BYTES.inc(sum(part.size for part in parts))
        log.info("unfinished upload removed", object_key=upload.object_key, parts=len(parts))

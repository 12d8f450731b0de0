"""Removing rows of files that never came, or are gone: a few of a tenant whenever it sends another one.

So no process needs to see the files of all tenants. Objects that nobody imported are the reaper's, in the importer's
dispatcher; here follow their rows. An upload in parts that nobody goes on with is aborted here too, because not every
store lists those to the reaper.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from cachetools import LRUCache

from runtime.errors import ServiceError
from runtime.objects import ObjectMissing, UploadMissing
from services.upload.metrics import LEFTOVERS
from services.upload.model import File
from services.upload.plan import MOST_PARTS
from services.upload.ports import Files, Objects

AT_A_TIME = 5
"""More than one: rows are removed faster than they are made."""
TENANTS = 10_000

log = structlog.get_logger(__name__)


class Leftovers:
    """Goes through the old files of a tenant, from the oldest on and round again. `age` is when one is old."""

    def __init__(self, files: Files, objects: Objects, *, age: timedelta) -> None:
        self._files = files
        self._objects = objects
        self._age = age
        self._reached: LRUCache[int, tuple[datetime, str]] = LRUCache(TENANTS)
        self._running: dict[int, asyncio.Task[None]] = {}

    def visit(self, tenant_id: int) -> None:
        """Begins to look at the next few, beside the call being served, unless that is going on already."""
        if tenant_id not in self._running:
            task = asyncio.create_task(self._visit(tenant_id), name="leftovers")
            self._running[tenant_id] = task
            task.add_done_callback(lambda _: self._running.pop(tenant_id, None))

    async def close(self) -> None:
        """What is not looked at now is looked at another time."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _visit(self, tenant_id: int) -> None:
        try:
            await self.tidy(tenant_id)
        except ServiceError as error:
            log.info("old files not looked at", tenant_id=tenant_id, error=str(error))
        except Exception:
            # The task is nobody's; the next upload tries again.
            log.exception("looking at old files failed", tenant_id=tenant_id)

    async def tidy(self, tenant_id: int) -> int:
        """Looks at the next few; how many rows were removed."""
        old = await self._files.older(tenant_id, self._age, self._reached.get(tenant_id), AT_A_TIME)
        removed = 0
        for file in old:
            if await self._is_over(tenant_id, file):
                await self._files.remove(tenant_id, file.key)
                LEFTOVERS.inc()
                removed += 1
        if len(old) < AT_A_TIME:
            self._reached.pop(tenant_id, None)
        else:
            self._reached[tenant_id] = (old[-1].created_at, old[-1].key)
        return removed

    async def _is_over(self, tenant_id: int, file: File) -> bool:
        """Whether there is neither an object nor a part that has come lately."""
        if file.multipart_id is not None and not await self._abort_if_resting(tenant_id, file.key, file.multipart_id):
            return False
        try:
            await self._objects.head(self._objects.object_key(file.key))
        except ObjectMissing:
            return True
        return False

    async def _abort_if_resting(self, tenant_id: int, key: str, upload_id: str) -> bool:
        """False for an upload that goes on."""
        object_key = self._objects.object_key(key)
        # With the lock, because it may be completed at this moment.
        async with self._files.lock(tenant_id, key):
            try:
                parts = await self._objects.stored_parts(object_key, upload_id, 1, MOST_PARTS)
            except UploadMissing:
                return True
            if any(part.modified_at > datetime.now(UTC) - self._age for part in parts):
                return False
            await self._objects.abort_parts(object_key, upload_id)
        return True

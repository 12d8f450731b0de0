"""Reserving a key and a URL that takes one file; telling what has become of it."""

from __future__ import annotations

from datetime import timedelta

from runtime.auth import Principal
from runtime.errors import InvalidArgument, NotFound, PayloadTooLarge
from runtime.objects import ObjectMissing
from services.upload.metrics import UPLOADS_CREATED
from services.upload.model import NewFile, Upload
from services.upload.names import checked_file_name, new_key
from services.upload.ports import Files, Objects

MAX_KEY_LENGTH = 1_024


class Uploads:
    """Files on their way into the object store, sent by the client itself."""

    def __init__(self, files: Files, objects: Objects, *, max_file_bytes: int, url_life: timedelta) -> None:
        self._files = files
        self._objects = objects
        self._max_file_bytes = max_file_bytes
        self._url_life = url_life

    async def create(self, principal: Principal, file_name: str, size_bytes: int = 0) -> tuple[Upload, str]:
        """A reserved key, and the URL for its PUT: a credential, never logged. `size_bytes` 0: not known yet."""
        name = checked_file_name(file_name)
        if size_bytes < 0:
            raise InvalidArgument("INVALID_SIZE", "The size must not be negative.")
        if size_bytes:
            refuse_too_large(size_bytes, await self.limit(principal.tenant_id))
        new = NewFile(new_key(name), name, size_bytes, principal.user_id, self._url_life)
        file = await self._files.add(principal.tenant_id, new)
        UPLOADS_CREATED.inc()
        return Upload(file), self._objects.presigned_put_url(file.key, self._url_life)

    async def get(self, principal: Principal, key: str) -> Upload:
        """Raises NotFound for a key that is unknown in this tenant."""
        usable = 0 < len(key) <= MAX_KEY_LENGTH and "\0" not in key
        file = await self._files.get(principal.tenant_id, key) if usable else None
        if file is None:
            raise NotFound("UNKNOWN_KEY", "There is no upload with this key.")
        try:
            info = await self._objects.head(self._objects.object_key(file.key))
        except ObjectMissing:
            return Upload(file)
        return Upload(file, info.size)

    async def limit(self, tenant_id: int) -> int:
        """The largest file of this tenant, in bytes."""
        return await self._files.max_file_bytes(tenant_id) or self._max_file_bytes


def refuse_too_large(size_bytes: int, limit: int) -> None:
    if size_bytes > limit:
        raise PayloadTooLarge("FILE_TOO_LARGE", f"A file may have {limit} bytes at most.", limit=str(limit))

"""Reserving a key and a URL that takes one file; telling what has become of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from runtime.auth import Principal, note_object
from runtime.errors import InvalidArgument, NotFound, PayloadTooLarge
from runtime.objects import ObjectMissing
from services.upload.metrics import UPLOADS_CREATED
from services.upload.model import File, NewFile, RecordFile, Upload
from services.upload.names import checked_file_name, new_key
from services.upload.plan import LARGEST_PUT_BYTES
from services.upload.ports import Files, Objects

MAX_KEY_LENGTH = 1_024
SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")


class Uploads:
    """Files on their way into the object store, sent by the client itself."""

    def __init__(
        self,
        files: Files,
        objects: Objects,
        *,
        max_file_bytes: int,
        url_life: timedelta,
        on_created: Callable[[int], None] = lambda _tenant_id: None,
    ) -> None:
        self._files = files
        self._objects = objects
        self._max_file_bytes = max_file_bytes
        self._url_life = url_life
        self._on_created = on_created

    async def create(
        self,
        principal: Principal,
        file_name: str,
        size_bytes: int = 0,
        sha256: str = "",
        *,
        describe: Callable[[str], RecordFile] | None = None,
    ) -> tuple[Upload, str]:
        """A reserved key, and the URL for its PUT: a credential, never logged. `size_bytes` 0: not known yet.

        `describe` makes of the key what is to be known of a file of records.
        """
        name = checked_file_name(file_name)
        if size_bytes < 0:
            raise InvalidArgument("INVALID_SIZE", "The size must not be negative.")
        digest = digest_of(sha256)
        if size_bytes:
            refuse_too_large(size_bytes, await self.limit(principal.tenant_id))
        if size_bytes > LARGEST_PUT_BYTES:
            raise InvalidArgument(
                "USE_MULTIPART",
                f"One PUT takes {LARGEST_PUT_BYTES} bytes at most. Send the file in parts.",
                limit=str(LARGEST_PUT_BYTES),
            )
        key = new_key(name)
        record_file = describe(key) if describe else None
        new = NewFile(key, name, size_bytes, principal.user_id, self._url_life, digest, record_file=record_file)
        file = await self._files.add(principal.tenant_id, new)
        UPLOADS_CREATED.labels(kind="put").inc()
        note_object(key=file.key)
        self._on_created(principal.tenant_id)
        return Upload(file), self._objects.presigned_put_url(file.key, self._url_life)

    async def get(self, principal: Principal, key: str) -> Upload:
        """Raises NotFound for a key that is unknown in this tenant."""
        file = await self.file(principal.tenant_id, key)
        return Upload(file, await self.stored_size(file))

    async def file(self, tenant_id: int, key: str) -> File:
        """Raises NotFound for a key that is unknown in this tenant."""
        usable = 0 < len(key) <= MAX_KEY_LENGTH and "\0" not in key
        file = await self._files.get(tenant_id, key) if usable else None
        if file is None:
            raise unknown_key()
        return file

    async def stored_size(self, file: File) -> int | None:
        """Bytes of the object under the key; None while there is none."""
        try:
            return (await self._objects.head(self._objects.object_key(file.key))).size
        except ObjectMissing:
            return None

    async def limit(self, tenant_id: int) -> int:
        """The largest file of this tenant, in bytes."""
        return await self._files.max_file_bytes(tenant_id) or self._max_file_bytes


def unknown_key() -> NotFound:
    return NotFound("UNKNOWN_KEY", "There is no upload with this key.")


def refuse_too_large(size_bytes: int, limit: int) -> None:
    if size_bytes > limit:
        raise PayloadTooLarge("FILE_TOO_LARGE", f"A file may have {limit} bytes at most.", limit=str(limit))


def digest_of(sha256: str) -> bytes | None:
    """The 32 bytes; None for an empty text."""
    if not sha256:
        return None
    if not SHA256_HEX.fullmatch(sha256):
        raise InvalidArgument("INVALID_SHA256", "A SHA-256 has 64 hexadecimal digits.", field="sha256")
    return bytes.fromhex(sha256)

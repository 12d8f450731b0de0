"""What the use cases ask of the outside: a table of files and an object store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from runtime.objects import ObjectInfo, StoredPart
from services.upload.model import File, NewFile


class FileLock(Protocol):
    """The row of a file, which nobody else locks meanwhile."""

    @property
    def file(self) -> File:
        """As it is now."""
        ...

    async def complete(self) -> None:
        """Notes that its parts have been put together."""
        ...


class Files(Protocol):
    """The reserved keys of each tenant."""

    async def max_file_bytes(self, tenant_id: int) -> int | None:
        """The tenant's own limit; None: the installation's default holds."""
        ...

    async def add(self, tenant_id: int, file: NewFile) -> File: ...

    async def get(self, tenant_id: int, key: str) -> File | None: ...

    def lock(self, tenant_id: int, key: str) -> AbstractAsyncContextManager[FileLock | None]:
        """Waits for the row and holds it for the length of the block; None: there is no such key."""
        ...

    async def older(self, tenant_id: int, age: timedelta, after: tuple[datetime, str] | None, limit: int) -> list[File]:
        """Files of at least this age, oldest first, from behind the creation time and key of another."""
        ...

    async def remove(self, tenant_id: int, key: str) -> None: ...


class Objects(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    def object_key(self, key: str) -> str: ...

    def presigned_put_url(self, key: str, life: timedelta) -> str: ...

    async def head(self, object_key: str) -> ObjectInfo: ...

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> ObjectInfo: ...

    async def delete(self, object_key: str) -> None: ...

    async def begin_parts(self, object_key: str) -> str: ...

    def presigned_part_url(self, key: str, upload_id: str, number: int, size: int, life: timedelta) -> str: ...

    async def stored_parts(self, object_key: str, upload_id: str, first: int, last: int) -> list[StoredPart]: ...

    async def complete_parts(self, object_key: str, upload_id: str, parts: Sequence[StoredPart]) -> None: ...

    async def abort_parts(self, object_key: str, upload_id: str) -> None: ...

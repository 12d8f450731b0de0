"""What the use cases ask of the outside: a table of files and an object store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Protocol

from runtime.objects import ObjectInfo
from services.upload.model import File, NewFile


class Files(Protocol):
    """The reserved keys of each tenant."""

    async def max_file_bytes(self, tenant_id: int) -> int | None:
        """The tenant's own limit; None: the installation's default holds."""
        ...

    async def add(self, tenant_id: int, file: NewFile) -> File: ...

    async def get(self, tenant_id: int, key: str) -> File | None: ...

    async def remove(self, tenant_id: int, key: str) -> None: ...


class Objects(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    def object_key(self, key: str) -> str: ...

    def presigned_put_url(self, key: str, life: timedelta) -> str: ...

    async def head(self, object_key: str) -> ObjectInfo: ...

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> ObjectInfo: ...

    async def delete(self, object_key: str) -> None: ...

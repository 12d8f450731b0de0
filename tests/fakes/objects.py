"""An object store in memory that keeps the promises of the real one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from types import TracebackType
from typing import Self
from urllib.parse import quote

from runtime.errors import PayloadTooLarge
from runtime.objects import ObjectChanged, ObjectInfo, ObjectMissing, StorageUnavailable


class FakeReader:
    def __init__(self, store: FakeObjectStore, object_key: str, etag: str, offset: int) -> None:
        self._store = store
        self._object_key = object_key
        self._etag = etag
        self.offset = offset

    def read(self, size: int) -> bytes:
        if self._store.is_down:
            raise StorageUnavailable("down")
        data = self._store.bytes_of(self._object_key)
        if etag_of(data) != self._etag:
            raise ObjectChanged("PreconditionFailed")
        piece = data[self.offset : self.offset + size]
        self.offset += len(piece)
        return piece

    def close(self) -> None:
        """There is no connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class FakeObjectStore:
    """`objects` is open to tests, by object key; `is_down` makes every call fail."""

    def __init__(self, *, prefix: str = "uploads", public_url: str = "http://gateway") -> None:
        self._prefix = prefix
        self._public_url = public_url
        self.objects: dict[str, bytes] = {}
        self.content_types: dict[str, str] = {}
        self.is_down = False

    def object_key(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def presigned_put_url(self, key: str, life: timedelta) -> str:
        seconds = int(life.total_seconds())
        return f"{self._public_url}/cloud/uploads/{quote(key)}?X-Amz-Expires={seconds}&X-Amz-Signature=fake"

    async def head(self, object_key: str) -> ObjectInfo:
        await self._answer()
        data = self.bytes_of(object_key)
        return ObjectInfo(size=len(data), etag=etag_of(data))

    def open(self, object_key: str, etag: str, offset: int = 0) -> FakeReader:
        return FakeReader(self, object_key, etag, offset)

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> ObjectInfo:
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            if len(data) > max_bytes:
                raise PayloadTooLarge(
                    "FILE_TOO_LARGE", f"The file is larger than {max_bytes} bytes.", max_bytes=str(max_bytes)
                )
        await self.put(object_key, bytes(data), "application/octet-stream")
        return await self.head(object_key)

    async def put(self, object_key: str, data: bytes, content_type: str) -> None:
        await self._answer()
        self.objects[object_key] = data
        self.content_types[object_key] = content_type

    async def delete(self, object_key: str) -> None:
        await self._answer()
        self.objects.pop(object_key, None)

    async def ping(self) -> None:
        await self._answer()

    def close(self) -> None:
        """There are no threads."""

    def bytes_of(self, object_key: str) -> bytes:
        try:
            return self.objects[object_key]
        except KeyError:
            raise ObjectMissing("NoSuchKey") from None

    async def _answer(self) -> None:
        """As over a network, others run meanwhile."""
        await asyncio.sleep(0)
        if self.is_down:
            raise StorageUnavailable("down")


def etag_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

"""An object store in memory that keeps the promises of the real one."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from runtime.errors import PayloadTooLarge
from runtime.objects import (
    ObjectChanged,
    ObjectInfo,
    ObjectMissing,
    StorageUnavailable,
    StoredObject,
    StoredPart,
    UnfinishedUpload,
    UploadMissing,
)


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


@dataclass
class FakeUpload:
    """An upload in parts: the bytes of each, and when it came."""

    object_key: str
    begun_at: datetime
    parts: dict[int, tuple[bytes, datetime]] = field(default_factory=dict)


class FakeObjectStore:
    """`objects` is open to tests, by object key, and `uploads`, by id; `is_down` makes every call fail.

    `now` is when things are written; a test may set it.
    """

    def __init__(self, *, prefix: str = "uploads", public_url: str = "http://gateway") -> None:
        self._prefix = prefix
        self._public_url = public_url
        self.objects: dict[str, bytes] = {}
        self.content_types: dict[str, str] = {}
        self.written_at: dict[str, datetime] = {}
        self.uploads: dict[str, FakeUpload] = {}
        self.now: datetime | None = None
        self.is_down = False

    def object_key(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def presigned_put_url(self, key: str, life: timedelta) -> str:
        seconds = int(life.total_seconds())
        return f"{self._public_url}/cloud/uploads/{quote(key)}?X-Amz-Expires={seconds}&X-Amz-Signature=fake"

    def presigned_get_url(self, key: str, life: timedelta, *, file_name: str, content_type: str) -> str:
        answer = urlencode(
            {
                "response-content-disposition": f'attachment; filename="{file_name}"',
                "response-content-type": content_type,
                "X-Amz-Expires": int(life.total_seconds()),
                "X-Amz-Signature": "fake",
            }
        )
        return f"{self._public_url}/cloud/uploads/{quote(key)}?{answer}"

    async def head(self, object_key: str) -> ObjectInfo:
        await self._answer()
        data = self.bytes_of(object_key)
        return ObjectInfo(size=len(data), etag=etag_of(data))

    async def describe(self, object_key: str) -> StoredObject:
        await self._answer()
        return StoredObject(object_key, len(self.bytes_of(object_key)), self.written_at[object_key])

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
        self.written_at[object_key] = self._clock()

    async def delete(self, object_key: str) -> None:
        await self._answer()
        self.objects.pop(object_key, None)

    async def begin_parts(self, object_key: str) -> str:
        await self._answer()
        upload_id = f"upload-{len(self.uploads) + 1}-{secrets.token_hex(4)}"
        self.uploads[upload_id] = FakeUpload(object_key, self._clock())
        return upload_id

    def presigned_part_url(self, key: str, upload_id: str, number: int, size: int, life: timedelta) -> str:
        query = urlencode(
            {
                "X-Amz-Expires": int(life.total_seconds()),
                "X-Amz-SignedHeaders": "content-length;host",
                "partNumber": number,
                "uploadId": upload_id,
                "X-Amz-Signature": f"fake{size}",
            }
        )
        return f"{self._public_url}/cloud/uploads/{quote(key)}?{query}"

    def put_part(self, upload_id: str, number: int, data: bytes) -> None:
        """What a client does with the URL of a part."""
        self._upload(upload_id).parts[number] = (data, self._clock())

    async def stored_parts(self, object_key: str, upload_id: str, first: int, last: int) -> list[StoredPart]:
        await self._answer()
        return [
            StoredPart(number, len(data), etag_of(data), written_at)
            for number, (data, written_at) in sorted(self._upload(upload_id).parts.items())
            if first <= number <= last
        ]

    async def complete_parts(self, object_key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        await self._answer()
        stored = self._upload(upload_id).parts
        await self.put(object_key, b"".join(stored[part.number][0] for part in parts), "application/octet-stream")
        del self.uploads[upload_id]

    async def abort_parts(self, object_key: str, upload_id: str) -> None:
        await self._answer()
        self.uploads.pop(upload_id, None)

    async def list_objects(self) -> AsyncIterator[list[StoredObject]]:
        await self._answer()
        found = [
            StoredObject(object_key, len(data), self.written_at[object_key])
            for object_key, data in sorted(self.objects.items())
        ]
        if found:
            yield found

    async def list_unfinished(self) -> AsyncIterator[list[UnfinishedUpload]]:
        await self._answer()
        found = [UnfinishedUpload(one.object_key, upload_id, one.begun_at) for upload_id, one in self.uploads.items()]
        if found:
            yield found

    async def ping(self) -> None:
        await self._answer()

    def close(self) -> None:
        """There are no threads."""

    def bytes_of(self, object_key: str) -> bytes:
        try:
            return self.objects[object_key]
        except KeyError:
            raise ObjectMissing("NoSuchKey") from None

    def _upload(self, upload_id: str) -> FakeUpload:
        try:
            return self.uploads[upload_id]
        except KeyError:
            raise UploadMissing("NoSuchUpload") from None

    def _clock(self) -> datetime:
        return self.now or datetime.now(UTC)

    async def _answer(self) -> None:
        """As over a network, others run meanwhile."""
        await asyncio.sleep(0)
        if self.is_down:
            raise StorageUnavailable("down")


def etag_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

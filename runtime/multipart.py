"""Writing an object of unknown length: one PUT when it is small, else an upload in parts; no trace when it fails."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import structlog
from minio import Minio

from runtime.parts import BINARY, PartRequests
from runtime.storage import StorageThreads, StorageUnavailable, UploadMissing

log = structlog.get_logger(__name__)

MIB = 1024 * 1024
LEAST_PART_BYTES = 8 * MIB
MOST_PARTS = 10_000


def part_bytes(max_bytes: int) -> int:
    """The size of parts that lets `max_bytes` fit into the 10,000 parts of S3: 8 MiB up to 78 GiB."""
    needed = -(-max_bytes // MOST_PARTS)
    return max(LEAST_PART_BYTES, -(-needed // MIB) * MIB)


class StreamedWrite:
    """An object being written. Leaving the block completes it; leaving it by an error or a cancellation removes it.

    One part is sent while the next is collected, and `add` waits when both are full, so a slow store slows the sender.
    """

    def __init__(
        self,
        client: Minio,
        parts: PartRequests,
        threads: StorageThreads,
        bucket: str,
        object_key: str,
        max_bytes: int,
    ) -> None:
        self._client = client
        self._parts = parts
        self._threads = threads
        self._bucket = bucket
        self._object_key = object_key
        self._part_bytes = part_bytes(max_bytes)
        self._buffer = bytearray()
        self._running: asyncio.Future[Any] | None = None
        self._upload_id: str | None = None
        self._sent: list[tuple[int, str]] = []
        self._is_completing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._complete()
                return
        except BaseException:
            await self._undo()
            raise
        await self._undo()

    async def add(self, chunk: bytes) -> None:
        self._buffer += chunk
        while len(self._buffer) >= self._part_bytes:
            part = bytes(memoryview(self._buffer)[: self._part_bytes])
            del self._buffer[: self._part_bytes]
            await self._send_part(part)

    async def _send_part(self, part: bytes) -> None:
        await self._wait()
        if self._upload_id is None:
            self._start(self._create)
            await self._wait()
        self._start(self._put_part, len(self._sent) + 1, part)

    async def _complete(self) -> None:
        if self._buffer and (self._upload_id is not None or self._running is not None):
            await self._send_part(bytes(self._buffer))
        await self._wait()
        self._is_completing = True
        if self._upload_id is None:
            self._start(self._put_whole, bytes(self._buffer))
        else:
            self._start(self._finish)
        await self._wait()

    def _start(self, function: Callable[..., None], *args: Any) -> None:
        self._running = self._threads.start(function, *args)

    async def _wait(self) -> None:
        """Wait for the call that runs. Only the waiting can be cancelled: `_undo` must know what a thread does."""
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None

    async def _undo(self) -> None:
        """Remove what was written, in a task of its own, so that a second cancellation does not end it half-way."""
        await asyncio.shield(asyncio.ensure_future(self._remove()))

    async def _remove(self) -> None:
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        try:
            if self._upload_id is not None:
                await self._threads.run(self._abort)
            if self._is_completing:
                await self._threads.run(self._client.remove_object, self._bucket, self._object_key)
        except Exception:
            # The error that led here is the one to tell; unfinished uploads are the reaper's then.
            log.warning("unfinished object not removed", object_key=self._object_key, exc_info=True)

    def _create(self) -> None:
        self._upload_id = self._parts.begin(self._object_key)

    def _put_part(self, number: int, part: bytes) -> None:
        try:
            self._sent.append((number, self._parts.put(self._object_key, self._upload_id or "", number, part)))
        except UploadMissing as error:
            raise StorageUnavailable("the upload was removed while it was written") from error

    def _put_whole(self, data: bytes) -> None:
        self._client.put_object(self._bucket, self._object_key, io.BytesIO(data), len(data), content_type=BINARY)

    def _finish(self) -> None:
        try:
            self._parts.complete(self._object_key, self._upload_id or "", self._sent)
        except UploadMissing as error:
            raise StorageUnavailable("the upload was removed while it was written") from error

    def _abort(self) -> None:
        self._parts.abort(self._object_key, self._upload_id or "")

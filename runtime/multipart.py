"""Writing an object of unknown length: one PUT when it is small, else a multipart upload; no trace when it fails.

The SDK has no public calls for multipart uploads, so each of their requests is signed as a presigned URL, which is
public, and sent here. The payload is then no part of the signature, which saves a SHA-256 over every byte.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from xml.sax.saxutils import escape

import structlog
import urllib3
from minio import Minio

from runtime.storage import StorageThreads, StorageUnavailable

log = structlog.get_logger(__name__)

MIB = 1024 * 1024
LEAST_PART_BYTES = 8 * MIB
MOST_PARTS = 10_000
SIGNATURE_LIFE = timedelta(minutes=15)
BINARY = "application/octet-stream"
UPLOAD_ID = re.compile(r"<UploadId>([^<]+)</UploadId>")
LEAST_ERROR_STATUS = 300


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
        http: urllib3.PoolManager,
        threads: StorageThreads,
        bucket: str,
        object_key: str,
        max_bytes: int,
    ) -> None:
        self._client = client
        self._http = http
        self._threads = threads
        self._bucket = bucket
        self._object_key = object_key
        self._part_bytes = part_bytes(max_bytes)
        self._buffer = bytearray()
        self._running: asyncio.Future[Any] | None = None
        self._upload_id: str | None = None
        self._etags: list[str] = []
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
        self._start(self._put_part, len(self._etags) + 1, part)

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
        match = UPLOAD_ID.search(self._request("POST", {"uploads": ""}).data.decode())
        if match is None:
            raise StorageUnavailable("no upload id")
        self._upload_id = match[1]

    def _put_part(self, number: int, part: bytes) -> None:
        response = self._request("PUT", {"partNumber": str(number), "uploadId": self._upload_id or ""}, part)
        self._etags.append(response.headers["ETag"])

    def _put_whole(self, data: bytes) -> None:
        self._client.put_object(self._bucket, self._object_key, io.BytesIO(data), len(data), content_type=BINARY)

    def _finish(self) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        response = self._request("POST", {"uploadId": self._upload_id or ""}, body)
        # S3 may answer 200 before it knows, and then say in the body that it failed.
        if b"<Error>" in response.data:
            raise StorageUnavailable("the upload could not be completed")

    def _abort(self) -> None:
        self._request("DELETE", {"uploadId": self._upload_id or ""}, missing_ok=True)

    def _request(
        self, method: str, query: dict[str, str], body: bytes = b"", *, missing_ok: bool = False
    ) -> urllib3.BaseHTTPResponse:
        url = self._client.get_presigned_url(
            method, self._bucket, self._object_key, expires=SIGNATURE_LIFE, extra_query_params=dict(query)
        )
        response = self._http.request(method, url, body=body, headers={"Content-Type": BINARY})
        is_missing = response.status == 404  # noqa: PLR2004 - a status that everybody knows
        if response.status >= LEAST_ERROR_STATUS and not (missing_ok and is_missing):
            raise StorageUnavailable(f"status {response.status}")
        return response

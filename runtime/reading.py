"""Reading one version of an object from start to end, over as many connections as that takes."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import urllib3
from minio import Minio
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from runtime.failpoints import failpoint
from runtime.storage import FAILURES, StorageUnavailable, translate

CONNECT_SECONDS = 5
IDLE_SECONDS = 60
"""A connection that gives no byte for so long is dropped, and another asked."""
ATTEMPTS = 6
"""Failures in a row without a byte in between. They span about ten seconds; then the whole job is for another try."""
LONGEST_WAIT_SECONDS = 5
PARTIAL_CONTENT = 206


class ObjectReader:
    """A blocking stream of an object's bytes; `read` gives b"" at the end and never ends early without an error.

    Each request carries the ETag (If-Match), so that what is read in pieces is one version. Nothing is held beyond the
    bytes that a call asks for.
    """

    def __init__(
        self, make_client: Callable[[urllib3.PoolManager], Minio], bucket: str, object_key: str, etag: str, offset: int
    ) -> None:
        # A pool of its own, because the reader may be in another thread and its connection lives as long as the import.
        self._http = urllib3.PoolManager(
            maxsize=1, retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=IDLE_SECONDS)
        )
        self._attempts = Retrying(
            retry=retry_if_exception_type(StorageUnavailable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.2, max=LONGEST_WAIT_SECONDS, jitter=0.2),
            reraise=True,
        )
        self._client = make_client(self._http)
        self._bucket = bucket
        self._object_key = object_key
        self._etag = etag
        self._offset = offset
        self._size: int | None = None
        self._response: urllib3.BaseHTTPResponse | None = None

    @property
    def offset(self) -> int:
        """Where in the object the next byte comes from."""
        return self._offset

    def read(self, size: int) -> bytes:
        """At most `size` bytes, and fewer only at the end of the object.

        Raises ObjectChanged, ObjectMissing, or StorageUnavailable when several attempts have failed.
        """
        pieces: list[bytes] = []
        missing = size
        while missing and self._offset != self._size:
            piece = self._read_with_retries(missing)
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_with_retries(self, size: int) -> bytes:
        return self._attempts(self._read_once, size)

    def _read_once(self, size: int) -> bytes:
        try:
            if self._response is None:
                self._open()
            if self._response is None:
                return b""
            piece: bytes = self._response.read(size, decode_content=False)
        except FAILURES as error:
            self._drop()
            raise translate(error) from error
        if not piece and self._offset != self._size:
            self._drop()
            raise StorageUnavailable("the connection ended before the object did")
        self._offset += len(piece)
        return piece

    def _open(self) -> None:
        """Ask for the rest. An offset at the very end is no range to S3, so the size is asked for first then."""
        headers: dict[str, str | list[str] | tuple[str]] = {"If-Match": f'"{self._etag}"'}
        if self._offset:
            if self._size is None:
                self._size = self._client.stat_object(self._bucket, self._object_key, extra_headers=headers).size
            if self._size is not None and self._offset >= self._size:
                self._size = self._offset
                return
        failpoint("storage.before_open")
        response = self._client.get_object(
            self._bucket,
            self._object_key,
            offset=self._offset,
            request_headers={**headers, "Accept-Encoding": "identity"},
        )
        if self._offset and response.status != PARTIAL_CONTENT:
            response.close()
            raise StorageUnavailable("the store does not serve ranges")
        self._size = self._offset + int(response.headers["Content-Length"])
        self._response = response
        failpoint("storage.after_open")

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def close(self) -> None:
        self._drop()
        self._http.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

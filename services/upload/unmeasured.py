"""A PUT to a presigned URL that does not say its length, as HTTP clients send a stream of which they know none.

S3 takes no such body (411). The gateway hands it here, past no credential: the signature in the URL is one, and it is
looked at as the store would. What comes is written in parts, so it may be of any length and takes no more memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from runtime.errors import PermissionDenied
from runtime.objects import PUBLIC_PATH, ObjectInfo
from services.upload.metrics import LANDED_BYTES, LANDINGS


class Objects(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    def object_key(self, key: str) -> str: ...

    def allows_put(self, key: str, query: dict[str, str], now: datetime) -> bool: ...

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> ObjectInfo: ...


class UnmeasuredPuts:
    """Writes such bodies to the key of their URL."""

    def __init__(self, objects: Objects, *, max_file_bytes: int) -> None:
        self._objects = objects
        self._max_file_bytes = max_file_bytes

    async def receive(self, target: str, chunks: AsyncIterator[bytes], now: datetime) -> ObjectInfo:
        """`target` is path and query as the client has sent them. Nothing is left of a body that ends early.

        Raises PermissionDenied for a URL that was not signed for this, and PayloadTooLarge.
        """
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        key = unquote(path).removeprefix(PUBLIC_PATH)
        if not path.startswith(PUBLIC_PATH) or not self._objects.allows_put(key, query, now):
            raise PermissionDenied("SIGNATURE_INVALID", "The URL is not signed for this PUT, or not any more.")
        found = await self._objects.put_stream(self._objects.object_key(key), chunks, max_bytes=self._max_file_bytes)
        LANDINGS.labels(outcome="landed").inc()
        LANDED_BYTES.inc(found.size)
        return found

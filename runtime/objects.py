"""The object store: presigned URLs, metadata, pinned reading and streamed writing over any S3 API.

The minio SDK blocks, so calls run in a pool of threads of their own: a slow store then holds up nothing else. `open`
alone is called from the thread or process that reads.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit, urlunsplit

import urllib3
from minio import Minio

from runtime.errors import PayloadTooLarge
from runtime.failpoints import failpoint
from runtime.multipart import StreamedWrite
from runtime.parts import PAGE, PartRequests, StoredPart, UnfinishedUpload
from runtime.reading import ObjectReader
from runtime.settings import ObjectStoreSettings
from runtime.signing import Signer
from runtime.storage import ObjectChanged, ObjectMissing, StorageThreads, StorageUnavailable, UploadMissing

__all__ = [
    "ObjectChanged",
    "ObjectInfo",
    "ObjectMissing",
    "ObjectReader",
    "ObjectStore",
    "StorageUnavailable",
    "StoredObject",
    "StoredPart",
    "UnfinishedUpload",
    "UploadMissing",
    "object_store",
]

T = TypeVar("T")

THREADS = 16
CONNECT_SECONDS = 3
CALL_SECONDS = 20
PUBLIC_PATH = "/cloud/uploads/"


class ObjectInfo(NamedTuple):
    """Size in bytes, and the ETag without quotes."""

    size: int
    etag: str


class StoredObject(NamedTuple):
    """An object: its whole key in the bucket, its size in bytes, when it was written."""

    object_key: str
    size: int
    modified_at: datetime


class ObjectStore:
    """One bucket, with all keys under one prefix."""

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        *,
        bucket: str,
        prefix: str,
        region: str,
        secure: bool,
        public_url: str,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._public_url = public_url.rstrip("/")
        self._endpoint = (endpoint, access_key, secret_key, region, secure)
        self._threads = StorageThreads(THREADS)
        retry = urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), raise_on_status=False)
        self._http = urllib3.PoolManager(
            maxsize=THREADS,
            block=True,
            retries=retry,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=CALL_SECONDS),
        )
        self._client = self._make_client(self._http)
        # The SDK knows how the Host header of this endpoint is written.
        probe = urlsplit(self._client.presigned_get_object(bucket, "probe"))
        signer = Signer(f"{probe.scheme}://{probe.netloc}", region, access_key, secret_key)
        self._signer = signer
        self._parts = PartRequests(signer, self._http, bucket)

    def _make_client(self, http: urllib3.PoolManager) -> Minio:
        endpoint, access_key, secret_key, region, secure = self._endpoint
        client = Minio(endpoint, access_key, secret_key, secure=secure, region=region, http_client=http)
        # The gateway rewrites paths, so the bucket must be in the path, on AWS too.
        client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        return client

    def object_key(self, key: str) -> str:
        """The key in the bucket of what the API calls `key`."""
        return f"{self._prefix}/{key}"

    def presigned_put_url(self, key: str, life: timedelta) -> str:
        """A URL that lets its holder write this one object for a while. It is a credential: never log it."""
        return self._public(self._client.presigned_put_object(self._bucket, self.object_key(key), expires=life))

    def allows_put(self, key: str, query: dict[str, str], now: datetime) -> bool:
        """Whether this is the query of a URL of `presigned_put_url` for this key that still works."""
        return self._signer.has_signed("PUT", f"/{self._bucket}/{self.object_key(key)}", query, now)

    def presigned_get_url(self, key: str, life: timedelta, *, file_name: str, content_type: str) -> str:
        """A URL that lets its holder download this one object, under this name, for a while. Never log it.

        The name must be plain ASCII without quotes. Nothing is asked of the store: whether the object is there, `head`
        knows.
        """
        answer: dict[str, str | list[str] | tuple[str]] = {
            "response-content-disposition": f'attachment; filename="{file_name}"',
            "response-content-type": content_type,
        }
        signed = self._client.presigned_get_object(
            self._bucket, self.object_key(key), expires=life, response_headers=answer
        )
        return self._public(signed)

    def _public(self, signed_url: str) -> str:
        """The same URL as clients reach it, through the gateway."""
        signed, public = urlsplit(signed_url), urlsplit(self._public_url)
        path = PUBLIC_PATH + signed.path.removeprefix(f"/{self._bucket}/{self._prefix}/")
        return urlunsplit((public.scheme, public.netloc, path, signed.query, ""))

    async def head(self, object_key: str) -> ObjectInfo:
        """Raises ObjectMissing or StorageUnavailable."""
        failpoint("storage.before_head")
        found = await self._threads.run(self._client.stat_object, self._bucket, object_key)
        failpoint("storage.after_head")
        return ObjectInfo(size=found.size or 0, etag=(found.etag or "").strip('"'))

    async def describe(self, object_key: str) -> StoredObject:
        """As `head`, with the time."""
        found = await self._threads.run(self._client.stat_object, self._bucket, object_key)
        return StoredObject(object_key, found.size or 0, found.last_modified or datetime.now(UTC))

    def open(self, object_key: str, etag: str, offset: int = 0) -> ObjectReader:
        """The bytes of exactly this version, from `offset`. Blocking."""
        return ObjectReader(self._make_client, self._bucket, object_key, etag, offset)

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> ObjectInfo:
        """Write what comes, holding two parts of 8 to 16 MiB at most; nothing of it is left behind when it ends early.

        Raises PayloadTooLarge when more than `max_bytes` come.
        """
        size = 0
        async with StreamedWrite(
            self._client, self._parts, self._threads, self._bucket, object_key, max_bytes
        ) as write:
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise PayloadTooLarge(
                        "FILE_TOO_LARGE", f"The file is larger than {max_bytes} bytes.", max_bytes=str(max_bytes)
                    )
                await write.add(chunk)
            failpoint("storage.before_put")
        failpoint("storage.after_put")
        return await self.head(object_key)

    async def put(self, object_key: str, data: bytes, content_type: str) -> None:
        await self._threads.run(
            self._client.put_object, self._bucket, object_key, io.BytesIO(data), len(data), content_type=content_type
        )

    async def delete(self, object_key: str) -> None:
        """Deleting what is not there is no error."""
        failpoint("storage.before_delete")
        await self._threads.run(self._client.remove_object, self._bucket, object_key)
        failpoint("storage.after_delete")

    async def begin_parts(self, object_key: str) -> str:
        """The id of an upload in parts."""
        failpoint("storage.before_begin")
        upload_id = await self._threads.run(self._parts.begin, object_key)
        failpoint("storage.after_begin")
        return upload_id

    def presigned_part_url(self, key: str, upload_id: str, number: int, size: int, life: timedelta) -> str:
        """A URL that takes this part, of exactly this size, for a while. It is a credential: never log it."""
        return self._public(self._parts.part_url(self.object_key(key), upload_id, number, size, life))

    async def stored_parts(self, object_key: str, upload_id: str, first: int, last: int) -> list[StoredPart]:
        """Which of the parts `first` to `last` have arrived; UploadMissing when the upload is over."""
        failpoint("storage.before_list")
        arrived = await self._threads.run(self._parts.arrived, object_key, upload_id, first, last)
        failpoint("storage.after_list")
        return arrived

    async def complete_parts(self, object_key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Make the object of these parts; UploadMissing when the upload is over."""
        named = [(part.number, part.etag) for part in parts]
        failpoint("storage.before_complete")
        await self._threads.run(self._parts.complete, object_key, upload_id, named)
        failpoint("storage.after_complete")

    async def abort_parts(self, object_key: str, upload_id: str) -> None:
        """Remove the parts. Aborting what is over is no error."""
        failpoint("storage.before_abort")
        await self._threads.run(self._parts.abort, object_key, upload_id)
        failpoint("storage.after_abort")

    async def list_objects(self) -> AsyncIterator[list[StoredObject]]:
        """Everything below the prefix, page by page."""
        found = self._client.list_objects(self._bucket, prefix=f"{self._prefix}/", recursive=True)
        while page := await self._threads.run(_take, found):
            yield [
                StoredObject(each.object_name or "", each.size or 0, each.last_modified)
                for each in page
                if each.last_modified is not None
            ]

    async def list_unfinished(self) -> AsyncIterator[list[UnfinishedUpload]]:
        """All uploads below the prefix that were neither completed nor aborted, page by page."""
        pages = self._parts.unfinished(f"{self._prefix}/")
        nothing: list[UnfinishedUpload] = []
        while page := await self._threads.run(next, pages, nothing):
            yield page

    async def ping(self) -> None:
        """Raises StorageUnavailable when the bucket cannot be used."""
        if not await self._threads.run(self._client.bucket_exists, self._bucket):
            raise StorageUnavailable(f"there is no bucket {self._bucket}")

    def close(self) -> None:
        """Wait for the calls that run, which their time limits bound."""
        self._threads.close()
        self._http.clear()


def _take(items: Iterator[T]) -> list[T]:
    return list(islice(items, PAGE))


def object_store(settings: ObjectStoreSettings) -> ObjectStore:
    """The store that these settings name."""
    return ObjectStore(
        settings.s3_endpoint,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
        bucket=settings.s3_bucket,
        prefix=settings.s3_prefix,
        region=settings.s3_region,
        secure=settings.s3_secure,
        public_url=str(settings.public_url),
    )

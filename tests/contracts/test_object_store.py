"""What every object store here promises, the fake as the real one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from minio import Minio

from runtime.errors import PayloadTooLarge
from runtime.multipart import LEAST_PART_BYTES
from runtime.objects import ObjectChanged, ObjectMissing, ObjectStore
from tests.fakes.objects import FakeObjectStore
from tests.stack import ObjectStore as Bucket

PUBLIC_URL = "http://gateway.example:8080"
BIG = 2 * LEAST_PART_BYTES + 12_345
MAX_BYTES = 10 * LEAST_PART_BYTES


@pytest.fixture
def real(object_store: Bucket) -> Iterator[ObjectStore]:
    store = ObjectStore(
        object_store.endpoint,
        object_store.access_key,
        object_store.secret_key,
        bucket=object_store.bucket,
        prefix="uploads",
        region=object_store.region,
        secure=object_store.secure,
        public_url=PUBLIC_URL,
    )
    yield store
    store.close()


@pytest.fixture
def client(object_store: Bucket) -> Minio:
    return Minio(
        object_store.endpoint,
        object_store.access_key,
        object_store.secret_key,
        secure=object_store.secure,
        region=object_store.region,
    )


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeObjectStore(public_url=PUBLIC_URL)
    return request.getfixturevalue("real")


def some_bytes(count: int) -> bytes:
    return random.Random(count).randbytes(count)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read_all(store: Any, key: str, etag: str, offset: int = 0, size: int = 1_000_000) -> bytes:
    with store.open(key, etag, offset) as reader:
        return b"".join(iter(lambda: reader.read(size), b""))


async def test_what_was_put_is_there(store: Any) -> None:
    key = store.object_key("c1/a b+&ü.xml")
    await store.put(key, b"hello", "text/xml")
    info = await store.head(key)
    assert info.size == 5
    assert await asyncio.to_thread(read_all, store, key, info.etag) == b"hello"


async def test_what_is_not_there_is_missing(store: Any) -> None:
    key = store.object_key("c1/none")
    with pytest.raises(ObjectMissing):
        await store.head(key)
    with pytest.raises(ObjectMissing):
        await asyncio.to_thread(read_all, store, key, "0" * 32)


async def test_an_empty_object_is_an_object(store: Any) -> None:
    key = store.object_key("c1/empty")
    await store.put(key, b"", "text/plain")
    info = await store.head(key)
    assert info.size == 0
    assert await asyncio.to_thread(read_all, store, key, info.etag) == b""


async def test_deleting_twice_is_no_error(store: Any) -> None:
    key = store.object_key("c1/a")
    await store.put(key, b"x", "text/plain")
    await store.delete(key)
    await store.delete(key)
    with pytest.raises(ObjectMissing):
        await store.head(key)


@pytest.mark.parametrize("size", [1, 7, 4096, 10_000])
async def test_reads_give_what_was_asked_for_and_less_only_at_the_end(store: Any, size: int) -> None:
    data, key = some_bytes(9_999), store.object_key("c1/a")
    await store.put(key, data, "text/plain")
    info = await store.head(key)

    def lengths() -> list[int]:
        with store.open(key, info.etag) as reader:
            return [len(piece) for piece in iter(lambda: reader.read(size), b"")]

    assert await asyncio.to_thread(lengths) == [min(size, 9_999 - start) for start in range(0, 9_999, size)]


@pytest.mark.parametrize("offset", [0, 1, 5_000, 9_998, 9_999])
async def test_reading_begins_at_the_offset(store: Any, offset: int) -> None:
    data, key = some_bytes(9_999), store.object_key("c1/a")
    await store.put(key, data, "text/plain")
    info = await store.head(key)
    assert await asyncio.to_thread(read_all, store, key, info.etag, offset) == data[offset:]


@pytest.mark.parametrize("offset", [0, 3])
async def test_an_object_that_was_overwritten_is_not_read(store: Any, offset: int) -> None:
    key = store.object_key("c1/a")
    await store.put(key, b"first", "text/plain")
    etag = (await store.head(key)).etag
    await store.put(key, b"other", "text/plain")
    with pytest.raises(ObjectChanged):
        await asyncio.to_thread(read_all, store, key, etag, offset)


@pytest.mark.parametrize("count", [0, 1, LEAST_PART_BYTES - 1, LEAST_PART_BYTES, LEAST_PART_BYTES + 1, BIG])
async def test_a_stream_of_any_length_is_stored_whole(store: Any, count: int) -> None:
    data, key = some_bytes(count), store.object_key("c1/a")
    info = await store.put_stream(key, pieces(data, 300_000), max_bytes=MAX_BYTES)
    assert info == await store.head(key)
    assert info.size == count
    assert await asyncio.to_thread(read_all, store, key, info.etag) == data


@pytest.mark.parametrize("max_bytes", [10, LEAST_PART_BYTES + 10])
async def test_a_stream_longer_than_allowed_leaves_nothing(store: Any, max_bytes: int) -> None:
    key = store.object_key("c1/a")
    with pytest.raises(PayloadTooLarge) as refusal:
        await store.put_stream(key, pieces(some_bytes(BIG), 300_000), max_bytes=max_bytes)
    assert refusal.value.metadata == {"max_bytes": str(max_bytes)}
    with pytest.raises(ObjectMissing):
        await store.head(key)


async def test_a_stream_may_have_exactly_the_limit(store: Any) -> None:
    info = await store.put_stream(store.object_key("c1/a"), pieces(b"12345", 2), max_bytes=5)
    assert info.size == 5


@pytest.mark.parametrize("before", [10, BIG])
async def test_a_stream_that_breaks_leaves_nothing(store: Any, before: int) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        async for piece in pieces(some_bytes(before), 300_000):
            yield piece
        raise ConnectionResetError

    key = store.object_key("c1/a")
    with pytest.raises(ConnectionResetError):
        await store.put_stream(key, breaking(), max_bytes=MAX_BYTES)
    with pytest.raises(ObjectMissing):
        await store.head(key)


def test_the_published_url_is_the_gateways(store: Any) -> None:
    url = urlsplit(store.presigned_put_url("c1/a b.xml", timedelta(minutes=15)))
    assert f"{url.scheme}://{url.netloc}" == PUBLIC_URL
    assert url.path == "/cloud/uploads/c1/a%20b.xml"
    assert "X-Amz-Expires=900" in url.query
    assert "X-Amz-Signature=" in url.query


async def test_a_store_that_answers_is_pinged(store: Any) -> None:
    await store.ping()


def unfinished(client: Minio, bucket: str) -> list[str]:
    """Multipart uploads that were begun and neither completed nor aborted."""
    return [upload.object_name for upload in client._list_multipart_uploads(bucket, prefix="uploads/").uploads]


@pytest.mark.parametrize("chunks", [30, 60])
async def test_a_cancelled_stream_leaves_no_object_and_no_unfinished_upload(
    real: ObjectStore, client: Minio, object_store: Bucket, chunks: int
) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(chunks):
            yield b"x" * 1_000_000
        reached.set()
        await asyncio.Event().wait()

    key = real.object_key("c1/a")
    task = asyncio.create_task(real.put_stream(key, endless(), max_bytes=MAX_BYTES))
    await reached.wait()
    assert unfinished(client, object_store.bucket) == [key]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert unfinished(client, object_store.bucket) == []
    with pytest.raises(ObjectMissing):
        await real.head(key)


async def test_the_published_url_lets_its_holder_put_this_object_and_nothing_else(
    real: ObjectStore, object_store: Bucket
) -> None:
    def put(path_from: str, path_to: str, method: str = "PUT") -> int:
        """As the gateway does it: prefix and host rewritten, the query as it is."""
        url = real.presigned_put_url("c1/a b.xml", timedelta(minutes=15))
        inner = url.replace(
            f"{PUBLIC_URL}/cloud/uploads", f"http://{object_store.endpoint}/{object_store.bucket}/uploads"
        )
        inner = inner.replace(path_from, path_to)
        return urllib3.request(method, inner, body=b"scan", retries=False).status

    assert await asyncio.to_thread(put, "", "") == 200
    assert (await real.head(real.object_key("c1/a b.xml"))).size == 4
    assert await asyncio.to_thread(put, "a%20b.xml", "other.xml") == 403
    assert await asyncio.to_thread(put, "Signature=", "Signature=0") == 403
    assert await asyncio.to_thread(put, "", "", "DELETE") == 403

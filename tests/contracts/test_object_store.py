"""What every object store here promises, the fake as the real one."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from minio import Minio

from runtime.errors import PayloadTooLarge
from runtime.multipart import LEAST_PART_BYTES, MIB
from runtime.objects import ObjectChanged, ObjectMissing, ObjectStore, UploadMissing
from tests.fakes.objects import FakeObjectStore
from tests.stack import LISTS_ALL_UPLOADS
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


async def test_an_object_is_described_with_size_and_time(store: Any) -> None:
    key = store.object_key("c1/described")
    await store.put(key, b"hello", "text/plain")
    found = await store.describe(key)
    assert (found.object_key, found.size) == (key, 5)
    assert abs(found.modified_at - datetime.now(UTC)) < timedelta(minutes=5)
    with pytest.raises(ObjectMissing):
        await store.describe(store.object_key("c1/none"))


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


def test_the_published_url_of_a_download_is_the_gateways(store: Any) -> None:
    life = timedelta(minutes=5)
    url = urlsplit(store.presigned_get_url("reports/1/a.csv", life, file_name="b.csv", content_type="text/csv"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{PUBLIC_URL}/cloud/uploads/reports/1/a.csv"
    query = parse_qs(url.query, strict_parsing=True)
    assert query["X-Amz-Expires"] == ["300"]
    assert query["response-content-disposition"] == ['attachment; filename="b.csv"']
    assert query["response-content-type"] == ["text/csv"]
    assert "X-Amz-Signature" in query


async def test_a_store_that_answers_is_pinged(store: Any) -> None:
    await store.ping()


FIRST, SECOND = b"a" * MIB * 5, b"b" * 1_000


async def send_part(store: Any, bucket: Bucket, key: str, upload_id: str, number: int, data: bytes) -> None:
    """By the URL of the part, as a client does, past the gateway."""
    if isinstance(store, FakeObjectStore):
        store.put_part(upload_id, number, data)
        return
    url = direct(store.presigned_part_url(key, upload_id, number, len(data), timedelta(minutes=15)), bucket)
    answer = await asyncio.to_thread(urllib3.request, "PUT", url, body=data, retries=False)
    assert answer.status == 200, answer.data


def direct(url: str, bucket: Bucket) -> str:
    return url.replace(f"{PUBLIC_URL}/cloud/uploads", f"http://{bucket.endpoint}/{bucket.bucket}/uploads")


async def listed(pages: AsyncIterator[list[Any]]) -> list[Any]:
    return [each async for page in pages for each in page]


async def test_parts_that_came_in_any_order_become_one_object(store: Any, object_store: Bucket) -> None:
    key = "c1/a b+&\u00fc.xml"
    object_key = store.object_key(key)
    upload_id = await store.begin_parts(object_key)
    await send_part(store, object_store, key, upload_id, 2, SECOND)
    await send_part(store, object_store, key, upload_id, 1, b"x" * len(FIRST))
    await send_part(store, object_store, key, upload_id, 1, FIRST)
    with pytest.raises(ObjectMissing):
        await store.head(object_key)
    parts = await store.stored_parts(object_key, upload_id, 1, 10_000)
    assert [(part.number, part.size) for part in parts] == [(1, len(FIRST)), (2, len(SECOND))]
    await store.complete_parts(object_key, upload_id, parts)
    info = await store.head(object_key)
    assert await asyncio.to_thread(read_all, store, object_key, info.etag) == FIRST + SECOND


async def test_only_the_parts_that_were_asked_for_are_listed(store: Any, object_store: Bucket) -> None:
    object_key = store.object_key("c1/a")
    upload_id = await store.begin_parts(object_key)
    assert await store.stored_parts(object_key, upload_id, 1, 10_000) == []
    for number in (1, 2, 4):
        await send_part(store, object_store, "c1/a", upload_id, number, SECOND)
    for first, last, numbers in ((1, 10_000, [1, 2, 4]), (2, 3, [2]), (3, 9, [4]), (5, 9, [])):
        assert [part.number for part in await store.stored_parts(object_key, upload_id, first, last)] == numbers


async def test_an_upload_that_is_over_has_no_parts_any_more(store: Any, object_store: Bucket) -> None:
    object_key = store.object_key("c1/a")
    for ending in ("complete", "abort"):
        upload_id = await store.begin_parts(object_key)
        await send_part(store, object_store, "c1/a", upload_id, 1, SECOND)
        parts = await store.stored_parts(object_key, upload_id, 1, 1)
        if ending == "complete":
            await store.complete_parts(object_key, upload_id, parts)
        else:
            await store.abort_parts(object_key, upload_id)
        with pytest.raises(UploadMissing):
            await store.stored_parts(object_key, upload_id, 1, 1)
        with pytest.raises(UploadMissing):
            await store.complete_parts(object_key, upload_id, parts)
        await store.abort_parts(object_key, upload_id)
    assert (await store.head(object_key)).size == len(SECOND)


@pytest.mark.skipif(not LISTS_ALL_UPLOADS, reason="this store lists uploads of one key only")
async def test_unfinished_uploads_are_listed_and_finished_ones_are_not(store: Any) -> None:
    keys = [store.object_key(f"c{number}/a") for number in range(3)]
    ids = [await store.begin_parts(key) for key in (*keys, keys[0])]
    found = await listed(store.list_unfinished())
    assert {(each.object_key, each.upload_id) for each in found} == set(zip((*keys, keys[0]), ids, strict=True))
    assert all(abs(each.begun_at - datetime.now(UTC)) < timedelta(minutes=5) for each in found)
    for key, upload_id in zip((*keys, keys[0]), ids, strict=True):
        await store.abort_parts(key, upload_id)
    assert await listed(store.list_unfinished()) == []


async def test_objects_are_listed_with_size_and_time(store: Any) -> None:
    assert await listed(store.list_objects()) == []
    await store.put(store.object_key("c1/a b+\u00fc"), b"12", "text/plain")
    await store.put(store.object_key("reports/1/x/errors.csv"), b"123", "text/csv")
    found = await listed(store.list_objects())
    assert {(each.object_key, each.size) for each in found} == {
        (store.object_key("c1/a b+\u00fc"), 2),
        (store.object_key("reports/1/x/errors.csv"), 3),
    }
    assert all(abs(each.modified_at - datetime.now(UTC)) < timedelta(minutes=5) for each in found)


@pytest.mark.skipif(not LISTS_ALL_UPLOADS, reason="this store lists uploads of one key only")
async def test_lists_go_on_beyond_a_page(real: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.parts.PAGE", 2)
    monkeypatch.setattr("runtime.objects.PAGE", 2)
    keys = {real.object_key(f"c{number}/a") for number in range(5)}
    for key in keys:
        await real.begin_parts(key)
        await real.put(key, b"x", "text/plain")
    pages = [page async for page in real.list_unfinished()]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {each.object_key for page in pages for each in page} == keys
    assert {each.object_key for each in await listed(real.list_objects())} == keys
    upload_id = pages[0][0].upload_id
    for number in range(1, 6):
        await asyncio.to_thread(real._parts.put, pages[0][0].object_key, upload_id, number, b"x")
    parts = await real.stored_parts(pages[0][0].object_key, upload_id, 1, 5)
    assert [part.number for part in parts] == [1, 2, 3, 4, 5]


async def test_the_url_of_a_part_takes_exactly_this_part(real: ObjectStore, object_store: Bucket) -> None:
    upload_id = await real.begin_parts(real.object_key("c1/a"))
    public = real.presigned_part_url("c1/a", upload_id, 2, 1_000, timedelta(minutes=15))
    assert public.startswith(f"{PUBLIC_URL}/cloud/uploads/c1/a?")
    url = direct(public, object_store)

    def put(data: bytes, **changes: str) -> int:
        changed = url
        for member, value in changes.items():
            changed = re.sub(rf"{member.replace('_', '-')}=[^&]*", f"{member.replace('_', '-')}={value}", changed)
        assert not changes or changed != url
        return urllib3.request("PUT", changed, body=data, retries=False).status

    assert await asyncio.to_thread(put, SECOND[:-1]) == 403
    assert await asyncio.to_thread(put, SECOND + b"x") == 403
    assert await asyncio.to_thread(put, SECOND, partNumber="3") == 403
    assert await asyncio.to_thread(put, SECOND, X_Amz_Expires="901") == 403
    assert await real.stored_parts(real.object_key("c1/a"), upload_id, 1, 10) == []
    assert await asyncio.to_thread(put, SECOND) == 200
    await real.abort_parts(real.object_key("c1/a"), upload_id)
    assert await asyncio.to_thread(put, SECOND) == 404


def unfinished(client: Minio, bucket: str) -> list[str]:
    """Multipart uploads that were begun and neither completed nor aborted."""
    return [upload.object_name for upload in client._list_multipart_uploads(bucket, prefix="uploads/c1/a").uploads]


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


async def test_the_url_of_a_download_gives_this_object_under_its_name_and_nothing_else(
    real: ObjectStore, object_store: Bucket
) -> None:
    await real.put(real.object_key("reports/1/a.csv"), b"a,b", "application/octet-stream")
    await real.put(real.object_key("reports/2/a.csv"), b"c,d", "application/octet-stream")
    public = real.presigned_get_url(
        "reports/1/a.csv", timedelta(minutes=5), file_name="b.csv", content_type="text/csv; charset=utf-8"
    )
    url = public.replace(f"{PUBLIC_URL}/cloud/uploads", f"http://{object_store.endpoint}/{object_store.bucket}/uploads")

    def ask(path_from: str = "", path_to: str = "", method: str = "GET") -> urllib3.BaseHTTPResponse:
        return urllib3.request(method, url.replace(path_from, path_to), retries=False)

    answer = await asyncio.to_thread(ask)
    assert (answer.status, answer.data) == (200, b"a,b")
    assert answer.headers["content-disposition"] == 'attachment; filename="b.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    for change in (
        ("reports/1", "reports/2"),
        ("b.csv", "c.csv"),
        ("Expires=300", "Expires=900"),
        ("Signature=", "Signature=0"),
    ):
        assert (await asyncio.to_thread(ask, *change)).status == 403
    for method in ("PUT", "DELETE"):
        assert (await asyncio.to_thread(ask, "", "", method)).status == 403

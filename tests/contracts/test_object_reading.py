"""Reading from the real store goes on over every kind of lost connection, and never mixes two versions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtime import reading
from runtime.objects import ObjectChanged, ObjectReader, ObjectStore, StorageUnavailable
from tests.fakes.proxy import FlakyProxy
from tests.stack import ObjectStore as Bucket

DATA = random.Random(1).randbytes(3_000_000)
KEY = "uploads/c1/scan.xml"

MakeStore = Callable[[str], ObjectStore]


@pytest.fixture
def make_store(object_store: Bucket) -> Iterator[MakeStore]:
    stores: list[ObjectStore] = []

    def make(endpoint: str) -> ObjectStore:
        stores.append(
            ObjectStore(
                endpoint,
                object_store.access_key,
                object_store.secret_key,
                bucket=object_store.bucket,
                prefix="uploads",
                region=object_store.region,
                secure=False,
                public_url="http://gateway",
            )
        )
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
async def etag(make_store: MakeStore, object_store: Bucket) -> str:
    store = make_store(object_store.endpoint)
    await store.put(KEY, DATA, "text/xml")
    return (await store.head(KEY)).etag


def without_waiting(reader: ObjectReader) -> ObjectReader:
    reader._attempts = reader._attempts.copy(sleep=lambda _: None)
    return reader


def read_all(reader: ObjectReader, size: int = 100_000) -> bytes:
    with reader:
        return b"".join(iter(lambda: reader.read(size), b""))


@pytest.mark.parametrize("offset", [0, 1_234_567])
async def test_a_dropped_connection_is_taken_up_where_it_ended(
    make_store: MakeStore, object_store: Bucket, etag: str, offset: int
) -> None:
    with FlakyProxy(object_store.endpoint, [700_000, 100, 0, 500_000]) as proxy:
        reader = without_waiting(make_store(proxy.endpoint).open(KEY, etag, offset))
        assert await asyncio.to_thread(read_all, reader) == DATA[offset:]
        assert proxy.connections >= 4


async def test_a_read_never_returns_less_because_a_connection_ended(
    make_store: MakeStore, object_store: Bucket, etag: str
) -> None:
    with FlakyProxy(object_store.endpoint, [150_000, 250_000]) as proxy:
        reader = without_waiting(make_store(proxy.endpoint).open(KEY, etag))

        def read() -> list[int]:
            with reader:
                return [len(reader.read(1_000_000)) for _ in range(4)]

        assert await asyncio.to_thread(read) == [1_000_000, 1_000_000, 1_000_000, 0]


async def test_a_connection_that_falls_silent_is_dropped(
    make_store: MakeStore, object_store: Bucket, etag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "IDLE_SECONDS", 0.2)
    with FlakyProxy(object_store.endpoint, [500_000, 0], stalls=True) as proxy:
        reader = without_waiting(make_store(proxy.endpoint).open(KEY, etag))
        assert await asyncio.to_thread(read_all, reader) == DATA


async def test_after_a_lost_connection_another_version_is_not_read_on(
    make_store: MakeStore, object_store: Bucket, etag: str
) -> None:
    with FlakyProxy(object_store.endpoint, [600_000]) as proxy:
        reader = without_waiting(make_store(proxy.endpoint).open(KEY, etag))
        assert await asyncio.to_thread(reader.read, 10) == DATA[:10]
        await make_store(object_store.endpoint).put(KEY, bytes(len(DATA)), "text/xml")
        with pytest.raises(ObjectChanged):
            await asyncio.to_thread(read_all, reader)


async def test_a_store_that_does_not_come_back_is_unavailable_after_several_tries(
    make_store: MakeStore, object_store: Bucket, etag: str
) -> None:
    with FlakyProxy(object_store.endpoint, [600_000] + [0] * 50) as proxy:
        reader = without_waiting(make_store(proxy.endpoint).open(KEY, etag))
        with pytest.raises(StorageUnavailable):
            await asyncio.to_thread(read_all, reader)
        assert proxy.connections == reading.ATTEMPTS


@pytest.mark.parametrize("call", ["head", "delete", "ping"])
async def test_calls_to_a_store_that_is_not_there_say_so(make_store: MakeStore, call: str) -> None:
    store = make_store("127.0.0.1:1")
    arguments: tuple[Any, ...] = () if call == "ping" else (KEY,)
    with pytest.raises(StorageUnavailable) as failure:
        await getattr(store, call)(*arguments)
    assert failure.value.reason == "STORAGE_UNAVAILABLE"
    assert "Signature" not in str(failure.value)


async def test_a_wrong_secret_is_not_a_missing_object(object_store: Bucket, etag: str) -> None:
    store = ObjectStore(
        object_store.endpoint,
        object_store.access_key,
        "wrong-secret",
        bucket=object_store.bucket,
        prefix="uploads",
        region=object_store.region,
        secure=False,
        public_url="http://gateway",
    )
    with pytest.raises(StorageUnavailable):
        await store.head(KEY)
    store.close()

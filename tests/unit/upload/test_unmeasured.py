from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from runtime.errors import PayloadTooLarge, PermissionDenied
from runtime.objects import ObjectInfo
from runtime.signing import Signer
from services.upload.unmeasured import UnmeasuredPuts

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = "c1/a b+c.txt"
SIGNER = Signer("http://store:9000", "us-east-1", "access", "secret")


class SignedStore:
    """An object store that looks at signatures."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def object_key(self, key: str) -> str:
        return f"uploads/{key}"

    def allows_put(self, key: str, query: dict[str, str], now: datetime) -> bool:
        return SIGNER.has_signed("PUT", f"/hythe/{self.object_key(key)}", query, now)

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> ObjectInfo:
        data = b"".join([chunk async for chunk in chunks])
        if len(data) > max_bytes:
            raise PayloadTooLarge("FILE_TOO_LARGE", "Too large.")
        self.objects[object_key] = data
        return ObjectInfo(len(data), "e")


@pytest.fixture
def store() -> SignedStore:
    return SignedStore()


@pytest.fixture
def puts(store: SignedStore) -> UnmeasuredPuts:
    return UnmeasuredPuts(store, max_file_bytes=10)


async def chunks(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


def target(key: str = KEY, method: str = "PUT", life: timedelta = timedelta(minutes=15), **query: str) -> str:
    signed = SIGNER.url(method, f"/hythe/uploads/{key}", query, life=life, at=NOW)
    return f"/cloud/uploads/{quote(key)}?{urlsplit(signed).query}"


async def test_what_comes_to_a_signed_url_is_written_to_its_key(store: SignedStore, puts: UnmeasuredPuts) -> None:
    assert await puts.receive(target(), chunks(b"ab", b"c"), NOW) == ObjectInfo(3, "e")
    assert store.objects == {f"uploads/{KEY}": b"abc"}


@pytest.mark.parametrize("later", [timedelta(minutes=-15), timedelta(0), timedelta(minutes=15)])
async def test_a_url_works_for_as_long_as_it_says(puts: UnmeasuredPuts, later: timedelta) -> None:
    assert await puts.receive(target(), chunks(b"a"), NOW + later)


@pytest.mark.parametrize("later", [timedelta(minutes=-16), timedelta(minutes=15, seconds=1), timedelta(days=300)])
async def test_a_url_does_not_work_before_and_after(store: SignedStore, puts: UnmeasuredPuts, later: timedelta) -> None:
    with pytest.raises(PermissionDenied):
        await puts.receive(target(), chunks(b"a"), NOW + later)
    assert store.objects == {}


def changed(name: str, value: str) -> str:
    """The right URL with another value in its query; without the member for an empty one."""
    path, _, query = target().partition("?")
    members = dict(parse_qsl(query))
    members[name] = value
    return path + "?" + "&".join(f"{key}={quote(text, safe='')}" for key, text in members.items() if text)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "/cloud/uploads/",
        target().partition("?")[0],
        target().replace("/cloud/uploads/", "/somewhere/else/"),
        target().replace("c1/", "c2/"),
        target(method="GET"),
        target("reports/1/2/errors.csv", method="GET"),
        target(life=timedelta(days=8)),
        target(uploadId="u", partNumber="1"),
        target() + "&x=1",
        changed("X-Amz-Signature", "0" * 64),
        changed("X-Amz-Signature", "\u00e9"),
        changed("X-Amz-Signature", ""),
        changed("X-Amz-Expires", "901"),
        changed("X-Amz-Expires", "-1"),
        changed("X-Amz-Expires", "\u0661"),
        changed("X-Amz-Date", "20260102T030406Z"),
        changed("X-Amz-Date", "20261302T030405Z"),
        changed("X-Amz-Date", "now"),
        changed("X-Amz-Credential", "access/20260102/eu-west-1/s3/aws4_request"),
        changed("X-Amz-SignedHeaders", "content-length;host"),
        changed("X-Amz-Algorithm", "none"),
    ],
)
async def test_any_other_url_is_refused_before_anything_is_written(
    store: SignedStore, puts: UnmeasuredPuts, wrong: str
) -> None:
    with pytest.raises(PermissionDenied) as raised:
        await puts.receive(wrong, chunks(b"a"), NOW)
    assert raised.value.reason == "SIGNATURE_INVALID"
    assert store.objects == {}


async def test_a_url_for_one_length_does_not_take_a_body_of_any(puts: UnmeasuredPuts) -> None:
    signed = SIGNER.url("PUT", f"/hythe/uploads/{KEY}", {}, life=timedelta(minutes=15), length=3, at=NOW)
    with pytest.raises(PermissionDenied):
        await puts.receive(f"/cloud/uploads/{quote(KEY)}?{urlsplit(signed).query}", chunks(b"abc"), NOW)


async def test_too_large_a_body_is_refused(puts: UnmeasuredPuts) -> None:
    with pytest.raises(PayloadTooLarge):
        await puts.receive(target(), chunks(b"123456", b"123456"), NOW)

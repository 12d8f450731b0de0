from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from runtime.context import Principal, Role
from runtime.errors import Unauthenticated, Unavailable
from runtime.tokens import FRESH_SECONDS, STALE_SECONDS, KeySet, read_claims, write_claims
from tests.fakes.signing import ADMIN, FakeKeySource, SigningKey, make_ec_key, make_rsa_key

EC_KEY, RSA_KEY, OTHER_KEY = make_ec_key("one"), make_rsa_key("two"), make_ec_key("three")
LIMITED = Principal(7, 5, "bob@example.com", Role.VIEWER, True, frozenset({"a", "b"}), frozenset({3, 1}))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def key_set(source: FakeKeySource, clock: Clock | None = None) -> KeySet:
    return KeySet(source, issuer="hythe", audience="hythe", clock=clock or Clock())


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY], ids=["ES256", "RS256"])
@pytest.mark.parametrize("principal", [ADMIN, LIMITED], ids=["all clients", "some clients"])
async def test_a_good_token_gives_the_principal_it_was_made_for(key: SigningKey, principal: Principal) -> None:
    assert await key_set(FakeKeySource(EC_KEY, RSA_KEY)).verify(key.sign(principal)) == principal


def test_claims_survive_the_way_there_and_back() -> None:
    assert read_claims(json.loads(json.dumps(write_claims(LIMITED)))) == LIMITED


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def claims_of(token: str) -> Any:
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def signed_by_public_key(key: SigningKey) -> str:
    """HS256 with the public key as the secret: the old confusion of algorithms."""
    public = key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{encoded(claims_of(key.sign()))}"
    signature = hmac.new(public, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def unsigned(key: SigningKey) -> str:
    return f"{encoded({'alg': 'none', 'kid': key.kid})}.{encoded(claims_of(key.sign()))}."


def tampered(key: SigningKey) -> str:
    head, _, signature = key.sign().split(".")
    return f"{head}.{encoded({**claims_of(key.sign()), 'tenant_id': 8})}.{signature}"


NOW = int(time.time())
BAD_TOKENS = {
    "no signature": unsigned(RSA_KEY),
    "HS256 with the public key": signed_by_public_key(RSA_KEY),
    "changed claims": tampered(EC_KEY),
    "another's key under our id": SigningKey("one", "ES256", OTHER_KEY.private, {}).sign(),
    "a key that is not in the set": OTHER_KEY.sign(),
    "RS256 claimed for an EC key": SigningKey("one", "RS256", RSA_KEY.private, {}).sign(),
    "wrong issuer": EC_KEY.sign(iss="somebody"),
    "no issuer": EC_KEY.sign(iss=None),
    "wrong audience": EC_KEY.sign(aud="somebody"),
    "no audience": EC_KEY.sign(aud=None),
    "expired": EC_KEY.sign(exp=NOW - 31),
    "no expiry": EC_KEY.sign(exp=None),
    "not valid yet": EC_KEY.sign(nbf=NOW + 86_400),
    "no subject": EC_KEY.sign(sub=None),
    "subject is not a number": EC_KEY.sign(sub="ada"),
    "no tenant": EC_KEY.sign(tenant_id=None),
    "tenant as text": EC_KEY.sign(tenant_id="7"),
    "tenant as a boolean": EC_KEY.sign(tenant_id=True),
    "unknown role": EC_KEY.sign(role=9),
    "no role": EC_KEY.sign(role=None),
    "no key id": EC_KEY.sign(headers={"kid": None}),
    "three dots of nothing": "a.b.c",
    "empty parts": "..",
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_is_refused_with_the_one_reason(token: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await key_set(FakeKeySource(EC_KEY, RSA_KEY), Ticking()).verify(token)
    assert refusal.value.reason == "INVALID_CREDENTIAL"


class Ticking(Clock):
    """A clock that never makes anybody wait for the next fetch."""

    def __call__(self) -> float:
        self.now += 10
        return self.now


async def test_a_token_expired_for_less_than_the_leeway_is_good() -> None:
    assert await key_set(FakeKeySource(EC_KEY)).verify(EC_KEY.sign(exp=int(time.time()) - 10)) == ADMIN


async def test_a_symmetric_key_in_the_set_is_no_key() -> None:
    source = FakeKeySource(EC_KEY)
    secret = b"0123456789abcdef0123456789abcdef"
    source.keys.append(
        SigningKey("mac", "HS256", secret, {"kty": "oct", "kid": "mac", "k": encoded("x"), "alg": "HS256"})
    )
    with pytest.raises(Unauthenticated):
        await key_set(source, Ticking()).verify(source.keys[-1].sign())


async def test_keys_are_fetched_once_for_many_tokens() -> None:
    source = FakeKeySource(EC_KEY)
    keys = key_set(source)
    await asyncio.gather(*(keys.verify(EC_KEY.sign()) for _ in range(20)))
    assert source.fetches == 1


async def test_a_rotated_key_is_found_without_a_refusal() -> None:
    source, clock = FakeKeySource(EC_KEY), Clock()
    keys = key_set(source, clock)
    await keys.verify(EC_KEY.sign())
    source.keys.insert(0, OTHER_KEY)
    clock.now += 2
    assert await keys.verify(OTHER_KEY.sign()) == ADMIN
    assert await keys.verify(EC_KEY.sign()) == ADMIN


async def test_made_up_key_ids_cause_one_fetch_a_second() -> None:
    source = FakeKeySource(EC_KEY)
    keys = KeySet(source, issuer="hythe", audience="hythe")
    await keys.verify(EC_KEY.sign())
    tokens = [EC_KEY.sign(headers={"kid": f"made-up-{number}"}) for number in range(30)]
    results = await asyncio.gather(*(keys.verify(token) for token in tokens), return_exceptions=True)
    assert {type(result) for result in results} == {Unauthenticated}
    assert source.fetches == 2


async def test_known_keys_outlive_their_source_by_more_than_ten_minutes() -> None:
    source, clock = FakeKeySource(EC_KEY), Clock()
    keys = key_set(source, clock)
    await keys.verify(EC_KEY.sign())
    source.is_down = True
    for _ in range(11):
        clock.now += 60
        assert await keys.verify(EC_KEY.sign()) == ADMIN
        await asyncio.sleep(0)
    assert source.fetches > 1


async def test_keys_that_nobody_confirmed_for_long_are_not_used() -> None:
    source, clock = FakeKeySource(EC_KEY), Clock()
    keys = key_set(source, clock)
    await keys.verify(EC_KEY.sign())
    source.is_down = True
    clock.now += STALE_SECONDS + 1
    with pytest.raises(Unavailable):
        await keys.verify(EC_KEY.sign())


async def test_a_key_taken_out_of_the_set_is_refused_after_the_refresh() -> None:
    source, clock = FakeKeySource(EC_KEY, OTHER_KEY), Clock()
    keys = key_set(source, clock)
    await keys.verify(OTHER_KEY.sign())
    source.keys.remove(OTHER_KEY)
    clock.now += FRESH_SECONDS + 1
    await keys.verify(EC_KEY.sign())
    await asyncio.gather(*filter(None, [keys._fetching]))
    clock.now += 2
    with pytest.raises(Unauthenticated):
        await keys.verify(OTHER_KEY.sign())


async def test_without_keys_and_source_nobody_can_tell() -> None:
    source = FakeKeySource(EC_KEY)
    source.is_down = True
    with pytest.raises(Unavailable):
        await key_set(source).verify(EC_KEY.sign())


async def test_one_caller_that_goes_does_not_end_the_fetch_for_the_others() -> None:
    source = FakeKeySource(EC_KEY)
    asked, may_answer = asyncio.Event(), asyncio.Event()
    answer = source.fetch

    async def slow() -> str:
        asked.set()
        await may_answer.wait()
        return await answer()

    source.fetch = slow  # type: ignore[method-assign]
    keys = key_set(source)
    first, second = (asyncio.create_task(keys.verify(EC_KEY.sign())) for _ in range(2))
    await asked.wait()
    first.cancel()
    may_answer.set()
    assert await second == ADMIN


async def test_a_token_that_was_good_ends_with_its_expiry_and_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    source, clock = FakeKeySource(EC_KEY, OTHER_KEY), Clock()
    keys = key_set(source, clock)
    short, long = EC_KEY.sign(exp=int(time.time()) + 20), OTHER_KEY.sign()
    assert await keys.verify(short) == await keys.verify(long) == ADMIN
    source.keys.remove(OTHER_KEY)
    clock.now += 2
    with pytest.raises(Unauthenticated):
        await keys.verify(make_ec_key("unknown").sign())
    clock.now += 2
    with pytest.raises(Unauthenticated):
        await keys.verify(long)
    assert await keys.verify(short) == ADMIN
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)
    with pytest.raises(Unauthenticated):
        await keys.verify(short)


class Later(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) + timedelta(seconds=60)

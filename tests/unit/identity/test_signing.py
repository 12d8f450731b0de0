from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from runtime.errors import Unauthenticated
from runtime.tokens import KeySet, write_claims
from services.identity.signing import KeyRing, UnusableKey, read_keys, thumbprint
from tests.unit.identity.accounts import account

PRINCIPAL = account().principal()


def pem(private: Any, encryption: KeySerializationEncryption | None = None) -> bytes:
    encoded: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return encoded


def ec_pem() -> bytes:
    return pem(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.pem"


def write(path: Path, *blocks: bytes) -> None:
    path.write_bytes(b"".join(blocks))


def ring_of(path: Path, *blocks: bytes) -> KeyRing:
    write(path, *blocks)
    return KeyRing(path)


def token(ring: KeyRing) -> str:
    now = int(time.time())
    return ring.sign({**write_claims(PRINCIPAL), "iss": "hythe", "aud": "hythe", "iat": now, "exp": now + 900})


def key_set(ring: KeyRing) -> KeySet:
    return KeySet(ring, issuer="hythe", audience="hythe")


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [(ec.generate_private_key(ec.SECP256R1()), "ES256"), (rsa.generate_private_key(65537, 2048), "RS256")],
)
async def test_what_a_key_signs_its_published_half_verifies(path: Path, private: Any, algorithm: str) -> None:
    ring = ring_of(path, pem(private))
    signed = token(ring)
    assert jwt.get_unverified_header(signed)["alg"] == algorithm
    assert await key_set(ring).verify(signed) == PRINCIPAL


def test_only_public_halves_are_published(path: Path) -> None:
    ring = ring_of(path, ec_pem(), pem(rsa.generate_private_key(65537, 2048)))
    elliptic, modular = json.loads(ring.jwks())["keys"]
    assert set(elliptic) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert set(modular) == {"kty", "n", "e", "kid", "use", "alg"}


def test_the_key_id_is_the_thumbprint_of_rfc_7638() -> None:
    # The example of its section 3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    assert thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


async def test_the_last_key_signs_and_tokens_of_the_others_stay_good(path: Path) -> None:
    old, new = ec_pem(), ec_pem()
    ring = ring_of(path, old)
    verifier = key_set(ring)
    before = token(ring)
    for keys in ((new, old), (old, new)):
        write(path, *keys)
        ring.reload()
        assert await verifier.verify(before) == PRINCIPAL
    after = token(ring)
    assert jwt.get_unverified_header(after)["kid"] != jwt.get_unverified_header(before)["kid"]
    # A verifier that has not seen the new key yet asks for it, and nobody is refused.
    assert await verifier.verify(after) == PRINCIPAL


async def test_a_key_that_is_taken_out_is_good_no_longer(path: Path) -> None:
    ring = ring_of(path, ec_pem())
    before = token(ring)
    write(path, ec_pem())
    ring.reload()
    with pytest.raises(Unauthenticated):
        await key_set(ring).verify(before)


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN PRIVATE KEY-----\nMIG", None])
def test_a_broken_file_changes_nothing(path: Path, broken: bytes | None) -> None:
    ring = ring_of(path, ec_pem())
    published = ring.jwks()
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken)
    ring.reload()
    assert ring.jwks() == published


async def test_a_changed_file_is_seen_while_the_service_runs(path: Path) -> None:
    ring = ring_of(path, ec_pem())
    published = ring.jwks()
    stop = asyncio.Event()
    watching = asyncio.create_task(ring.watch(stop, seconds=0.001))
    write(path, ec_pem())
    async with asyncio.timeout(10):
        while ring.jwks() == published:  # noqa: ASYNC110 - the ring tells nobody that it has changed
            await asyncio.sleep(0.001)
    stop.set()
    await watching


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nMIG\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\nnot a key\n-----END PRIVATE KEY-----\n",
        pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is the point
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"secret")),
    ],
    ids=["empty", "public", "garbage", "short-rsa", "other-curve", "encrypted"],
)
def test_a_file_without_a_fit_key_is_refused(path: Path, block: bytes) -> None:
    path.write_bytes(block)
    with pytest.raises(UnusableKey):
        read_keys(path)

"""Credentials that are not good, each for another reason, though all of them claim to be of the mightiest person."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from deploy.local.secrets import jwt_key_file
from tests.e2e.matrix_world import Person
from tests.stack import LiveStack


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def bad_credentials(stack: LiveStack, person: Person) -> Mapping[str, dict[str, str]]:
    """Headers by what is wrong with them. The stack's own key signs where the signature is not what is wrong."""
    claims: dict[str, Any] = jwt.decode(person.token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(person.token)["kid"]
    key: Any = load_pem_private_key(jwt_key_file(stack.state).read_bytes(), password=None)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signed(by: Any = key, **changes: Any) -> dict[str, str]:
        changed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return bearer(jwt.encode({**changed, "client_ids": None}, by, algorithm="ES256", headers={"kid": kid}))

    header, _, signature = person.token.split(".")
    more_rights = encode({**claims, "tenant_id": claims["tenant_id"] + 1})
    return {
        "none": {},
        "garbage": bearer("abc.def.ghi"),
        "another scheme": {"authorization": f"Digest {person.token}"},
        "alg none": bearer(f"{encode({'alg': 'none', 'kid': kid})}.{encode(claims)}."),
        "HS256 with the public key": bearer(by_hmac({"alg": "HS256", "kid": kid}, claims, public)),
        "another key": signed(ec.generate_private_key(ec.SECP256R1())),
        "changed claims": bearer(f"{header}.{more_rights}.{signature}"),
        "wrong issuer": signed(iss="somebody"),
        "wrong audience": signed(aud="somebody"),
        "no audience": signed(aud=None),
        "expired": signed(iat=int(time.time()) - 2_000, exp=int(time.time()) - 60),
        "no expiry": signed(exp=None),
        "unknown API key": {"x-api-key": person.key[:-4] + "AAAA"},
        "unknown API key as Bearer": bearer(person.key[:-4] + "AAAA"),
        "somebody else's name with the key": basic("nobody@example.org", person.key),
    }


def good_credentials(person: Person) -> Mapping[str, dict[str, str]]:
    return {
        "Bearer token": person.by_token,
        "bare token": {"authorization": person.token},
        "API key": person.by_key,
        "Basic": basic(person.email, person.key),
    }


def basic(name: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def encode(part: Mapping[str, Any]) -> str:
    return unpadded(json.dumps(part).encode())


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hmac(header: Mapping[str, Any], claims: Mapping[str, Any], secret: bytes) -> str:
    """PyJWT itself refuses to take a public key for a secret."""
    signed = f"{encode(header)}.{encode(claims)}"
    return f"{signed}.{unpadded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"

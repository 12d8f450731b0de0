"""Signed tokens and their key set, for tests of whoever verifies them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from runtime.context import Principal, Role
from runtime.errors import Unavailable
from runtime.tokens import write_claims

ADMIN = Principal(tenant_id=7, user_id=1001, email="ada@example.com", role=Role.ADMIN)


@dataclass(frozen=True)
class SigningKey:
    kid: str
    algorithm: str
    private: Any
    jwk: dict[str, Any]

    def sign(self, principal: Principal = ADMIN, *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token as identity makes it; a change of None leaves that claim out."""
        now = int(time.time())
        claims = {"iss": "hythe", "aud": "hythe", "iat": now, "exp": now + 900, **write_claims(principal), **changes}
        kept = {name: value for name, value in claims.items() if value is not None or name == "client_ids"}
        named = {"kid": self.kid, **(headers or {})}
        return jwt.encode(
            kept,
            self.private,
            self.algorithm,
            headers={name: value for name, value in named.items() if value is not None},
        )


def make_ec_key(kid: str) -> SigningKey:
    private = ec.generate_private_key(ec.SECP256R1())
    return SigningKey(kid, "ES256", private, {**ECAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": kid})


def make_rsa_key(kid: str) -> SigningKey:
    private = rsa.generate_private_key(65537, 2048)
    return SigningKey(kid, "RS256", private, {**RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": kid})


class FakeKeySource:
    """Counts how often it is asked, and fails while `is_down`."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.is_down = False

    async def fetch(self) -> str:
        self.fetches += 1
        if self.is_down:
            raise Unavailable("IDENTITY_UNAVAILABLE", "down")
        return json.dumps({"keys": [key.jwk for key in self.keys]})

"""The keys that tokens are signed with: read from a file, looked at again while the service runs, published as a JWKS.

The last key of the file signs, all of them verify. A key is rotated without a refused token in three steps, each when
the one before has reached every replica: put the new key before the old one (it is published), swap the two (it signs),
and take the old one out when its last token has run out (15 minutes).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

log = structlog.get_logger(__name__)

PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
LEAST_RSA_BITS = 2048
# The members of a JWK that make the key, of EC and of RSA: what its thumbprint is taken of.
PUBLIC_MEMBERS = ("crv", "e", "kty", "n", "x", "y")

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


class UnusableKey(Exception):
    """The key file has no key, or one that must not sign."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    """Thumbprint of the public key (RFC 7638), so that the same key has the same id in every replica."""
    algorithm: str
    private: PrivateKey
    public: Mapping[str, str]
    """The public key as a JWK, without kid, use and alg."""


class KeyRing:
    """The keys of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = read_keys(path)

    def sign(self, claims: Mapping[str, Any]) -> str:
        key = self._keys[-1]
        return jwt.encode(dict(claims), key.private, algorithm=key.algorithm, headers={"kid": key.kid})

    def jwks(self) -> str:
        """The public keys as a JSON Web Key Set (RFC 7517)."""
        keys = [{**key.public, "kid": key.kid, "use": "sig", "alg": key.algorithm} for key in self._keys]
        return json.dumps({"keys": keys}, separators=(",", ":"))

    async def fetch(self) -> str:
        """The same, as runtime.auth's KeySource: this service verifies its own tokens without asking itself."""
        return self.jwks()

    def reload(self) -> None:
        """Take what is in the file now. A file that is broken or half-written changes nothing."""
        try:
            fresh = read_keys(self._path)
        except (OSError, UnusableKey) as error:
            log.error("signing keys not read again", cause=str(error))  # noqa: TRY400 - a traceback could quote the file
            return
        if [key.kid for key in fresh] != [key.kid for key in self._keys]:
            self._keys = fresh
            log.info("signing keys changed", kids=[key.kid for key in fresh], signs=fresh[-1].kid)

    async def watch(self, stop: asyncio.Event, *, seconds: float) -> None:
        """Reload at this interval until `stop`."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), seconds)
            except TimeoutError:
                await asyncio.to_thread(self.reload)


def read_keys(path: Path) -> list[SigningKey]:
    blocks = [match.group() for match in PEM_BLOCK.finditer(path.read_bytes())]
    if not blocks:
        message = f"{path} has no private key."
        raise UnusableKey(message)
    return [_read_key(block) for block in blocks]


def _read_key(block: bytes) -> SigningKey:
    try:
        private = load_pem_private_key(block, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause is left out: it could quote what it could not read.
        message = "A private key cannot be read, or is encrypted."
        raise UnusableKey(message) from None
    match private:
        case RSAPrivateKey() if private.key_size >= LEAST_RSA_BITS:
            algorithm, public = "RS256", RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case EllipticCurvePrivateKey() if isinstance(private.curve, SECP256R1):
            algorithm, public = "ES256", ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            message = f"A private key must be RSA of {LEAST_RSA_BITS} bits or more, or EC on P-256."
            raise UnusableKey(message)
    jwk = {member: str(public[member]) for member in PUBLIC_MEMBERS if member in public}
    return SigningKey(kid=thumbprint(jwk), algorithm=algorithm, private=private, public=jwk)


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Of a JWK with no members but those that make the key (RFC 7638)."""
    text = json.dumps(jwk, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()

"""Verification of JSON Web Tokens against a key set that is cached, refreshed and outlives an outage of its source.

RFC 8725: the algorithm is fixed by the key and never taken from the token; issuer, audience and expiry are required.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
import structlog
from cachetools import TTLCache

from runtime.context import Principal, Role
from runtime.errors import Unauthenticated, Unavailable

log = structlog.get_logger(__name__)

ALGORITHMS = frozenset({"RS256", "ES256"})
LEEWAY_SECONDS = 30
REQUIRED_CLAIMS = ["exp", "iat", "iss", "aud", "sub"]
PARTS_OF_A_TOKEN = 3

FRESH_SECONDS = 300.0
"""Older keys are still used, and new ones fetched meanwhile."""
STALE_SECONDS = 3_600.0
"""How long keys are used while their source does not answer. After that a key taken back must not be good any more."""
FETCH_INTERVAL_SECONDS = 1.0
"""Tokens with made-up key ids cause one fetch in this time, however many there are."""


VERIFIED_SECONDS = 30
"""A token that was good is not verified again for so long: that is the dearest step of a small call."""
VERIFIED_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was good, and until when it is."""

    principal: Principal
    expires_at: float


class KeySource(Protocol):
    """Where the key set comes from."""

    async def fetch(self) -> str:
        """A JSON Web Key Set; raises Unavailable when it cannot be had."""
        ...


class KeySet:
    """The keys that tokens are verified by."""

    def __init__(
        self, source: KeySource, *, issuer: str, audience: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._verified: TTLCache[bytes, Verified] = TTLCache(VERIFIED_ENTRIES, VERIFIED_SECONDS)

    async def verify(self, token: str) -> Principal:
        """Raises Unauthenticated when the token is not good, Unavailable when there are no keys to tell."""
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._verified.get(digest)) is not None and time.time() < known.expires_at:
            return known.principal
        claims = await self._read(token)
        try:
            principal = read_claims(claims)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("token of ours not understood", cause=repr(error))
            raise refused() from None
        self._verified[digest] = Verified(principal, float(claims["exp"]))
        return principal

    async def _read(self, token: str) -> dict[str, Any]:
        """The claims of a token that is signed by one of the keys and meant for us."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            raise refused() from None
        if not isinstance(kid, str):
            raise refused()
        key = await self._key(kid)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key=key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED_CLAIMS},
            )
        except jwt.PyJWTError as error:
            log.info("token refused", cause=type(error).__name__)
            raise refused() from None
        return claims

    async def _key(self, kid: str) -> jwt.PyJWK:
        age = None if self._fetched_at is None else self._clock() - self._fetched_at
        if age is None or age > STALE_SECONDS or kid not in self._keys:
            await self._refresh()
        elif age > FRESH_SECONDS and self._time_to_wait() <= 0:
            self._start_fetch()
        key = self._keys.get(kid)
        if key is None:
            raise refused()
        return key

    async def _refresh(self) -> None:
        """Fetch, together with whoever else waits for it: a caller that goes does not end it for the others."""
        if self._fetching is None and (wait := self._time_to_wait()) > 0:
            seen = self._fetched_at
            await asyncio.sleep(wait)
            if self._fetched_at != seen:
                return
        await asyncio.shield(self._start_fetch())

    def _time_to_wait(self) -> float:
        """Seconds until the source may be asked again."""
        return 0.0 if self._tried_at is None else self._tried_at + FETCH_INTERVAL_SECONDS - self._clock()

    def _start_fetch(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetch_ended)
        return self._fetching

    def _fetch_ended(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("key set not fetched", cause=str(error), keys=len(self._keys))

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            text = await self._source.fetch()
            keys = read_keys(text)
        except (ValueError, jwt.PyJWTError) as error:
            raise Unavailable("IDENTITY_UNAVAILABLE", "Credentials cannot be checked at the moment.") from error
        if keys.keys() != self._keys.keys():
            self._verified.clear()
        self._keys = keys
        self._fetched_at = self._clock()

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)


def read_keys(text: str) -> dict[str, jwt.PyJWK]:
    """The public keys of a JWKS whose algorithm is one of ours; others are for somebody else."""
    keys = (jwt.PyJWK(key) for key in json.loads(text)["keys"] if key.get("kty") in {"RSA", "EC"} and key.get("kid"))
    return {str(key.key_id): key for key in keys if key.algorithm_name in ALGORITHMS}


def looks_like_token(value: str) -> bool:
    return value.count(".") == PARTS_OF_A_TOKEN - 1


def refused() -> Unauthenticated:
    return Unauthenticated("INVALID_CREDENTIAL", "The credential is not valid, or has expired.")


def write_claims(principal: Principal) -> dict[str, Any]:
    """The claims of a token that speak of the principal; the issuer adds iss, aud, iat, exp and what else it likes."""
    return {
        "sub": str(principal.user_id),
        "tenant_id": principal.tenant_id,
        "email": principal.email,
        "role": int(principal.role),
        "operator": principal.operator,
        "scopes": sorted(principal.scopes),
        "client_ids": None if principal.client_ids is None else sorted(principal.client_ids),
    }


def read_claims(claims: Mapping[str, Any]) -> Principal:
    """The other way; raises KeyError, TypeError or ValueError when a claim is missing or not what it should be."""
    client_ids = claims["client_ids"]
    return Principal(
        tenant_id=_integer(claims["tenant_id"]),
        user_id=int(claims["sub"]),
        email=str(claims["email"]),
        role=Role(_integer(claims["role"])),
        operator=claims.get("operator", False) is True,
        scopes=frozenset(str(scope) for scope in claims.get("scopes", ())),
        client_ids=None if client_ids is None else frozenset(_integer(client_id) for client_id in client_ids),
    )


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(type(value))
    return value

"""Tokens: what is in them, how long they live, and which of them may be exchanged for a new one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from runtime.errors import InvalidArgument
from runtime.tokens import looks_like_token, write_claims
from services.identity.model import Account

# The claim with the account's generation. Seconds of `iat` are too coarse to tell a token made just before a password
# was changed from one made just after.
GENERATION = "gen"


class Signer(Protocol):
    def sign(self, claims: Mapping[str, Any]) -> str: ...


@dataclass(frozen=True, slots=True)
class Token:
    token: str
    expires_at: int
    """Seconds since 1970."""
    tenant_id: int


class TokenIssuer:
    """Makes tokens. `claims_of` adds what clients of a public API read in them besides."""

    def __init__(
        self,
        signer: Signer,
        *,
        issuer: str,
        audience: str,
        life_seconds: int,
        claims_of: Callable[[Account], Mapping[str, Any]] = lambda _: {},
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer = signer
        self._issuer = issuer
        self._audience = audience
        self._life = life_seconds
        self._claims_of = claims_of
        self._clock = clock

    def issue(self, account: Account) -> Token:
        now = int(self._clock())
        claims = {
            **self._claims_of(account),
            **write_claims(account.principal()),
            GENERATION: account.generation,
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + self._life,
        }
        return Token(token=self._signer.sign(claims), expires_at=now + self._life, tenant_id=account.tenant_id)


def generation_of(credential: str) -> int:
    """The generation in a token that the authentication of this call has verified already; -1 when it says none.

    `credential` is the value of `authorization`, bare or with its scheme. InvalidArgument when it is not a token:
    an API key would otherwise turn into a login that outlives it.
    """
    token = credential.rpartition(" ")[2]
    if not looks_like_token(token):
        raise InvalidArgument("TOKEN_REQUIRED", "Only a token can be renewed; an API key needs no renewal.")
    claims = jwt.decode(token, options={"verify_signature": False})
    generation = claims.get(GENERATION)
    return generation if isinstance(generation, int) else -1

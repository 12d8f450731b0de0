"""Keeping the caller's token good through a call that lasts longer than the token.

A service that acts for its caller does so with the caller's own credential. One that receives a file for half an hour
renews it on the way, as the caller could: the identity service looks at the account anew each time, so whoever is
disabled meanwhile is refused. No service needs a credential of its own that may act for others.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import grpc
import jwt
import structlog

from hythe.identity.v1 import identity_pb2
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from runtime.channels import call_metadata
from runtime.context import credential_variable, current_credential
from runtime.errors import Unauthenticated
from runtime.tokens import looks_like_token
from runtime.wire import from_rpc_error

RENEWAL_SECONDS = 3.0
MARGIN_SECONDS = 300.0
"""Renewed when it ends sooner. Nothing may come for two minutes before the gateway ends an upload."""
PAUSE_SECONDS = 5.0
"""Between tries while the identity service does not answer."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Renewal:
    """Renews by the identity service behind `channel`. API keys and names with keys do not end, so they stay."""

    def __init__(self, channel: grpc.aio.Channel, *, clock: Callable[[], float] = time.time) -> None:
        self._identity = IdentityServiceStub(channel)
        self._clock = clock

    async def through(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The same items. Between them the credential of the call being served is renewed when it is about to end.

        To be read in the task of the call. Raises Unauthenticated when the credential is good no more.
        """
        due = due_at(current_credential())
        async for item in items:
            if due is not None and self._clock() >= due:
                due = await self._renew()
            yield item

    async def _renew(self) -> float | None:
        """When the next one is due."""
        try:
            reply = await self._identity.RefreshToken(
                identity_pb2.RefreshTokenRequest(), timeout=RENEWAL_SECONDS, metadata=call_metadata()
            )
        except grpc.aio.AioRpcError as error:
            cause = from_rpc_error(error, "identity")
            if isinstance(cause, Unauthenticated):
                raise cause from error
            log.warning("token not renewed yet", code=error.code().name)
            return self._clock() + PAUSE_SECONDS
        credential_variable.set(f"Bearer {reply.token.token}")
        return due_at(current_credential())


def due_at(credential: str) -> float | None:
    """When to renew it: some minutes before its end, or at half of a short life. None for what does not end."""
    token = credential.rpartition(" ")[2]
    if not looks_like_token(token):
        return None
    try:
        # It has been verified when the call came in.
        claims = jwt.decode(token, options={"verify_signature": False})
        begin, end = float(claims["iat"]), float(claims["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        return None
    return end - min(MARGIN_SECONDS, (end - begin) / 2)

"""Who calls: principal, credential and request of the call being served, and how a credential becomes a principal.

A JWT is verified here by the key set of the identity service; anything else (API keys, Basic) is asked of it by
`Resolve` and remembered for at most a minute. A container token is not remembered, so that it ends in the moment in
which another takes its place. Where keys and answers come from is a `KeySource` and a `Resolver`, because the identity
service itself must not call itself over the network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import grpc
from cachetools import TTLCache

from hythe.identity.v1 import identity_pb2
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from runtime.context import (
    Principal,
    RequestInfo,
    Role,
    act_as,
    current_credential,
    current_principal,
    current_request,
    note_object,
)
from runtime.errors import Unauthenticated
from runtime.tokens import KeySet, KeySource, looks_like_token
from runtime.wire import from_rpc_error

__all__ = [
    "ApiKey",
    "Authenticator",
    "Basic",
    "KeySource",
    "Principal",
    "RemoteKeySource",
    "RemoteResolver",
    "RequestInfo",
    "Resolver",
    "Role",
    "act_as",
    "current_credential",
    "current_principal",
    "current_request",
    "note_object",
    "remote_authenticator",
]

RESOLVED_SECONDS = 60
RESOLVED_ENTRIES = 10_000
IDENTITY_SECONDS = 3.0
LONGEST_CREDENTIAL = 8_192


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An opaque key that names its owner by itself."""

    secret: str


@dataclass(frozen=True, slots=True)
class Basic:
    """A user name and an API key, as HTTP Basic carries them."""

    username: str
    secret: str


class Resolver(Protocol):
    """Tells whom an opaque credential belongs to."""

    async def resolve(self, credential: ApiKey | Basic) -> Principal:
        """The principal; raises Unauthenticated when there is none, Unavailable when nobody can say."""
        ...


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A principal, and the credential as a value of `authorization` that another service takes."""

    principal: Principal
    credential: str


class Authenticator:
    """Turns the metadata of a call into a principal."""

    def __init__(self, keys: KeySource, resolver: Resolver, *, issuer: str = "hythe", audience: str = "hythe") -> None:
        self._keys = KeySet(keys, issuer=issuer, audience=audience)
        self._resolver = resolver
        self._resolved: TTLCache[bytes, Principal] = TTLCache(RESOLVED_ENTRIES, RESOLVED_SECONDS)

    async def authenticate(self, metadata: Mapping[str, str]) -> Authenticated:
        """Raises Unauthenticated with NO_CREDENTIAL when there is none, with INVALID_CREDENTIAL when it is not good."""
        value = metadata.get("authorization", "").strip()
        key = metadata.get("x-api-key", "").strip()
        if not value and not key:
            raise Unauthenticated("NO_CREDENTIAL", "This needs a credential: a token or an API key.")
        if len(value) + len(key) > LONGEST_CREDENTIAL:
            raise invalid_credential()
        if not value:
            return Authenticated(await self._resolve(ApiKey(key)), f"Bearer {key}")
        scheme, separator, rest = value.partition(" ")
        if not separator:
            scheme, rest = "bearer", value
        match scheme.lower():
            case "bearer":
                return Authenticated(await self._bearer(rest.strip()), value)
            case "basic":
                return Authenticated(await self._resolve(read_basic(rest.strip())), value)
            case _:
                raise invalid_credential()

    async def _bearer(self, token: str) -> Principal:
        if looks_like_token(token):
            return await self._keys.verify(token)
        return await self._resolve(ApiKey(token))

    async def _resolve(self, credential: ApiKey | Basic) -> Principal:
        # The cache holds a digest, so that a memory dump of the service gives no keys away.
        digest = hashlib.sha256(repr(credential).encode()).digest()
        known = self._resolved.get(digest)
        if known is None:
            known = await self._resolver.resolve(credential)
            if known.import_source_id is None:
                self._resolved[digest] = known
        return known

    async def close(self) -> None:
        await self._keys.close()


def invalid_credential() -> Unauthenticated:
    # One answer for every way in which a credential is not good: whoever guesses learns nothing.
    return Unauthenticated("INVALID_CREDENTIAL", "The credential is not valid, or has expired.")


def read_basic(encoded: str) -> Basic:
    try:
        username, separator, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise invalid_credential() from None
    if not separator or not username or not secret:
        raise invalid_credential()
    return Basic(username, secret)


class RemoteKeySource:
    """The key set of the identity service, over gRPC."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._identity = IdentityServiceStub(channel)

    async def fetch(self) -> str:
        try:
            reply = await self._identity.GetKeySet(identity_pb2.GetKeySetRequest(), timeout=IDENTITY_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "identity") from error
        return reply.jwks_json


class RemoteResolver:
    """`IdentityService.Resolve`, over gRPC."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._identity = IdentityServiceStub(channel)

    async def resolve(self, credential: ApiKey | Basic) -> Principal:
        if isinstance(credential, Basic):
            basic = identity_pb2.BasicCredential(username=credential.username, secret=credential.secret)
            request = identity_pb2.ResolveRequest(basic=basic)
        else:
            request = identity_pb2.ResolveRequest(api_key=credential.secret)
        try:
            reply = await self._identity.Resolve(request, timeout=IDENTITY_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "identity") from error
        return principal_of(reply.principal)


def principal_of(message: identity_pb2.Principal) -> Principal:
    """A role that this version does not know raises ValueError, as a bad id does: nothing is granted by guessing."""
    return Principal(
        tenant_id=message.tenant_id,
        user_id=message.user_id,
        email=message.email,
        role=Role(message.role),
        operator=message.operator,
        scopes=frozenset(message.scopes),
        client_ids=None if message.all_clients else frozenset(message.client_ids),
        import_source_id=UUID(message.import_source_id) if message.import_source_id else None,
        workspace_id=UUID(message.workspace_id) if message.workspace_id else None,
    )


def remote_authenticator(channel: grpc.aio.Channel, *, issuer: str = "hythe", audience: str = "hythe") -> Authenticator:
    """What every service but identity itself uses."""
    return Authenticator(RemoteKeySource(channel), RemoteResolver(channel), issuer=issuer, audience=audience)

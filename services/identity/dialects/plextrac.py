"""PlexTrac's login: a password for a token, a token for a newer one, and who one is."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct

from dialects.plextrac.ids import cuid
from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracIdentityServicer
from runtime.auth import Principal, current_credential, current_principal, current_request
from services.identity.logins import Logins
from services.identity.model import Account, Tenant
from services.identity.tokens import Token

Context = grpc.aio.ServicerContext[Any, Any]


class PlextracIdentity(PlextracIdentityServicer):
    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    async def Authenticate(self, request: pb.AuthenticateRequest, context: Context) -> pb.TokenReply:
        given = request.credentials
        token = await self._logins.authenticate(given.username, given.password, address=current_request().peer)
        return token_reply(token)

    async def RefreshToken(self, request: pb.Empty, context: Context) -> pb.TokenReply:
        return token_reply(await self._logins.refresh(current_principal(), current_credential()))

    async def WhoAmI(self, request: pb.Empty, context: Context) -> Struct:
        principal = current_principal()
        return who_am_i(principal, await self._logins.who_am_i(principal))


def extra_claims(account: Account) -> dict[str, str]:
    """What a client reads in PlexTrac's own tokens and not in ours."""
    return {"tenantCuid": tenant_cuid(account.tenant_id), "userCuid": user_cuid(account.tenant_id, account.user_id)}


def tenant_cuid(tenant_id: int) -> str:
    return cuid("tenant", tenant_id, tenant_id)


def user_cuid(tenant_id: int, user_id: int) -> str:
    return cuid("user", tenant_id, user_id)


def token_reply(token: Token) -> pb.TokenReply:
    """`cookie` is a token as well, and clients decode the one or the other."""
    return pb.TokenReply(status="success", tenant_id=token.tenant_id, cookie=token.token, token=token.token)


def who_am_i(principal: Principal, tenant: Tenant) -> Struct:
    reply = Struct()
    reply.update(
        {
            "status": "success",
            "user_id": principal.user_id,
            "user_cuid": user_cuid(principal.tenant_id, principal.user_id),
            "tenant_id": principal.tenant_id,
            "tenant_cuid": tenant_cuid(principal.tenant_id),
            "tenant_name": tenant.name,
            "email": principal.email,
            "username": principal.email,
            "role": principal.role.name.lower(),
            "scopes": sorted(principal.scopes),
        }
    )
    return reply

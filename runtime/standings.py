"""Whether somebody may still do what they have asked for earlier, as the identity service says now.

Asked without a credential, for whoever it is about is not there.
"""

from __future__ import annotations

from uuid import UUID

import grpc

from hythe.identity.v1 import identity_pb2
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from runtime.context import Role
from runtime.errors import Unavailable
from runtime.wire import from_rpc_error

IDENTITY_SECONDS = 3.0
REFUSALS = {
    identity_pb2.ACCOUNT_STANDING_GOOD: "",
    identity_pb2.ACCOUNT_STANDING_DISABLED: "OWNER_DISABLED",
    identity_pb2.ACCOUNT_STANDING_RIGHTS_MISSING: "OWNER_RIGHTS_MISSING",
    identity_pb2.ACCOUNT_STANDING_WORKSPACE_DISABLED: "WORKSPACE_DISABLED",
}


class RemoteStandings:
    """`IdentityService.CheckAccount`, over gRPC, of those who import in a workspace."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._identity = IdentityServiceStub(channel)

    async def refusal(self, tenant_id: int, user_id: int, workspace_id: UUID) -> str:
        """Why they may not import there now, as a code; empty where they may. Raises Unavailable if nobody can say."""
        request = identity_pb2.CheckAccountRequest(
            tenant_id=tenant_id,
            user_id=user_id,
            role=int(Role.IMPORTER),  # type: ignore[arg-type] # The numbers are the same by definition.
            workspace_id=str(workspace_id),
        )
        try:
            reply = await self._identity.CheckAccount(request, timeout=IDENTITY_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "identity") from error
        refusal = REFUSALS.get(reply.standing)
        if refusal is None:
            # Of a later release, perhaps. Nothing is granted by guessing.
            raise Unavailable("IDENTITY_UNAVAILABLE", "The identity service says what this version does not know.")
        return refusal

"""Container tokens of import sources, as the identity service keeps them; asked with the caller's own credential."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import grpc

from hythe.identity.v1 import identity_pb2
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from runtime.channels import call_metadata
from runtime.errors import NotFound
from runtime.wire import from_rpc_error

IDENTITY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class ContainerToken:
    """`used_at` None: never."""

    text: str
    created_at: datetime
    used_at: datetime | None


class RemoteContainerTokens:
    """`IdentityService.IssueContainerToken` and its fellows, over gRPC."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._identity = IdentityServiceStub(channel)

    async def issue(self, import_source_id: UUID, workspace_id: UUID) -> ContainerToken:
        request = identity_pb2.IssueContainerTokenRequest(
            import_source_id=str(import_source_id), workspace_id=str(workspace_id)
        )
        try:
            reply = await self._identity.IssueContainerToken(
                request, timeout=IDENTITY_SECONDS, metadata=call_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "identity") from error
        return _token(reply.container_token)

    async def current(self, import_source_id: UUID) -> ContainerToken | None:
        request = identity_pb2.GetContainerTokenRequest(import_source_id=str(import_source_id))
        try:
            reply = await self._identity.GetContainerToken(request, timeout=IDENTITY_SECONDS, metadata=call_metadata())
        except grpc.aio.AioRpcError as error:
            refused = from_rpc_error(error, "identity")
            if isinstance(refused, NotFound):
                return None
            raise refused from error
        return _token(reply.container_token)

    async def revoke(self, import_source_id: UUID) -> None:
        request = identity_pb2.RevokeContainerTokenRequest(import_source_id=str(import_source_id))
        try:
            await self._identity.RevokeContainerToken(request, timeout=IDENTITY_SECONDS, metadata=call_metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "identity") from error


def _token(message: identity_pb2.ContainerToken) -> ContainerToken:
    used = message.use_time.ToDatetime(UTC) if message.HasField("use_time") else None
    return ContainerToken(message.token, message.create_time.ToDatetime(UTC), used)

"""Which workspace a request is for, as the identity service says; asked with the caller's own credential."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import grpc
from cachetools import TTLCache

from hythe.identity.v1 import identity_pb2
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from runtime.channels import call_metadata
from runtime.context import Principal
from runtime.errors import NotFound
from runtime.wire import from_rpc_error

IDENTITY_SECONDS = 3.0
# As long as a credential is remembered: a workspace that is disabled is closed a minute later at most.
REMEMBERED_SECONDS = 60
REMEMBERED_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Workspace:
    """One of the caller's tenant, by all its names."""

    workspace_id: UUID
    name: str
    bucket_id: str


class RemoteWorkspaces:
    """`IdentityService.GetWorkspace`, over gRPC, for one dialect."""

    def __init__(self, channel: grpc.aio.Channel, dialect: str) -> None:
        self._identity = IdentityServiceStub(channel)
        self._dialect = dialect
        self._known: TTLCache[tuple[int, str, str], Workspace] = TTLCache(REMEMBERED_ENTRIES, REMEMBERED_SECONDS)

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Workspace:
        """By id or name; empty: the tenant's oldest. Raises NotFound WORKSPACE_NOT_FOUND.

        For a container token there is one workspace only, whatever others of the tenant have asked.
        """
        asked = (principal.tenant_id, workspace or str(principal.workspace_id or ""), bucket_id)
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = await self._ask(*asked[1:])
        if not principal.may_reach_workspace(known.workspace_id):
            raise NotFound("WORKSPACE_NOT_FOUND", "There is no such workspace.", workspace_id=workspace[:64])
        return known

    async def _ask(self, workspace: str, bucket_id: str) -> Workspace:
        request = identity_pb2.GetWorkspaceRequest(dialect=self._dialect, workspace=workspace, bucket_id=bucket_id)
        try:
            reply = await self._identity.GetWorkspace(request, timeout=IDENTITY_SECONDS, metadata=call_metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "identity") from error
        found = reply.workspace
        return Workspace(UUID(found.workspace_id), found.name, found.bucket_id)

"""What clients of the Assets API ask before anything else: their workspaces, and what this installation is called."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from dialects.assets.workspaces import workspaces_page
from hythe.dialects.assets.v1 import assets_pb2
from hythe.dialects.assets.v1.assets_pb2_grpc import AssetsIdentityServicer
from runtime.auth import current_principal
from services.identity.model import ASSETS
from services.identity.workspaces import Workspaces

Context = grpc.aio.ServicerContext[Any, Any]


class AssetsIdentity(AssetsIdentityServicer):
    def __init__(self, workspaces: Workspaces, *, public_url: str, installation_id: UUID | None = None) -> None:
        """`public_url` is the origin of the gateway; without an `installation_id` one is made of it."""
        self._workspaces = workspaces
        self._public_url = public_url.rstrip("/")
        self._installation_id = installation_id or uuid5(NAMESPACE_URL, self._public_url)

    async def ListWorkspaces(self, request: assets_pb2.WorkspacesRequest, context: Context) -> Struct:
        usable = await self._workspaces.usable(current_principal(), ASSETS)
        ids = [workspace.workspace_id for workspace in usable]
        return ParseDict(workspaces_page(ids, request.start, request.limit, self._public_url), Struct())

    async def GetTenantInfo(self, request: assets_pb2.TenantInfoRequest, context: Context) -> Struct:
        return ParseDict({"cloudId": str(self._installation_id)}, Struct())

"""The Assets API's calls that read runs of import sources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.struct_pb2 import ListValue, Struct

from dialects.assets.execution_status import data_json, details_json, errors_json, execution_json, status_json
from dialects.assets.links import Links
from dialects.assets.progress import progress_json
from hythe.dialects.assets.v1 import assets_pb2
from runtime.auth import current_principal
from services.status.asset_places import window
from services.status.dialects.answers import list_value, struct
from services.status.executions import Executions

Context = grpc.aio.ServicerContext[Any, Any]
SIZE = "maxResults"


class AssetsExecutions:
    """Converts, calls, converts back. A part of `AssetsStatus`."""

    def __init__(self, executions: Executions, links: Links) -> None:
        self._executions = executions
        self._links = links

    async def ListExecutions(self, request: assets_pb2.ExecutionsRequest, context: Context) -> ListValue:
        start, size = window(request.start_at, request.max_results)
        found = await self._executions.list_runs(
            current_principal(), request.workspace_id, request.import_source_id, offset=start, limit=size
        )
        return list_value([execution_json(each, self._links) for each in found], limited_by=SIZE)

    async def GetLatestExecutionStatus(self, request: assets_pb2.SourceReadRequest, context: Context) -> Struct:
        found = await self._executions.get(current_principal(), request.workspace_id, request.import_source_id)
        return struct(status_json(found.run, found.errors))

    async def GetExecution(self, request: assets_pb2.ExecutionReadRequest, context: Context) -> Struct:
        found = await self._executions.get(current_principal(), *path_of(request))
        return struct(details_json(found.run, found.errors, self._links))

    async def GetExecutionStatus(self, request: assets_pb2.ExecutionReadRequest, context: Context) -> Struct:
        found = await self._executions.get(current_principal(), *path_of(request))
        return struct(status_json(found.run, found.errors))

    async def GetExecutionProgress(self, request: assets_pb2.ExecutionReadRequest, context: Context) -> Struct:
        found = await self._executions.get(current_principal(), *path_of(request))
        return struct(progress_json(found.run, datetime.now(UTC)))

    async def GetImportProgress(self, request: assets_pb2.ProgressRequest, context: Context) -> Struct:
        found = await self._executions.find_progress(current_principal(), request.workspace_id, request.id)
        return struct(progress_json(found, datetime.now(UTC)))

    async def GetExecutionData(self, request: assets_pb2.ExecutionDataRequest, context: Context) -> Struct:
        start, size = window(request.start_at, request.max_results)
        total, found = await self._executions.list_inputs(
            current_principal(), *path_of(request), offset=start, limit=size
        )
        return struct(data_json(found, total, start, size), limited_by=SIZE)

    async def ListExecutionErrors(self, request: assets_pb2.ExecutionErrorsRequest, context: Context) -> Struct:
        start, size = window(request.start_at, request.max_results)
        found = await self._executions.list_errors(current_principal(), *path_of(request), offset=start, limit=size)
        page = errors_json(found.errors, found.kept, found.run["rejected"], start, size, found.url)
        return struct(page, limited_by=SIZE)


def path_of(
    request: assets_pb2.ExecutionReadRequest | assets_pb2.ExecutionDataRequest | assets_pb2.ExecutionErrorsRequest,
) -> tuple[str, str, str]:
    return request.workspace_id, request.import_source_id, request.execution_id

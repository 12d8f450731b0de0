"""The native StatusService: convert, call, convert back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from operator import attrgetter, itemgetter
from typing import Any

import grpc

from hythe.status.v1 import status_pb2
from hythe.status.v1.status_pb2_grpc import StatusServiceServicer
from runtime.auth import current_principal, current_request
from runtime.timestamps import timestamp
from services.status import messages
from services.status.assets import Assets
from services.status.engagements import Engagements
from services.status.findings import Findings
from services.status.import_reports import ImportReports
from services.status.imports import Imports
from services.status.paging import (
    LARGEST_BIGINT,
    after_import,
    after_number,
    after_record,
    page_size,
    record_token,
)
from services.status.record_files import RecordFiles
from services.status.record_query import RecordSet
from services.status.records import Records, Workspaces
from services.status.tags import Tags
from services.status.watching import Watching

Context = grpc.aio.ServicerContext[Any, Any]


class StatusService(StatusServiceServicer):
    """One use case behind each group of methods."""

    def __init__(
        self,
        imports: Imports,
        reports: ImportReports,
        watching: Watching,
        engagements: Engagements,
        findings: Findings,
        assets: Assets,
        tags: Tags,
        record_files: RecordFiles,
        records: Records,
        workspaces: Workspaces,
    ) -> None:
        self._imports = imports
        self._reports = reports
        self._watching = watching
        self._engagements = engagements
        self._findings = findings
        self._assets = assets
        self._tags = tags
        self._record_files = record_files
        self._records = records
        self._workspaces = workspaces

    async def GetImport(self, request: status_pb2.GetImportRequest, context: Context) -> status_pb2.GetImportResponse:
        found = await self._imports.get(current_principal(), request.import_id)
        return status_pb2.GetImportResponse(**{"import": messages.import_message(found)})

    async def ListImports(
        self, request: status_pb2.ListImportsRequest, context: Context
    ) -> status_pb2.ListImportsResponse:
        found, has_more = await self._imports.list_own(
            current_principal(), after=after_import(request.page_token), size=page_size(request.page_size)
        )
        page, token = messages.fit(found, has_more, messages.import_message, attrgetter("import_id"))
        return status_pb2.ListImportsResponse(imports=page, next_page_token=token)

    async def WatchImport(
        self, request: status_pb2.WatchImportRequest, context: Context
    ) -> AsyncIterator[status_pb2.WatchImportResponse]:
        found = await self._imports.get(current_principal(), request.import_id)
        async with aclosing(self._watching.watch(found, current_request().stopping)) as changes:
            async for change in changes:
                yield status_pb2.WatchImportResponse(**{"import": messages.import_message(change)})

    async def ListRowErrors(
        self, request: status_pb2.ListRowErrorsRequest, context: Context
    ) -> status_pb2.ListRowErrorsResponse:
        found, errors, has_more = await self._imports.list_row_errors(
            current_principal(),
            request.import_id,
            after=after_number(request.page_token, LARGEST_BIGINT),
            size=page_size(request.page_size),
        )
        page, token = messages.fit(errors, has_more, messages.row_error_message, attrgetter("record_number"))
        return status_pb2.ListRowErrorsResponse(
            errors=page,
            next_page_token=token,
            total_rejected=found.counters.rejected,
        )

    async def GetReport(self, request: status_pb2.GetReportRequest, context: Context) -> status_pb2.GetReportResponse:
        signed = await self._reports.sign(current_principal(), request.import_id, messages.report_kind(request.kind))
        return status_pb2.GetReportResponse(url=signed.url, expire_time=timestamp(signed.expires_at))

    async def ListUndoItems(
        self, request: status_pb2.ListUndoItemsRequest, context: Context
    ) -> status_pb2.ListUndoItemsResponse:
        found, has_more = await self._imports.list_undo_items(
            current_principal(),
            request.import_id,
            after=after_number(request.page_token, LARGEST_BIGINT),
            size=page_size(request.page_size),
        )
        page, token = messages.fit(found, has_more, messages.undo_item_message, attrgetter("number"))
        return status_pb2.ListUndoItemsResponse(items=page, next_page_token=token)

    async def ListTenantImports(
        self, request: status_pb2.ListTenantImportsRequest, context: Context
    ) -> status_pb2.ListTenantImportsResponse:
        found, has_more = await self._imports.list_tenant(
            current_principal(),
            states=messages.state_names(request.states),
            stuck_only=request.stuck_only,
            after=after_import(request.page_token),
            size=page_size(request.page_size),
        )
        page, token = messages.fit(found, has_more, messages.import_message, attrgetter("import_id"))
        return status_pb2.ListTenantImportsResponse(imports=page, next_page_token=token)

    async def ListClients(
        self, request: status_pb2.ListClientsRequest, context: Context
    ) -> status_pb2.ListClientsResponse:
        found, has_more = await self._engagements.list_clients(
            current_principal(), after=after_number(request.page_token), size=page_size(request.page_size)
        )
        page, token = messages.fit(found, has_more, messages.client_message, itemgetter("client_id"))
        return status_pb2.ListClientsResponse(
            clients=page,
            next_page_token=token,
        )

    async def ListReports(
        self, request: status_pb2.ListReportsRequest, context: Context
    ) -> status_pb2.ListReportsResponse:
        found, has_more = await self._engagements.list_reports(
            current_principal(),
            request.client_id,
            after=after_number(request.page_token),
            size=page_size(request.page_size),
        )
        page, token = messages.fit(found, has_more, messages.report_message, itemgetter("report_id"))
        return status_pb2.ListReportsResponse(
            reports=page,
            next_page_token=token,
        )

    async def ListFindings(
        self, request: status_pb2.ListFindingsRequest, context: Context
    ) -> status_pb2.ListFindingsResponse:
        found, has_more = await self._findings.list_findings(
            current_principal(),
            request.client_id,
            request.report_id,
            after=after_number(request.page_token),
            size=page_size(request.page_size),
        )
        page, token = messages.fit(found, has_more, messages.finding_message, itemgetter("flaw_id"))
        return status_pb2.ListFindingsResponse(
            findings=page,
            next_page_token=token,
        )

    async def ListAssets(
        self, request: status_pb2.ListAssetsRequest, context: Context
    ) -> status_pb2.ListAssetsResponse:
        found, has_more = await self._assets.list_assets(
            current_principal(),
            request.client_id,
            request.report_id or None,
            after=after_number(request.page_token, LARGEST_BIGINT),
            size=page_size(request.page_size),
        )
        page, token = messages.fit(found, has_more, messages.asset_message, itemgetter("asset_id"))
        return status_pb2.ListAssetsResponse(
            assets=page,
            next_page_token=token,
        )

    async def ListTags(self, request: status_pb2.ListTagsRequest, context: Context) -> status_pb2.ListTagsResponse:
        found, has_more = await self._tags.list(
            current_principal(), after=request.page_token, size=page_size(request.page_size)
        )
        page, token = messages.fit(found, has_more, messages.tag_message, itemgetter("tag"))
        return status_pb2.ListTagsResponse(tags=page, next_page_token=token)

    async def ListRecords(
        self, request: status_pb2.ListRecordsRequest, context: Context
    ) -> status_pb2.ListRecordsResponse:
        workspace = await self._workspaces.find(current_principal(), request.workspace, request.bucket_id)
        found, has_more = await self._records.list_records(
            current_principal(),
            RecordSet(workspace.workspace_id, request.entity_type, request.data_source),
            after=after_record(request.page_token),
            size=page_size(request.page_size),
        )
        page, token = messages.fit(
            found, has_more, messages.record_message, lambda row: record_token(row["data_source"], row["key"])
        )
        return status_pb2.ListRecordsResponse(records=page, next_page_token=token)

    async def GetRecordFile(
        self, request: status_pb2.GetRecordFileRequest, context: Context
    ) -> status_pb2.GetRecordFileResponse:
        principal, workspace_id = current_principal(), None
        if request.workspace or request.bucket_id:
            workspace = await self._workspaces.find(principal, request.workspace, request.bucket_id)
            workspace_id = workspace.workspace_id
        found = await self._record_files.get(principal, request.file_id, workspace_id)
        return status_pb2.GetRecordFileResponse(file=messages.record_file_message(found))

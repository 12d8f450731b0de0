"""The read side of the PlexTrac API: convert, call, convert back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from operator import attrgetter
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import ListValue, Struct

from dialects.plextrac import assets as asset_shapes
from dialects.plextrac import clients as client_shapes
from dialects.plextrac import reports as report_shapes
from dialects.plextrac.findings import flaw_row, scan_output
from dialects.plextrac.import_detail import my_import_detail, report_url, row_error_page, undo_item_page
from dialects.plextrac.imports import my_import_row
from dialects.plextrac.paging import list_body, page
from dialects.plextrac.tags import tag_page, tag_row
from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracStatusServicer
from runtime.auth import current_principal, current_request
from services.status import messages
from services.status.assets import Assets, parse_id
from services.status.dialects import lists
from services.status.dialects.answers import list_value, payload_of, stream_json, struct
from services.status.dialects.documents import (
    write_asset_array,
    write_assets,
    write_finding_page,
    write_findings,
    write_page,
)
from services.status.dialects.events import stream_events, write_events
from services.status.engagements import Engagements
from services.status.findings import Findings
from services.status.import_reports import ImportReports
from services.status.imports import Imports
from services.status.json_stream import write_array
from services.status.model import Import
from services.status.paging import LARGEST_BIGINT, after_import, after_number, page_size
from services.status.tags import Tags
from services.status.watching import Watching

Context = grpc.aio.ServicerContext[Any, Any]
Answer = AsyncIterator[HttpBody]
# As many errors as a person reads; the native API has them all.
SHOWN_ERRORS = 100


class PlextracStatus(PlextracStatusServicer):
    """As services.status.service, with shapes from dialects.plextrac."""

    def __init__(
        self,
        imports: Imports,
        reports: ImportReports,
        watching: Watching,
        engagements: Engagements,
        findings: Findings,
        assets: Assets,
        tags: Tags,
    ) -> None:
        self._imports = imports
        self._reports = reports
        self._watching = watching
        self._engagements = engagements
        self._findings = findings
        self._assets = assets
        self._tags = tags

    async def ListMyImports(self, request: plextrac_pb2.ListMyImportsRequest, context: Context) -> ListValue:
        found = await self._imports.list_own_rows(
            current_principal(), after=after_import(request.page_token), size=page_size(request.limit, "limit")
        )
        return list_value([my_import_row(messages.listed_import(row)) for row in found])

    async def GetMyImport(self, request: plextrac_pb2.GetMyImportRequest, context: Context) -> Struct:
        return struct(await self._detail(await self._imports.get(current_principal(), request.id)))

    async def WatchMyImport(self, request: plextrac_pb2.GetMyImportRequest, context: Context) -> Answer:
        found = await self._imports.get(current_principal(), request.id)
        async with (
            aclosing(self._watching.watch(found, current_request().stopping)) as changes,
            aclosing(write_events(changes, self._detail)) as events,
        ):
            async for body in stream_events(events):
                yield body

    async def ListMyImportErrors(self, request: plextrac_pb2.PageOfMyImport, context: Context) -> Struct:
        found, errors, has_more = await self._imports.list_row_errors(
            current_principal(),
            request.id,
            after=after_number(request.page_token, LARGEST_BIGINT),
            size=page_size(request.limit, "limit"),
        )
        page_, token = messages.fit(errors, has_more, messages.row_error_message, attrgetter("record_number"))
        return struct(row_error_page(page_, token, found.counters.rejected), limited_by="limit")

    async def GetMyImportReport(self, request: plextrac_pb2.GetMyImportRequest, context: Context) -> Struct:
        signed = await self._reports.sign(current_principal(), request.id)
        return struct(report_url(signed.url, signed.expires_at))

    async def ListMyUndoItems(self, request: plextrac_pb2.PageOfMyImport, context: Context) -> Struct:
        found, has_more = await self._imports.list_undo_items(
            current_principal(),
            request.id,
            after=after_number(request.page_token, LARGEST_BIGINT),
            size=page_size(request.limit, "limit"),
        )
        page_, token = messages.fit(found, has_more, messages.undo_item_message, attrgetter("number"))
        return struct(undo_item_page(page_, token), limited_by="limit")

    async def _detail(self, found: Import) -> dict[str, Any]:
        errors = await self._imports.first_row_errors(found, SHOWN_ERRORS)
        return my_import_detail(messages.import_message(found), [messages.row_error_message(error) for error in errors])

    async def ListClientRows(self, request: plextrac_pb2.Empty, context: Context) -> Answer:
        async with self._engagements.all_clients(current_principal()) as batches:
            async for body in stream_json(write_array(batches, client_shapes.client_row)):
                yield body

    async def ListClients(self, request: plextrac_pb2.ListRequest, context: Context) -> Struct:
        body = list_body(payload_of(request.payload))
        total, found = await self._engagements.page_of_clients(current_principal(), lists.listing(body, lists.CLIENTS))
        return struct(page("data", map(client_shapes.client_object, found), body, total))

    async def GetClient(self, request: plextrac_pb2.ClientRequest, context: Context) -> Struct:
        client = await self._engagements.get_client(current_principal(), request.client_id)
        return struct(client_shapes.client_object(client))

    async def ListReportRows(self, request: plextrac_pb2.ClientRequest, context: Context) -> Answer:
        async with self._engagements.all_reports(current_principal(), request.client_id) as batches:
            async for body in stream_json(write_array(batches, report_shapes.report_row)):
                yield body

    async def ListReports(self, request: plextrac_pb2.ListRequest, context: Context) -> Struct:
        body = list_body(payload_of(request.payload))
        total, found = await self._engagements.page_of_reports(current_principal(), lists.listing(body, lists.REPORTS))
        return struct(page("data", map(report_shapes.report_item, found), body, total))

    async def GetReport(self, request: plextrac_pb2.ReportRequest, context: Context) -> Struct:
        report = await self._engagements.get_report(current_principal(), request.client_id, request.report_id)
        return struct(report_shapes.report_object(report))

    async def ListFlaws(self, request: plextrac_pb2.ReportRequest, context: Context) -> Answer:
        async with self._findings.summaries(current_principal(), request.client_id, request.report_id) as batches:
            async for body in stream_json(write_array(batches, flaw_row)):
                yield body

    async def GetFlaw(self, request: plextrac_pb2.FlawRequest, context: Context) -> Answer:
        async with self._findings.opened(
            current_principal(), request.client_id, request.report_id, request.flaw_id
        ) as opened:
            async for body in stream_json(write_findings(opened)):
                yield body

    async def ListFindings(self, request: plextrac_pb2.ReportListRequest, context: Context) -> Answer:
        body = list_body(payload_of(request.payload))
        async with self._findings.opened_page(
            current_principal(), request.client_id, request.report_id, lists.listing(body, lists.FINDINGS)
        ) as opened:
            async for piece in stream_json(write_finding_page(opened, body)):
                yield piece

    async def ListReportAssets(self, request: plextrac_pb2.ReportRequest, context: Context) -> Answer:
        async with self._assets.of_report(current_principal(), request.client_id, request.report_id) as opened:
            async for body in stream_json(write_asset_array(opened)):
                yield body

    async def ListClientAssetRows(self, request: plextrac_pb2.ClientRequest, context: Context) -> Answer:
        async with self._assets.of_client(current_principal(), request.client_id) as opened:
            async for body in stream_json(write_asset_array(opened)):
                yield body

    async def GetClientAsset(self, request: plextrac_pb2.AssetRequest, context: Context) -> Answer:
        async with self._assets.one(current_principal(), request.client_id, request.asset_id) as opened:
            async for body in stream_json(write_assets(opened)):
                yield body

    async def ListClientAssets(self, request: plextrac_pb2.ClientListRequest, context: Context) -> Answer:
        body = list_body(payload_of(request.payload))
        total, found, counts = await self._assets.page_of_client(
            current_principal(), request.client_id, lists.listing(body, lists.CLIENT_ASSETS)
        )
        items = [asset_shapes.client_asset_item(asset, counts.get(asset["asset_id"], {})) for asset in found]
        async for piece in stream_json(write_page("data", items, body, total)):
            yield piece

    async def ListTenantAssets(self, request: plextrac_pb2.ListRequest, context: Context) -> Answer:
        body = list_body(payload_of(request.payload))
        total, found = await self._assets.page_of_tenant(current_principal(), lists.listing(body, lists.TENANT_ASSETS))
        async for piece in stream_json(write_page("assets", map(asset_shapes.tenant_asset, found), body, total)):
            yield piece

    async def ListTenantTags(self, request: plextrac_pb2.TenantTagsRequest, context: Context) -> Answer:
        limit, offset = tag_page(request.limit, request.offset)
        async with self._tags.of_tenant(current_principal(), request.tenant_id, offset=offset, limit=limit) as batches:
            async for body in stream_json(write_array(batches, tag_row)):
                yield body

    async def ListScanOutput(self, request: plextrac_pb2.ScanOutputRequest, context: Context) -> Answer:
        async with self._findings.evidence(
            current_principal(), request.client_id, request.report_id, request.flaw_id, parse_id(request.asset_id)
        ) as batches:
            async for body in stream_json(write_array(batches, scan_output)):
                yield body

"""The native ImportService."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from hythe.importer.v1 import importer_pb2
from hythe.importer.v1.importer_pb2_grpc import ImportServiceServicer
from runtime.auth import current_principal
from services.importer.commands import Commands
from services.importer.detection import Detector
from services.importer.engagements import Engagements
from services.importer.imports import Imports, Trigger
from services.importer.messages import (
    detection_message,
    import_message,
    options_of,
    record_trigger_of,
    source_message,
)
from services.importer.options import read_as
from services.importer.ports import Limits, NewClient, NewReport
from services.importer.record_imports import RecordImports
from services.importer.repeats import Repeats
from services.importer.sources import Sources

Context = grpc.aio.ServicerContext[Any, Any]


class ImportService(ImportServiceServicer):
    """Converts, calls, converts back. A field named `import` can only be given as a keyword of a dict."""

    def __init__(
        self,
        imports: Imports,
        commands: Commands,
        repeats: Repeats,
        engagements: Engagements,
        sources: Sources,
        detector: Detector,
        record_imports: RecordImports,
    ) -> None:
        self._imports = imports
        self._commands = commands
        self._repeats = repeats
        self._engagements = engagements
        self._sources = sources
        self._detector = detector
        self._record_imports = record_imports

    async def CreateImport(
        self, request: importer_pb2.CreateImportRequest, context: Context
    ) -> importer_pb2.CreateImportResponse:
        trigger = Trigger(
            client_id=request.client_id,
            report_id=request.report_id or None,
            source=request.source,
            key=request.key,
            file_name=request.file_name,
            asset_tags=tuple(request.asset_tags),
            finding_tags=tuple(request.finding_tags),
            use_parser_actions=request.use_parser_actions,
            request_id=request.request_id,
            options=options_of(request.options),
        )
        snapshot = await self._imports.create(current_principal(), trigger)
        return importer_pb2.CreateImportResponse(**{"import": import_message(snapshot)})

    async def StartRecordsImport(
        self, request: importer_pb2.StartRecordsImportRequest, context: Context
    ) -> importer_pb2.StartRecordsImportResponse:
        snapshot = await self._record_imports.start(current_principal(), record_trigger_of(request))
        return importer_pb2.StartRecordsImportResponse(**{"import": import_message(snapshot)})

    async def CancelImport(
        self, request: importer_pb2.CancelImportRequest, context: Context
    ) -> importer_pb2.CancelImportResponse:
        snapshot = await self._commands.cancel(current_principal(), request.import_id)
        return importer_pb2.CancelImportResponse(**{"import": import_message(snapshot)})

    async def PauseImport(
        self, request: importer_pb2.PauseImportRequest, context: Context
    ) -> importer_pb2.PauseImportResponse:
        snapshot = await self._commands.pause(current_principal(), request.import_id)
        return importer_pb2.PauseImportResponse(**{"import": import_message(snapshot)})

    async def ResumeImport(
        self, request: importer_pb2.ResumeImportRequest, context: Context
    ) -> importer_pb2.ResumeImportResponse:
        snapshot = await self._commands.resume(current_principal(), request.import_id)
        return importer_pb2.ResumeImportResponse(**{"import": import_message(snapshot)})

    async def RetryImport(
        self, request: importer_pb2.RetryImportRequest, context: Context
    ) -> importer_pb2.RetryImportResponse:
        snapshot = await self._repeats.retry(current_principal(), request.import_id)
        return importer_pb2.RetryImportResponse(**{"import": import_message(snapshot)})

    async def RerunImport(
        self, request: importer_pb2.RerunImportRequest, context: Context
    ) -> importer_pb2.RerunImportResponse:
        given = options_of(request.options) if request.HasField("options") else None
        snapshot = await self._repeats.rerun(
            current_principal(),
            request.import_id,
            lambda first: first if given is None else read_as(first, given),
            request.request_id,
        )
        return importer_pb2.RerunImportResponse(**{"import": import_message(snapshot)})

    async def UndoImport(
        self, request: importer_pb2.UndoImportRequest, context: Context
    ) -> importer_pb2.UndoImportResponse:
        snapshot = await self._repeats.undo(current_principal(), request.import_id, dry_run=request.dry_run)
        return importer_pb2.UndoImportResponse(**{"import": import_message(snapshot)})

    async def RequeueImport(
        self, request: importer_pb2.RequeueImportRequest, context: Context
    ) -> importer_pb2.RequeueImportResponse:
        snapshot = await self._commands.requeue(current_principal(), request.import_id)
        return importer_pb2.RequeueImportResponse(**{"import": import_message(snapshot)})

    async def ListSources(
        self, request: importer_pb2.ListSourcesRequest, context: Context
    ) -> importer_pb2.ListSourcesResponse:
        return importer_pb2.ListSourcesResponse(sources=map(source_message, self._sources.all()))

    async def DetectSource(
        self, request: importer_pb2.DetectSourceRequest, context: Context
    ) -> importer_pb2.DetectSourceResponse:
        return detection_message(await asyncio.to_thread(self._detector.detect, request.head))

    async def CreateClient(
        self, request: importer_pb2.CreateClientRequest, context: Context
    ) -> importer_pb2.CreateClientResponse:
        client = NewClient(
            name=request.name,
            description=request.description,
            poc=request.point_of_contact,
            poc_email=request.point_of_contact_email,
            tags=tuple(request.tags),
        )
        client_id = await self._engagements.create_client(current_principal(), client)
        return importer_pb2.CreateClientResponse(client_id=client_id)

    async def CreateReport(
        self, request: importer_pb2.CreateReportRequest, context: Context
    ) -> importer_pb2.CreateReportResponse:
        report = NewReport(
            client_id=request.client_id,
            name=request.name,
            description=request.description,
            status=request.status,
            tags=tuple(request.tags),
        )
        report_id = await self._engagements.create_report(current_principal(), report)
        return importer_pb2.CreateReportResponse(report_id=report_id)

    async def SetLimits(
        self, request: importer_pb2.SetLimitsRequest, context: Context
    ) -> importer_pb2.SetLimitsResponse:
        wanted = Limits(request.limits.max_file_bytes or None, request.limits.max_running_imports or None)
        limits = await self._engagements.set_limits(request.tenant_id, wanted)
        return importer_pb2.SetLimitsResponse(
            limits=importer_pb2.Limits(
                max_file_bytes=limits.max_file_bytes or 0, max_running_imports=limits.max_running_imports or 0
            )
        )

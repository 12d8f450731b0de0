"""PlexTrac's import routes: the trigger, the commands of ours, and what an import goes into."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from dialects.plextrac.bodies import client_body, idempotency_key, import_body, report_body
from dialects.plextrac.choices import Choices, choices, undo_is_dry_run
from dialects.plextrac.ids import cuid
from dialects.plextrac.imports import import_started, my_import_row
from dialects.plextrac.sources import detected_sources, source_list
from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracImporterServicer
from runtime.auth import current_principal
from services.importer.commands import Commands
from services.importer.detection import Detector
from services.importer.dialects.answers import struct
from services.importer.engagements import Engagements
from services.importer.imports import Imports, Trigger
from services.importer.messages import detection_message, import_message, source_message
from services.importer.options import Changes, sha256_of
from services.importer.policy import OnError, Options
from services.importer.ports import NewClient, NewReport
from services.importer.repeats import Repeats
from services.importer.snapshot import Snapshot
from services.importer.sources import Sources

Context = grpc.aio.ServicerContext[Any, Any]


class PlextracImporter(PlextracImporterServicer):
    """Converts, calls, converts back."""

    def __init__(
        self,
        imports: Imports,
        commands: Commands,
        repeats: Repeats,
        engagements: Engagements,
        sources: Sources,
        detector: Detector,
    ) -> None:
        self._imports = imports
        self._commands = commands
        self._repeats = repeats
        self._engagements = engagements
        self._sources = sources
        self._detector = detector

    async def StartImport(
        self, request: plextrac_pb2.StartImportRequest, context: Context
    ) -> plextrac_pb2.ImportStarted:
        payload = MessageToDict(request.payload)
        body = import_body(payload)
        trigger = Trigger(
            client_id=request.client_id,
            report_id=request.report_id,
            source=request.source,
            key=body.key,
            file_name=body.file_name,
            asset_tags=body.options.tags.assets,
            finding_tags=body.options.tags.findings,
            use_parser_actions=body.options.use_parser_actions,
            request_id=idempotency_key(context.invocation_metadata()),
            options=changes(choices(payload)).over(Options()),
        )
        snapshot = await self._imports.create(current_principal(), trigger)
        return import_started(import_message(snapshot))

    async def CancelMyImport(self, request: plextrac_pb2.CancelMyImportRequest, context: Context) -> Struct:
        return row(await self._commands.cancel(current_principal(), request.id))

    async def PauseMyImport(self, request: plextrac_pb2.MyImportCommand, context: Context) -> Struct:
        return row(await self._commands.pause(current_principal(), request.id))

    async def ResumeMyImport(self, request: plextrac_pb2.MyImportCommand, context: Context) -> Struct:
        return row(await self._commands.resume(current_principal(), request.id))

    async def RetryMyImport(self, request: plextrac_pb2.MyImportCommand, context: Context) -> Struct:
        return row(await self._repeats.retry(current_principal(), request.id))

    async def RerunMyImport(self, request: plextrac_pb2.MyImportCommandWithBody, context: Context) -> Struct:
        said = changes(choices(MessageToDict(request.payload)))
        request_id = idempotency_key(context.invocation_metadata())
        return row(await self._repeats.rerun(current_principal(), request.id, said.over, request_id))

    async def UndoMyImport(self, request: plextrac_pb2.MyImportCommandWithBody, context: Context) -> Struct:
        dry_run = undo_is_dry_run(MessageToDict(request.payload))
        return row(await self._repeats.undo(current_principal(), request.id, dry_run=dry_run))

    async def ListSources(self, request: plextrac_pb2.Empty, context: Context) -> Struct:
        return struct(source_list(map(source_message, self._sources.all())))

    async def DetectSource(self, request: plextrac_pb2.DetectSourceRequest, context: Context) -> Struct:
        detection = await asyncio.to_thread(self._detector.detect, request.content.data)
        return struct(detected_sources(detection_message(detection)))

    async def CreateClient(self, request: plextrac_pb2.CreateClientRequest, context: Context) -> Struct:
        principal = current_principal()
        body = client_body(MessageToDict(request.payload))
        client = NewClient(body.name, body.description, body.poc, body.poc_email, body.tags)
        client_id = await self._engagements.create_client(principal, client)
        return struct(
            {"status": "success", "client_id": client_id, "cuid": cuid("client", principal.tenant_id, client_id)}
        )

    async def CreateReport(self, request: plextrac_pb2.CreateReportRequest, context: Context) -> Struct:
        principal = current_principal()
        body = report_body(request.content.content_type, request.content.data)
        report = NewReport(request.client_id, body.name, body.description, body.status, body.tags, body.details)
        report_id = await self._engagements.create_report(principal, report)
        return struct(
            {
                "message": "success",
                "status": "success",
                "report_id": report_id,
                "cuid": cuid("report", principal.tenant_id, report_id),
            }
        )


def changes(said: Choices) -> Changes:
    return Changes(
        dry_run=said.dry_run,
        force=said.force,
        on_error=OnError(said.on_error) if said.on_error else None,
        max_errors=said.max_errors,
        max_error_percent=said.max_error_percent,
        expected_records=said.expected_records,
        expected_sha256=sha256_of(said.sha256),
    )


def row(snapshot: Snapshot) -> Struct:
    return struct(my_import_row(import_message(snapshot)))

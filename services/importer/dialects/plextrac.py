"""PlexTrac's import routes: the trigger, the cancel of ours, and what an import goes into."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from dialects.plextrac.bodies import client_body, idempotency_key, import_body, report_body
from dialects.plextrac.ids import cuid
from dialects.plextrac.imports import import_started, my_import_row
from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracImporterServicer
from runtime.auth import current_principal
from services.importer.engagements import Engagements
from services.importer.imports import Imports, Trigger
from services.importer.messages import import_message
from services.importer.ports import NewClient, NewReport

Context = grpc.aio.ServicerContext[Any, Any]


class PlextracImporter(PlextracImporterServicer):
    """Converts, calls, converts back."""

    def __init__(self, imports: Imports, engagements: Engagements) -> None:
        self._imports = imports
        self._engagements = engagements

    async def StartImport(
        self, request: plextrac_pb2.StartImportRequest, context: Context
    ) -> plextrac_pb2.ImportStarted:
        body = import_body(MessageToDict(request.payload))
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
        )
        snapshot = await self._imports.create(current_principal(), trigger)
        return import_started(import_message(snapshot))

    async def CancelMyImport(self, request: plextrac_pb2.CancelMyImportRequest, context: Context) -> Struct:
        snapshot = await self._imports.cancel(current_principal(), request.id)
        return struct(my_import_row(import_message(snapshot)))

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


def struct(members: dict[str, Any]) -> Struct:
    return ParseDict(members, Struct())

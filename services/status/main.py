"""The status service: settings, adapters, use cases, serve."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import dialects.appfile.envelope
import dialects.assets.envelope
import dialects.plextrac.envelope
from dialects.assets.links import Links
from hythe.dialects.appfile.v1.appfile_pb2_grpc import add_AppFileStatusServicer_to_server
from hythe.dialects.assets.v1.assets_pb2_grpc import add_AssetsStatusServicer_to_server
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import add_PlextracStatusServicer_to_server
from hythe.status.v1.status_pb2_grpc import add_StatusServiceServicer_to_server
from runtime.audit import AuditTable, AuditTrail
from runtime.auth import remote_authenticator
from runtime.channels import channel
from runtime.database import Database
from runtime.objects import object_store
from runtime.server import run, serve
from runtime.settings import load, required
from runtime.workspaces import RemoteWorkspaces
from schema.identity import audit_log
from services.status.assets import Assets
from services.status.dialects.appfile import AppFileStatus
from services.status.dialects.assets import AssetsStatus
from services.status.dialects.plextrac import PlextracStatus
from services.status.engagements import Engagements
from services.status.executions import Executions
from services.status.findings import Findings
from services.status.import_reports import ImportReports
from services.status.imports import Imports
from services.status.object_types import ObjectTypes
from services.status.objects import Objects
from services.status.record_files import RecordFiles
from services.status.records import Records
from services.status.service import StatusService
from services.status.settings import StatusSettings
from services.status.tags import Tags
from services.status.watching import Pace, Watching

NAME = "status"
SERVICE_NAMES = (
    "hythe.status.v1.StatusService",
    "hythe.dialects.plextrac.v2.PlextracStatus",
    "hythe.dialects.appfile.v1.AppFileStatus",
    "hythe.dialects.assets.v1.AssetsStatus",
)


async def main() -> None:
    settings = load(StatusSettings)
    url = settings.database_url.get_secret_value()
    database = Database(url, application_name=NAME, pool_size=settings.database_pool)
    # Streams have connections of their own: slow readers must not keep the short answers waiting.
    streams = Database(url, application_name=f"{NAME}-streams", pool_size=settings.stream_connections)
    audit_database = Database(
        settings.audit_database_url.get_secret_value(), application_name=f"{NAME}-audit", pool_size=1
    )
    identity = channel(required(settings.identity_address, "identity_address"))
    imports = Imports(database)
    watching = Watching(
        imports.fetch,
        Pace(settings.watch_fast_seconds, settings.watch_slow_seconds, settings.watch_repeat_seconds),
    )
    objects = object_store(settings)
    reports = ImportReports(imports, objects)
    records = RecordFiles(database, imports, objects), Records(database, streams)
    workspaces, asset_workspaces = RemoteWorkspaces(identity, "appfile"), RemoteWorkspaces(identity, "assets")
    assets = AssetsStatus(
        Executions(database, asset_workspaces, reports),
        ObjectTypes(database, asset_workspaces),
        Objects(database, streams, asset_workspaces),
        Links(str(settings.public_url).rstrip("/")),
    )
    # What two faces of the service are made of.
    parts = (
        imports,
        reports,
        watching,
        Engagements(database, streams),
        Findings(database, streams),
        Assets(database, streams),
        Tags(database, streams),
    )
    async with AsyncExitStack() as stack:
        for each in (database, streams, audit_database):
            stack.push_async_callback(each.close)
        stack.push_async_callback(identity.close, None)
        stack.callback(objects.close)
        await serve(
            settings,
            name=NAME,
            registrations=[
                partial(add_StatusServiceServicer_to_server, StatusService(*parts, *records, workspaces)),
                partial(add_PlextracStatusServicer_to_server, PlextracStatus(*parts)),
                partial(
                    add_AppFileStatusServicer_to_server,
                    AppFileStatus(records[0], imports, reports, records[1], workspaces),
                ),
                partial(add_AssetsStatusServicer_to_server, assets),
            ],
            service_names=SERVICE_NAMES,
            envelopes={
                "plextrac": dialects.plextrac.envelope.error_envelope,
                "appfile": dialects.appfile.envelope.error_envelope,
                "assets": dialects.assets.envelope.error_envelope,
            },
            authenticator=remote_authenticator(
                identity, issuer=settings.token_issuer, audience=settings.token_audience
            ),
            audit=AuditTrail(AuditTable(audit_database, audit_log)),
            readiness=[database.ping],
        )


if __name__ == "__main__":
    run(main())

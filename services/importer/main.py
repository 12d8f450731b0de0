"""The importer API with its dispatcher: settings, adapters, use cases, serve."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import dialects.appfile.envelope
import dialects.assets.envelope
import dialects.plextrac.envelope
from hythe.dialects.appfile.v1.appfile_pb2_grpc import add_AppFileImporterServicer_to_server
from hythe.dialects.assets.v1.assets_pb2_grpc import add_AssetsImporterServicer_to_server
from hythe.dialects.plextrac.v2.parser_actions_pb2_grpc import add_PlextracParserActionsServicer_to_server
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import add_PlextracImporterServicer_to_server
from hythe.importer.v1.import_sources_pb2_grpc import add_ImportSourceServiceServicer_to_server
from hythe.importer.v1.importer_pb2_grpc import add_ImportServiceServicer_to_server
from hythe.importer.v1.parser_actions_pb2_grpc import add_ParserActionServiceServicer_to_server
from hythe.importer.v1.schemas_pb2_grpc import add_SchemaServiceServicer_to_server
from hythe.importer.v1.webhooks_pb2_grpc import add_WebhookServiceServicer_to_server
from runtime.audit import AuditTable, AuditTrail
from runtime.auth import remote_authenticator
from runtime.channels import channel
from runtime.database import Database
from runtime.destinations import Destinations
from runtime.jetstream import JobQueue
from runtime.notifications import Listener
from runtime.objects import object_store
from runtime.outbound import Outbound
from runtime.sealing import Sealer
from runtime.server import run, serve
from runtime.settings import load, required
from runtime.workspaces import RemoteWorkspaces
from schema.identity import audit_log
from services.importer.announcer import Announcer
from services.importer.assets_root import Foundations, assets_parts
from services.importer.commands import Commands
from services.importer.deliveries import Deliveries
from services.importer.detection import Detector
from services.importer.dialects.appfile import AppFileImporter
from services.importer.dialects.plextrac import PlextracImporter
from services.importer.dialects.plextrac_actions import PlextracParserActions
from services.importer.dispatcher import Dispatcher
from services.importer.engagements import Engagements
from services.importer.formats import registry
from services.importer.formats.kit.format import Format
from services.importer.imports import Imports, Thresholds
from services.importer.parser_action_service import ParserActionService
from services.importer.parser_actions import ParserActions
from services.importer.reaper import Reaper
from services.importer.record_commands import RecordCommands
from services.importer.record_imports import RecordImports
from services.importer.record_schemas import RecordSchemas
from services.importer.repeats import Repeats
from services.importer.retention import Retention
from services.importer.schema_service import SchemaService
from services.importer.service import ImportService
from services.importer.settings import ImporterSettings
from services.importer.sources import FileFormat, Source, Sources
from services.importer.store.engagements import SqlEngagementStore
from services.importer.store.imports import SqlImportStore
from services.importer.store.outbox import CHANNEL
from services.importer.store.parser_actions import SqlParserActionStore
from services.importer.store.record_files import SqlRecordFileStore
from services.importer.store.record_schemas import SqlRecordSchemaStore
from services.importer.store.webhooks import SqlWebhookStore
from services.importer.store.writeups import SqlWriteupStore
from services.importer.webhook_service import WebhookService
from services.importer.webhooks import Webhooks
from services.importer.writeups import Writeups

NAME = "importer"
SERVICE_NAMES = (
    "hythe.importer.v1.ImportService",
    "hythe.importer.v1.WebhookService",
    "hythe.importer.v1.ParserActionService",
    "hythe.importer.v1.SchemaService",
    "hythe.dialects.plextrac.v2.PlextracImporter",
    "hythe.dialects.plextrac.v2.PlextracParserActions",
    "hythe.importer.v1.ImportSourceService",
    "hythe.dialects.appfile.v1.AppFileImporter",
    "hythe.dialects.assets.v1.AssetsImporter",
)


async def main() -> None:
    settings = load(ImporterSettings)
    dispatch_url = settings.dispatch_database_url.get_secret_value()
    database = Database(
        settings.database_url.get_secret_value(), application_name=NAME, pool_size=settings.database_pool
    )
    dispatch_database = Database(dispatch_url, application_name=f"{NAME}-dispatch", pool_size=8)
    audit_database = Database(
        settings.audit_database_url.get_secret_value(), application_name=f"{NAME}-audit", pool_size=1
    )
    objects = object_store(settings)
    identity = channel(required(settings.identity_address, "identity_address"))
    authenticator = remote_authenticator(identity, issuer=settings.token_issuer, audience=settings.token_audience)
    workspaces = RemoteWorkspaces(identity, "appfile")
    queue = await JobQueue.connect(settings.nats_url.get_secret_value(), name=NAME)
    sources = known_sources()
    detector = Detector(sources, recognised, registry.look)
    thresholds = Thresholds(
        settings.max_file_bytes, settings.small_file_bytes, timedelta(hours=settings.reap_uploads_hours)
    )
    store = SqlImportStore(database)
    imports = Imports(store, objects, sources, thresholds)
    record_files = SqlRecordFileStore(database)
    record_imports = RecordImports(record_files, store, objects, workspaces, imports)
    commands = Commands(store)
    repeats = Repeats(store, objects, thresholds, timedelta(days=settings.undo_days), settings.max_running_executions)
    record_commands = RecordCommands(record_files, commands, repeats)
    engagements = Engagements(SqlEngagementStore(database), max_running_imports=settings.max_running_imports)
    listener = Listener(dispatch_url, CHANNEL)
    poll_seconds = settings.dispatch_poll_seconds
    announcer = Announcer(dispatch_database, database, queue, listener.another_event(), poll_seconds=poll_seconds)
    sealer = Sealer(settings.secrets_key.get_secret_value())
    outbound = way_out(settings)
    called = listener.another_event()
    deliveries = Deliveries(dispatch_database, database, outbound, sealer, called, settings, poll_seconds=poll_seconds)
    actions = ParserActions(SqlParserActionStore(database), imports, sources)
    writeups = Writeups(SqlWriteupStore(database))
    schemas = RecordSchemas(SqlRecordSchemaStore(database), workspaces)
    webhooks = Webhooks(SqlWebhookStore(database), outbound, sealer)
    assets = assets_parts(
        Foundations(
            database,
            dispatch_database,
            objects,
            identity,
            store,
            commands,
            repeats,
            thresholds,
            outbound,
            sealer,
        ),
        settings,
    )
    retention = Retention(dispatch_database, database, objects, settings)
    reaper = Reaper(dispatch_database, objects, settings)
    dispatcher = Dispatcher(
        dispatch_database,
        queue,
        listener,
        engagements.running_limit,
        [announcer.run, deliveries.run, retention.run, reaper.run, *assets.duties],
        settings,
    )
    # What both faces of the service are made of.
    parts = (imports, commands, repeats, engagements, sources, detector)
    async with AsyncExitStack() as stack:
        for each in (database, dispatch_database, audit_database, authenticator, queue, outbound, deliveries):
            stack.push_async_callback(each.close)
        stack.push_async_callback(identity.close, None)
        stack.callback(objects.close)
        await serve(
            settings,
            name=NAME,
            registrations=[
                partial(add_ImportServiceServicer_to_server, ImportService(*parts, record_imports)),
                partial(add_WebhookServiceServicer_to_server, WebhookService(webhooks)),
                partial(add_ParserActionServiceServicer_to_server, ParserActionService(actions, writeups)),
                partial(add_SchemaServiceServicer_to_server, SchemaService(schemas)),
                partial(add_PlextracParserActionsServicer_to_server, PlextracParserActions(actions, writeups)),
                partial(add_PlextracImporterServicer_to_server, PlextracImporter(*parts)),
                partial(
                    add_AppFileImporterServicer_to_server, AppFileImporter(record_imports, record_commands, workspaces)
                ),
                partial(add_AssetsImporterServicer_to_server, assets.importer),
                partial(add_ImportSourceServiceServicer_to_server, assets.sources),
            ],
            service_names=SERVICE_NAMES,
            envelopes={
                "plextrac": dialects.plextrac.envelope.error_envelope,
                "appfile": dialects.appfile.envelope.error_envelope,
                "assets": dialects.assets.envelope.error_envelope,
            },
            authenticator=authenticator,
            audit=AuditTrail(AuditTable(audit_database, audit_log)),
            background=[dispatcher.run],
            readiness=[database.ping],
        )


def way_out(settings: ImporterSettings) -> Outbound:
    """Where webhooks may lead."""
    return Outbound(
        Destinations(settings.webhook_allow),
        allow_http=settings.webhook_allow_http,
        timeout_seconds=settings.webhook_timeout_seconds,
    )


def known_sources() -> Sources:
    """What the registry can read, by slug."""
    return Sources(
        Source(
            slug,
            registry.DISPLAY_NAMES[slug],
            tuple(map(file_format, registry.FINDING_SOURCES.get(slug, ()))),
            tuple(map(file_format, registry.ASSET_SOURCES.get(slug, ()))),
            tuple(map(file_format, registry.RECORD_SOURCES.get(slug, ()))),
        )
        for slug in {**registry.FINDING_SOURCES, **registry.ASSET_SOURCES, **registry.RECORD_SOURCES}
    )


def recognised(head: bytes) -> list[FileFormat]:
    """Formats that take a file with this beginning."""
    return [file_format(each) for each in registry.recognise(head)]


def file_format(format_: Format) -> FileFormat:
    """What people are told of a format."""
    return FileFormat(
        format_.name, format_.title, format_.syntax, format_.extensions, format_.sources, format_.asset_sources
    )


if __name__ == "__main__":
    run(main())

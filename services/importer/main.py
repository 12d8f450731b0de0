"""The importer API with its dispatcher: settings, adapters, use cases, serve."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from dialects.plextrac.envelope import error_envelope
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import add_PlextracImporterServicer_to_server
from hythe.importer.v1.importer_pb2_grpc import add_ImportServiceServicer_to_server
from runtime.audit import AuditTable, AuditTrail
from runtime.auth import remote_authenticator
from runtime.channels import channel
from runtime.database import Database
from runtime.jetstream import JobQueue
from runtime.notifications import Listener
from runtime.objects import object_store
from runtime.server import run, serve
from runtime.settings import load, required
from schema.identity import audit_log
from services.importer.dialects.plextrac import PlextracImporter
from services.importer.dispatcher import Dispatcher
from services.importer.engagements import Engagements
from services.importer.formats import registry
from services.importer.imports import Imports, Thresholds
from services.importer.retention import Retention
from services.importer.service import ImportService
from services.importer.settings import ImporterSettings
from services.importer.sources import Source, Sources
from services.importer.store.engagements import SqlEngagementStore
from services.importer.store.imports import SqlImportStore
from services.importer.store.outbox import CHANNEL

NAME = "importer"
SERVICE_NAMES = ("hythe.importer.v1.ImportService", "hythe.dialects.plextrac.v2.PlextracImporter")


async def main() -> None:
    settings = load(ImporterSettings)
    dispatch_url = settings.dispatch_database_url.get_secret_value()
    database = Database(
        settings.database_url.get_secret_value(), application_name=NAME, pool_size=settings.database_pool
    )
    dispatch_database = Database(dispatch_url, application_name=f"{NAME}-dispatch", pool_size=4)
    audit_database = Database(
        settings.audit_database_url.get_secret_value(), application_name=f"{NAME}-audit", pool_size=1
    )
    objects = object_store(settings)
    identity = channel(required(settings.identity_address, "identity_address"))
    authenticator = remote_authenticator(identity, issuer=settings.token_issuer, audience=settings.token_audience)
    queue = await JobQueue.connect(settings.nats_url.get_secret_value(), name=NAME)
    sources = known_sources()
    thresholds = Thresholds(settings.max_file_bytes, settings.small_file_bytes)
    imports = Imports(SqlImportStore(database), objects, sources, thresholds)
    engagements = Engagements(SqlEngagementStore(database), max_running_imports=settings.max_running_imports)
    dispatcher = Dispatcher(
        dispatch_database,
        queue,
        Listener(dispatch_url, CHANNEL),
        engagements.running_limit,
        Retention(dispatch_database, database, objects, settings),
        settings,
    )
    async with AsyncExitStack() as stack:
        for each in (database, dispatch_database, audit_database, authenticator, queue):
            stack.push_async_callback(each.close)
        stack.push_async_callback(identity.close, None)
        stack.callback(objects.close)
        await serve(
            settings,
            name=NAME,
            registrations=[
                partial(add_ImportServiceServicer_to_server, ImportService(imports, engagements, sources)),
                partial(add_PlextracImporterServicer_to_server, PlextracImporter(imports, engagements)),
            ],
            service_names=SERVICE_NAMES,
            envelopes={"plextrac": error_envelope},
            authenticator=authenticator,
            audit=AuditTrail(AuditTable(audit_database, audit_log)),
            background=[dispatcher.run],
            readiness=[database.ping],
        )


def known_sources() -> Sources:
    """What the registry can read, by slug."""
    known = (
        Source(
            slug,
            registry.DISPLAY_NAMES.get(slug, slug),
            tuple(each.name for each in registry.FINDING_SOURCES.get(slug, ())),
            tuple(each.name for each in registry.ASSET_SOURCES.get(slug, ())),
        )
        for slug in {**registry.FINDING_SOURCES, **registry.ASSET_SOURCES}
    )
    return Sources(source for source in known if source.formats)


if __name__ == "__main__":
    run(main())

"""The upload service: settings, adapters, use cases, serve."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import dialects.appfile.envelope
import dialects.plextrac.envelope
from hythe.dialects.appfile.v1.appfile_pb2_grpc import add_AppFileUploadServicer_to_server
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import add_PlextracUploadServicer_to_server
from hythe.upload.v1.unmeasured_pb2_grpc import add_UnmeasuredUploadServiceServicer_to_server
from hythe.upload.v1.upload_pb2_grpc import add_UploadServiceServicer_to_server
from runtime.audit import AuditTable, AuditTrail
from runtime.auth import remote_authenticator
from runtime.channels import channel
from runtime.database import Database
from runtime.objects import object_store
from runtime.renewal import Renewal
from runtime.server import run, serve
from runtime.settings import load, required
from runtime.workspaces import RemoteWorkspaces
from schema.identity import audit_log
from services.upload.batches import Batches
from services.upload.dialects.appfile import AppFileUpload
from services.upload.dialects.plextrac import PlextracUpload
from services.upload.file_imports import FileImports
from services.upload.importer_client import ImporterClient
from services.upload.landing import Landings
from services.upload.leftovers import Leftovers
from services.upload.part_uploads import PartUploads
from services.upload.record_files import RecordFiles
from services.upload.service import UploadService
from services.upload.settings import UploadSettings
from services.upload.store import FileStore
from services.upload.unmeasured import UnmeasuredPuts
from services.upload.unmeasured_service import UnmeasuredUploadService
from services.upload.uploads import Uploads

NAME = "upload"
SERVICE_NAMES = (
    "hythe.upload.v1.UploadService",
    "hythe.upload.v1.UnmeasuredUploadService",
    "hythe.dialects.plextrac.v2.PlextracUpload",
    "hythe.dialects.appfile.v1.AppFileUpload",
)


async def main() -> None:
    settings = load(UploadSettings)
    database = Database(
        settings.database_url.get_secret_value(), application_name=NAME, pool_size=settings.database_pool
    )
    audit_database = Database(
        settings.audit_database_url.get_secret_value(), application_name=f"{NAME}-audit", pool_size=1
    )
    objects = object_store(settings)
    identity = channel(required(settings.identity_address, "identity_address"))
    importer = channel(required(settings.importer_address, "importer_address"))
    status = channel(required(settings.status_address, "status_address"))
    authenticator = remote_authenticator(identity, issuer=settings.token_issuer, audience=settings.token_audience)
    files = FileStore(database)
    url_life, life = timedelta(seconds=settings.upload_url_seconds), timedelta(hours=settings.reap_uploads_hours)
    leftovers = Leftovers(files, objects, age=life)
    uploads = Uploads(
        files, objects, max_file_bytes=settings.max_file_bytes, url_life=url_life, on_created=leftovers.visit
    )
    part_uploads = PartUploads(uploads, files, objects, url_life=url_life, life=life, on_created=leftovers.visit)
    unmeasured = UnmeasuredPuts(objects, max_file_bytes=settings.max_file_bytes)
    landings = Landings(uploads, files, objects)
    importer_client = ImporterClient(importer, status)
    imports = FileImports(landings, importer_client, Renewal(identity), wait_seconds=settings.import_wait_seconds)
    workspaces = RemoteWorkspaces(identity, "appfile")
    record_files = RecordFiles(uploads, landings)
    batches = Batches(record_files, importer_client)
    async with AsyncExitStack() as stack:
        for each in (database, audit_database, authenticator):
            stack.push_async_callback(each.close)
        for connection in (identity, importer, status):
            stack.push_async_callback(connection.close, None)
        stack.callback(objects.close)
        stack.push_async_callback(leftovers.close)
        await serve(
            settings,
            name=NAME,
            registrations=[
                partial(
                    add_UploadServiceServicer_to_server,
                    UploadService(uploads, part_uploads, record_files, workspaces),
                ),
                partial(add_UnmeasuredUploadServiceServicer_to_server, UnmeasuredUploadService(unmeasured)),
                partial(add_PlextracUploadServicer_to_server, PlextracUpload(uploads, part_uploads, imports)),
                partial(add_AppFileUploadServicer_to_server, AppFileUpload(record_files, batches, workspaces)),
            ],
            service_names=SERVICE_NAMES,
            envelopes={
                "plextrac": dialects.plextrac.envelope.error_envelope,
                "appfile": dialects.appfile.envelope.error_envelope,
            },
            authenticator=authenticator,
            audit=AuditTrail(AuditTable(audit_database, audit_log)),
            readiness=[database.ping, objects.ping],
        )


if __name__ == "__main__":
    run(main())

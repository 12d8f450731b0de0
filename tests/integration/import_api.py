"""The importer's API in this process, over a database and a bucket of the test's own, and the tables behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from psycopg.rows import dict_row

from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import (
    PlextracImporterStub,
    add_PlextracImporterServicer_to_server,
)
from hythe.importer.v1 import importer_pb2
from hythe.importer.v1.importer_pb2_grpc import ImportServiceStub, add_ImportServiceServicer_to_server
from runtime.auth import Principal, Role
from runtime.objects import ObjectStore
from runtime.workspaces import Workspace
from services.importer.commands import Commands
from services.importer.detection import Detector
from services.importer.dialects.plextrac import PlextracImporter
from services.importer.engagements import Engagements
from services.importer.formats.kit.looks import describe
from services.importer.imports import Imports, Thresholds
from services.importer.record_imports import RecordImports
from services.importer.repeats import Repeats
from services.importer.service import ImportService
from services.importer.sources import FileFormat, Source, Sources
from services.importer.store.engagements import SqlEngagementStore
from services.importer.store.imports import SqlImportStore
from services.importer.store.record_files import SqlRecordFileStore
from tests.fakes.audit import FakeAudit
from tests.fakes.people import ADMIN, COLLEAGUE, IMPORTER, STRANGER
from tests.fakes.workspaces import HOME, FakeWorkspaces
from tests.integration.serving import connected, objects_in, reason_of, served
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

if TYPE_CHECKING:  # The stubs' asynchronous types are for the type checker only.
    from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracImporterAsyncStub
    from hythe.importer.v1.importer_pb2_grpc import ImportServiceAsyncStub

OPERATOR = Principal(tenant_id=3, user_id=30, email="operator@example.com", role=Role.ADMIN, operator=True)
VIEWER = Principal(tenant_id=1, user_id=31, email="viewer@example.com", role=Role.VIEWER)
PEOPLE = {
    "importer": IMPORTER,
    "colleague": COLLEAGUE,
    "admin": ADMIN,
    "stranger": STRANGER,
    "operator": OPERATOR,
    "viewer": VIEWER,
}
NESSUS = FileFormat("nessus", "a Nessus report", "xml", (".nessus", ".xml"), sources=("nessus",))
NMAP_ASSETS = FileFormat("nmap_assets", "an Nmap report", "xml", (".xml",), asset_sources=("nmap-xml",))
SOURCES = Sources(
    [
        Source("nessus", "Nessus", report_formats=(NESSUS,)),
        Source("nmap-xml", "Nmap", asset_formats=(NMAP_ASSETS,)),
    ]
)
CC5 = FileFormat("cc5", "a cc5 sync file", "cc5", (".cc5txt",))
RECORD_SOURCES = Sources([Source("cc5", "AppFile", record_formats=(CC5,))])
KEY = "c0123456789012345678901234/a b.nessus"


def recognised(head: bytes) -> list[FileFormat]:
    return [each for word, each in ((b"<Nessus", NESSUS), (b"<nmaprun", NMAP_ASSETS)) if word in head]


@dataclass
class Api:
    """Both faces of the service, and the tables behind them."""

    native: ImportServiceAsyncStub
    plextrac: PlextracImporterAsyncStub
    objects: ObjectStore
    admin: psycopg.AsyncConnection[dict[str, Any]]
    client_id: int
    report_id: int
    audit: FakeAudit

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Past row-level security."""
        return await (await self.admin.execute(query.encode(), parameters)).fetchall()

    async def execute(self, query: str, *parameters: object) -> None:
        await self.admin.execute(query.encode(), parameters)

    async def upload(self, key: str, data: bytes, tenant_id: int = 1) -> None:
        await self.objects.put(self.objects.object_key(key), data, "application/octet-stream")
        await self.execute(
            "INSERT INTO files (tenant_id, key, file_name, user_id, expires_at) VALUES (%s, %s, %s, 7, now()) "
            "ON CONFLICT DO NOTHING",
            tenant_id,
            key,
            key.partition("/")[2],
        )

    async def record_file(self, file_id: str, workspace: Workspace = HOME, tenant_id: int = 1) -> str:
        """A file of records that is announced and there; answers its key."""
        key = f"{file_id}/family.cc5txt"
        await self.upload(key, b"00|x|cc5||", tenant_id)
        await self.execute(
            "INSERT INTO record_files (tenant_id, file_id, key, workspace_id, workspace, bucket_id, action_id) "
            "VALUES (%s, %s, %s, %s, %s, %s, 'announced')",
            *(tenant_id, file_id, key, workspace.workspace_id, workspace.name, workspace.bucket_id),
        )
        return key

    async def start(self, file_id: str, caller: str = "importer", **members: Any) -> importer_pb2.Import:
        members = {"file_id": file_id, "file_type": "cc5", **members}
        request = importer_pb2.StartRecordsImportRequest(**members)
        reply = await self.native.StartRecordsImport(request, metadata=as_(caller))
        return getattr(reply, "import")  # type: ignore[no-any-return]

    def request(self, **changes: Any) -> importer_pb2.CreateImportRequest:
        members: dict[str, Any] = {
            "client_id": self.client_id,
            "report_id": self.report_id,
            "source": "nessus",
            "key": KEY,
        }
        return importer_pb2.CreateImportRequest(**(members | changes))

    async def create(self, caller: str = "importer", **changes: Any) -> importer_pb2.Import:
        reply = await self.native.CreateImport(self.request(**changes), metadata=as_(caller))
        return getattr(reply, "import")  # type: ignore[no-any-return]


def as_(caller: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("authorization", caller), *more)


@asynccontextmanager
async def opened(database: Database, object_store: Bucket) -> AsyncIterator[Api]:
    """With a client, a report in it, and a file of 50 bytes under KEY."""
    objects = objects_in(object_store)
    connection = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
    async with connected(database, "hythe_importer") as adapter, connection:
        store = SqlImportStore(adapter)
        thresholds = Thresholds(max_file_bytes=1_000, small_file_bytes=100)
        imports, commands = Imports(store, objects, SOURCES, thresholds), Commands(store)
        repeats = Repeats(store, objects, thresholds, timedelta(days=90), max_running_executions=4)
        engagements = Engagements(SqlEngagementStore(adapter), max_running_imports=4)
        parts = (imports, commands, repeats, engagements, SOURCES, Detector(SOURCES, recognised, describe))
        of_records = Imports(store, objects, RECORD_SOURCES, thresholds)
        records = RecordImports(SqlRecordFileStore(adapter), store, objects, FakeWorkspaces(), of_records)
        registrations = [
            partial(add_ImportServiceServicer_to_server, ImportService(*parts, records)),
            partial(add_PlextracImporterServicer_to_server, PlextracImporter(*parts)),
        ]
        audit = FakeAudit()
        async with served(registrations, PEOPLE, audit=audit) as channel:
            native = ImportServiceStub(channel)
            client = await native.CreateClient(
                importer_pb2.CreateClientRequest(name="Karbo", tags=["Web App"]), metadata=as_("importer")
            )
            report = await native.CreateReport(
                importer_pb2.CreateReportRequest(client_id=client.client_id, name="Q1"), metadata=as_("importer")
            )
            plextrac = PlextracImporterStub(channel)
            api = Api(native, plextrac, objects, connection, client.client_id, report.report_id, audit)
            await api.upload(KEY, b"x" * 50)
            yield api
    objects.close()


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), reason_of(raised.value)

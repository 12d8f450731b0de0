"""The importer's API of import sources in this process, over a database of the test's own, and the tables behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from psycopg.rows import dict_row

from dialects.assets.links import Links
from hythe.dialects.assets.v1 import assets_pb2
from hythe.dialects.assets.v1.assets_pb2_grpc import (
    AssetsImporterServicer,
    AssetsImporterStub,
    add_AssetsImporterServicer_to_server,
)
from hythe.importer.v1 import import_sources_pb2 as native
from hythe.importer.v1.import_sources_pb2_grpc import (
    ImportSourceServiceStub,
    add_ImportSourceServiceServicer_to_server,
)
from runtime.auth import Principal, Role
from runtime.sealing import Sealer, new_key
from runtime.wire import metadata_pairs
from services.importer.assets.import_sources import ImportSources
from services.importer.assets.mapping_rules import FormatRules
from services.importer.assets.mappings import Mappings
from services.importer.assets.object_schemas import ObjectSchemas
from services.importer.assets.tokens import ContainerToken, Tokens
from services.importer.dialects.assets_sources import AssetsSources, SourceUseCases
from services.importer.import_source_service import ImportSourceService
from services.importer.store.assets_sources import SqlSourceStore
from tests.fakes.audit import FakeAudit
from tests.fakes.people import ADMIN, IMPORTER, LIMITED, STRANGER
from tests.fakes.workspaces import FOREIGN, HOME, SECOND, FakeWorkspaces
from tests.integration.serving import PUBLIC_URL, connected, objects_in, served
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

if TYPE_CHECKING:  # The stubs' asynchronous types are for the type checker only.
    from hythe.dialects.assets.v1.assets_pb2_grpc import AssetsImporterAsyncStub
    from hythe.importer.v1.import_sources_pb2_grpc import ImportSourceServiceAsyncStub
    from runtime.objects import ObjectStore

VIEWER = Principal(tenant_id=1, user_id=13, email="viewer@example.com", role=Role.VIEWER)
PEOPLE = {"admin": ADMIN, "importer": IMPORTER, "stranger": STRANGER, "viewer": VIEWER, "limited": LIMITED}
WORKSPACES = {"admin": HOME, "stranger": FOREIGN}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Issuer:
    """Container tokens in a dict."""

    tokens: dict[UUID, ContainerToken] = field(default_factory=dict)
    count: int = 0

    async def issue(self, import_source_id: UUID, workspace_id: UUID) -> ContainerToken:
        self.count += 1
        self.tokens[import_source_id] = ContainerToken(f"hyct_{self.count}", NOW, None)
        return self.tokens[import_source_id]

    async def current(self, import_source_id: UUID) -> ContainerToken | None:
        return self.tokens.get(import_source_id)

    async def revoke(self, import_source_id: UUID) -> None:
        self.tokens.pop(import_source_id, None)


class SourcesOnly(AssetsSources, AssetsImporterServicer):
    """The part of AssetsImporter that is tested here."""


@dataclass
class Answer:
    """Body, and the metadata that becomes status and headers."""

    body: Any
    headers: dict[str, str]

    @property
    def status(self) -> str:
        return self.headers.get("x-http-status", "200")


@dataclass
class SourceApi:
    """Both faces of the service, by name of the caller."""

    assets: AssetsImporterAsyncStub
    native: ImportSourceServiceAsyncStub
    admin: psycopg.AsyncConnection[dict[str, Any]]
    audit: FakeAudit
    issuer: Issuer
    people: dict[str, Principal]
    sealer: Sealer
    objects: ObjectStore
    schema_id: int = 0

    async def execute(self, query: str, *parameters: object) -> None:
        await self.admin.execute(query.encode(), parameters)

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Past row-level security."""
        return await (await self.admin.execute(query.encode(), parameters)).fetchall()

    async def call(self, method: str, request: Any, caller: str = "admin") -> Answer:
        call = getattr(self.assets, method)(request, metadata=(("authorization", caller), ("x-dialect", "assets")))
        body = MessageToDict(await call)
        return Answer(body, {key: value for key, value in await call.initial_metadata() if isinstance(value, str)})

    async def schema(self, key: str = "HW", workspace: str = "") -> int:
        request = native.CreateObjectSchemaRequest(workspace=workspace, name="Hardware", key=key)
        made = await self.native.CreateObjectSchema(request, metadata=as_("admin"))
        return made.object_schema.object_schema_id

    async def create(self, caller: str = "admin", workspace: str = "", **members: Any) -> dict[str, Any]:
        body = {"name": "Inventory", "type": "external", "objectSchemaId": str(self.schema_id), **members}
        request = assets_pb2.WorkspaceBodyRequest(
            workspace_id=workspace or str(HOME.workspace_id), payload=struct(body)
        )
        return dict((await self.call("CreateImportSource", request, caller)).body)

    async def on(
        self, method: str, source: str, body: dict[str, Any] | None = None, caller: str = "admin", workspace: str = ""
    ) -> Answer:
        """A call on a source."""
        request = assets_pb2.SourceRequest(
            workspace_id=workspace or str(HOME.workspace_id), import_source_id=source, payload=struct(body)
        )
        return await self.call(method, request, caller)

    async def put(
        self, source: str, document: dict[str, Any], caller: str = "admin", *, patch: bool = False, later: bool = False
    ) -> Answer:
        request = assets_pb2.MappingRequest(
            workspace_id=str(HOME.workspace_id), import_source_id=source, payload=struct(document), **{"async": later}
        )
        return await self.call("PatchMapping" if patch else "PutMapping", request, caller)

    async def progress(self, source: str, resource: str, caller: str = "viewer") -> Answer:
        request = assets_pb2.MappingProgressRequest(
            workspace_id=str(HOME.workspace_id), import_source_id=source, resource_id=resource
        )
        return await self.call("GetMappingProgress", request, caller)

    async def tables(self) -> list[list[dict[str, Any]]]:
        """All that a change of a mapping may write."""
        names = ("object_schemas", "object_types", "object_attributes", "import_sources", "mapping_changes")
        return [await self.rows(f"SELECT xmin::text, * FROM {name} ORDER BY 2, 3") for name in names]

    async def upload(self, key: str, data: bytes, tenant_id: int = 1) -> str:
        await self.objects.put(self.objects.object_key(key), data, "application/octet-stream")
        await self.admin.execute(
            "INSERT INTO files (tenant_id, key, file_name, user_id, expires_at) VALUES (%s, %s, 'f', 7, now())",
            (tenant_id, key),
        )
        return key

    async def preview(self, source: str, sample: bytes, limit: int = 0, caller: str = "admin") -> dict[str, Any]:
        def chunks() -> Iterator[assets_pb2.PreviewChunk]:
            workspace, pieces = str(HOME.workspace_id), range(0, max(1, len(sample)), 1_000)
            for at in pieces:
                content = HttpBody(data=sample[at : at + 1_000])
                if at:
                    yield assets_pb2.PreviewChunk(content=content)
                else:
                    yield assets_pb2.PreviewChunk(
                        workspace_id=workspace, import_source_id=source, limit=limit, content=content
                    )

        return MessageToDict(await self.assets.PreviewMapping(chunks(), metadata=as_(caller)))


def as_(caller: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", caller), ("x-dialect", "assets"))


def struct(members: dict[str, Any] | None) -> Struct:
    return ParseDict(members or {}, Struct())


@asynccontextmanager
async def opened(database: Database, bucket: Bucket) -> AsyncIterator[SourceApi]:
    """With an object schema HW in the workspace HOME."""
    objects, issuer, audit, sealer = objects_in(bucket), Issuer(), FakeAudit(), Sealer(new_key())
    people = dict(PEOPLE)
    connection = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
    async with connected(database, "hythe_importer") as adapter, connection:
        store, workspaces, rules = SqlSourceStore(adapter), FakeWorkspaces(), FormatRules()
        sources = ImportSources(store, workspaces, sealer, rules)
        mappings = Mappings(store, workspaces, rules, objects)
        tokens = Tokens(sources, store, issuer)
        schemas = ObjectSchemas(store, workspaces)
        servicer = SourcesOnly(  # type: ignore[abstract]  # its other part is tested elsewhere
            SourceUseCases(schemas, sources, mappings, tokens), Links(PUBLIC_URL)
        )
        registrations = [
            partial(add_AssetsImporterServicer_to_server, servicer),
            partial(add_ImportSourceServiceServicer_to_server, ImportSourceService(schemas, sources, mappings, tokens)),
        ]
        async with served(registrations, people, audit=audit) as channel:
            api = SourceApi(
                AssetsImporterStub(channel),
                ImportSourceServiceStub(channel),
                connection,
                audit,
                issuer,
                people,
                sealer,
                objects,
            )
            api.schema_id = await api.schema()
            yield api
    objects.close()


@dataclass(frozen=True)
class Refusal:
    """Of a call: reason, HTTP status and body as the gateway gives them on."""

    reason: str
    status: str
    body: dict[str, Any]

    @property
    def problems(self) -> list[str]:
        """Codes of what is wrong with a mapping."""
        return [each["code"] for each in self.body.get("dataValidationErrors", ())]


async def refusal(call: Any) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    trailers = dict(metadata_pairs(raised.value.trailing_metadata()))
    body = json.loads(trailers["x-error-body"])
    return Refusal(body["errorCode"], str(trailers["x-http-status"]), body)


__all__ = ["FOREIGN", "HOME", "SECOND", "Refusal", "SourceApi", "opened", "refusal"]

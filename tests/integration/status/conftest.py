"""The status service in this process, on a database of the test's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from jsonschema import Draft202012Validator

from dialects.assets.links import Links
from hythe.dialects.appfile.v1.appfile_pb2_grpc import AppFileStatusStub, add_AppFileStatusServicer_to_server
from hythe.dialects.assets.v1.assets_pb2_grpc import AssetsStatusStub, add_AssetsStatusServicer_to_server
from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracStatusStub, add_PlextracStatusServicer_to_server
from hythe.status.v1.status_pb2_grpc import StatusServiceStub, add_StatusServiceServicer_to_server
from runtime.auth import Principal, Role
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
from services.status.tags import Tags
from services.status.watching import Pace, Watching
from tests.fakes.objects import FakeObjectStore
from tests.fakes.people import ADMIN, COLLEAGUE, IMPORTER, STRANGER
from tests.fakes.workspaces import HOME, FakeWorkspaces
from tests.integration.serving import PUBLIC_URL, connected, reason_of, served
from tests.integration.status.asset_rows import IMPORTS, SOURCE
from tests.integration.status.rows import Rows
from tests.stack import Database

if TYPE_CHECKING:
    from hythe.dialects.appfile.v1.appfile_pb2_grpc import AppFileStatusAsyncStub
    from hythe.dialects.assets.v1.assets_pb2_grpc import AssetsStatusAsyncStub
    from hythe.dialects.plextrac.v2.plextrac_pb2_grpc import PlextracStatusAsyncStub
    from hythe.status.v1.status_pb2_grpc import StatusServiceAsyncStub

DIALECTS = Path(__file__).parents[3] / "protos/hythe/dialects"


@dataclass
class Api:
    """All faces of the service, and the tables behind them."""

    native: StatusServiceAsyncStub
    plextrac: PlextracStatusAsyncStub
    appfile: AppFileStatusAsyncStub
    assets: AssetsStatusAsyncStub
    rows: Rows
    people: dict[str, Principal]
    objects: FakeObjectStore

    def limit_to(self, *client_ids: int) -> Any:
        """The metadata of an admin who has grants for these clients only."""
        self.people["limited"] = replace(self.people["limited"], client_ids=frozenset(client_ids))
        return as_("limited")

    async def streamed(self, call: Any) -> Any:
        """The document of a streamed answer, which says once that it is JSON."""
        pieces: list[HttpBody] = [piece async for piece in call]
        assert [piece.content_type for piece in pieces] == ["application/json"] + [""] * (len(pieces) - 1)
        return json.loads(b"".join(piece.data for piece in pieces))

    async def answered(self, call: Any) -> Any:
        """The document of a unary answer."""
        return MessageToDict(await call)


def as_(caller: str = "importer") -> Any:
    return (("authorization", caller),)


def payload(body: dict[str, Any]) -> Struct:
    return ParseDict(body, Struct())


def page_of(limit: int = 100, offset: int = 0, **more: Any) -> Struct:
    return payload({"pagination": {"offset": offset, "limit": limit}, **more})


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Of a unary or a streaming call; the stream must have sent nothing."""
    try:
        answer = await anext(aiter(call)) if hasattr(call, "__aiter__") else await call
    except grpc.aio.AioRpcError as error:
        return error.code(), reason_of(error)
    raise AssertionError(answer)


def check_shape(name: str, document: Any, dialect: str = "plextrac/v2") -> None:
    """Against the published schema of that name."""
    schemas = json.loads((DIALECTS / dialect / "schemas.json").read_text())
    document_schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    Draft202012Validator(document_schema).validate(document)


@pytest.fixture
def rows(database: Database) -> Iterator[Rows]:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        yield Rows(connection)


@pytest.fixture
async def api(database: Database, rows: Rows) -> AsyncIterator[Api]:
    people = {
        "importer": IMPORTER,
        "colleague": COLLEAGUE,
        "admin": ADMIN,
        "stranger": STRANGER,
        "viewer": Principal(1, 12, "viewer@example.com", Role.VIEWER),
        "limited": Principal(1, 7, "limited@example.com", Role.ADMIN, client_ids=frozenset()),
        "container": replace(
            IMPORTER, scopes=frozenset({IMPORTS}), import_source_id=SOURCE, workspace_id=HOME.workspace_id
        ),
    }
    async with AsyncExitStack() as stack:
        adapter = await stack.enter_async_context(connected(database, "hythe_status"))
        streams = await stack.enter_async_context(connected(database, "hythe_status"))
        imports = Imports(adapter)
        watching = Watching(imports.fetch, Pace(fast=0.02, slow=0.05, repeat=0.5))
        objects = FakeObjectStore()
        reports = ImportReports(imports, objects)
        files, records, workspaces = RecordFiles(adapter, imports, objects), Records(adapter, streams), FakeWorkspaces()
        parts = (
            imports,
            reports,
            watching,
            Engagements(adapter, streams),
            Findings(adapter, streams),
            Assets(adapter, streams),
            Tags(adapter, streams),
        )
        registrations = [
            partial(add_StatusServiceServicer_to_server, StatusService(*parts, files, records, workspaces)),
            partial(add_PlextracStatusServicer_to_server, PlextracStatus(*parts)),
            partial(add_AppFileStatusServicer_to_server, AppFileStatus(files, imports, reports, records, workspaces)),
            partial(
                add_AssetsStatusServicer_to_server,
                AssetsStatus(
                    Executions(adapter, workspaces, reports),
                    ObjectTypes(adapter, workspaces),
                    Objects(adapter, streams, workspaces),
                    Links(PUBLIC_URL),
                ),
            ),
        ]
        channel = await stack.enter_async_context(served(registrations, people))
        stubs = (
            *(StatusServiceStub(channel), PlextracStatusStub(channel)),
            *(AppFileStatusStub(channel), AssetsStatusStub(channel)),
        )
        yield Api(*stubs, rows, people, objects)

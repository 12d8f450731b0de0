"""Record schemas by gRPC, over PostgreSQL, and as a worker takes them along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import grpc
import pytest

from hythe.importer.v1 import schemas_pb2 as pb
from hythe.importer.v1.schemas_pb2_grpc import SchemaServiceStub, add_SchemaServiceServicer_to_server
from runtime.auth import Principal, Role
from services.importer.record_schemas import RecordSchemas
from services.importer.schema_service import SchemaService
from services.importer.store.record_schemas import SqlRecordSchemaStore
from services.importer.targets.records.published import PUBLISHED
from services.importer.targets.records.schemas import find_schema
from services.importer.targets.records.stored_schemas import schemas_in_force
from tests.fakes.audit import FakeAudit
from tests.fakes.people import ADMIN, IMPORTER, STRANGER
from tests.integration.import_api import as_
from tests.integration.serving import connected, reason_of, served
from tests.stack import Database

if TYPE_CHECKING:  # The stubs' asynchronous types are for the type checker only.
    from hythe.importer.v1.schemas_pb2_grpc import SchemaServiceAsyncStub

VIEWER = Principal(1, 13, "viewer@example.com", Role.VIEWER)
PEOPLE = {"admin": ADMIN, "importer": IMPORTER, "stranger": STRANGER, "viewer": VIEWER}


@dataclass(frozen=True)
class Home:
    workspace_id: UUID


class Workspaces:
    """Each tenant's first, and the number of another one as its name."""

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Home:
        return Home(UUID(int=principal.tenant_id * 1_000 + int(workspace or 0)))


@dataclass
class Api:
    native: SchemaServiceAsyncStub
    database: Database
    audit: FakeAudit

    async def put(self, schema: pb.RecordSchema, caller: str = "admin", workspace: str = "") -> pb.RecordSchema:
        request = pb.PutRecordSchemaRequest(workspace=workspace, schema=schema)
        return (await self.native.PutRecordSchema(request, metadata=as_(caller))).schema

    async def get(self, data_source: str = "cc-bus", caller: str = "viewer", workspace: str = "") -> pb.RecordSchema:
        request = pb.GetRecordSchemaRequest(workspace=workspace, entity_type="wks_bus", data_source=data_source)
        return (await self.native.GetRecordSchema(request, metadata=as_(caller))).schema


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with connected(database, "hythe_importer") as adapter:
        audit = FakeAudit()
        service = SchemaService(RecordSchemas(SqlRecordSchemaStore(adapter), Workspaces()))
        registrations = [partial(add_SchemaServiceServicer_to_server, service)]
        async with served(registrations, PEOPLE, audit=audit) as channel:
            yield Api(SchemaServiceStub(channel), database, audit)


def bus(data_source: str = "cc-bus", *colours: str) -> pb.RecordSchema:
    columns = [
        pb.RecordColumn(code="id", presence=pb.COLUMN_PRESENCE_VALUE),
        pb.RecordColumn(code="seats", type="int", presence=pb.COLUMN_PRESENCE_COLUMN),
        pb.RecordColumn(code="colour", values=colours),
    ]
    return pb.RecordSchema(entity_type="wks_bus", data_source=data_source, columns=columns)


async def test_what_is_put_is_got_and_listed(api: Api) -> None:
    made = await api.put(bus("cc-bus", "red", "blue"))
    assert made.create_time == made.update_time
    assert not made.published
    assert [(one.code, one.type, one.presence, list(one.values)) for one in made.columns] == [
        ("id", "string", pb.COLUMN_PRESENCE_VALUE, []),
        ("seats", "int", pb.COLUMN_PRESENCE_COLUMN, []),
        ("colour", "string", pb.COLUMN_PRESENCE_OPTIONAL, ["red", "blue"]),
    ]
    assert await api.get() == made
    listed = await api.native.ListRecordSchemas(pb.ListRecordSchemasRequest(), metadata=as_("viewer"))
    assert [one for one in listed.schemas if not one.published] == [made]
    assert len(listed.schemas) == len(PUBLISHED) + 1
    assert listed.next_page_token == ""


async def test_putting_again_replaces_and_keeps_the_first_time(api: Api) -> None:
    first = await api.put(bus("cc-bus", "red"))
    second = await api.put(bus("cc-bus"))
    assert second.create_time == first.create_time
    assert second.update_time.ToDatetime() > first.update_time.ToDatetime()
    assert not any(one.values for one in second.columns)
    assert await api.get() == second


async def test_a_schema_is_of_one_workspace_of_one_tenant(api: Api) -> None:
    await api.put(bus(), workspace="1")
    assert (await api.get(workspace="1")).data_source == "cc-bus"
    for caller, workspace in (("viewer", ""), ("viewer", "2"), ("stranger", "1")):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await api.get(caller=caller, workspace=workspace)
        assert reason_of(raised.value) == "SCHEMA_NOT_FOUND"


async def test_deleting_brings_the_published_one_back(api: Api) -> None:
    own = pb.RecordSchema(entity_type="wks_note", data_source="cc-note", columns=[pb.RecordColumn(code="id")])
    await api.put(own)
    pair = {"entity_type": "wks_note", "data_source": "cc-note"}
    await api.native.DeleteRecordSchema(pb.DeleteRecordSchemaRequest(**pair), metadata=as_("admin"))
    found = await api.native.GetRecordSchema(pb.GetRecordSchemaRequest(**pair), metadata=as_("viewer"))
    assert found.schema.published
    assert not found.schema.HasField("create_time")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.native.DeleteRecordSchema(pb.DeleteRecordSchemaRequest(**pair), metadata=as_("admin"))
    assert reason_of(raised.value) == "SCHEMA_NOT_FOUND"


@pytest.mark.parametrize("caller", ["importer", "viewer"])
async def test_only_an_administrator_changes_schemas(api: Api, caller: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.put(bus(), caller=caller)
    assert reason_of(raised.value) == "ROLE_REQUIRED"
    request = pb.DeleteRecordSchemaRequest(entity_type="wks_bus", data_source="cc-bus")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await api.native.DeleteRecordSchema(request, metadata=as_(caller))
    assert reason_of(raised.value) == "ROLE_REQUIRED"


async def test_many_at_once_do_not_become_too_many(api: Api) -> None:
    for number in range(95):
        await api.put(bus(f"cc-{number:03}"))
    tried = [api.put(bus(f"cc-more-{number}")) for number in range(10)]
    outcomes = await asyncio.gather(*tried, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert {reason_of(each) for each in refused} == {"TOO_MANY_SCHEMAS"}
    assert len(refused) == 5


async def test_a_worker_takes_the_workspaces_own_along_before_the_published_ones(api: Api) -> None:
    await api.put(bus("cc-bus", "red"))
    note = pb.RecordSchema(entity_type="wks_note", data_source="cc-note", columns=[pb.RecordColumn(code="id")])
    await api.put(note)
    async with (
        connected(api.database, "hythe_worker") as adapter,
        adapter.transaction(ADMIN.tenant_id) as connection,
    ):
        taken = await schemas_in_force(connection, ADMIN.tenant_id, UUID(int=1_000))
        others = await schemas_in_force(connection, ADMIN.tenant_id, UUID(int=1_001))
    assert len(taken) == len(PUBLISHED) + 1
    own = find_schema(taken, "wks_note", "cc-note")
    assert own is not None
    assert [column.code for column in own.columns] == ["id"]
    assert others == PUBLISHED


async def test_changes_are_audited_with_what_was_changed(api: Api) -> None:
    await api.put(bus())
    (event,) = api.audit.events
    assert event.method.endswith("PutRecordSchema")
    assert (event.object["entity_type"], event.object["data_source"]) == ("wks_bus", "cc-bus")

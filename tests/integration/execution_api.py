"""Runs of import sources in this process, by the Assets API, over a database and a bucket of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dialects.assets.links import Links
from dialects.assets.source_settings import EXTERNAL
from hythe.dialects.assets.v1 import assets_pb2 as pb
from hythe.dialects.assets.v1.assets_pb2_grpc import (
    AssetsImporterServicer,
    AssetsImporterStub,
    add_AssetsImporterServicer_to_server,
)
from runtime.database import Database as Adapter
from runtime.destinations import Destinations
from runtime.objects import ObjectStore
from runtime.outbound import Outbound
from services.importer.assets.chunks import Chunks
from services.importer.assets.executions import Executions
from services.importer.assets.firing import Firing
from services.importer.assets.openings import Openings
from services.importer.assets.schedules import Schedules
from services.importer.assets.starts import Rules, Starts
from services.importer.commands import Commands
from services.importer.dialects.assets_executions import AssetsExecutions
from services.importer.imports import Thresholds
from services.importer.repeats import Repeats
from services.importer.store.assets_executions import SqlRunStore
from services.importer.store.assets_schedules import SqlRunWatch, SqlScheduleStore
from services.importer.store.imports import SqlImportStore
from tests.fakes.audit import FakeAudit
from tests.fakes.people import COLLEAGUE, IMPORTER, LIMITED, STRANGER
from tests.fakes.standings import FakeStandings
from tests.fakes.workspaces import FOREIGN, HOME, FakeWorkspaces
from tests.integration.import_api import VIEWER, as_
from tests.integration.serving import PUBLIC_URL, connected, objects_in, served
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

if TYPE_CHECKING:  # The stubs' asynchronous types are for the type checker only.
    from hythe.dialects.assets.v1.assets_pb2_grpc import AssetsImporterAsyncStub

PUSHED, FILED, PULLED = UUID(int=0x11), UUID(int=0x12), UUID(int=0x13)
"""An external source, one of a CSV file and one of a database, in HOME."""
THEIRS = UUID(int=0x21)
"""An external source of another tenant."""
TOKEN = replace(
    IMPORTER,
    import_source_id=PUSHED,
    workspace_id=HOME.workspace_id,
    scopes=frozenset({"import:import-configuration:cmdb"}),
)
OTHER_TOKEN = replace(TOKEN, import_source_id=FILED)
PEOPLE = {
    "importer": IMPORTER,
    "colleague": COLLEAGUE,
    "stranger": STRANGER,
    "limited": LIMITED,
    "viewer": VIEWER,
    "token": TOKEN,
    "other token": OTHER_TOKEN,
}
FILE_KEY = "c0123456789012345678901234/hosts.csv"
PLAN: dict[str, Any] = {"types": []}
MAX_CHUNK_BYTES = 1 << 20
RULES = Rules(max_running=3, open_life=timedelta(hours=1), most_open=timedelta(hours=24))


class Servicer(AssetsExecutions, AssetsImporterServicer):
    """The part of the API that is tested here."""


@dataclass
class Runs:
    """The API, the duties beside it, and the tables behind both."""

    stub: AssetsImporterAsyncStub
    objects: ObjectStore
    admin: psycopg.AsyncConnection[dict[str, Any]]
    openings: Openings
    firing: Firing
    outbound: Outbound
    importer: Adapter
    dispatch: Adapter
    audit: FakeAudit
    repeats: Repeats
    standings: FakeStandings

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Past row-level security."""
        return await (await self.admin.execute(query.encode(), parameters)).fetchall()

    async def execute(self, query: str, *parameters: object) -> None:
        await self.admin.execute(query.encode(), parameters)

    async def row(self, execution_id: str) -> dict[str, Any]:
        (row,) = await self.rows("SELECT * FROM imports WHERE import_id = %s", execution_id)
        return row

    async def is_sent(self, execution_id: str) -> bool:
        """Whether the dispatcher knows of it."""
        return bool(await self.rows("SELECT 1 FROM outbox WHERE topic = 'run' AND import_id = %s", execution_id))

    async def add_source(
        self,
        source_id: UUID,
        type_: str,
        *,
        tenant: int = 1,
        workspace: UUID = HOME.workspace_id,
        file_key: str | None = None,
    ) -> UUID:
        (schema,) = await self.rows(
            "INSERT INTO object_schemas (tenant_id, workspace_id, name, key) VALUES (%s, %s, 'Hosts', %s) "
            "RETURNING object_schema_id",
            *(tenant, workspace, str(source_id)),
        )
        await self.execute(
            "INSERT INTO import_sources (tenant_id, import_source_id, workspace_id, object_schema_id, name, type, "
            "plan, file_key, user_id) VALUES (%s, %s, %s, %s, 'Hosts', %s, %s, %s, 7)",
            *(tenant, source_id, workspace, schema["object_schema_id"], type_, Jsonb(PLAN), file_key),
        )
        return source_id

    async def added(self, type_: str = EXTERNAL) -> UUID:
        return await self.add_source(uuid4(), type_)

    async def call(
        self, method: str, source: UUID | str = PUSHED, caller: str = "importer", /, **members: Any
    ) -> dict[str, Any]:
        """The answer to a call on a source."""
        return MessageToDict(await self.calling(method, source, caller, **members))

    def calling(self, method: str, source: UUID | str = PUSHED, caller: str = "importer", /, **members: Any) -> Any:
        payload: Mapping[str, Any] = members.pop("payload", {})
        names = {"workspace_id": str(HOME.workspace_id), "import_source_id": str(source), **members}
        kind: dict[str, Any] = {"execution_id": pb.ExecutionRequest, "schedule_id": pb.ScheduleRequest}
        message = next((kind[name] for name in kind if name in members), pb.SourceRequest)
        request = message(**names, payload=ParseDict(dict(payload), Struct()))
        return getattr(self.stub, method)(request, metadata=as_(caller))

    async def started(self, source: UUID | str = PUSHED, caller: str = "importer", /, **payload: Any) -> str:
        """The id of a new run."""
        return str((await self.call("StartExecution", source, caller, payload=payload))["executionId"])

    def sending(
        self,
        execution_id: str,
        body: Mapping[str, Any] | bytes,
        source: UUID | str = PUSHED,
        caller: str = "importer",
        piece: int = 1_000,
    ) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def pieces() -> AsyncIterator[pb.DataChunk]:
            for start in range(0, max(1, len(data)), piece):
                await asyncio.sleep(0)
                yield pb.DataChunk(
                    workspace_id=str(HOME.workspace_id),
                    import_source_id=str(source),
                    execution_id=execution_id,
                    content=HttpBody(content_type="application/json", data=data[start : start + piece]),
                )

        return self.stub.SubmitData(pieces(), metadata=as_(caller))

    async def pieces(self, execution_id: str) -> list[bytes]:
        """The bodies that the run will read."""
        found = []
        for row in await self.rows("SELECT * FROM import_inputs WHERE import_id = %s ORDER BY number", execution_id):
            with self.objects.open(row["object_key"], row["etag"]) as stored:
                found.append(stored.read(row["size"] + 1))
        return found

    async def stored(self) -> list[str]:
        """The keys of all objects but uploaded files."""
        return [
            each.object_key
            async for page in self.objects.list_objects()
            for each in page
            if "/executions/" in each.object_key
        ]

    async def fire(self) -> None:
        """Whatever is due, to the end of the callbacks."""
        async with asyncio.TaskGroup() as calls:
            await self.firing.look(calls)

    async def end(self, execution_id: str, state: str = "SUCCEEDED") -> None:
        """As if nobody heard of it: what waits for this end is not told."""
        await self.execute("UPDATE imports SET state = %s, ended_at = now() WHERE import_id = %s", state, execution_id)


@asynccontextmanager
async def opened_runs(database: Database, bucket: Bucket) -> AsyncIterator[Runs]:
    """With a source of each kind, and the file of that which reads one."""
    objects = objects_in(bucket)
    connection = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
    outbound = Outbound(Destinations("private"), allow_http=True, timeout_seconds=2)
    async with (
        connected(database, "hythe_importer") as adapter,
        connected(database, "hythe_dispatch") as dispatch,
        connection,
    ):
        store, runs, schedules = SqlImportStore(adapter), SqlRunStore(adapter), SqlScheduleStore(adapter)
        thresholds = Thresholds(max_file_bytes=4 << 20, small_file_bytes=100)
        commands = Commands(store)
        repeats = Repeats(store, objects, thresholds, timedelta(days=90), RULES.max_running)
        starts = Starts(store, objects, thresholds, RULES)
        executions = Executions(runs, starts, FakeWorkspaces(), commands, repeats, RULES)
        chunks = Chunks(runs, store, objects, executions, thresholds, RULES, MAX_CHUNK_BYTES)
        watch, standings = SqlRunWatch(dispatch), FakeStandings()
        parts = (executions, chunks, Schedules(schedules, executions, outbound), Links(PUBLIC_URL))
        servicer = Servicer(*parts)  # type: ignore[abstract]
        audit = FakeAudit()
        registrations = [partial(add_AssetsImporterServicer_to_server, servicer)]
        async with served(registrations, PEOPLE, audit=audit) as channel:
            found = Runs(
                AssetsImporterStub(channel),
                objects,
                connection,
                Openings(watch, runs, RULES),
                Firing(watch, schedules, runs, starts, standings, outbound, poll_seconds=0.05, again_seconds=0),
                outbound,
                adapter,
                dispatch,
                audit,
                repeats,
                standings,
            )
            await found.add_source(PUSHED, "external")
            await found.add_source(FILED, "csv", file_key=FILE_KEY)
            await found.add_source(PULLED, "database")
            await found.add_source(THEIRS, "external", tenant=2, workspace=FOREIGN.workspace_id)
            await objects.put(objects.object_key(FILE_KEY), b"name\nalpha\n", "text/csv")
            await found.execute(
                "INSERT INTO files (tenant_id, key, file_name, user_id, expires_at) "
                "VALUES (1, %s, 'hosts.csv', 7, now())",
                FILE_KEY,
            )
            yield found
    await outbound.close()
    objects.close()

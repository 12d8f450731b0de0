"""Worker, dispatcher and retention, each over a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.rows import dict_row

from runtime.database import Database
from runtime.destinations import Destinations
from runtime.outbound import Outbound
from services.importer.engine import heartbeat, last_word, slot
from services.importer.engine.parser_process import start_fork_server
from tests.integration.importer.desk import Desk
from tests.integration.importer.office import Office
from tests.integration.importer.postroom import TIMEOUT_SECONDS, PostRoom
from tests.integration.importer.shop import Shop
from tests.integration.importer.workbench import Bench, Engine
from tests.integration.serving import connected, objects_in
from tests.receiver import receiving
from tests.stack import Database as TestDatabase
from tests.stack import ObjectStore as Bucket


@pytest.fixture
async def engine(database: TestDatabase) -> AsyncIterator[Engine]:
    worker = Database(database.url("hythe_worker"), application_name="test-worker")
    admin = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True, row_factory=dict_row)
    try:
        client = await (
            await admin.execute("INSERT INTO clients (tenant_id, name) VALUES (1, 'c') RETURNING client_id")
        ).fetchone()
        assert client is not None
        report = await (
            await admin.execute(
                "INSERT INTO reports (tenant_id, client_id, name) VALUES (1, %s, 'r') RETURNING report_id",
                (client["client_id"],),
            )
        ).fetchone()
        assert report is not None
        yield Engine(worker, admin, client["client_id"], report["report_id"])
    finally:
        await admin.close()
        await worker.close()


@pytest.fixture
async def bench(engine: Engine, object_store: Bucket) -> AsyncIterator[Bench]:
    start_fork_server()
    objects = objects_in(object_store)
    try:
        yield Bench(engine, objects)
    finally:
        objects.close()


@pytest.fixture
async def office(engine: Engine, database: TestDatabase) -> AsyncIterator[Office]:
    async with connected(database, "hythe_dispatch") as pool:
        yield Office(engine, database.url("hythe_dispatch"), pool)


@pytest.fixture
async def desk(office: Office, database: TestDatabase) -> AsyncIterator[Desk]:
    async with connected(database, "hythe_importer") as importer:
        yield Desk(office, importer)


@pytest.fixture
async def post_room(desk: Desk) -> AsyncIterator[PostRoom]:
    outbound = Outbound(Destinations("private"), allow_http=True, timeout_seconds=TIMEOUT_SECONDS)
    with receiving() as receiver:
        yield PostRoom(desk, receiver, outbound)
    await outbound.close()


@pytest.fixture
def shop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(slot, "FETCH_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(last_word, "WRITE_AGAIN_SECONDS", 0.02)
    return Shop(bench)

"""What the reading of one object, one page and one history costs where there are 100,000 objects."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from dialects.assets.aql import parse_aql
from dialects.assets.links import Links
from dialects.assets.object_types import Place
from dialects.assets.objects import Shown
from runtime.database import Database as Adapter
from services.status.dialects.assets_objects import targets, write_page
from services.status.executions import Executions
from services.status.import_reports import ImportReports
from services.status.imports import Imports
from services.status.objects import Objects
from services.status.store.aql import Page
from tests.fakes.objects import FakeObjectStore
from tests.fakes.people import IMPORTER
from tests.fakes.workspaces import HOME, FakeWorkspaces
from tests.integration.serving import PUBLIC_URL, connected
from tests.integration.status.asset_rows import SOURCE, AssetRows
from tests.integration.status.rows import Rows
from tests.stack import Database

MANY = 100_000
WORKSPACE = str(HOME.workspace_id)
NOW = datetime(2026, 3, 4, tzinfo=UTC)
LARGE = ("objects", "object_references", "before_images", "imports", "import_progress")


class Many:
    """Runs use cases as the service does, and explains what they sent."""

    def __init__(self, adapter: Adapter, connection: psycopg.Connection[Any], assets: AssetRows) -> None:
        self.adapter = adapter
        self.assets = assets
        self.sent: list[tuple[str, Any]] = []
        self._connection = connection
        event.listen(adapter._engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        self.sent.append((statement, parameters))

    def plans(self) -> str:
        """Of all statements that read something."""
        plans: list[str] = []
        with self._connection.transaction():
            self._connection.execute("SELECT set_config('hythe.tenant_id', '1', true)")
            for statement, parameters in self.sent:
                if "set_config" in statement:
                    self._connection.execute(statement.encode(), parameters)
                elif statement.startswith("SELECT"):
                    explained = b"EXPLAIN (COSTS off) " + statement.encode()
                    plans += [row[0] for row in self._connection.execute(explained, parameters)]
        return "\n".join(plans)

    def objects(self) -> Objects:
        return Objects(self.adapter, self.adapter, FakeWorkspaces())

    def executions(self) -> Executions:
        return Executions(self.adapter, FakeWorkspaces(), ImportReports(Imports(self.adapter), FakeObjectStore()))


@pytest.fixture
async def many(database: Database, rows: Rows) -> AsyncIterator[Many]:
    assets = AssetRows(rows)
    schema = assets.schema()
    host = assets.type(schema, "Host")
    name, peers = assets.attribute(host, "Name", is_label=True), assets.attribute(host, "Peers", "referenced_object")
    assets.source(schema)
    assets.ids |= {"host": host, "peers": peers}
    fill(rows.connection, host, name, peers)
    async with connected(database, "hythe_status") as adapter:
        with psycopg.connect(database.url("hythe_status", "postgresql")) as connection:
            yield Many(adapter, connection, assets)


def fill(connection: psycopg.Connection[Any], host: int, name: int, peers: int) -> None:
    """Objects that all refer to the one before, with an image each, and the runs that made them."""
    for statement, parameters in (
        (
            """
            INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, file_type, file_size,
                                 lane, state, user_id, user_email, import_source_id, workspace_id, flip_number)
            SELECT 1, gen_random_uuid(), 0, 'objects', 'objects-csv', '', '', '', 0, 'small', 'SUCCEEDED', 7, 'a',
                   CASE WHEN n %% 100 = 0 THEN %s ELSE gen_random_uuid() END, %s, n FROM generate_series(1, 5000) n
            """,
            [SOURCE, HOME.workspace_id],
        ),
        ("INSERT INTO import_progress (tenant_id, import_id) SELECT tenant_id, import_id FROM imports", []),
        (
            """
            INSERT INTO objects (tenant_id, object_id, object_type_id, key, label, document)
            OVERRIDING SYSTEM VALUE
            SELECT 1, n, %s, n, 'host ' || n, jsonb_build_object(%s::text, 'host ' || n, %s::text, greatest(n - 1, 1))
            FROM generate_series(1, %s) n
            """,
            [host, str(name), str(peers), MANY],
        ),
        (
            "INSERT INTO object_references SELECT 1, n, %s, greatest(n - 1, 1) FROM generate_series(1, %s) n",
            [peers, MANY],
        ),
        (
            """
            INSERT INTO before_images (tenant_id, import_id, kind, row_id, image)
            SELECT 1, (SELECT import_id FROM imports LIMIT 1), 'object', n, '{"document": {}}'
            FROM generate_series(1, %s) n
            """,
            [MANY],
        ),
        ("ANALYZE", []),
    ):
        connection.execute(statement, parameters)


def check_indexed(plans: str, tables: Sequence[str] = LARGE) -> None:
    """None of the large tables is read from end to end."""
    read = [table for table in tables if f"Seq Scan on {table}" in plans]
    assert not read, plans


async def test_one_object_is_read_by_its_number(many: Many) -> None:
    found = await many.objects().get(IMPORTER, WORKSPACE, "IT-5000", targets)
    assert (found.row["label"], list(found.targets)) == ("host 5000", [4999])
    check_indexed(many.plans())


async def test_what_refers_to_an_object_is_found_against_its_direction(many: Many) -> None:
    *_, counts = await many.objects().count_references(IMPORTER, WORKSPACE, "5000")
    assert [each["number"] for each in counts] == [1, 1]
    check_indexed(many.plans())


async def test_a_history_reads_the_images_of_one_object(many: Many) -> None:
    opening = many.objects().history(IMPORTER, WORKSPACE, "5000", is_ascending=False, offset=0, limit=50)
    async with opening as opened:
        assert len([each async for batch in opened.changes for each in batch]) == 1
    check_indexed(many.plans())


async def test_runs_are_read_by_their_source(many: Many) -> None:
    executions = many.executions()
    found = await executions.list_runs(IMPORTER, WORKSPACE, str(SOURCE), offset=10, limit=5)
    assert len(found) == 5
    execution_id = str(found[0]["import_id"])
    await executions.get(IMPORTER, WORKSPACE, str(SOURCE))
    await executions.get(IMPORTER, WORKSPACE, str(SOURCE), execution_id)
    await executions.find_progress(IMPORTER, WORKSPACE, execution_id)
    plans = many.plans()
    check_indexed(plans)
    assert "ix_imports_source" in plans
    assert "Filter: (import_source_id" not in plans


async def test_a_page_of_a_thousand_takes_little_memory(many: Many) -> None:
    """Of its objects, a few are there at once."""
    page, query = Page(0, 1000), parse_aql("objectType = Host ORDER BY objectId ASC")
    size = longest = 0
    tracemalloc.start()
    try:
        async with many.objects().queried(IMPORTER, WORKSPACE, query, page, NOW, targets) as opened:
            shown = Shown(Place(HOME.workspace_id, Links(PUBLIC_URL)), opened.catalog.types, opened.catalog.attributes)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            async for chunk in write_page(opened, shown, page, with_attributes=True):
                size, longest = size + len(chunk), max(longest, len(chunk))
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (opened.total, size > 1_000_000, longest < 10_000) == (MANY, True, True)
    assert peak - before < size / 2
    check_indexed(many.plans(), ("object_references", "before_images", "imports"))

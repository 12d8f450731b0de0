"""What PostgreSQL does for the statements whose price must not grow with what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event

from runtime.auth import Principal
from runtime.database import Database as Adapter
from services.status.findings import Findings
from services.status.imports import Imports
from tests.fakes.people import IMPORTER
from tests.integration.serving import connected
from tests.integration.status.rows import Rows
from tests.stack import Database

OTHERS = 200


@dataclass
class Explained:
    """Runs use cases as the service does, and explains what they sent."""

    adapter: Adapter
    connection: psycopg.Connection[Any]
    sent: list[tuple[str, Any]]
    report: tuple[int, int]

    def plan(self, table: str) -> str:
        """Of the last statement that reads the table."""
        statement, parameters = next(one for one in reversed(self.sent) if f"FROM {table}" in one[0])
        with self.connection.transaction():
            for preparation, values in self.sent:
                if preparation.startswith("SELECT set_config"):
                    self.connection.execute(preparation.encode(), values)
            rows = self.connection.execute(b"EXPLAIN (COSTS off) " + statement.encode(), parameters).fetchall()
        return "\n".join(row[0] for row in rows)


@pytest.fixture
async def explained(database: Database, rows: Rows) -> AsyncIterator[Explained]:
    report = fill(rows)
    sent: list[tuple[str, Any]] = []
    async with connected(database, "hythe_status") as adapter:
        engine = adapter._engine.sync_engine

        @event.listens_for(engine, "before_cursor_execute")
        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
            sent.append((statement, parameters))

        with psycopg.connect(database.url("hythe_status", "postgresql")) as connection:
            yield Explained(adapter, connection, sent, report)


def fill(rows: Rows) -> tuple[int, int]:
    """Enough imports and findings of others that the planner could think of reading them all."""
    client_id = rows.client()
    report_id = rows.report(client_id)
    for _ in range(3):
        rows.started_import(client_id, report_id)
    rows.connection.execute(
        """
        INSERT INTO imports (tenant_id, import_id, client_id, report_id, target, source, key, file_name, file_type,
                             file_size, lane, state, user_id, user_email)
        SELECT 1, gen_random_uuid(), %s, %s, 'findings', 'nessus', '', '', '', 0, 'small', 'SUCCEEDED', 1000 + u, ''
        FROM generate_series(1, %s) u, generate_series(1, 100)
        """,
        [client_id, report_id, OTHERS],
    )
    for table in ("import_progress", "import_claims"):
        rows.connection.execute(
            sql.SQL(
                "INSERT INTO {} (tenant_id, import_id) SELECT tenant_id, import_id FROM imports ON CONFLICT DO NOTHING"
            ).format(sql.Identifier(table))
        )
    rows.connection.execute(
        """
        INSERT INTO findings (tenant_id, client_id, report_id, flaw_id, family, key, title, severity, source,
                              description, recommendations, "references", cves, cwes, scores, fields, tags)
        SELECT 1, %s, %s + r, n, 'nessus', n, 't', 1, 'Nessus', '', '', '', '{}', '{}', '[]', '{}', '{}'
        FROM generate_series(0, 9) r, generate_series(1, 2000) n
        """,
        [client_id, report_id],
    )
    rows.connection.execute("ANALYZE")
    return client_id, report_id


@pytest.mark.parametrize("is_whole", [True, False])
async def test_my_imports_read_one_index_and_the_rest_by_primary_key(explained: Explained, is_whole: bool) -> None:
    imports = Imports(explained.adapter)
    if is_whole:
        found, _ = await imports.list_own(IMPORTER, after=None, size=100)
        assert len(found) == 3
    else:
        assert len(await imports.list_own_rows(IMPORTER, after=None, size=100)) == 3
    plan = explained.plan("(SELECT imports")
    assert "ix_imports_user" in plan
    for table in ("imports", "import_progress", "import_claims"):
        assert f"Seq Scan on {table}" not in plan
    assert "Hash Join" not in plan
    # The page comes in the order of the index.
    assert "Sort" not in plan.partition("ix_imports_user")[2]


@pytest.mark.parametrize("is_analyzed", [True, False])
async def test_flaws_come_in_the_order_of_an_index(explained: Explained, rows: Rows, is_analyzed: bool) -> None:
    if not is_analyzed:
        # As after the first large import of a new installation.
        rows.connection.execute("DELETE FROM pg_statistic WHERE starelid = 'findings'::regclass")
    principal = Principal(1, 7, "importer@example.com", IMPORTER.role)
    async with Findings(explained.adapter, explained.adapter).summaries(principal, *explained.report) as batches:
        assert len(await anext(batches)) == 500
    plan = explained.plan("findings")
    assert "Index Scan using uq_findings_tenant_id_report_id_flaw_id" in plan
    assert "Sort" not in plan

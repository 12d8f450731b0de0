"""What it takes to land a table: from the queue of the fetcher to the objects that the workers will read.

The floor is the same rows read by a bare cursor of the server in this process, and thrown away.
"""

from __future__ import annotations

import json
import secrets
import time
from time import perf_counter
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import make_url
from uuid_utils.compat import uuid7

from bench.live import Live
from bench.options import Options, say
from bench.rows import Row
from bench.sampling import CpuTime, memory, sampled
from dialects.assets.source_settings import Secrets, write_secrets
from runtime.sealing import Sealer
from services.fetcher.databases import ROWS_AT_ONCE
from services.importer.targets.objects.plan import ObjectPlan

ROWS = 1_000_000
TENANT = 1
POLL_SECONDS = 0.05
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}
RSS_BAR = 400e6
TABLE = (
    "CREATE TABLE hosts AS SELECT 'host' || n || '.example.com' AS name, 'SN-' || n AS serial, "
    "'192.0.2.' || n % 256 AS address, n % 96 + 1 AS cores, (n % 1000 / 10.0)::numeric(6, 1) AS load, "
    "date '2020-01-01' + n % 2000 AS installed, n % 5 > 0 AS active, 'Site ' || n % 100 AS site "
    "FROM generate_series(1, {}) n"
)


def measure(live: Live, options: Options) -> list[Row]:
    count = options.sized(ROWS)
    register = Register(live, count)
    try:
        peak = memory(live, "fetcher")
        # First, so that both find the table in memory, and no worker is at what was landed.
        floor = register.bare_read()
        fetcher, postgres = CpuTime(live.process("fetcher")), CpuTime(live.process("postgres"))
        with sampled(peak.sample, fetcher.sample, postgres.sample):
            seconds, size, pieces = register.landed()
    finally:
        register.remove()
    say(f"fetch: {seconds:.1f} s, {size / 1e6:,.1f} MB in {pieces} objects; bare {floor:.1f} s")
    return [
        Row(
            f"{count:,} rows of a PostgreSQL table: from the queue to landed ({size / 1e6:,.0f} MB, {pieces} objects)",
            f"{seconds:.2f} s ({count / seconds:,.0f} rows/s)",
            f"bare cursor of the server {floor:.2f} s ({count / floor:,.0f} rows/s)",
            f"{floor / seconds:.2f}x",
        ),
        Row(
            "fetcher and its child, peak RSS",
            f"{peak.peak / 1e6:.0f} MB",
            bar=f"<= {RSS_BAR / 1e6:.0f} MB, whatever the rows",
            holds=peak.peak <= RSS_BAR,
        ),
        Row(
            "CPU: fetcher, child, PostgreSQL",
            f"{fetcher.root_seconds:.1f} s, {fetcher.seconds - fetcher.root_seconds:.1f} s, {postgres.seconds:.1f} s",
        ),
    ]


class Register:
    """A database of its own with one table and a role that may read it, and an import source of it."""

    def __init__(self, live: Live, count: int) -> None:
        self._live = live
        self._name = f"bench_{secrets.token_hex(6)}"
        self._password = secrets.token_hex(16)
        self._source_id, self._workspace_id = UUID(str(uuid7())), UUID(str(uuid7()))
        url = make_url(live.database_url.replace("postgresql:", "postgresql+psycopg:"))
        self._host, self._port = url.host or "127.0.0.1", url.port
        role = sql.Identifier(self._name)
        with psycopg.connect(live.database_url, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(role))
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(self._password)))
        with psycopg.connect(live.database_url, dbname=self._name, autocommit=True) as inside:
            inside.execute(TABLE.format(count).encode())
            inside.execute(sql.SQL("GRANT SELECT ON hosts TO {}").format(role))
            inside.execute("VACUUM ANALYZE hosts")
        self._schema_id = live.sql(
            "INSERT INTO object_schemas (tenant_id, workspace_id, name, key) VALUES (%s, %s, 'Fetch', %s) "
            "RETURNING object_schema_id",
            *(TENANT, self._workspace_id, "F" + secrets.token_hex(3).upper()),
        )[0][0]
        settings = {
            "host": self._host,
            "port": self._port,
            "dialect": "postgresql",
            "database": self._name,
            "user": self._name,
            "table": "hosts",
            "tls": "disable",
        }
        sealed = Sealer(live.stack.secrets.sealing_key).seal(write_secrets(Secrets(password=self._password)))
        live.sql(
            "INSERT INTO import_sources (tenant_id, import_source_id, workspace_id, object_schema_id, name, type, "
            "settings, secret, user_id) VALUES (%s, %s, %s, %s, 'bench', 'database', %s, %s, 1)",
            *(TENANT, self._source_id, self._workspace_id, self._schema_id, json.dumps(settings), sealed),
        )

    def landed(self) -> tuple[float, int, int]:
        """Seconds from the queue until the workers may have it, bytes and objects. Its plan maps nothing of it."""
        import_id = UUID(str(uuid7()))
        plan = msgspec.json.encode(ObjectPlan()).decode()
        with psycopg.connect(self._live.database_url) as connection:
            connection.execute(
                "INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, file_type, "
                "file_size, lane, needs_fetch, state, user_id, user_email, workspace_id, import_source_id, plan) "
                "VALUES (%s, %s, 0, 'objects', 'objects-json', '', 'bench', '', 0, 'fetch', true, 'QUEUED', 1, "
                "'bench', %s, %s, %s)",
                (TENANT, import_id, self._workspace_id, self._source_id, plan),
            )
            for name in ("import_claims", "import_progress"):
                connection.execute(
                    f"INSERT INTO {name} (tenant_id, import_id) VALUES (%s, %s)".encode(),  # noqa: S608  (two names)
                    (TENANT, import_id),
                )
            connection.execute(
                b"INSERT INTO outbox (tenant_id, import_id, lane) VALUES (%s, %s, 'fetch')", (TENANT, import_id)
            )
            connection.execute(b"SELECT pg_notify('hythe_outbox', '')")
        return self._until_landed(import_id, perf_counter())

    def _until_landed(self, import_id: UUID, began: float) -> tuple[float, int, int]:
        query = b"SELECT state, needs_fetch, retries, error_code, error_message FROM imports WHERE import_id = %s"
        with psycopg.connect(self._live.database_url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
            while (found := connection.execute(query, (import_id,)).fetchone()) and found["needs_fetch"]:
                if found["error_code"] or found["retries"]:
                    raise SystemExit(f"the fetch failed: {found}")
                time.sleep(POLL_SECONDS)
            seconds = perf_counter() - began
            # What follows must not run beside the next figure.
            while (found := connection.execute(query, (import_id,)).fetchone()) and found["state"] not in ENDED:
                time.sleep(POLL_SECONDS)
        told = self._live.sql("SELECT sum(size), count(*) FROM import_inputs WHERE import_id = %s", import_id)[0]
        return seconds, int(told[0]), int(told[1])

    def bare_read(self) -> float:
        """Seconds for the same rows by the same role, as many at once as the fetcher takes, made into no JSON."""
        with (
            psycopg.connect(
                host=self._host,
                port=self._port,
                dbname=self._name,
                user=self._name,
                password=self._password,
            ) as connection,
            connection.cursor("bare") as cursor,
        ):
            began = perf_counter()
            cursor.execute("SELECT * FROM hosts")
            while cursor.fetchmany(ROWS_AT_ONCE):
                pass
            return perf_counter() - began

    def remove(self) -> None:
        role = sql.Identifier(self._name)
        with psycopg.connect(self._live.database_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))

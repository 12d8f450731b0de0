"""`my-imports` of somebody whose tenant has a million imports, beside the bare query of its page."""

from __future__ import annotations

from time import perf_counter

import psycopg

from bench.live import Live
from bench.options import Options, say
from bench.rows import Row, milliseconds, percentile

IMPORTS = 1_000_000
USERS = 10
CALLS = 200
BAR = 0.05

# Version 7: the time in milliseconds, then the number of the import, so that they sort as they were made.
SEED = """
CREATE TEMPORARY TABLE seeded ON COMMIT DROP AS
SELECT n, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000'
               || '8' || lpad(to_hex(n), 15, '0'))::uuid AS import_id
FROM (SELECT n, now() - interval '90 days' * (1 - n / %(count)s::float8) - interval '1 hour' AS at
      FROM generate_series(1, %(count)s) n) each;
INSERT INTO imports (tenant_id, import_id, client_id, report_id, target, source, key, file_name, file_type, file_size,
    lane, state, asset_tags, finding_tags, user_id, user_email, created_at, updated_at, started_at, ended_at)
SELECT %(tenant)s, import_id, %(client)s, %(report)s, 'findings', 'nessus', 'c' || n || '/scan.nessus', 'scan.nessus',
    'nessus', 120000, 'small', CASE WHEN n %% 20 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END, '{}', '{}',
    CASE WHEN n %% %(users)s = 0 THEN %(user)s ELSE 1000000 + n %% %(users)s END, 'bench@example.net', at, at, at, at
FROM seeded;
INSERT INTO import_progress (tenant_id, import_id, attempt, phase, percent, read, inserted, updated_at)
SELECT %(tenant)s, import_id, 1, 'done', 100, 10, 10, at FROM seeded;
INSERT INTO import_claims (tenant_id, import_id, attempt) SELECT %(tenant)s, import_id, 1 FROM seeded
"""
BARE = """
SELECT * FROM imports JOIN import_progress USING (tenant_id, import_id)
WHERE tenant_id = %s AND user_id = %s ORDER BY import_id DESC LIMIT %s
"""


def measure(live: Live, options: Options) -> list[Row]:
    count, calls = options.sized(IMPORTS), CALLS
    tenant, user = _seed(live, count)
    stored = live.sql("SELECT count(*) FROM imports")[0][0]
    page = len(live.http.get("/api/v2/my-imports").raise_for_status().json())
    say(f"{page} imports on the page")
    times = []
    for _ in range(calls):
        began = perf_counter()
        live.http.get("/api/v2/my-imports").raise_for_status()
        times.append(perf_counter() - began)
    worst = percentile(times, 0.99)
    floor = _bare(live, (tenant, user, page), calls)
    return [
        Row(
            f"my-imports, {page} of {stored:,} imports stored, p99 of {calls}",
            f"{milliseconds(worst)} (p50 {milliseconds(percentile(times, 0.5))})",
            f"bare query p99 {milliseconds(floor)}",
            f"{worst / floor:.1f}x",
            f"<= {milliseconds(BAR)}",
            worst <= BAR,
        )
    ]


def _seed(live: Live, count: int) -> tuple[int, int]:
    """Imports of ten users, one of them the caller; answers the tenant and the caller."""
    began = perf_counter()
    report = live.report()
    tenant = live.sql("SELECT tenant_id FROM reports WHERE report_id = %s", report)[0][0]
    user = live.http.get("/api/v2/whoami").raise_for_status().json()["user_id"]
    values = {
        "count": count,
        "tenant": tenant,
        "client": live.client_id,
        "report": report,
        "users": USERS,
        "user": user,
    }
    with psycopg.connect(live.database_url) as connection:
        for statement in SEED.split(";"):
            connection.execute(statement.encode(), values)
    with psycopg.connect(live.database_url, autocommit=True) as connection:
        connection.execute(b"VACUUM ANALYZE imports, import_progress, import_claims")
    say(f"{count:,} imports seeded in {perf_counter() - began:.0f} s")
    return tenant, user


def _bare(live: Live, parameters: tuple[int, int, int], calls: int) -> float:
    times = []
    with psycopg.connect(live.database_url, autocommit=True) as connection:
        for _ in range(calls):
            began = perf_counter()
            connection.execute(BARE.encode(), parameters).fetchall()
            times.append(perf_counter() - began)
    return percentile(times, 0.99)

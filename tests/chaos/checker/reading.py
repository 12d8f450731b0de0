"""Reads a World from the servers of a stack: PostgreSQL as superuser, NATS as operator, the object store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import psycopg
from minio import Minio
from minio.error import S3Error
from nats import connect
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from psycopg.rows import dict_row

from runtime.streams import EVENTS, LANES, STREAM
from tests.chaos.checker.world import Event, Import, Rows, Stray, Transition, World, Write

IMPORTS = """
SELECT i.import_id::text, i.tenant_id AS tenant, coalesce(i.report_id, 0) AS report_id,
       coalesce(i.request_id, '') AS request_id, i.state, coalesce(i.error_code, '') AS error_code,
       coalesce(i.error_message, '') AS error_message, i.kind, i.dry_run,
       i.undone_at IS NOT NULL AS undone,
       p.read, p.inserted, p.updated, p.unchanged, p.deleted, p.skipped, p.rejected,
       p.processed_findings AS findings, p.processed_finding_assets AS finding_assets,
       p.processed_evidence AS evidence,
       (SELECT count(*) FROM row_errors e WHERE e.import_id = i.import_id) AS errors_kept,
       coalesce(n.size, 0) AS input_bytes, n.object_key,
       n.purged_at IS NOT NULL AS purged
FROM imports i
JOIN import_progress p USING (tenant_id, import_id)
LEFT JOIN import_inputs n USING (tenant_id, import_id)
WHERE i.tenant_id = ANY(%s) ORDER BY i.import_id
"""

# The contents of a report, row by row as text, without ids and times, which no two runs share. A finding may be on an
# asset in several places, which the counters call one.
ROWS = """
WITH rows AS (
    SELECT 1 AS kind, NULL AS pair,
           concat_ws('|', f.family, f.key, f.title, f.severity, f.status, f.source, f.description, f.recommendations,
           f."references", f.cves, f.cwes, f.scores, f.fields, f.tags) AS content
    FROM findings f WHERE f.report_id = %(report)s
    UNION ALL
    SELECT 2, f.finding_id || '/' || a.asset_id,
           concat_ws('|', f.key, a.name, x.place, x.port, x.protocol, x.service, x.location, x.parameters, x.notes)
    FROM affected_assets x JOIN findings f USING (tenant_id, finding_id) JOIN assets a USING (tenant_id, asset_id)
    WHERE f.report_id = %(report)s
    UNION ALL
    SELECT 3, NULL, concat_ws('|', f.key, a.name, x.place, e.digest, e.caption, md5(e.code), e.length)
    FROM evidence e JOIN affected_assets x USING (tenant_id, affected_id) JOIN findings f USING (tenant_id, finding_id)
    JOIN assets a USING (tenant_id, asset_id) WHERE f.report_id = %(report)s
)
SELECT coalesce(md5(string_agg(md5(kind || content), '' ORDER BY kind, md5(kind || content))), ''),
       count(*) FILTER (WHERE kind = 1), count(DISTINCT pair), count(*) FILTER (WHERE kind = 3)
FROM rows
"""

STRAYS = """
SELECT %(relation)s, t.import_id::text, count(*),
       CASE WHEN i.import_id IS NULL THEN 'no such import' WHEN i.tenant_id <> t.tenant_id THEN 'tenant'
            ELSE i.state END
FROM {relation} t LEFT JOIN imports i USING (import_id)
WHERE t.import_id IS NOT NULL AND (t.tenant_id = ANY(%(tenants)s) OR i.tenant_id = ANY(%(tenants)s))
  AND (i.import_id IS NULL OR i.tenant_id <> t.tenant_id OR i.state <> 'SUCCEEDED')
GROUP BY 2, 4
"""
BROUGHT = ("findings", "assets", "asset_keys", "affected_assets", "evidence", "tags", "before_images", "sightings")

LEFT = {
    "rows of the outbox": "SELECT count(*) FROM outbox WHERE tenant_id = ANY(%s)",
    "leases": "SELECT count(*) FROM import_leases WHERE tenant_id = ANY(%s)",
    "requests": "SELECT count(*) FROM import_requests WHERE tenant_id = ANY(%s)",
    "checkpoints": (
        "SELECT count(*) FROM staging.checkpoints c JOIN imports i USING (import_id) WHERE i.tenant_id = ANY(%s) "
        "AND i.resumable_until IS NULL"
    ),
    "staging tables": (
        "SELECT count(*) FROM imports i JOIN pg_tables t ON t.schemaname = 'staging' "
        "AND right(t.tablename, 32) = replace(i.import_id::text, '-', '') WHERE i.tenant_id = ANY(%s) "
        "AND i.resumable_until IS NULL"
    ),
}


@dataclass(frozen=True)
class Servers:
    """Where they are."""

    database_url: str
    nats_url: str
    objects: Minio
    bucket: str
    secrets: tuple[str, ...] = ()


def read_world(servers: Servers, tenants: Collection[int]) -> World:
    """The state of these tenants, now."""
    wanted = sorted(tenants)
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        imports = _imports(connection, servers, wanted)
        mine = {each.import_id for each in imports}
        events, messages = asyncio.run(_queue(servers.nats_url, mine))
        return World(
            imports=imports,
            reports={each.report_id: read_rows(connection, each.report_id) for each in imports if each.report_id},
            transitions=[
                Transition(*row)
                for row in connection.execute(
                    "SELECT import_id::text, extract(epoch FROM at)::float8, before, after FROM chaos.transitions "
                    "ORDER BY number"
                )
                if row[0] in mine
            ],
            writes=[
                Write(*row)
                for row in connection.execute(
                    "SELECT import_id::text, relation, worker, coalesce(attempt, 0), coalesce(attempt_at_commit, 0) "
                    "FROM chaos.writes ORDER BY transaction"
                )
                if row[0] in mine
            ],
            strays=_strays(connection, wanted),
            announced=dict(
                connection.execute("SELECT import_id::text, count(*) FROM chaos.announcements GROUP BY 1").fetchall()
            ),
            events=events,
            dispatches=connection.execute(
                "SELECT sequence, import_id::text FROM chaos.dispatches ORDER BY number"
            ).fetchall(),
            limits=dict(
                connection.execute(
                    "SELECT tenant_id, max_file_bytes FROM tenant_limits "
                    "WHERE max_file_bytes IS NOT NULL AND tenant_id = ANY(%s)",
                    [wanted],
                ).fetchall()
            ),
            left=_rows_left(connection, wanted) | messages,
            secrets=servers.secrets,
        )


def read_left(servers: Servers, tenants: Collection[int]) -> dict[str, int]:
    """What is not at rest yet: `World.left` alone, which is quick to ask for again and again."""
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        rows = _rows_left(connection, sorted(tenants))
    return rows | asyncio.run(_queue(servers.nats_url, None))[1]


def _rows_left(connection: psycopg.Connection[Any], tenants: list[int]) -> dict[str, int]:
    return {what: _one(connection, query, [tenants]) for what, query in LEFT.items()}


def read_rows(connection: psycopg.Connection[Any], report_id: int) -> Rows:
    """What stands in a report."""
    row = connection.execute(ROWS, {"report": report_id}).fetchone()
    return Rows(*row) if row else Rows()


def _imports(connection: psycopg.Connection[Any], servers: Servers, tenants: list[int]) -> list[Import]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(IMPORTS, [tenants]).fetchall()
    return [Import(object_bytes=_size(servers, row.pop("object_key")), **row) for row in rows]


def _size(servers: Servers, object_key: str | None) -> int:
    """Zero where nothing is read, as by an undo; -1 when the object is gone."""
    if object_key is None:
        return 0
    try:
        return servers.objects.stat_object(servers.bucket, object_key).size or 0
    except S3Error:
        return -1


def _strays(connection: psycopg.Connection[Any], tenants: list[int]) -> list[Stray]:
    found = []
    for relation in BROUGHT:
        query = STRAYS.format(relation=relation).encode()
        found += [Stray(*row) for row in connection.execute(query, {"relation": relation, "tenants": tenants})]
    return found


def _one(connection: psycopg.Connection[Any], query: str, values: Any) -> int:
    row = connection.execute(query.encode(), values).fetchone()
    return int(row[0]) if row else 0


async def _queue(url: str, mine: Collection[str] | None) -> tuple[list[Event] | None, dict[str, int]]:
    """The events of these imports, where any are asked for, and what of the work queue is left."""
    client = await connect(url)
    try:
        jetstream = client.jetstream()
        return await _events(jetstream, mine) if mine is not None else None, await _messages(jetstream)
    finally:
        await client.close()


async def _messages(jetstream: JetStreamContext) -> dict[str, int]:
    try:
        info = await jetstream.stream_info(STREAM)
        pending = [await jetstream.consumer_info(STREAM, lane) for lane in LANES]
    except NotFoundError:
        return {"missing streams or consumers": 1}
    return {"messages": info.state.messages, "messages not acked": sum(each.num_ack_pending or 0 for each in pending)}


async def _events(jetstream: JetStreamContext, mine: Collection[str]) -> list[Event] | None:
    try:
        state = (await jetstream.stream_info(EVENTS)).state
    except NotFoundError:
        return None
    found = []
    for sequence in range(max(state.first_seq, 1), state.last_seq + 1):
        try:
            message = await jetstream.get_msg(EVENTS, seq=sequence)
        except NotFoundError:
            continue
        said = json.loads(message.data or b"{}")
        if said.get("import_id") in mine:
            found.append(
                Event(said["event_id"], message.subject or "", said["tenant_id"], said["import_id"], said["state"])
            )
    return found

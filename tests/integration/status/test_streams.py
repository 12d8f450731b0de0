"""Answers of any length: memory, order, errors in the middle, readers that go away."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import psutil
import psycopg
import pytest
from psycopg import sql

from deploy.local import postgres
from deploy.local.stack import Stack
from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from services.status.json_stream import PIECE_BYTES
from tests.integration.serving import reason_of
from tests.integration.status.conftest import Api, as_
from tests.integration.status.rows import Rows
from tests.stack import Database

MANY = 50_000
MEGABYTE = 1024 * 1024
# A row is as long as this, so that all of them together are far more than a stream may hold.
TEXT = 2_000
HELD = 40 * MEGABYTE


@dataclass
class Bulk:
    """A report with 50,000 findings, of which the one with flaw_id 1 is on 50,000 assets."""

    client_id: int
    report_id: int

    @property
    def report(self) -> dict[str, Any]:
        return {"client_id": self.client_id, "report_id": self.report_id}


@pytest.fixture(scope="module")
def database(servers: Stack, migrated_template: str) -> Iterator[Database]:
    """One for all tests here: filling it takes longer than reading it."""
    name = f"streams_{secrets.token_hex(6)}"
    superuser = postgres.superuser_url(servers.instance, servers.secrets, "postgres")
    with psycopg.connect(superuser, autocommit=True) as admin:
        names = {"name": sql.Identifier(name), "template": sql.Identifier(migrated_template)}
        admin.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
        try:
            yield Database(servers, name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture(scope="module")
def bulk(database: Database) -> Bulk:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        return fill(Rows(connection))


def fill(rows: Rows) -> Bulk:
    client_id = rows.client()
    report_id = rows.report(client_id)
    rows.connection.execute(
        """
        INSERT INTO findings (tenant_id, client_id, report_id, flaw_id, family, key, title, severity, source,
                              description, recommendations, "references", cves, cwes, scores, fields, tags)
        SELECT 1, %s, %s, n, 'nessus', n, repeat('t', %s), n %% 5, 'Nessus', '', '', '', '{}', '{}', '[]', '{}', '{}'
        FROM generate_series(1, %s) n
        """,
        [client_id, report_id, TEXT, MANY],
    )
    rows.connection.execute(
        """
        INSERT INTO assets (tenant_id, client_id, name, hostname, ips, mac, netbios, operating_systems, type,
                            description, ports, tags)
        SELECT 1, %s, 'host' || n, '', '{}', '', '', '{}', '', repeat('d', %s), '{}', '{}' FROM generate_series(1, %s) n
        """,
        [client_id, TEXT, MANY],
    )
    rows.connection.execute(
        """
        INSERT INTO affected_assets (tenant_id, finding_id, asset_id, place, port, protocol, service, location,
                                     parameters, notes)
        SELECT 1, f.finding_id, a.asset_id, gen_random_uuid(), 443, 'tcp', '', '', '{}', ''
        FROM findings f, assets a WHERE f.flaw_id = 1
        """
    )
    rows.connection.execute("ANALYZE findings, assets, affected_assets")
    return Bulk(client_id, report_id)


def flaws(api: Api, bulk: Bulk) -> Any:
    return api.plextrac.ListFlaws(pb.ReportRequest(**bulk.report), metadata=as_())


def flaw(api: Api, bulk: Bulk) -> Any:
    return api.plextrac.GetFlaw(pb.FlawRequest(**bulk.report, flaw_id=1), metadata=as_())


def report_assets(api: Api, bulk: Bulk) -> Any:
    return api.plextrac.ListReportAssets(pb.ReportRequest(**bulk.report), metadata=as_())


def client_assets(api: Api, bulk: Bulk) -> Any:
    return api.plextrac.ListClientAssetRows(pb.ClientRequest(client_id=bulk.client_id), metadata=as_())


@pytest.mark.parametrize(
    ("start", "marker"),
    [
        (flaws, b'"doc_id"'),
        (flaw, b'"locationUrl"'),
        (report_assets, b'"client_asset"'),
        (client_assets, b'"client_asset"'),
    ],
)
async def test_fifty_thousand_are_streamed_in_flat_memory(
    api: Api, bulk: Bulk, start: Callable[[Api, Bulk], Any], marker: bytes
) -> None:
    process = psutil.Process(os.getpid())
    call = start(api, bulk)
    first = await anext(aiter(call))  # What a first call allocates for good is not held by the stream.
    sent, found, peak, tail = 0, first.data.count(marker), 0, first.data[-len(marker) + 1 :]
    before = process.memory_info().rss
    async for body in call:
        assert len(body.data) <= PIECE_BYTES
        sent += len(body.data)
        # A marker may lie across two pieces.
        found += (tail + body.data).count(marker)
        tail = body.data[-len(marker) + 1 :]
        peak = max(peak, process.memory_info().rss - before)
    assert found == MANY
    assert sent > 2 * HELD
    assert peak < HELD


async def test_fifty_thousand_flaws_come_whole_and_in_order(api: Api, bulk: Bulk) -> None:
    rows = await api.streamed(flaws(api, bulk))
    assert [row["data"][0] for row in rows] == list(range(1, MANY + 1))


async def test_an_error_in_the_middle_ends_the_stream_and_leaves_no_whole_document(api: Api, bulk: Bulk) -> None:
    pieces = aiter(flaws(api, bulk))
    received = [await anext(pieces)]
    api.rows.connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hythe_status'")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        received.extend([piece async for piece in pieces])
    document = b"".join(piece.data for piece in received)
    assert (raised.value.code(), reason_of(raised.value)) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert document.startswith(b"[{")
    with pytest.raises(json.JSONDecodeError):
        json.loads(document)


async def test_readers_that_go_away_hold_no_connection(api: Api, bulk: Bulk) -> None:
    for _ in range(3):  # As many as would take every connection of the pool twice.
        for start in (flaws, flaw, report_assets, client_assets):
            call = start(api, bulk)
            await anext(aiter(call))
            call.cancel()
    assert len(await api.streamed(flaws(api, bulk))) == MANY


async def test_a_long_evidence_is_cut_into_pieces_and_whole_again(api: Api) -> None:
    client_id = api.rows.client()
    report_id = api.rows.report(client_id)
    finding_id = api.rows.finding(client_id, report_id, 1)
    asset_id = api.rows.asset(client_id, "web")
    affected_id = api.rows.place(finding_id, asset_id)
    codes = [letter * MEGABYTE for letter in "aé€"]
    for code in codes:
        api.rows.evidence(affected_id, code)
    request = pb.ScanOutputRequest(client_id=client_id, report_id=report_id, flaw_id=1, asset_id=str(asset_id))
    proofs = await api.streamed(api.plextrac.ListScanOutput(request, metadata=as_()))
    assert [proof["code"] for proof in proofs] == codes

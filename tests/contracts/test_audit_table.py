"""The audit trail into the real table, by the role that may only insert."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from runtime.audit import AuditEvent, AuditTable, AuditTrail
from runtime.database import Database
from schema.identity import audit_log
from tests.stack import Database as OwnDatabase

EVENT = AuditEvent(
    tenant_id=7,
    user_id=1001,
    service="hythe.importer.v1.ImportService",
    method="CreateImport",
    outcome="OK",
    reason="",
    request_id="r-1",
    object={"key": "c1/a.xml"},
)
REFUSAL = replace(EVENT, tenant_id=0, user_id=None, outcome="UNAUTHENTICATED", reason="NO_CREDENTIAL", object={})
TWO_TENANTS = [EVENT, REFUSAL, replace(EVENT, tenant_id=8), replace(EVENT, method="CancelImport")]


def stored(database: OwnDatabase) -> list[tuple[int, str, str, dict[str, str]]]:
    with psycopg.connect(database.superuser_url) as connection:
        query = "SELECT tenant_id, method, outcome, object FROM audit_log ORDER BY tenant_id, method"
        return connection.execute(query).fetchall()


@pytest.fixture
def table(database: OwnDatabase) -> AuditTable:
    return AuditTable(Database(database.url("hythe_audit"), application_name="test", pool_size=1), audit_log)


async def test_events_of_several_tenants_are_stored_at_once(database: OwnDatabase, table: AuditTable) -> None:
    await table.write(TWO_TENANTS)
    assert stored(database) == [
        (0, "CreateImport", "UNAUTHENTICATED", {}),
        (7, "CancelImport", "OK", {"key": "c1/a.xml"}),
        (7, "CreateImport", "OK", {"key": "c1/a.xml"}),
        (8, "CreateImport", "OK", {"key": "c1/a.xml"}),
    ]
    await table._database.close()


async def test_a_character_that_the_database_refuses_does_not_stop_the_trail(
    database: OwnDatabase, table: AuditTable
) -> None:
    await table.write([replace(EVENT, request_id="a\0b", object={"key": "c\0d"})])
    assert stored(database)[0][3] == {"key": "c\ufffdd"}
    await table._database.close()


async def test_the_trail_writes_what_was_recorded_before_it_stops(database: OwnDatabase, table: AuditTable) -> None:
    trail = AuditTrail(table)
    trail.start()
    for event in TWO_TENANTS:
        trail.record(event)
    await asyncio.sleep(0)
    await trail.stop()
    assert len(stored(database)) == len(TWO_TENANTS)
    await table._database.close()

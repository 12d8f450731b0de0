"""The largest pages of lists that are answered in one piece, with the longest names that there may be."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.matrix_world import Founder, Tenant
from tests.e2e.recorder import CheckedClient
from tests.stack import LiveStack

ROWS = 1_000
# 255 characters of four bytes each, which is the longest name in bytes.
NAME = "\U0001f4dc" * 255
LARGEST = {"pagination": {"offset": 0, "limit": ROWS}}


@pytest.fixture(scope="module")
def tenant(stack: LiveStack) -> Iterator[Tenant]:
    founder = Founder(stack)
    tenant = founder.tenant(f"long{secrets.token_hex(4)}")
    admin = tenant.people["admin"]
    ids = {"tenant": tenant.tenant_id, "user": admin.user_id, "name": NAME, "rows": ROWS}
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO clients (tenant_id, name, poc, poc_email)"
            " SELECT %(tenant)s, %(name)s, %(name)s, %(name)s FROM generate_series(1, %(rows)s)",
            ids,
        )
        connection.execute(
            "INSERT INTO reports (tenant_id, client_id, name) SELECT %(tenant)s, client_id, %(name)s FROM clients"
            " WHERE tenant_id = %(tenant)s",
            ids,
        )
        connection.execute(
            "INSERT INTO imports (tenant_id, import_id, client_id, report_id, target, source, key, file_name,"
            " file_type, file_size, lane, state, error_code, error_message, user_id, user_email, ended_at)"
            " SELECT %(tenant)s, gen_random_uuid(), client_id, report_id, 'findings', 'nessus', 'k', %(name)s,"
            " 'text/xml', 1, 'small', 'FAILED', 'TRUNCATED', 'The file ends in the middle.', %(user)s, '', now()"
            " FROM reports WHERE tenant_id = %(tenant)s",
            ids,
        )
        yield tenant
        for table in ("imports", "reports", "clients"):
            connection.execute(f"DELETE FROM {table} WHERE tenant_id = %(tenant)s", ids)
    founder.close()


@pytest.fixture
def http(stack: LiveStack, tenant: Tenant) -> Iterator[httpx.Client]:
    with CheckedClient(base_url=stack.url, headers=tenant.people["admin"].by_key, timeout=90) as made:
        yield made


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text[:500]
    document = answer.json()
    found: list[dict[str, Any]] = document if isinstance(document, list) else document["data"]
    return found


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_largest_page_of_my_imports_arrives_whole(http: httpx.Client, encoding: str) -> None:
    rows = rows_of(http.get("/api/v2/my-imports", params={"limit": ROWS}, headers={"accept-encoding": encoding}))
    assert len(rows) == ROWS
    assert {(row["name"], row["clientName"], row["reportName"]) for row in rows} == {(NAME, NAME, NAME)}


@pytest.mark.parametrize("kind", ["clients", "reports"])
def test_the_largest_page_of_clients_and_of_reports_arrives_whole(http: httpx.Client, kind: str) -> None:
    answer = http.post(f"/api/v2/{kind}", json=LARGEST)
    rows = rows_of(answer)
    assert len(rows) == ROWS
    assert {row["name"] for row in rows} == {NAME}
    assert len(answer.content) > 1 << 20


def test_a_page_that_would_be_too_long_says_so(http: httpx.Client, stack: LiveStack, tenant: Tenant) -> None:
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        update = "UPDATE clients SET description = repeat('x', %s) WHERE tenant_id = %s"
        connection.execute(update, [10_000, tenant.tenant_id])
        answer = http.post("/api/v2/clients", json=LARGEST)
        connection.execute(update, [0, tenant.tenant_id])
    assert answer.status_code == 400
    assert "pagination.limit" in answer.json()["message"]

"""A migrated database with one row of each of two tenants in every table, and ways to look at it as a role."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Integer, LargeBinary, SmallInteger, Table, Text
from sqlalchemy.dialects import postgresql as types

from deploy.local import bootstrap, postgres
from deploy.local.stack import Stack
from schema import security
from schema.base import metadata
from tests.stack import Database

OURS, THEIRS = 11, 22
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
# Columns that take certain words only.
CHECKED_WORDS = {
    "state": "QUEUED",
    "webhook_deliveries.state": "PENDING",
    "imports.kind": "import",
    "import_requests.action": "cancel",
    "outbox.topic": "run",
    "parser_actions.action": "LINK",
    "import_sources.type": "csv",
    "import_sources.empty_values": "IGNORE",
    "import_sources.unknown_values": "IGNORE",
    "import_schedules.frequency": "DAILY",
}
TENANT_TABLES = [table for table in metadata.sorted_tables if table.schema is None]
SERVICE_ROLES = [role for role in security.ROLES if role != security.OWNER]
ALL_TABLES = [table.fullname for table in metadata.sorted_tables]


@contextmanager
def made(servers: Stack) -> Iterator[Database]:
    """A database as an operator makes it: a copy of another would lack the grants on the database itself."""
    name = f"secured_{secrets.token_hex(6)}"
    bootstrap.ensure_database(servers.instance, servers.secrets, name)
    try:
        bootstrap.migrate(servers.instance, servers.secrets, name)
        database = Database(servers, name)
        with psycopg.connect(database.superuser_url) as connection:
            for tenant_id in (OURS, THEIRS):
                for table in TENANT_TABLES:
                    connection.execute(insertion(table, tenant_id))
        yield database
    finally:
        url = postgres.superuser_url(servers.instance, servers.secrets, "postgres")
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def session(
    database: Database, role: str, tenant_id: int | None = None, *, writable: bool | None = None
) -> Iterator[psycopg.Connection[Any]]:
    """One transaction of a role, rolled back at the end, with the tenant set as the services set it.

    With `writable` it says BEGIN READ WRITE, whatever the default of the role is.
    """
    with psycopg.connect(database.url(role, "postgresql")) as connection:
        connection.read_only = None if writable is None else not writable
        if tenant_id is not None:
            connection.execute("SELECT set_config('hythe.tenant', %s, true)", [str(tenant_id)])
        yield connection
        connection.rollback()


def refused(connection: psycopg.Connection[Any], query: sql.Composed | LiteralString, match: str | None = None) -> None:
    """Fails unless the database refuses the query for want of a privilege; the transaction goes on."""
    with pytest.raises(InsufficientPrivilege, match=match), connection.transaction():
        connection.execute(query)


def insertion(table: Table, tenant_id: int) -> sql.Composed:
    values = row_of(table, tenant_id)
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Literal, values.values())),
    )


def row_of(table: Table, tenant_id: int) -> dict[str, Any]:
    """Something of the right type in every column; the same ids everywhere, so that foreign keys hold."""
    return {column.name: tenant_id if column.name == "tenant_id" else value_of(column) for column in table.columns}


def value_of(column: Column[Any]) -> Any:
    match column.type:
        case ARRAY():
            return []
        case types.JSONB():
            return Jsonb({})
        case types.UUID():
            return UUID(int=1)
        case Boolean():
            return False
        case BigInteger() | SmallInteger() | Integer():
            return 30_000  # Out of the way of what a sequence will give.
        case DateTime():
            return WHEN
        case LargeBinary():
            return b"1"
        case Text():
            return CHECKED_WORDS.get(str(column), CHECKED_WORDS.get(column.name, "1"))
        case other:
            raise NotImplementedError(other)


def rights(role: str, privilege: str) -> list[str]:
    """The tenants' tables on the whole of which a role has a privilege."""
    names = {table.name for table in TENANT_TABLES}
    granted = (grant for grant in security.grants() if (grant.role, grant.privilege) == (role, privilege))
    return sorted(grant.table for grant in granted if grant.table in names and not grant.columns)

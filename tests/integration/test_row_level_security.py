"""The second wall: a role sees and writes the rows of the tenant that its transaction has set, and of no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from deploy.local.stack import Stack
from schema import security
from schema.base import metadata
from tests.integration import secured_database
from tests.integration.secured_database import (
    OURS,
    SERVICE_ROLES,
    TENANT_TABLES,
    THEIRS,
    insertion,
    refused,
    rights,
    session,
)
from tests.stack import Database

NO_TENANT_OF_ITS_OWN = {"alembic_version"}
# PostgreSQL's own way to write the rule of schema/security.py.
TENANT_RULE = (
    "(tenant_id = ( SELECT (NULLIF(current_setting('hythe.tenant'::text, true), ''::text))::integer AS \"nullif\"))"
)
DISPATCH_EXCEPTIONS = {"import_inputs", "import_schedules", "import_sources", "imports", "outbox"}
# The dispatcher looks for what is due, whoever's it is.
INDEXES_ACROSS_TENANTS = {"ix_import_inputs_object", "ix_import_schedules_next", "ix_imports_open", "ix_outbox_next"}


@pytest.fixture(scope="module")
def secured(servers: Stack) -> Iterator[Database]:
    with secured_database.made(servers) as database:
        yield database


@pytest.fixture
def catalog(secured: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(secured.superuser_url) as connection:
        yield connection


def tenants(connection: psycopg.Connection[Any], table: str) -> set[int]:
    """Whose rows `SELECT *` would show. (The dispatcher may not name all columns.)"""
    query = sql.SQL("SELECT tenant_id FROM {}").format(sql.Identifier(table))
    return {tenant_id for (tenant_id,) in connection.execute(query)}


# What the catalog says


def test_every_table_of_a_tenant_is_under_forced_row_level_security(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    ).fetchall()
    tables = {name: (enabled, forced) for name, enabled, forced in found if name not in NO_TENANT_OF_ITS_OWN}
    assert set(tables) == {table.name for table in TENANT_TABLES}
    assert set(tables.values()) == {(True, True)}


def test_policies_are_those_of_the_data_and_only_five_tables_have_an_exception(
    catalog: psycopg.Connection[Any],
) -> None:
    found = catalog.execute(
        "SELECT tablename, policyname, permissive, roles::text[], cmd, qual, with_check, schemaname FROM pg_policies"
    ).fetchall()
    wanted = set()
    for policy in security.POLICIES:
        rule = TENANT_RULE if policy.using == security.TENANT_RULE else policy.using
        check = None if policy.command == "SELECT" else rule
        role = policy.role or "public"
        wanted.add((policy.table, policy.name, "PERMISSIVE", role, policy.command, rule, check, "public"))
    assert {(*row[:3], *row[3], *row[4:]) for row in found} == wanted
    beside_the_rule = {row[0]: row[3] for row in found if row[5] != TENANT_RULE}
    assert beside_the_rule == {table: ["hythe_dispatch"] for table in DISPATCH_EXCEPTIONS}


def test_only_two_schemas_stand_outside_and_each_belongs_to_one_role(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        "SELECT nspname, nspowner::regrole::text, coalesce(nspacl::text, '') FROM pg_namespace "
        "WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public')"
    ).fetchall()
    assert {name: owner for name, owner, _ in found} == {"identity": "hythe_owner", "staging": "hythe_worker"}
    access = {name: acl for name, _, acl in found}
    assert access["staging"] == ""
    assert access["identity"] == "{hythe_owner=UC/hythe_owner,hythe_identity=U/hythe_owner}"


def test_nothing_reads_tables_with_the_rights_of_its_owner(catalog: psycopg.Connection[Any]) -> None:
    """A view or a SECURITY DEFINER function would be a hole in the wall."""
    holes = catalog.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace IN "
        "('public'::regnamespace, 'identity'::regnamespace, 'staging'::regnamespace) "
        "UNION ALL SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace <> 'pg_catalog'::regnamespace"
    ).fetchall()
    assert holes == []


def test_no_role_may_step_over_it(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        "SELECT rolname, rolbypassrls, rolsuper FROM pg_roles WHERE rolname LIKE 'hythe\\_%'"
    ).fetchall()
    assert {name for name, *_ in found} == set(security.ROLES)
    assert not any(bypasses or is_super for _, bypasses, is_super in found)


def test_the_tenant_leads_every_index(catalog: psycopg.Connection[Any]) -> None:
    """In a unique index above all: a clash of keys would tell one tenant what another has."""
    found = catalog.execute(
        "SELECT i.relname, indisunique, a.attname FROM pg_index x JOIN pg_class i ON i.oid = indexrelid "
        "JOIN pg_class t ON t.oid = indrelid LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = indkey[0] "
        "WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> 'alembic_version'"
    ).fetchall()
    assert len(found) >= len(TENANT_TABLES)
    without = {name: is_unique for name, is_unique, first in found if first != "tenant_id"}
    assert without == dict.fromkeys(INDEXES_ACROSS_TENANTS, False)


# What a role sees


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_a_role_sees_the_rows_of_the_tenant_that_is_set(secured: Database, role: str) -> None:
    with session(secured, role, OURS) as connection:
        seen = {table: tenants(connection, table) for table in readable(role)}
    across = exceptions_of(role)
    assert seen == {table: {OURS, THEIRS} if table in across else {OURS} for table in readable(role)}


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_a_role_sees_nothing_without_a_tenant(secured: Database, role: str) -> None:
    with session(secured, role) as connection:
        seen = {table: tenants(connection, table) for table in readable(role)}
    across = exceptions_of(role)
    assert seen == {table: {OURS, THEIRS} if table in across else set() for table in readable(role)}


def test_the_owner_of_the_tables_sees_nothing_either(secured: Database) -> None:
    with session(secured, security.OWNER) as connection:
        assert {table.name: tenants(connection, table.name) for table in TENANT_TABLES} == {
            table.name: set() for table in TENANT_TABLES
        }


def test_a_setting_of_one_transaction_is_gone_in_the_next(secured: Database) -> None:
    with psycopg.connect(secured.url("hythe_status", "postgresql")) as connection:
        connection.execute("SELECT set_config('hythe.tenant', %s, true)", [str(OURS)])
        assert tenants(connection, "imports") == {OURS}
        connection.commit()
        # The setting is now there and empty, which must not be an error and must show nothing.
        assert tenants(connection, "imports") == set()


def test_the_dispatcher_sees_which_imports_wait_and_nothing_of_what_is_in_them(secured: Database) -> None:
    with session(secured, "hythe_dispatch", OURS) as connection:
        query = "SELECT tenant_id, import_id, state, lane FROM imports ORDER BY tenant_id"
        assert [row[0] for row in connection.execute(query)] == [OURS, THEIRS]
        assert connection.execute("SELECT tenant_id, import_id, number FROM import_inputs").rowcount == 2
        refused(connection, "SELECT file_name FROM imports")
        refused(connection, "SELECT user_email FROM imports")
        # The key is what the object store calls an input: by it the reaper knows what nobody reads.
        assert connection.execute("SELECT object_key FROM import_inputs").rowcount == 2
        refused(connection, "SELECT etag FROM import_inputs")
        refused(connection, "SELECT purged_at FROM import_inputs")
        assert connection.execute("SELECT file_key FROM import_sources").rowcount == 2
        refused(connection, "SELECT settings FROM import_sources")
        refused(connection, "SELECT secret FROM import_sources")


def test_the_dispatcher_marks_rows_of_every_tenant_but_moves_none(secured: Database) -> None:
    with session(secured, "hythe_dispatch") as connection:
        refused(connection, "UPDATE outbox SET tenant_id = 1")
        refused(connection, "UPDATE outbox SET lane = 'large'")
        refused(connection, "UPDATE outbox SET traceparent = ''")
        refused(connection, "UPDATE imports SET state = 'QUEUED'")
        refused(connection, "DELETE FROM imports")
        assert connection.execute("UPDATE outbox SET dispatch_number = dispatch_number + 1").rowcount == 2
        assert connection.execute("DELETE FROM outbox").rowcount == 2


# What a role writes


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_a_row_of_another_tenant_is_refused(secured: Database, role: str) -> None:
    for tenant_id in (OURS, None):
        with session(secured, role, tenant_id) as connection:
            for table in rights(role, "INSERT"):
                refused(connection, insertion(metadata.tables[table], THEIRS), match="row-level security")


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_a_row_cannot_be_moved_to_another_tenant(secured: Database, role: str) -> None:
    with session(secured, role, OURS) as connection:
        for table in rights(role, "UPDATE"):
            move = sql.SQL("UPDATE {} SET tenant_id = {}").format(sql.Identifier(table), THEIRS)
            refused(connection, move, match="row-level security")


@pytest.mark.parametrize("role", [role for role in SERVICE_ROLES if role != "hythe_dispatch"])
def test_rows_of_another_tenant_cannot_be_deleted(secured: Database, role: str) -> None:
    with session(secured, role, OURS) as connection:
        for table in rights(role, "DELETE"):
            deletion = sql.SQL("DELETE FROM {} WHERE tenant_id = {}").format(sql.Identifier(table), THEIRS)
            assert connection.execute(deletion).rowcount == 0


def readable(role: str) -> set[str]:
    return {*rights(role, "SELECT"), *exceptions_of(role)}


def exceptions_of(role: str) -> set[str]:
    return DISPATCH_EXCEPTIONS if role == "hythe_dispatch" else set()

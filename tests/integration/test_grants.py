"""The first wall: what a role may do on which table is what schema/security.py says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import ReadOnlySqlTransaction

from deploy.local.stack import Stack
from schema import security
from tests.integration import secured_database
from tests.integration.secured_database import ALL_TABLES, OURS, SERVICE_ROLES, refused, session
from tests.stack import Database

OURS_ONLY = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
TABLE_NAME = "CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"


@pytest.fixture(scope="module")
def secured(servers: Stack) -> Iterator[Database]:
    with secured_database.made(servers) as database:
        yield database


@pytest.fixture
def catalog(secured: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(secured.superuser_url) as connection:
        yield connection


# What the catalog says


def test_grants_on_tables_are_those_of_the_data(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        f"SELECT coalesce(r.rolname, 'PUBLIC'), {TABLE_NAME}, a.privilege_type, a.is_grantable "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(c.relacl) a "
        "LEFT JOIN pg_roles r ON r.oid = a.grantee "
        f"WHERE {OURS_ONLY} AND relkind IN ('r', 'p', 'v', 'm', 'f') AND a.grantee <> relowner"
    ).fetchall()
    wanted = {(grant.role, grant.table, grant.privilege, False) for grant in security.grants() if not grant.columns}
    assert set(found) == wanted


def test_grants_on_columns_are_those_of_the_data(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        f"SELECT coalesce(r.rolname, 'PUBLIC'), {TABLE_NAME}, a.privilege_type, attname, a.is_grantable "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute ON attrelid = c.oid, "
        f"aclexplode(attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE {OURS_ONLY}"
    ).fetchall()
    wanted = {
        (grant.role, grant.table, grant.privilege, column, False)
        for grant in security.grants()
        for column in grant.columns
    }
    assert set(found) == wanted


def test_grants_on_sequences_are_those_of_the_data(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        "SELECT coalesce(r.rolname, 'PUBLIC'), c.relname, a.privilege_type "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(c.relacl) a "
        "LEFT JOIN pg_roles r ON r.oid = a.grantee "
        f"WHERE {OURS_ONLY} AND relkind = 'S' AND a.grantee <> relowner"
    ).fetchall()
    wanted = {(role, name, "USAGE") for role, names in security.SEQUENCE_PRIVILEGES.items() for name in names}
    assert set(found) == wanted


def test_grants_on_schemas_are_those_of_the_data(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        "SELECT r.rolname, n.nspname, a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a "
        f"JOIN pg_roles r ON r.oid = a.grantee WHERE {OURS_ONLY} AND a.grantee <> nspowner"
    ).fetchall()
    wanted = {(role, name, "USAGE") for role, names in security.SCHEMA_USAGE.items() for name in names}
    # The owner makes its tables in `public`; everybody may look for theirs there.
    assert set(found) == wanted | {(security.OWNER, "public", "USAGE"), (security.OWNER, "public", "CREATE")}


def test_the_public_has_nothing_but_the_way_to_its_tables(catalog: psycopg.Connection[Any]) -> None:
    on_schemas = catalog.execute(
        f"SELECT n.nspname, a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a "
        f"WHERE a.grantee = 0 AND {OURS_ONLY}"
    ).fetchall()
    assert on_schemas == [("public", "USAGE")]
    assert catalog.execute("SELECT * FROM pg_default_acl").fetchall() == []


def test_grants_on_the_database_are_those_of_the_data(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        "SELECT a.privilege_type, coalesce(r.rolname, 'PUBLIC') FROM pg_database, aclexplode(datacl) a "
        "LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE datname = current_database() AND a.grantee <> datdba"
    ).fetchall()
    assert set(found) == {(word, role) for word, roles in security.DATABASE_PRIVILEGES.items() for role in roles}


def test_every_table_belongs_to_the_owner_and_those_of_staging_to_the_worker(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        f"SELECT {TABLE_NAME}, relowner::regrole::text, n.nspname = 'staging' "
        f"FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE {OURS_ONLY} AND relkind = 'r'"
    ).fetchall()
    assert {name for name, *_ in found} == {*ALL_TABLES, "alembic_version"}
    assert {(owner, is_staging) for _, owner, is_staging in found} == {
        (security.OWNER, False),
        (security.STAGING_OWNER, True),
    }


def test_roles_have_no_power_beside_their_grants(catalog: psycopg.Connection[Any]) -> None:
    found = catalog.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND rolcanlogin AND NOT rolsuper AND NOT rolbypassrls "
        "AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolreplication AND NOT rolinherit",
        [list(security.ROLES)],
    ).fetchall()
    assert {name for (name,) in found} == set(security.ROLES)
    memberships = catalog.execute(
        "SELECT roleid::regrole::text, member::regrole::text, admin_option FROM pg_auth_members "
        "WHERE member = ANY(%s::regrole[])",
        [list(security.ROLES)],
    ).fetchall()
    assert memberships == [(security.STAGING_OWNER, security.OWNER, False)]


# What a role can do


@pytest.mark.parametrize("role", [role for role in security.ROLES if role not in {security.OWNER, "hythe_identity"}])
def test_the_identity_schema_is_closed_to_other_roles(secured: Database, role: str) -> None:
    with session(secured, role, OURS) as connection:
        refused(connection, "SELECT * FROM identity.users", match="schema identity")


@pytest.mark.parametrize("role", [role for role in security.ROLES if role != security.STAGING_OWNER])
def test_the_staging_schema_is_closed_to_other_roles(secured: Database, role: str) -> None:
    with session(secured, role, OURS, writable=True) as connection:
        refused(connection, "SELECT * FROM staging.findings", match="schema staging")
        refused(connection, "CREATE TABLE staging.mine ()", match="schema staging")


def test_the_worker_makes_and_drops_staging_tables(secured: Database) -> None:
    with session(secured, "hythe_worker") as connection:
        connection.execute("CREATE UNLOGGED TABLE staging.findings_1 (LIKE staging.findings INCLUDING ALL)")
        connection.execute("ANALYZE staging.findings_1")
        connection.execute("DROP TABLE staging.findings_1")


def test_the_status_role_writes_no_table(secured: Database) -> None:
    # READ WRITE: it may well switch off its own brake.
    with session(secured, "hythe_status", OURS, writable=True) as connection:
        for table in ALL_TABLES:
            name = sql.SQL(".").join(map(sql.Identifier, table.split(".")))
            for write in (
                "INSERT INTO {} DEFAULT VALUES",
                "UPDATE {} SET tenant_id = 0",
                "DELETE FROM {}",
                "TRUNCATE {}",
            ):
                refused(connection, sql.SQL(write).format(name))


def test_the_status_role_makes_nothing_of_its_own(secured: Database) -> None:
    with session(secured, "hythe_status", OURS, writable=True) as connection:
        refused(connection, "CREATE TABLE mine ()")
        refused(connection, "CREATE TEMPORARY TABLE mine ()")
        refused(connection, "CREATE SCHEMA mine")
        refused(connection, "SELECT nextval('findings_finding_id_seq')")


def test_the_status_role_starts_every_transaction_read_only(secured: Database) -> None:
    with session(secured, "hythe_status", OURS) as connection, pytest.raises(ReadOnlySqlTransaction):
        connection.execute("CREATE SCHEMA mine")


def test_the_status_role_does_not_read_the_audit_log(secured: Database) -> None:
    with session(secured, "hythe_status", OURS) as connection:
        refused(connection, "SELECT * FROM audit_log")


def test_the_audit_role_appends_and_does_nothing_else(secured: Database) -> None:
    append = "INSERT INTO audit_log (tenant_id, service, method, outcome, request_id) VALUES (11, 's', 'm', 'OK', 'r')"
    assert OURS == 11
    with session(secured, "hythe_audit", OURS) as connection:
        assert connection.execute(append).rowcount == 1
        refused(connection, append + " RETURNING event_id")
        refused(connection, "SELECT * FROM audit_log")
        refused(connection, "UPDATE audit_log SET outcome = ''")
        refused(connection, "DELETE FROM audit_log")


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_no_service_changes_the_schema(secured: Database, role: str) -> None:
    with session(secured, role, OURS, writable=True) as connection:
        refused(connection, "CREATE TABLE mine ()")
        refused(connection, "ALTER TABLE imports DISABLE ROW LEVEL SECURITY")
        refused(connection, "DROP POLICY tenant ON imports")


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_no_service_becomes_another_role(secured: Database, role: str) -> None:
    with session(secured, role) as connection:
        for other in set(security.ROLES) - {role}:
            refused(connection, sql.SQL("SET ROLE {}").format(sql.Identifier(other)))

"""The servers and the stack of a test run: each is started by the first test that asks for it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from deploy.local import bootstrap, nats, postgres, s3
from deploy.local.ports import address
from deploy.local.stack import Stack
from tests.stack import Database, LiveStack, NatsServer, ObjectStore, keep_logs, own_instance

TEMPLATE = "hythe_template"


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """PostgreSQL with its roles, NATS, and S3 with its bucket; no service."""
    stack = Stack(own_instance("test"))
    try:
        stack.start_servers()
        stack.prepare_servers()
        yield stack
    finally:
        stack.stop()
        if request.session.testsfailed:
            print(f"\nThe logs of the stack are in {keep_logs(stack)}.")  # noqa: T201 - for whoever reads the failures
        stack.reset()


@pytest.fixture(scope="session")
def stack(servers: Stack) -> LiveStack:
    """The whole stack, shared by all tests of the run; a test that hurts a process waits until it is back."""
    servers.fill_and_serve()
    return LiveStack(servers)


@pytest.fixture(scope="session")
def migrated_template(servers: Stack) -> str:
    bootstrap.ensure_database(servers.instance, servers.secrets, TEMPLATE)
    bootstrap.migrate(servers.instance, servers.secrets, TEMPLATE)
    return TEMPLATE


@pytest.fixture
def database(servers: Stack, migrated_template: str) -> Iterator[Database]:
    """A database of the test's own, all migrations applied, nothing in it."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(
        postgres.superuser_url(servers.instance, servers.secrets, "postgres"), autocommit=True
    ) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(migrated_template)
            )
        )
        try:
            yield Database(servers, name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def object_store(servers: Stack) -> ObjectStore:
    """A bucket of the test's own."""
    bucket = f"test-{secrets.token_hex(6)}"
    s3.client(servers.instance, servers.secrets).make_bucket(bucket)
    return ObjectStore(
        address(servers.instance.ports.s3), servers.secrets.s3_access_key, servers.secrets.s3_secret_key, bucket
    )


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A NATS server beside the stack's, for tests that make and break streams."""
    stack = Stack(own_instance("nats"))
    try:
        nats.write_config(stack.instance, stack.secrets)
        stack.run([nats.program(stack.instance)])
        yield NatsServer(stack)
    finally:
        stack.reset()

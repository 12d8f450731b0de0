"""Secrets of the database move to a new key, and the old one is needed no more."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import LargeBinary

from migrations import reseal
from runtime.sealing import Sealer, Unsealable, new_key
from schema.base import metadata
from tests.stack import Database

OLD, NEW = new_key(), new_key()
SECRETS = ("SELECT secret FROM webhooks WHERE tenant_id = 1", "SELECT secret FROM webhooks WHERE tenant_id = 2",
           "SELECT secret FROM import_sources", "SELECT sealed FROM identity.container_tokens")  # fmt: skip


def test_every_sealed_column_is_known() -> None:
    """Their comments say it."""
    sealed = {
        column
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and "encrypted with the installation's" in (column.comment or "")
    }
    assert {column for _, column in reseal.SEALED} == sealed


def test_secrets_of_all_tenants_are_sealed_anew_once_and_are_what_they_were(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, Sealer(OLD))
    assert run(database, monkeypatch, f"{NEW},{OLD}") == 0
    assert capsys.readouterr().out.splitlines() == [
        "identity.container_tokens.sealed: 1 sealed anew",
        "import_sources.secret: 1 sealed anew",
        "webhooks.secret: 2 sealed anew",
    ]
    texts = [Sealer(NEW).unseal(one) for one in secrets(database)]
    assert texts == ["webhook 1", "webhook 2", "source", "token"]
    before = secrets(database)
    assert run(database, monkeypatch, NEW) == 0
    assert "webhooks.secret: 2 left" in capsys.readouterr().out
    assert secrets(database) == before


def test_what_no_key_opens_is_named_and_left_as_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, Sealer(OLD))
    before = secrets(database)
    assert run(database, monkeypatch, NEW) == 1
    assert "webhooks.secret: 1 unreadable: tenant_id 2, webhook_id 1001" in capsys.readouterr().out
    assert secrets(database) == before
    with pytest.raises(Unsealable):
        Sealer(NEW).unseal(before[0])


def run(database: Database, monkeypatch: pytest.MonkeyPatch, keys: str) -> int:
    monkeypatch.setenv("HYTHE_DATABASE_URL", database.url("hythe_owner"))
    monkeypatch.setenv("HYTHE_SECRETS_KEY", keys)
    return reseal.main()


def secrets(database: Database) -> list[bytes]:
    with psycopg.connect(database.superuser_url) as connection:
        return [bytes(row[0]) for query in SECRETS for row in connection.execute(query.encode())]


def fill(database: Database, sealer: Sealer) -> None:
    """A webhook of each of two tenants, and a source with its token."""
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("INSERT INTO identity.tenants (name) VALUES ('first'), ('second')")
        connection.execute("INSERT INTO identity.users (tenant_id, email, role) VALUES (1, 'one@example.com', 3)")
        for tenant_id in (1, 2):
            connection.execute(
                "INSERT INTO webhooks (tenant_id, url, secret, user_id) VALUES (%s, 'https://example.com/', %s, 1000)",
                (tenant_id, sealer.seal(f"webhook {tenant_id}")),
            )
        source = insert_source(connection, sealer.seal("source"))
        connection.execute(
            "INSERT INTO identity.container_tokens "
            "(tenant_id, import_source_id, workspace_id, user_id, secret_hash, sealed) "
            "VALUES (1, %s, gen_random_uuid(), 1000, 'hash', %s)",
            (source, sealer.seal("token")),
        )


def insert_source(connection: psycopg.Connection[tuple[object, ...]], sealed: bytes) -> object:
    connection.execute(
        "INSERT INTO object_schemas (tenant_id, object_schema_id, workspace_id, name, key) "
        "OVERRIDING SYSTEM VALUE VALUES (1, 1, gen_random_uuid(), 'Machines', 'MA')"
    )
    inserted = connection.execute(
        "INSERT INTO import_sources "
        "(tenant_id, import_source_id, workspace_id, object_schema_id, name, type, secret, user_id) "
        "VALUES (1, gen_random_uuid(), gen_random_uuid(), 1, 'inventory', 'rest', %s, 1000) RETURNING import_source_id",
        (sealed,),
    ).fetchone()
    assert inserted
    return inserted[0]

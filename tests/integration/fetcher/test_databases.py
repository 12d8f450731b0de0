"""Tables and queries of a real PostgreSQL, landed and merged."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import make_url

from dialects.assets.source_settings import Secrets
from tests.integration.fetcher.quay import Quay
from tests.stack import Database

PASSWORD = "reader-secret-1"


@pytest.fixture
async def settings(quay: Quay, database: Database) -> dict[str, Any]:
    """A database with a role that may read and write `cmdb.hosts`."""
    url = make_url(database.superuser_url.replace("postgresql:", "postgresql+psycopg:"))
    admin = quay.bench.engine.admin
    role = f"reader_{database.name}"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'".encode())
    await admin.execute("CREATE SCHEMA cmdb")
    await admin.execute('CREATE TABLE cmdb.hosts ("Name" text, "Cores" int)')
    await admin.execute(f"GRANT USAGE ON SCHEMA cmdb TO {role}".encode())
    await admin.execute(f"GRANT ALL ON cmdb.hosts TO {role}".encode())
    return {
        "dialect": "postgresql",
        "host": url.host or "127.0.0.1",
        "port": url.port,
        "database": url.database,
        "user": role,
        "table": "cmdb.hosts",
        "tls": "disable",
    }


async def fill(quay: Quay, rows: int) -> None:
    await quay.bench.engine.admin.execute(
        "INSERT INTO cmdb.hosts SELECT 'web' || n, n %% 64 FROM generate_series(1, %s) n", (rows,)
    )


SECRETS = Secrets(password=PASSWORD)


async def test_a_table_becomes_objects(quay: Quay, settings: dict[str, Any]) -> None:
    await fill(quay, 3)
    await quay.source("database", settings, SECRETS)
    import_id = await quay.run()
    row = await quay.fetched(import_id)
    assert (row["state"], row["lane"], row["needs_fetch"], row["error_code"]) == ("QUEUED", "small", False, None)
    assert await quay.landed(import_id) == [{"Name": f"web{n}", "Cores": n} for n in (1, 2, 3)]
    assert row["file_size"] == sum(each["size"] for each in await quay.inputs(import_id))
    outbox = await quay.bench.engine.rows("SELECT lane, stream_sequence FROM outbox WHERE import_id = %s", import_id)
    assert outbox == [{"lane": "small", "stream_sequence": None}]
    assert await quay.bench.attempt(import_id) == "succeeded"
    assert await quay.bench.engine.outcome(import_id) == {"inserted": 3}
    assert (await quay.depot.documents())["web2"] == {"Name": "web2", "Cores": 2}


async def test_a_query_is_read_as_it_stands(quay: Quay, settings: dict[str, Any]) -> None:
    await fill(quay, 200)
    del settings["table"]
    settings["query"] = """SELECT "Name" AS host, 'a:b %s' AS kind FROM cmdb.hosts WHERE "Cores" % 64 = 7 ORDER BY 1;"""
    row, landed = await quay.fetch_all("database", settings, SECRETS)
    assert row["error_code"] is None
    assert landed == [{"host": f"web{n}", "kind": "a:b %s"} for n in (135, 199, 7, 71)]


async def test_every_type_has_a_word_in_json(quay: Quay, settings: dict[str, Any]) -> None:
    del settings["table"]
    settings["query"] = (
        "SELECT 12345678901234567890.12345::numeric AS exact, 'NaN'::numeric AS none, 'Infinity'::float8 AS endless, "
        "0.5::float8 AS half, 9007199254740993::int8 AS big, true AS yes, NULL::text AS nothing, "
        "DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 01:02:03.5' AS local, "
        "TIMESTAMPTZ '2024-02-29 01:02:03+02' AS moment, TIME '01:02:03' AS time, "
        "INTERVAL '1 day 2 hours' AS span, '\\x00ff'::bytea AS bytes, "
        "'6a8f2a4e-0000-4000-8000-000000000001'::uuid AS id, '{\"a\": [1, null]}'::jsonb AS document, "
        "ARRAY['x', NULL]::text[] AS list, '192.0.2.1'::inet AS address, int4range(1, 5) AS range"
    )
    _, (found,) = await quay.fetch_all("database", settings, SECRETS)
    assert found.pop("range").startswith("[1, 5)")
    assert found == {
        "exact": 12345678901234567890.12345,
        "none": "NaN",
        "endless": "inf",
        "half": 0.5,
        "big": 9007199254740993,
        "yes": True,
        "nothing": None,
        "day": "2024-02-29",
        "local": "2024-02-29T01:02:03.500000",
        "moment": found["moment"],
        "time": "01:02:03",
        "span": "P1DT7200S",
        "bytes": "AP8=",
        "id": "6a8f2a4e-0000-4000-8000-000000000001",
        "document": {"a": [1, None]},
        "list": ["x", None],
        "address": "192.0.2.1",
    }
    assert found["moment"] in {"2024-02-28T23:02:03Z", "2024-02-28T23:02:03+00:00"}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DELETE FROM cmdb.hosts", "must be a SELECT"),
        ("SELECT 1 AS a; DELETE FROM cmdb.hosts", "must be one statement"),
        ("WITH gone AS (DELETE FROM cmdb.hosts RETURNING *) SELECT * FROM gone", "must only read"),
        ('SELECT "Name" INTO cmdb.copy FROM cmdb.hosts', "must only read"),
        ("SELECT * FROM cmdb.hosts FOR UPDATE", "must only read"),
        ("SELECT cmdb.writing()", "read-only transaction"),
        ("SELECT * FROM cmdb.nowhere", 'relation "cmdb.nowhere" does not exist'),
        ("SELECT 1 AS a, 2 AS a", "two columns"),
        ("SELECT * FROM (", "cannot be read"),
    ],
)
async def test_what_would_write_or_makes_no_sense_is_refused_for_good(
    quay: Quay, settings: dict[str, Any], query: str, words: str
) -> None:
    await fill(quay, 2)
    await quay.bench.engine.admin.execute(
        "CREATE FUNCTION cmdb.writing() RETURNS int LANGUAGE sql AS "
        "$$ INSERT INTO cmdb.hosts VALUES ('evil', 1); SELECT 1 $$"
    )
    del settings["table"]
    row, landed = await quay.fetch_all("database", {**settings, "query": query}, SECRETS)
    assert (row["state"], row["error_code"], landed) == ("FAILED", "QUERY_INVALID", [])
    assert words in row["error_message"]
    assert await quay.bench.engine.value("SELECT count(*) FROM cmdb.hosts") == 2


async def test_a_table_whose_name_is_a_query_is_a_name(quay: Quay, settings: dict[str, Any]) -> None:
    row, _ = await quay.fetch_all("database", {**settings, "table": 'cmdb.hosts"; DROP TABLE cmdb.hosts; --'}, SECRETS)
    assert row["error_code"] == "QUERY_INVALID"
    assert await quay.bench.engine.value("SELECT count(*) FROM cmdb.hosts") == 0


async def test_a_wrong_password_is_final_and_is_shown_nowhere(
    quay: Quay, settings: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    row, _ = await quay.fetch_all("database", settings, Secrets(password="wrong-secret-2"))
    assert (row["state"], row["error_code"]) == ("FAILED", "AUTHENTICATION_FAILED")
    told = "".join(capfd.readouterr())
    assert "wrong-secret-2" not in told + str(row)


async def test_a_statement_has_its_time(quay: Quay, settings: dict[str, Any]) -> None:
    del settings["table"]
    row, _ = await quay.fetch_all(
        "database", {**settings, "query": "SELECT pg_sleep(60)", "statementTimeoutSeconds": 1}, SECRETS
    )
    assert (row["state"], row["error_code"]) == ("FAILED", "SOURCE_TIMEOUT")


async def test_a_closed_port_is_tried_again(quay: Quay, settings: dict[str, Any]) -> None:
    row, _ = await quay.fetch_all("database", {**settings, "port": 1}, SECRETS)
    assert (row["state"], row["lane"], row["retries"], row["needs_fetch"]) == ("QUEUED", "fetch", 1, True)
    assert row["not_before"] is not None


async def test_a_server_without_tls_gets_no_password_where_tls_is_asked_for(
    quay: Quay, settings: dict[str, Any]
) -> None:
    for tls in ("require", "verify"):
        row, _ = await quay.fetch_all("database", {**settings, "tls": tls}, SECRETS)
        assert (row["state"], row["error_code"]) == ("FAILED", "TLS_FAILED")


async def test_a_private_host_needs_an_exemption(quay: Quay, settings: dict[str, Any]) -> None:
    for exemptions in ("", "10.0.0.0/8", "127.0.0.1:1"):
        row, _ = await quay.fetch_all("database", settings, SECRETS, exemptions=exemptions)
        assert (row["state"], row["error_code"]) == ("FAILED", "DESTINATION_FORBIDDEN")


@pytest.mark.parametrize("dialect", ["mssql", "oracle"])
async def test_a_kind_without_a_driver_says_so(quay: Quay, settings: dict[str, Any], dialect: str) -> None:
    row, _ = await quay.fetch_all("database", {**settings, "dialect": dialect}, SECRETS)
    assert (row["state"], row["error_code"]) == ("FAILED", "DRIVER_MISSING")


async def test_an_empty_table_is_a_run_of_nothing(quay: Quay, settings: dict[str, Any]) -> None:
    await quay.source("database", settings, SECRETS)
    import_id = await quay.run()
    assert (await quay.fetched(import_id))["state"] == "QUEUED"
    assert await quay.inputs(import_id) == []
    assert await quay.bench.attempt(import_id) == "succeeded"
    assert await quay.bench.engine.outcome(import_id) == {}


async def test_a_hundred_thousand_rows_land_in_objects_of_bounded_size(quay: Quay, settings: dict[str, Any]) -> None:
    await fill(quay, 100_000)
    await quay.source("database", settings, SECRETS)
    import_id = await quay.run()
    # A megabyte each; the memory is that of a few hundred rows.
    row = await quay.fetched(import_id, object_bytes=1 << 20, frame_bytes=64 << 10, memory_bytes=512 << 20)
    assert (row["state"], row["lane"]) == ("QUEUED", "large")
    inputs = await quay.inputs(import_id)
    assert [each["number"] for each in inputs] == list(range(len(inputs)))
    assert len(inputs) > 2
    assert all(each["size"] <= 1 << 20 for each in inputs)
    names = [each["Name"] for each in await quay.landed(import_id)]
    assert len(names) == len(set(names)) == 100_000
    told = await quay.bench.engine.rows("SELECT * FROM import_progress WHERE import_id = %s", import_id)
    assert (told[0]["read"], told[0]["processed_bytes"]) == (100_000, row["file_size"])


@pytest.mark.parametrize("bound", [{"max_rows": 99}, {"max_bytes": 500}, {"row_bytes": 20}])
async def test_a_source_beyond_a_bound_is_not_landed_in_part(
    quay: Quay, settings: dict[str, Any], bound: dict[str, int]
) -> None:
    await fill(quay, 100)
    row, _ = await quay.fetch_all("database", settings, SECRETS, frame_bytes=300, **bound)
    assert (row["state"], row["error_code"]) == ("FAILED", "FETCH_LIMIT")
    assert await quay.stored() == []

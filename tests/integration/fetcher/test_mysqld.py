"""Tables and queries of a real MariaDB or MySQL, where `make test-mysql` finds one."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from dialects.assets.source_settings import DatabaseSettings, Secrets
from runtime.destinations import Destinations
from services.fetcher import databases
from services.fetcher.failures import SourceError
from services.fetcher.values import line_of
from services.fetcher.way import Way
from tests.integration.fetcher.mysqld import MYSQLD, Server, serving
from tests.integration.fetcher.quay import Quay
from tests.integration.test_outbound import certificate_for

PASSWORD = "reader-secret-1"
NAME = "db.example"
MEBIBYTE = 1 << 20
ROWS = 150_000
PAD = 1_000
"""Characters of a row: together they are more than the process that reads them has left."""

pytestmark = [
    pytest.mark.skipif(not MYSQLD, reason="there is no mysqld on this machine (make test-mysql MYSQLD=/path/to/it)"),
    pytest.mark.timeout(300),
]


def founded(server: Server) -> Server:
    """With a role that may do anything in `cmdb`."""
    who = [f"reader@{host}" for host in ("localhost", "127.0.0.1")]
    server.execute(
        "CREATE DATABASE cmdb CHARACTER SET utf8mb4",
        *(f"CREATE USER {each} IDENTIFIED BY '{PASSWORD}'" for each in who),
        *(f"GRANT ALL ON cmdb.* TO {each}" for each in who),
    )
    return server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("mysqld"), "--skip-ssl") as made:
        yield founded(made)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_for(NAME, tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Server]:
    tls = (f"--ssl-cert={certificate}", f"--ssl-key={certificate}", "--require-secure-transport=ON")
    with serving(tmp_path_factory.mktemp("mysqld-tls"), *tls) as made:
        yield founded(made)


def settings_of(server: Server, **more: Any) -> dict[str, Any]:
    return {
        "dialect": server.dialect,
        "host": "127.0.0.1",
        "port": server.port,
        "database": "cmdb",
        "user": "reader",
        "tls": "disable",
        **more,
    }


def reading(
    server: Server, *, password: str = PASSWORD, authorities: str = certifi.where(), **more: Any
) -> Iterator[dict[str, Any]]:
    destinations = Destinations("127.0.0.1", resolve=lambda _host, _port: ["127.0.0.1"])
    settings = DatabaseSettings(**settings_of(server, **more))
    return databases.read(settings, Secrets(password=password), Way(destinations, False, authorities, 2, 2))


def told(server: Server, **more: Any) -> list[Any]:
    """As they are landed."""
    return [json.loads(line_of(row)) for row in reading(server, **more)]


def refused(server: Server, **more: Any) -> SourceError:
    with pytest.raises(SourceError) as failed:
        list(reading(server, **more))
    return failed.value


def test_every_type_has_a_word_in_json(server: Server) -> None:
    server.execute(
        "USE cmdb",
        "CREATE TABLE kinds (flag tinyint(1), tiny tinyint, big bigint unsigned, exact decimal(38, 20), half double, "
        "bits bit(10), day date, local datetime(6), moment timestamp(3) NULL, time time(3), year year, fixed char(5), "
        "latin varchar(20) CHARACTER SET latin1, text text, bytes varbinary(9), document json, one enum('x', 'y'), "
        "some set('p', 'q'))",
        "SET SESSION time_zone = '+00:00', sql_mode = ''",
        "INSERT INTO kinds VALUES (1, -5, 18446744073709551615, 123456789012345678.12345678901234567890, 0.5, "
        "b'1000000001', '2024-02-29', '2024-02-29 01:02:03.5', '2024-02-29 01:02:03.125', '-25:01:02.5', 2024, 'ab', "
        "'café', '😀 ü', x'00ff', '{\"a\": [1, null]}', 'y', 'p,q')",
        f"INSERT INTO kinds VALUES ({', '.join(['NULL'] * 18)})",
        "INSERT INTO kinds (day, local) VALUES ('0000-00-00', '0000-00-00')",
    )
    full, empty, never = told(server, table="kinds")
    assert json.loads(full.pop("document")) == {"a": [1, None]}
    assert full == {
        "flag": 1,
        "tiny": -5,
        "big": 18446744073709551615,
        "exact": 123456789012345678.12345678901234567890,
        "half": 0.5,
        "bits": "AgE=",
        "day": "2024-02-29",
        "local": "2024-02-29T01:02:03.500000",
        "moment": full["moment"],
        "time": "-25:01:02.500",
        "year": 2024,
        "fixed": "ab",
        "latin": "café",
        "text": "😀 ü",
        "bytes": "AP8=",
        "one": "y",
        "some": "p,q",
    }
    # In the zone of the server.
    assert full["moment"].endswith(":02:03.125000")
    assert set(empty.values()) == {None}
    assert never["day"] == "0000-00-00"
    (row,) = reading(server, query="SELECT exact FROM kinds WHERE tiny = -5")
    assert line_of(row) == b'{"exact":123456789012345678.12345678901234567890}\n'


@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_a_server_is_what_it_says_whatever_it_is_called(server: Server, dialect: str) -> None:
    assert told(server, dialect=dialect, query="SELECT 'a:b %s' AS kind, 7 % 4 AS n;") == [{"kind": "a:b %s", "n": 3}]
    error = refused(server, dialect=dialect, query="SELECT SLEEP(60) AS s", statement_timeout_seconds=1)
    assert (error.code, error.is_retryable) == ("SOURCE_TIMEOUT", False)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"query": "SELECT writing() AS w"}, "QUERY_INVALID", "READ ONLY"),
        ({"query": "DELETE FROM notes"}, "QUERY_INVALID", "must be a SELECT"),
        ({"query": "SELECT * FROM notes FOR UPDATE"}, "QUERY_INVALID", "must only read"),
        ({"query": "SELECT /*!50000 writing() */ AS w"}, "QUERY_INVALID", "carried out"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "QUERY_INVALID", "two columns"),
        ({"query": "SELECT nothing FROM notes"}, "QUERY_INVALID", "Unknown column"),
        ({"table": "nowhere"}, "QUERY_INVALID", "doesn't exist"),
        ({"table": "notes`; DROP TABLE notes; --"}, "QUERY_INVALID", "doesn't exist"),
        ({"table": "mysql.user"}, "QUERY_INVALID", "denied"),
        ({"table": "notes", "database": "nowhere"}, "AUTHENTICATION_FAILED", "credentials"),
        ({"table": "notes", "user": "nobody"}, "AUTHENTICATION_FAILED", "credentials"),
        ({"table": "notes", "password": "wrong-secret-2"}, "AUTHENTICATION_FAILED", "credentials"),
        ({"table": "notes", "tls": "require"}, "TLS_FAILED", "TLS"),
        ({"table": "notes", "tls": "verify"}, "TLS_FAILED", "TLS"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_for_good_and_nothing_is_written(
    server: Server, more: dict[str, str], code: str, words: str
) -> None:
    server.execute(
        "USE cmdb",
        "CREATE TABLE IF NOT EXISTS notes (a int)",
        "DROP FUNCTION IF EXISTS writing",
        "CREATE FUNCTION writing() RETURNS int MODIFIES SQL DATA BEGIN INSERT INTO notes VALUES (1); RETURN 1; END",
    )
    error = refused(server, **more)
    assert (error.code, error.is_retryable) == (code, False)
    assert words in error.message
    assert "wrong-secret" not in error.message
    assert server.execute("SELECT * FROM cmdb.notes") == []


@pytest.fixture(scope="module")
def hosts(server: Server) -> str:
    """A table of ROWS rows."""
    digits = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
    server.execute(
        "USE cmdb",
        f"CREATE TABLE digits AS {digits}",
        "CREATE TABLE hosts (Name varchar(20) PRIMARY KEY, Cores int, Pad text)",
        f"INSERT INTO hosts SELECT concat('web', n), n % 64, repeat('x', {PAD}) FROM (SELECT a.d + 10 * b.d "
        "+ 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d AS n "
        "FROM digits a, digits b, digits c, digits d, digits e, digits f) numbers "
        f"WHERE n < {ROWS}",
    )
    return "hosts"


async def test_a_large_table_is_landed_in_the_memory_of_a_small_one(quay: Quay, server: Server, hosts: str) -> None:
    settings = settings_of(server, table=hosts)
    settings["statementTimeoutSeconds"] = 120
    await quay.source("database", settings, Secrets(password=PASSWORD))
    import_id = await quay.run()
    began = time.monotonic()
    row = await quay.fetched(import_id, memory_bytes=256 * MEBIBYTE)
    seconds = time.monotonic() - began
    assert (row["state"], row["error_code"], row["needs_fetch"]) == ("QUEUED", None, False)
    print(f"{ROWS} rows, {row['file_size'] / 1e6:.0f} MB in {seconds:.1f} s: {ROWS / seconds:,.0f} rows/s")  # noqa: T201
    assert row["file_size"] > ROWS * PAD
    inputs = await quay.inputs(import_id)
    assert len(inputs) > 1
    names = set()
    for each in inputs:
        with quay.bench.objects.open(each["object_key"], each["etag"]) as reader:
            names |= {json.loads(line)["Name"] for line in reader.read(1 << 30).splitlines()}
    assert len(names) == ROWS


def test_a_reader_that_stops_early_reads_no_further(server: Server, hosts: str) -> None:
    rows = reading(server, table=hosts)
    next(rows)
    began = time.monotonic()
    rows.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 0.5
    error = refused(server, query=f"SELECT 1 AS a, 2 AS a, h.* FROM {hosts} h")
    assert error.code == "QUERY_INVALID"


def test_a_connection_that_ends_in_the_middle_may_be_made_again(server: Server, hosts: str) -> None:
    rows = reading(server, table=hosts)
    next(rows)
    running = server.execute("SELECT id AS id FROM information_schema.processlist WHERE user = 'reader'")
    server.execute(*(f"KILL {each['id']}" for each in running))
    with pytest.raises(SourceError) as failed:
        list(rows)
    assert (failed.value.code, failed.value.is_retryable) == ("SOURCE_UNAVAILABLE", True)


def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused(server, port=silent.getsockname()[1], table="t")
    assert (error.code, error.is_retryable) == ("SOURCE_TIMEOUT", True)


def test_tls_is_asked_for_and_its_certificate_must_be_that_of_the_host(secure: Server, certificate: Path) -> None:
    query = (
        "SELECT count(*) AS secured FROM performance_schema.session_status "
        "WHERE variable_name = 'Ssl_cipher' AND variable_value <> ''"
    )
    if secure.is_mariadb:
        query = query.replace("performance_schema", "information_schema")
    ours = str(certificate)
    assert told(secure, query=query, tls="require") == [{"secured": 1}]
    assert told(secure, query=query, tls="verify", host=NAME, authorities=ours) == [{"secured": 1}]
    for more in (
        {"tls": "verify", "host": "other.example", "authorities": ours},
        {"tls": "verify", "host": NAME},
    ):
        assert refused(secure, query=query, **more).code == "TLS_FAILED"
    # The server insists on it.
    assert not refused(secure, query=query, tls="disable").is_retryable

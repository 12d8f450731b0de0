"""Reads a table or a query of a database: in a transaction that only reads, by a cursor of the server.

Connections are made of typed fields, never of a URL of the user, and go to addresses that were checked. Nothing of
this machine is lent to a server: no files, no certificates of ours, no passwords of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from dialects.assets.source_settings import DatabaseSettings, Secrets
from services.fetcher import mysql, postgres
from services.fetcher.failures import SourceError
from services.fetcher.queries import checked_query
from services.fetcher.way import Way

ROWS_AT_ONCE = 500
APPLICATION = "hythe-fetcher"


@dataclass(frozen=True, slots=True)
class Driver:
    """How a kind of database is spoken to. `grammar` is sqlglot's name of its SQL."""

    name: str
    module: str
    port: int
    grammar: str
    connect: Callable[[DatabaseSettings, Secrets, Way, int], Callable[[], Any]]
    begin: Callable[[Connection, DatabaseSettings], None]
    failure: Callable[[BaseException], SourceError]


DRIVERS: Mapping[str, Driver] = {
    "postgresql": Driver(
        name="postgresql+psycopg",
        module="psycopg",
        port=5432,
        grammar="postgres",
        connect=postgres.connector,
        begin=postgres.begin,
        failure=postgres.failure,
    ),
    **dict.fromkeys(
        ("mysql", "mariadb"),
        Driver(
            name="mysql+pymysql",
            module="pymysql",
            port=3306,
            grammar="mysql",
            connect=mysql.connector,
            begin=mysql.begin,
            failure=mysql.failure,
        ),
    ),
}


def read(settings: DatabaseSettings, secrets: Secrets, way: Way) -> Iterator[dict[str, Any]]:
    """The rows, as {column: value}. Raises SourceError."""
    driver = DRIVERS.get(settings.dialect)
    if driver is None or find_spec(driver.module) is None:
        raise SourceError("DRIVER_MISSING", f"This installation has no driver for {settings.dialect}.")
    query = checked_query(settings.query, driver.grammar) if settings.query.strip() else ""
    connect = driver.connect(settings, secrets, way, settings.port or driver.port)
    engine = create_engine(URL.create(driver.name), creator=connect, poolclass=NullPool, hide_parameters=True)
    with _named(driver), engine.connect() as connection:
        driver.begin(connection, settings)
        statement = query or selection(engine, settings.table)
        streaming = connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE, no_parameters=True)
        try:
            result = streaming.exec_driver_sql(statement)
            names = _distinct(list(result.keys()))
            for row in result:
                yield dict(zip(names, row, strict=True))
        finally:
            # Nothing of a result that is not read to its end is read any more.
            connection.invalidate()


@contextmanager
def _named(driver: Driver) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise driver.failure(error.orig or error) from None
    except OSError as error:
        # Of the socket that a driver was given.
        raise driver.failure(error) from None
    except SQLAlchemyError as error:
        raise SourceError("SOURCE_INVALID", f"The answer cannot be used ({type(error).__name__}).") from None


def selection(engine: Engine, table: str) -> str:
    """All of a table: `name` or `schema.name`, quoted as this database quotes."""
    quote = engine.dialect.identifier_preparer.quote_identifier
    return f"SELECT * FROM {'.'.join(quote(each) for each in table.strip().split('.', 1))}"  # noqa: S608 - quoted


def _distinct(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError("QUERY_INVALID", f'The query is refused: two columns are called "{twice[0]}".')
    return names

"""Connections to PostgreSQL for the reading of a source."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Connection

from dialects.assets.source_settings import DatabaseSettings, Secrets
from services.fetcher.failures import SourceError, broken, not_authenticated, refused, timed_out, tls_failed
from services.fetcher.way import Way

TLS = {"disable": "disable", "require": "require", "verify": "verify-full"}
SHOWN = 300
NOTHING = "/nonexistent"
QUERY_CLASSES = ("42", "22", "0A", "25")
LOST_CLASSES = ("08", "57", "53", "55", "40")


def connector(settings: DatabaseSettings, secrets: Secrets, way: Way, port: int) -> Callable[[], Any]:
    """What makes the connection, to addresses that are checked now."""
    addresses = way.addresses(settings.host, port)
    options: dict[str, Any] = {
        "host": ",".join([settings.host.strip("[]")] * len(addresses)),
        "hostaddr": ",".join(addresses),
        "port": port,
        "dbname": settings.database,
        "user": settings.user,
        "password": secrets.password,
        "connect_timeout": max(2, int(way.connect_seconds)),
        "application_name": "hythe-fetcher",
        "sslmode": TLS[settings.tls],
        "sslrootcert": way.authorities,
        # A server that is not who it says gets neither our certificate nor, in the clear, the password.
        "sslcertmode": "disable",
        "gssencmode": "disable",
        "passfile": NOTHING,
        "client_encoding": "utf8",
        "keepalives_idle": 30,
        "tcp_user_timeout": int(way.idle_seconds * 1000),
    }
    if settings.tls == "disable":
        options["require_auth"] = "!password"
    # A name of a database with "=" in it would be read as a connection string: then this option is not the last word.
    if "=" in settings.database or settings.database.startswith(("postgres://", "postgresql://")):
        raise SourceError("SOURCE_REFUSED", "The name of the database is none.")
    return partial(psycopg.connect, **options)


def begin(connection: Connection, settings: DatabaseSettings) -> None:
    """The transaction reads only, whatever it is asked."""
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {settings.statement_timeout_seconds * 1000:d}")
    # Dates as they are, whatever the role or the database have set.
    connection.exec_driver_sql("SET LOCAL datestyle = 'ISO'")


def failure(error: BaseException) -> SourceError:
    """The words of the server where they are about the query; else ours."""
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return timed_out()
    if state == "57014":
        return SourceError("SOURCE_TIMEOUT", "The query took longer than the time that is set for a statement.")
    if state.startswith("28"):
        return not_authenticated()
    if state.startswith(QUERY_CLASSES):
        told = (getattr(getattr(error, "diag", None), "message_primary", None) or "")[:SHOWN]
        return SourceError("QUERY_INVALID", f"The database refuses the query: {told}.")
    if state.startswith(LOST_CLASSES):
        return broken()
    if state:
        return SourceError("SOURCE_REFUSED", f"The database refuses (SQLSTATE {state}).")
    return _of_words(error)


def _of_words(error: BaseException) -> SourceError:
    """The library of PostgreSQL has no codes for what goes wrong before a session is there."""
    words = str(error).lower()
    if isinstance(error, psycopg.DataError):
        return SourceError("SOURCE_INVALID", "The database has a value that cannot be read, such as a date after 9999.")
    if "authentication" in words or "password" in words or ('role "' in words and "fatal" in words):
        return not_authenticated()
    if "certificate" in words or "ssl" in words:
        return tls_failed()
    if "timeout" in words or "timed out" in words:
        return timed_out()
    if "fatal" in words and "starting up" not in words and "too many" not in words:
        return SourceError("SOURCE_REFUSED", "The database refuses the connection: does it exist, and may the user?")
    if "refused" in words or "unreachable" in words:
        return refused()
    return broken()

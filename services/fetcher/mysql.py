"""Connections to MySQL and MariaDB for the reading of a source."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pymysql
from pymysql.constants import CR, ER
from sqlalchemy import Connection

from dialects.assets.source_settings import DatabaseSettings, Secrets
from services.fetcher.failures import SourceError, broken, not_authenticated, refused, timed_out, tls_failed
from services.fetcher.way import Way

SHOWN = 300
# Beyond the server's own limit for a statement.
MARGIN_SECONDS = 30
NOT_AUTHENTICATED = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, 1698}
TOO_LONG = {3024, 1969}
READS_ONLY = 1792


def connector(settings: DatabaseSettings, secrets: Secrets, way: Way, port: int) -> Callable[[], Any]:
    """What makes the connection, to addresses that are checked now.

    The driver is given a socket that is connected already. It sends no file: LOCAL INFILE is off.
    """
    addresses = way.addresses(settings.host, port)
    tls = tls_of(settings, way)

    def connect() -> Any:
        made = pymysql.connections.Connection(
            host=settings.host.strip("[]"),
            port=port,
            user=settings.user,
            password=secrets.password,
            database=settings.database,
            charset="utf8mb4",
            local_infile=False,
            # With a context the driver insists on TLS; without one it would take what the server offers, unverified.
            ssl=tls,
            ssl_disabled=tls is None,
            connect_timeout=max(1, int(way.connect_seconds)),
            read_timeout=settings.statement_timeout_seconds + MARGIN_SECONDS,
            write_timeout=way.idle_seconds,
            read_default_file=None,
            defer_connect=True,
        )
        made.connect(_connected(addresses, port, way.connect_seconds))
        return made

    return connect


def tls_of(settings: DatabaseSettings, way: Way) -> ssl.SSLContext | None:
    if settings.tls == "disable":
        return None
    context = way.tls()
    if settings.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connected(addresses: tuple[str, ...], port: int, seconds: float) -> socket.socket:
    *others, last = addresses
    for address in others:
        try:
            return socket.create_connection((address, port), seconds)
        except OSError:
            continue
    return socket.create_connection((last, port), seconds)


def begin_mysql(connection: Connection, settings: DatabaseSettings) -> None:
    connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.exec_driver_sql(f"SET SESSION max_execution_time = {settings.statement_timeout_seconds * 1000:d}")


def begin_mariadb(connection: Connection, settings: DatabaseSettings) -> None:
    connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.exec_driver_sql(f"SET SESSION max_statement_time = {settings.statement_timeout_seconds:d}")


def failure(error: BaseException) -> SourceError:
    """The words of the server where they are about the query; else ours."""
    if isinstance(error, ssl.SSLError):
        return tls_failed()
    if isinstance(error, TimeoutError):
        return timed_out()
    if isinstance(error, ConnectionRefusedError):
        return refused()
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return tls_failed()
    if code in NOT_AUTHENTICATED:
        return not_authenticated()
    if code in TOO_LONG:
        return SourceError("SOURCE_TIMEOUT", "The query took longer than the time that is set for a statement.")
    if code == CR.CR_CONN_HOST_ERROR:
        return refused()
    if isinstance(error, pymysql.err.ProgrammingError | pymysql.err.NotSupportedError) or code == READS_ONLY:
        told = str(error.args[1])[:SHOWN] if len(error.args) > 1 else ""
        return SourceError("QUERY_INVALID", f"The database refuses the query: {told}.")
    if isinstance(error, pymysql.err.OperationalError | pymysql.err.InterfaceError | OSError):
        return broken()
    return SourceError("SOURCE_REFUSED", f"The database refuses (error {code}).")

"""Connections to MySQL and MariaDB for the reading of a source."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import pymysql
from pymysql.constants import CR, ER, FIELD_TYPE
from pymysql.converters import conversions
from sqlalchemy import Connection

from dialects.assets.source_settings import DatabaseSettings, Secrets
from services.fetcher.failures import SourceError, broken, not_authenticated, refused, timed_out, tls_failed
from services.fetcher.way import Way

SHOWN = 300
# Beyond the server's own limit for a statement.
MARGIN_SECONDS = 30
# A TIME is a time of day or a span, of 838 hours at most: as the server writes it.
TOLD = {kind: read for kind, read in conversions.items() if kind != FIELD_TYPE.TIME}
# What a later attempt may find otherwise; 1927 is a connection that somebody has ended.
PASSING = {
    ER.CON_COUNT_ERROR,
    ER.SERVER_SHUTDOWN,
    ER.HOST_IS_BLOCKED,
    ER.TOO_MANY_USER_CONNECTIONS,
    ER.USER_LIMIT_REACHED,
    ER.LOCK_WAIT_TIMEOUT,
    ER.LOCK_DEADLOCK,
    ER.QUERY_INTERRUPTED,
    1927,
}
# The address that a server sees is one of our network.
ACCOUNT = re.compile(r" (to|for) user '[^']*'@'[^']*'")
QUERY_CLASSES = ("42", "21", "22", "0A", "25")
CLIENT_CODES = range(2000, 3000)


def unknown_plugin() -> SourceError:
    why = "The database asks for the password in a way that is not known, or needs TLS."
    return SourceError("AUTHENTICATION_FAILED", why)


def too_long() -> SourceError:
    return SourceError("SOURCE_TIMEOUT", "The query took longer than the time that is set for a statement.")


FAILURES: Mapping[int, Callable[[], SourceError]] = {
    CR.CR_SSL_CONNECTION_ERROR: tls_failed,
    CR.CR_AUTH_PLUGIN_CANNOT_LOAD: unknown_plugin,
    CR.CR_AUTH_PLUGIN_ERR: unknown_plugin,
    ER.ACCESS_DENIED_ERROR: not_authenticated,
    ER.DBACCESS_DENIED_ERROR: not_authenticated,
    1698: not_authenticated,
    # Of MariaDB, of MySQL.
    1969: too_long,
    3024: too_long,
}


class Unencrypted:
    """In the place of the plugins that send the password as it is."""

    def __init__(self, _connection: object) -> None: ...

    def authenticate(self, _packet: object) -> None:
        raise pymysql.err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, "the password is not sent in the clear")


class Session(pymysql.connections.Connection):  # type: ignore[misc]
    """Lets go at once: the driver would read all of a result before it does, also after the server has gone."""

    def _force_close(self) -> None:
        if self._result is not None:
            self._result.unbuffered_active = False
        super()._force_close()


def connector(settings: DatabaseSettings, secrets: Secrets, way: Way, port: int) -> Callable[[], Any]:
    """What makes the connection, to addresses that are checked now.

    The driver is given a socket that is connected already. It sends no file: LOCAL INFILE is off.
    """
    addresses = way.addresses(settings.host, port)
    tls = tls_of(settings, way)

    def connect() -> Any:
        made = Session(
            host=settings.host.strip("[]"),
            port=port,
            user=settings.user,
            password=secrets.password,
            database=settings.database,
            charset="utf8mb4",
            local_infile=False,
            conv=TOLD,
            # What "dialog" asks for is the password as well.
            auth_plugin_map=dict.fromkeys(("mysql_clear_password", "dialog"), Unencrypted) if tls is None else {},
            # With a context the driver insists on TLS; without one it would take what the server offers, unverified.
            ssl=tls,
            ssl_disabled=tls is None,
            connect_timeout=max(1, int(way.connect_seconds)),
            read_timeout=way.idle_seconds,
            write_timeout=way.idle_seconds,
            read_default_file=None,
            defer_connect=True,
        )
        made.connect(_connected(addresses, port, way.connect_seconds))
        # A session is greeted at once; a statement has its time before the first row.
        made._read_timeout = settings.statement_timeout_seconds + MARGIN_SECONDS  # noqa: SLF001 - no public way
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


def begin(connection: Connection, settings: DatabaseSettings) -> None:
    """The transaction reads only, whatever it is asked. What the server is, it says itself.

    Its limit is one for the whole reading: the statement lasts until its last row is sent.
    """
    connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    seconds = settings.statement_timeout_seconds
    is_mariadb = connection.dialect.is_mariadb  # type: ignore[attr-defined]
    limit = f"max_statement_time = {seconds:d}" if is_mariadb else f"max_execution_time = {seconds * 1000:d}"
    connection.exec_driver_sql(f"SET SESSION {limit}")


def failure(error: BaseException) -> SourceError:
    """The words of the server where they are about the query; else ours."""
    for each in (error, error.__cause__ or error.__context__):
        if isinstance(each, ssl.SSLError):
            return tls_failed()
        if isinstance(each, TimeoutError):
            return timed_out()
        if isinstance(each, ConnectionRefusedError):
            return refused()
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if code in FAILURES:
        return FAILURES[code]()
    if code in PASSING or code in CLIENT_CODES or not code:
        return broken()
    if (getattr(error, "sqlstate", None) or "").startswith(QUERY_CLASSES):
        told = ACCOUNT.sub("", str(error.args[1]))[:SHOWN]
        return SourceError("QUERY_INVALID", f"The database refuses the query: {told}.")
    return SourceError("SOURCE_REFUSED", f"The database refuses (error {code}).")

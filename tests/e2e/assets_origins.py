"""What import sources are read from in the tests: a database, a directory and an HTTP API of this machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tests.e2e.assets_documents import hosts
from tests.integration.fetcher import api as http_api
from tests.integration.fetcher import directory as ldap
from tests.integration.fetcher.api import Api
from tests.stack import Database, LiveStack

COUNT = 7
SECRET = f"reader-secret-{secrets.token_hex(8)}"
WRONG = f"wrong-secret-{secrets.token_hex(8)}"
BASE = "dc=example,dc=com"
READER = f"cn=reader,{BASE}"
Document = dict[str, Any]


@dataclass
class Origin:
    """Where so many hosts are read: its settings with the right password, and with a wrong one."""

    kind: str
    settings: Document
    with_wrong_password: Document


@contextmanager
def table(stack: LiveStack) -> Iterator[Origin]:
    """In a database of its own of the stack's PostgreSQL, with a role that may read it."""
    name = f"pull_{secrets.token_hex(6)}"
    role, server, own = sql.Identifier(name), Database(stack.stack, "postgres"), Database(stack.stack, name)
    with psycopg.connect(server.superuser_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(role))
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(SECRET)))
    try:
        with psycopg.connect(own.superuser_url, autocommit=True) as inside:
            inside.execute("CREATE TABLE hosts (serial text PRIMARY KEY, name text, cores int, bought date)")
            inside.execute(sql.SQL("GRANT SELECT ON hosts TO {}").format(role))
            statement = "INSERT INTO hosts VALUES (%(serial)s, %(name)s, %(cores)s, %(bought)s)"
            inside.cursor().executemany(statement, hosts(COUNT))
        settings = {
            "dialect": "postgresql",
            "host": "127.0.0.1",
            "port": stack.stack.instance.ports.postgres,
            "database": name,
            "user": name,
            "table": "hosts",
            "tls": "disable",
            "password": SECRET,
        }
        yield Origin("database", settings, {**settings, "password": WRONG})
    finally:
        # By a connection of its own: the server may have been killed in between.
        with psycopg.connect(server.superuser_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))


@contextmanager
def directory(_: LiveStack) -> Iterator[Origin]:
    with ldap.serving() as served:
        served.users = {READER: SECRET}
        names = ("serial", "name", "cores", "bought")
        served.entries = [
            (f"cn={each['name']},{BASE}", {name: [str(each[name]).encode()] for name in names}) for each in hosts(COUNT)
        ]
        settings = {
            "host": "127.0.0.1",
            "port": served.port,
            "tls": "none",
            "baseDn": BASE,
            "bindDn": READER,
            "pageSize": 3,
            "password": SECRET,
        }
        yield Origin("ldap", settings, {**settings, "password": WRONG})


@contextmanager
def pages(_: LiveStack) -> Iterator[Origin]:
    with guarded_api() as api:
        api.records = hosts(COUNT)
        yield Origin("rest", settings_of(api, "/page"), settings_of(api, "/page", token=WRONG))


@contextmanager
def guarded_api() -> Iterator[Api]:
    """Three records on each page of `/page`; another token than that of the source is refused."""
    with http_api.serving() as api:
        api.tokens = {f"Bearer {SECRET}"}
        yield api


def settings_of(api: Api, path: str, token: str = SECRET) -> Document:
    paging = {"selector": "data.items", "paging": {"kind": "page"}} if path == "/page" else {}
    return {"url": api.url(path), "auth": {"kind": "bearer", "token": token}, **paging}


ORIGINS: dict[str, Callable[[LiveStack], AbstractContextManager[Origin]]] = {
    "database": table,
    "ldap": directory,
    "rest": pages,
}

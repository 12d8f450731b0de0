"""Installs and removes what a test database notes for the checker: transitions, claims, writes, dispatches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

AUDIT = Path(__file__).with_name("audit.sql")


@contextmanager
def auditing(database_url: str) -> Iterator[None]:
    """For as long as the block runs. Tables are locked for a moment; a busy one is waited for."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS chaos CASCADE")
        with connection.transaction():
            connection.execute(AUDIT.read_bytes())
    try:
        yield
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS chaos CASCADE")


def named_worker(database_url: str, name: str) -> str:
    """The URL of sessions that say which worker they are."""
    return f"{database_url}?options={quote(f'-c chaos.worker={name}')}"

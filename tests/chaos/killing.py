"""Kills one process at a chosen moment of an import, and says whether the import ended with exactly its rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from tests.e2e.rest import Rest
from tests.stack import LiveStack

POLL_SECONDS = 0.01
TOLD_SECONDS = 20


@dataclass(frozen=True)
class Size:
    """A file in which every plugin reports on every host."""

    hosts: int
    plugins: int
    output_characters: int

    @property
    def items(self) -> int:
        return self.hosts * self.plugins


Moment = Callable[[str, int, str], bool]
"""Told state, percent and phase; true when it is time to kill."""


def while_staging(state: str, percent: int, phase: str) -> bool:
    return state == "RUNNING" and phase == "staging" and percent >= 10


def in_the_flip(state: str, percent: int, phase: str) -> bool:
    return state == "RUNNING" and phase.startswith("merging")


def kill_at(stack: LiveStack, process: str, import_id: str, moment: Moment, seconds: float = 120) -> str:
    """Kills the process when the moment has come; answers the phase it was in. Fails when the import ends before."""
    deadline = time.monotonic() + seconds
    query = (
        "SELECT i.state, p.percent, p.phase FROM imports i JOIN import_progress p USING (tenant_id, import_id) "
        "WHERE i.import_id = %s"
    )
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            row = connection.execute(query, (import_id,)).fetchone()
            assert row is not None
            if moment(*row):
                break
            assert row[0] not in {"SUCCEEDED", "FAILED", "CANCELLED"}, f"ended before it could be hurt: {row}"
            time.sleep(POLL_SECONDS)
        else:
            raise AssertionError(f"the moment never came: {row}")
    stack.kill(process)
    return str(row[2])


def assert_exactly(stack: LiveStack, caller: Rest, size: Size) -> None:
    """The report holds this file's rows once, and nothing of the import's work is left anywhere."""
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:

        def number(query: str) -> int:
            row = connection.execute(
                query.encode(), {"report": caller.report_id, "client": caller.client_id}
            ).fetchone()
            assert row is not None
            return int(row[0])

        findings = "SELECT finding_id FROM findings WHERE report_id = %(report)s"
        affected = f"SELECT affected_id FROM affected_assets WHERE finding_id IN ({findings})"
        assert number(f"SELECT count(*) FROM ({findings}) f") == size.plugins
        assert number("SELECT count(*) FROM assets WHERE client_id = %(client)s") == size.hosts
        assert number(f"SELECT count(*) FROM ({affected}) a") == size.items
        assert number(f"SELECT count(*) FROM evidence WHERE affected_id IN ({affected})") == size.items
        left = "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging' AND tablename ~ '[0-9a-f]{32}$'"
        for query in (left, "SELECT count(*) FROM staging.checkpoints", "SELECT count(*) FROM import_leases"):
            assert number(query) == 0, query
        # The dispatcher tells of an end a moment after it.
        deadline = time.monotonic() + TOLD_SECONDS
        while (waiting := number("SELECT count(*) FROM outbox")) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        assert waiting == 0

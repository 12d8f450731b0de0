"""Runs of an import source that is read from a database, whose fetcher comes to harm on the way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from minio import Minio

from tests.chaos.processes import wait_for
from tests.e2e.assets import Assets, assets
from tests.e2e.assets_documents import hosts_only
from tests.e2e.assets_origins import COUNT, table
from tests.stack import LiveStack

END_SECONDS = 90
# Some 7 MB, which take some seconds to come: long enough to be hurt on the way.
SLOW_COUNT = 900
SLOW = (
    "SELECT 'S' || n AS serial, 'host-' || n AS name, n AS cores, DATE '2026-01-02' AS bought, "
    f"repeat('x', 8000) AS pad, pg_sleep(0.004)::text AS nap FROM generate_series(1, {SLOW_COUNT}) n"
)

# What a run may leave nowhere, whatever has happened to it.
LEFT = {
    "leases": "SELECT count(*) FROM import_leases WHERE import_id = %s",
    "requests": "SELECT count(*) FROM import_requests WHERE import_id = %s",
    "rows of the outbox": "SELECT count(*) FROM outbox WHERE import_id = %s",
    "checkpoints": "SELECT count(*) FROM staging.checkpoints WHERE import_id = %s",
    "staging tables": (
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging' "
        "AND right(tablename, 32) = replace(%s::text, '-', '')"
    ),
}


@dataclass(frozen=True)
class Pull:
    """A source of so many hosts, in a workspace of its own."""

    stack: LiveStack
    caller: Assets
    source_id: str
    count: int

    def start(self) -> str:
        """The import of a new run."""
        return self.caller.start(self.source_id)

    def one(self, query: str, import_id: str) -> Any:
        """The first value of the first row; None also while PostgreSQL is away."""
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.stack.database.superuser_url) as admin:
            row = admin.execute(query.encode(), (import_id,)).fetchone()
            return row[0] if row else None
        return None

    def ended(self, import_id: str) -> str:
        """Its state, once it has ended."""
        query = "SELECT state FROM imports WHERE import_id = %s AND ended_at IS NOT NULL"
        wait_for(lambda: self.one(query, import_id), "the end of the run", END_SECONDS)
        return str(self.one(query, import_id))

    def until_rows_come(self, import_id: str) -> None:
        query = (
            "SELECT p.read FROM imports i JOIN import_progress p USING (tenant_id, import_id) "
            "WHERE i.import_id = %s AND i.state = 'RUNNING' AND i.lane = 'fetch'"
        )
        wait_for(lambda: self.one(query, import_id), "rows of the source", END_SECONDS)

    def objects(self) -> Mapping[str, Any]:
        """What a reader sees, once services that have lost their database answer again."""
        query = {"qlQuery": f"objectSchemaId = {self.caller.schema_id}"}
        wait_for(lambda: self.caller.call("POST", "/object/aql", query).is_success, "an answer to a reader")
        return self.caller.objects()

    def assert_merged_once(self, import_id: str) -> None:
        """The objects are those of a run without faults; its inputs are those of one attempt, whole."""
        assert self.ended(import_id) == "SUCCEEDED", self.one(
            "SELECT error_code FROM imports WHERE import_id = %s", import_id
        )
        assert self.objects() == golden(self.count)
        keys = self.inputs(import_id)
        assert len({key.rpartition("/")[0] for key in keys}) == 1, keys
        sizes = self.stored(import_id)
        assert {key: sizes.get(key) for key in keys} == keys
        self.assert_at_rest(import_id)

    def assert_cancelled(self, import_id: str) -> None:
        """Nothing has come of it, and nothing is left of it, objects in the store neither."""
        assert self.ended(import_id) == "CANCELLED"
        assert (self.objects(), self.inputs(import_id)) == ({}, {})
        wait_for(lambda: not self.stored(import_id), "landed objects to be removed")
        self.assert_at_rest(import_id)

    def assert_at_rest(self, import_id: str) -> None:
        """One announcement of one end; the dispatcher tells of it, and the janitor sweeps, a moment later."""
        for what, query in LEFT.items():
            wait_for(lambda query=query: self.one(query, import_id) == 0, f"{what} to be gone")  # type: ignore[misc]

    def inputs(self, import_id: str) -> dict[str, int]:
        """Bytes of each, by its key."""
        with psycopg.connect(self.stack.database.superuser_url) as admin:
            query = "SELECT object_key, size FROM import_inputs WHERE import_id = %s"
            return dict(admin.execute(query, (import_id,)).fetchall())

    def stored(self, import_id: str) -> Mapping[str, int]:
        """What the object store has of it: bytes of each, by its key."""
        store = self.stack.object_store
        client = Minio(store.endpoint, store.access_key, store.secret_key, secure=False, region=store.region)
        found = client.list_objects(store.bucket, recursive=True)
        return {str(each.object_name): each.size or 0 for each in found if import_id in str(each.object_name)}


def golden(count: int) -> dict[str, dict[str, list[str]]]:
    """The objects of so many hosts, by their labels."""
    return {
        f"host-{n}": {"Serial": [f"S{n}"], "Name": [f"host-{n}"], "Cores": [str(n)], "Bought": ["2026-01-02"]}
        for n in range(1, count + 1)
    }


@contextmanager
def pulling(stack: LiveStack, *, is_slow: bool = False) -> Iterator[Pull]:
    """A source over a table of its own, or over rows that come one after the other."""
    with table(stack) as origin, assets(stack) as caller:
        settings = {**origin.settings, "table": "", "query": SLOW} if is_slow else origin.settings
        source_id = caller.source("database", hosts_only(selector=""), settings=settings)
        yield Pull(stack, caller, source_id, SLOW_COUNT if is_slow else COUNT)


def fetched_through(stack: LiveStack, hurt: Callable[[], object]) -> None:
    """A run that is hurt while its rows come ends as if nothing had been."""
    with pulling(stack, is_slow=True) as pull:
        import_id = pull.start()
        pull.until_rows_come(import_id)
        hurt()
        pull.assert_merged_once(import_id)


def cancelled_while_fetched(stack: LiveStack) -> None:
    """A cancel ends it at once, and nothing stays."""
    with pulling(stack, is_slow=True) as pull:
        import_id = pull.start()
        pull.until_rows_come(import_id)
        began = time.monotonic()
        pull.caller.data("DELETE", f"/importsource/{pull.source_id}/executions/{import_id}")
        pull.assert_cancelled(import_id)
        assert time.monotonic() - began < END_SECONDS / 2

"""Workers that are taken away under load, as an autoscaler does: nothing is lost, and no lease has to run out."""

from __future__ import annotations

import json
import signal
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from deploy.local.collector import collecting
from deploy.local.ports import LOOPBACK, address
from runtime.settings import EXIT_SECONDS
from services.importer.settings import WorkerSettings
from tests.chaos.processes import Fleet, Process, wait_for
from tests.e2e.rest import Rest, rest
from tests.scans import nessus_pieces
from tests.stack import LiveStack

DRAIN_SECONDS = int(WorkerSettings.model_fields["drain_seconds"].default)
# Handing back, spans and connections, where nothing is slow; what the killer must wait for is longer.
LAST_WORDS_SECONDS = 5
GRACE_SECONDS = DRAIN_SECONDS + EXIT_SECONDS
LEASE_SECONDS = 60
HANDED_OVER_SECONDS = 15
"""Far less than a lease, and more than a busy machine needs."""
PLUGINS = 40
LARGE_HOSTS, SMALL_HOSTS = 50, 5
OUTPUT_CHARACTERS = 1_500
"""Of the large ones: 2,000 items, in a dozen chunks."""
CHUNK_PAUSE_SECONDS = 0.25
LARGE, SMALL = 4, 26

pytestmark = pytest.mark.timeout(300)


@dataclass
class ScaledIn:
    """What became of the load, and of the two workers that were taken away."""

    hosts: dict[str, int]
    """By import, in the order of their triggers."""
    rows: dict[str, Any]
    """What the tables hold of each import in the end."""
    exits: list[tuple[int, float]]
    """Exit code, and seconds at most."""
    left: int
    """Leases of the two when they were gone."""
    lines: dict[str, list[dict[str, Any]]]
    """The log of each worker."""
    spans: list[dict[str, Any]]

    def handed_over(self) -> list[str]:
        return [each for each, row in self.rows.items() if row.attempt > 1]

    def lane_of(self, import_id: str) -> str:
        return "large" if self.hosts[import_id] == LARGE_HOSTS else "small"

    def spans_of(self, import_id: str, name: str) -> list[dict[str, Any]]:
        return [
            each
            for each in self.spans
            if each["name"] == name and each["attributes"].get("hythe.import_id") == import_id
        ]


def trigger_all(caller: Rest) -> dict[str, int]:
    """By import, the hosts in its file. Each goes into a report of its own, so that its rows can be told apart."""
    path = f"/api/v1/client/{caller.client_id}/report/create"
    reports = [int(caller.post(path, {"name": "one"})["report_id"]) for _ in range(LARGE + SMALL)]
    files = {
        hosts: b"".join(nessus_pieces(hosts, PLUGINS, output_characters=characters))
        for hosts, characters in ((LARGE_HOSTS, OUTPUT_CHARACTERS), (SMALL_HOSTS, 0))
    }
    keys = {hosts: caller.upload(file) for hosts, file in files.items()}
    triggered = {}
    for hosts in LARGE * [LARGE_HOSTS] + SMALL * [SMALL_HOSTS]:
        caller.report_id = reports.pop()
        triggered[caller.trigger(keys[hosts])] = hosts
    return triggered


@pytest.fixture(scope="module")
def scaled_in(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> ScaledIn:
    folder = tmp_path_factory.mktemp("workers")
    spans: list[dict[str, Any]] = []
    with collecting(address(0), spans.append) as port:
        with Fleet(stack, folder) as fleet:
            workers = started(fleet, f"http://{LOOPBACK}:{port}")
            scaled = scale_in(stack, workers)
        lines = {each.name: [json.loads(line) for line in each.log.read_text().splitlines()] for each in workers}
    return ScaledIn(**scaled, lines=lines, spans=spans)


def started(fleet: Fleet, collector: str) -> list[Process]:
    patient = {"HYTHE_LEASE_SECONDS": str(LEASE_SECONDS), "HYTHE_OTLP_ENDPOINT": collector}
    dispatching = {
        "HYTHE_MAX_RUNNING_IMPORTS": "12",
        # The large ones have a lane of their own, so that every worker begins with one.
        "HYTHE_SMALL_FILE_BYTES": str(1 << 18),
        "HYTHE_DISPATCH_FIRST_DELAY_SECONDS": str(LEASE_SECONDS),
        "HYTHE_DISPATCH_LAST_DELAY_SECONDS": str(LEASE_SECONDS),
    }
    fleet.start("importer", environment={**patient, **dispatching})
    # However fast the machine: a large import takes some seconds, so each slot holds one before any has ended.
    slow = {"FAILPOINT": f"chunk.after_commit:sleep={CHUNK_PAUSE_SECONDS}"}
    workers = [
        fleet.start(name, is_kept=False, environment={**patient, **slow, "HYTHE_LARGE_SLOTS": slots})
        for name, slots in (("worker-1", "1"), ("worker-2", "1"), ("worker-3", "2"))
    ]
    fleet.wait_ready()
    return workers


def scale_in(stack: LiveStack, workers: list[Process]) -> dict[str, Any]:
    caller = rest(stack)
    where = stack.database.superuser_url
    with closing(caller.http), psycopg.connect(where, autocommit=True, row_factory=namedtuple_row) as connection:

        def busy(process: Process) -> int:
            query = (
                "SELECT count(*) AS number FROM import_leases JOIN import_progress USING (tenant_id, import_id) "
                "JOIN imports USING (tenant_id, import_id) "
                "WHERE owner LIKE %s AND lane = 'large' AND phase = 'staging' AND percent >= 5"
            )
            row: Any = connection.execute(query, (f"%:{process.popen.pid}",)).fetchone()
            return int(row.number)

        hosts = trigger_all(caller)
        going, told_at = workers[:2], {}

        def all_are_told() -> bool:
            for each in going:
                if each.name not in told_at and busy(each):
                    told_at[each.name] = time.monotonic()
                    each.signal(signal.SIGTERM)
            return len(told_at) == len(going)

        wait_for(all_are_told, "both workers to be in the middle of a large import", 90)
        codes = [each.popen.wait(GRACE_SECONDS) for each in going]
        exits = [(code, time.monotonic() - told_at[each.name]) for code, each in zip(codes, going, strict=True)]
        pids = [f"%:{each.popen.pid}" for each in going]
        left = connection.execute("SELECT * FROM import_leases WHERE owner LIKE ANY(%s)", (pids,)).fetchall()

        def rows() -> dict[str, Any]:
            query = (
                "SELECT import_id::text, state, crashes, retries, attempt, i.report_id, "
                "(SELECT count(*) FROM findings f WHERE f.report_id = i.report_id) AS findings, "
                "(SELECT count(*) FROM affected_assets a JOIN findings f USING (tenant_id, finding_id) "
                " WHERE f.report_id = i.report_id) AS affected "
                "FROM imports i JOIN import_claims USING (tenant_id, import_id) WHERE import_id = ANY(%s)"
            )
            found: list[Any] = connection.execute(query, (list(hosts),)).fetchall()
            return {row.import_id: row for row in found}

        wait_for(lambda: all(row.state == "SUCCEEDED" for row in rows().values()), "all imports to end", 120)
        return {"hosts": hosts, "rows": rows(), "exits": exits, "left": len(left)}


def test_every_import_ends_with_exactly_its_rows_and_none_counts_as_a_crash(scaled_in: ScaledIn) -> None:
    assert len(scaled_in.rows) == LARGE + SMALL
    for import_id, hosts in scaled_in.hosts.items():
        row = scaled_in.rows[import_id]
        assert (row.findings, row.affected) == (PLUGINS, hosts * PLUGINS)
        assert (row.crashes, row.retries) == (0, 0)


def test_workers_that_must_go_hand_their_imports_back_and_end_in_the_time_they_are_given(scaled_in: ScaledIn) -> None:
    assert [code for code, _ in scaled_in.exits] == [0, 0]
    assert max(seconds for _, seconds in scaled_in.exits) < DRAIN_SECONDS + LAST_WORDS_SECONDS < GRACE_SECONDS
    assert scaled_in.left == 0


def test_what_was_handed_back_is_sent_again_at_once_and_no_lease_runs_out_for_it(scaled_in: ScaledIn) -> None:
    drained = [
        line for name in ("worker-1", "worker-2") for line in scaled_in.lines[name] if line.get("ending") == "drained"
    ]
    assert len(drained) >= 2
    assert {line["import_id"] for line in drained} == set(scaled_in.handed_over())
    begun = {line["import_id"]: line for line in scaled_in.lines["worker-3"] if line["event"] == "import started"}
    for line in drained:
        again = begun[line["import_id"]]
        assert (again["is_takeover"], again["attempt"]) == (False, 2)
        publish = f"publish imports.{scaled_in.lane_of(line['import_id'])}"
        sent = max(each["started_at"] for each in scaled_in.spans_of(line["import_id"], publish))
        waited = datetime.fromisoformat(sent) - datetime.fromisoformat(line["timestamp"])
        assert waited.total_seconds() < HANDED_OVER_SECONDS


def test_one_trace_goes_from_the_trigger_over_both_workers_to_the_flip(scaled_in: ScaledIn) -> None:
    handed_over = scaled_in.handed_over()
    assert handed_over
    for import_id in handed_over:
        attempts = scaled_in.spans_of(import_id, "attempt")
        first, second = sorted(attempts, key=lambda each: each["attributes"]["hythe.attempt"])
        assert [each["attributes"]["hythe.ending"] for each in (first, second)] == ["drained", "succeeded"]
        assert [link["span_id"] for link in second["links"]] == [first["span_id"]]
        trace = [each for each in scaled_in.spans if each["trace_id"] == first["trace_id"]]
        names = {(each["service"], each["kind"], each["name"].rpartition("/")[2]) for each in trace}
        assert {
            ("importer", "SERVER", "StartImport"),
            ("importer", "PRODUCER", f"publish imports.{scaled_in.lane_of(import_id)}"),
            ("worker", "CONSUMER", f"process imports.{scaled_in.lane_of(import_id)}"),
            ("worker", "INTERNAL", "parse"),
            ("worker", "INTERNAL", "flip"),
            ("importer", "PRODUCER", "publish events.>"),
        } <= names
        ids = {each["span_id"] for each in trace}
        roots = [each["name"] for each in trace if each["parent_span_id"] not in ids]
        assert len(roots) == 1, "every span has its parent in the trace"
        assert roots[0].endswith("/StartImport")

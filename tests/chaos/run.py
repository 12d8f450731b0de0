"""One run against a stack: tenants, what a run without faults brings, jobs with or without faults, rest, verdict."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from minio import Minio

from tests.chaos.audit import auditing
from tests.chaos.checker import history
from tests.chaos.checker.history import Golden, History, Job, Quiet
from tests.chaos.checker.invariants import Violation, check
from tests.chaos.checker.reading import Servers, read_left, read_rows, read_world
from tests.chaos.checker.world import TERMINAL
from tests.chaos.clients import Caller, Errand
from tests.chaos.contents import CANCELLED, Content
from tests.chaos.processes import Fleet
from tests.chaos.recording import Recorder, sample, watch_acks, watch_resources, watch_rows, watched
from tests.chaos.tenants import found_tenants
from tests.stack import LiveStack

TENANTS = 3
CLIENTS = 6
POLL_SECONDS = 0.2
STILL_SECONDS = 15.0


@dataclass
class Run:
    """What belongs to one run. Make it with `running`."""

    stack: LiveStack
    fleet: Fleet
    recorder: Recorder
    callers: Sequence[Caller]
    rng: random.Random
    folder: Path
    """Of the history and the logs."""
    token: str = field(default_factory=lambda: secrets.token_hex(3))
    number: int = 0
    _judged: set[Violation] = field(default_factory=set)

    def errand(
        self, content: Content, *, tenant: int = 0, states: Sequence[str] | None = None,
        cancel_after: float | None = None,
    ) -> Errand:  # fmt: skip
        """A job with a client and a report of its own, not begun yet."""
        self.number += 1
        caller = self.callers[tenant % len(self.callers)]
        name = f"{self.token}-{self.number}"
        client_id, report_id = caller.place(name)
        allowed = list(content.states if states is None else states)
        if cancel_after is not None:
            allowed.append(CANCELLED)
        job = Job(name, caller.tenant, report_id, content.name, allowed, list(content.codes))
        self.recorder.write(job)
        stranger = self.callers[(tenant + 1) % len(self.callers)]
        return Errand(job, content, caller, stranger, client_id, cancel_after)

    def learn(self, contents: Iterable[Content]) -> None:
        """Imports each content once, without faults, and notes what it brings."""
        errands = [self.errand(content) for content in contents if content.succeeds]
        self.play(errands)
        with psycopg.connect(self.stack.database.superuser_url) as connection:
            for errand in errands:
                rows = read_rows(connection, errand.job.report_id)
                self.recorder.write(Golden(errand.content.name, rows.digest, rows.total))

    def play(self, errands: Sequence[Errand], *, seconds: float = 300, gap_seconds: float = 0) -> None:
        """Does all errands, some at once, and returns when each client has seen the end of its import, or gave up.

        They come `gap_seconds` after each other in the mean.
        """
        is_over = threading.Event()
        timer = threading.Timer(seconds, is_over.set)
        timer.start()
        try:
            with ThreadPoolExecutor(CLIENTS, thread_name_prefix="client") as pool:
                going = []
                for errand in errands:
                    going.append(pool.submit(errand.run, is_over, random.Random(self.rng.random())))
                    is_over.wait(self.rng.uniform(0, 2 * gap_seconds))
                for each in going:
                    each.result()
        finally:
            timer.cancel()

    def settle(self, seconds: float) -> None:
        """Waits until every import has ended and nothing moves, for `seconds` at most; the checker judges the rest."""
        began = time.monotonic()
        tenants = [caller.tenant for caller in self.callers]
        queries = (
            f"SELECT count(*) FROM imports WHERE tenant_id = ANY(%s) AND state NOT IN {TERMINAL}",
            "SELECT count(*) FROM outbox WHERE tenant_id = ANY(%s)",
        )
        while time.monotonic() - began < seconds:
            with psycopg.connect(self.stack.database.superuser_url, autocommit=True) as connection:
                left = [connection.execute(query.encode(), [tenants]).fetchone() for query in queries]
            if left == [(0,), (0,)]:
                break
            time.sleep(POLL_SECONDS)
        self._wait_for_rest()
        sample(self.recorder, self.fleet, self.stack.database.superuser_url, "after")
        self.recorder.write(Quiet(time.time(), round(time.monotonic() - began, 1)))

    def _wait_for_rest(self) -> None:
        """Acks follow commits, and the janitor its clock: the last of them are given a moment."""
        deadline = time.monotonic() + STILL_SECONDS
        while time.monotonic() < deadline:
            if not any(read_left(self.servers(), [caller.tenant for caller in self.callers]).values()):
                return
            time.sleep(POLL_SECONDS)

    def recorded(self) -> History:
        return history.read(self.recorder.path)

    def states(self) -> Counter[str]:
        """How the imports of all jobs have ended."""
        tenants = [caller.tenant for caller in self.callers]
        with psycopg.connect(self.stack.database.superuser_url) as connection:
            query = "SELECT state, count(*) FROM imports WHERE tenant_id = ANY(%s) GROUP BY 1"
            return Counter(dict(connection.execute(query, [tenants]).fetchall()))

    def accepted(self) -> int:
        """How many imports there are of this run's jobs."""
        names = [f"{self.token}-{number + 1}" for number in range(self.number)]
        with psycopg.connect(self.stack.database.superuser_url) as connection:
            query = "SELECT count(*) FROM imports WHERE request_id = ANY(%s)"
            row = connection.execute(query, [names]).fetchone()
        return int(row[0]) if row else 0

    def import_of(self, errand: Errand) -> str:
        """The import of a job that was accepted."""
        with psycopg.connect(self.stack.database.superuser_url) as connection:
            query = "SELECT import_id::text FROM imports WHERE request_id = %s"
            row = connection.execute(query, [errand.job.name]).fetchone()
        assert row is not None
        return str(row[0])

    def servers(self) -> Servers:
        return servers_of(self.stack)

    def verdict(self) -> list[str]:
        """Violations that no earlier verdict of this run had, each as the checker prints it."""
        recorded = self.recorded()
        found = check(recorded, read_world(self.servers(), recorded.tenants))
        fresh = [each for each in found if each not in self._judged]
        self._judged.update(fresh)
        return [f"{each.invariant} {each.evidence}" for each in fresh]


def servers_of(stack: LiveStack) -> Servers:
    store = stack.object_store
    objects = Minio(store.endpoint, store.access_key, store.secret_key, secure=False, region=store.region)
    kept = (store.secret_key, *stack.stack.secrets.roles.values(), *stack.stack.secrets.nats.values())
    return Servers(stack.database.superuser_url, stack.nats_url, objects, store.bucket, kept)


@contextmanager
def running(stack: LiveStack, folder: Path, seed: int, *, tenants: int = TENANTS) -> Iterator[Run]:
    """A fleet without processes yet, tenants of its own, an audited database, watchers that write the history."""
    folder.mkdir(parents=True, exist_ok=True)
    url = stack.database.superuser_url
    found = found_tenants(stack, tenants)
    numbers = [each.tenant_id for each in found]
    with ExitStack() as ending:
        recorder = Recorder(folder / "history.jsonl")
        ending.callback(recorder.close)
        callers = [Caller(stack.url, each.key, each.tenant_id, recorder) for each in found]
        for caller in callers:
            ending.callback(caller.close)
        ending.enter_context(auditing(url))
        fleet = ending.enter_context(Fleet(stack, folder))
        watches = (
            watch_rows(recorder, url, numbers),
            watch_acks(recorder, stack.nats_url),
            watch_resources(recorder, fleet, url),
        )
        ending.enter_context(watched(*watches))
        yield Run(stack, fleet, recorder, callers, random.Random(seed), folder)


def baseline(run: Run) -> None:
    """What the processes hold before anything is broken."""
    sample(run.recorder, run.fleet, run.stack.database.superuser_url, "before")

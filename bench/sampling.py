"""What a block of work takes in memory, CPU and locks, seen from a thread beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import psutil
import psycopg

from bench.live import Live, PeakMemory

# A look at processes reads all of /proc: more often would be felt in the figures.
PROCESS_SECONDS = 0.25
LOCK_SECONDS = 0.02


class CpuTime:
    """CPU seconds of a process and its children since this was made. What a child did after the last look is lost."""

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self._before: dict[int, float] = {}
        self._latest: dict[int, float] = {}
        self.sample()
        self._before = dict(self._latest)

    def sample(self) -> None:
        for process in (self._root, *self._root.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self._latest[process.pid] = times.user + times.system

    @property
    def seconds(self) -> float:
        return sum(spent - self._before.get(pid, 0.0) for pid, spent in self._latest.items())

    @property
    def root_seconds(self) -> float:
        """Of the process alone."""
        return self._latest[self._root.pid] - self._before[self._root.pid]


@contextmanager
def sampled(*samples: Callable[[], None], every: float = PROCESS_SECONDS) -> Iterator[None]:
    """Calls `samples` again and again while the block runs."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(every):
            for sample in samples:
                sample()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for sample in samples:
            sample()


def memory(live: Live, *names: str) -> PeakMemory:
    """Of processes of the stack."""
    peak = PeakMemory(*(live.process(name) for name in names))
    peak.sample()
    return peak


@dataclass
class Locks:
    """How long the lock of a client was held by merges; at most one sample off at each end."""

    seconds: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        return max(self.seconds, default=0.0)


@contextmanager
def lock_times(live: Live) -> Iterator[Locks]:
    """Watches the advisory locks that merges take on their client."""
    locks = Locks()
    held: dict[tuple[int, str], tuple[float, float]] = {}
    query = (
        b"SELECT l.pid, a.xact_start::text FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        b"WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND a.xact_start IS NOT NULL "
        b"AND a.usename = 'hythe_worker'"
    )
    with psycopg.connect(live.database_url, autocommit=True) as connection:

        def look() -> None:
            now = perf_counter()
            for pid, began in connection.execute(query).fetchall():
                first, _ = held.get((pid, began), (now, now))
                held[pid, began] = first, perf_counter()

        with sampled(look, every=LOCK_SECONDS):
            yield locks
    locks.seconds.extend(last - first for first, last in held.values())

"""Writes the history of a run while it happens, from many threads."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from runtime.streams import STREAM
from tests.chaos.checker import history
from tests.chaos.checker.history import Ack, Fault, Record, Resources, Sight
from tests.chaos.processes import Fleet

SIGHT_SECONDS = 0.1
SAMPLE_SECONDS = 1.0
RECONNECT_SECONDS = 0.2

# One statement, so one snapshot. An import is looked at until some seconds after its end.
SIGHTS = """
SELECT i.import_id::text, i.state,
       (SELECT count(*) FROM findings f WHERE f.tenant_id = i.tenant_id AND f.report_id = i.report_id
        AND f.import_id = i.import_id),
       p.attempt, p.percent, p.processed_bytes, p.read
FROM imports i JOIN import_progress p USING (tenant_id, import_id)
WHERE i.tenant_id = ANY(%s) AND (i.ended_at IS NULL OR i.ended_at > now() - interval '3 seconds')
"""


class Recorder:
    """One line for each record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        self._lock = threading.Lock()

    def write(self, record: Record) -> None:
        with self._lock:
            self._file.write(history.encode(record) + b"\n")
            self._file.flush()

    def fault(self, what: str) -> None:
        self.write(Fault(time.time(), what))

    def close(self) -> None:
        self._file.close()


@contextmanager
def watched(*watches: Callable[[threading.Event], None]) -> Iterator[None]:
    """Each in a thread of its own, told to end when the block does."""
    is_over = threading.Event()
    threads = [threading.Thread(target=watch, args=(is_over,), daemon=True) for watch in watches]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def watch_rows(recorder: Recorder, database_url: str, tenants: list[int]) -> Callable[[threading.Event], None]:
    """A reader at 10 Hz: what it sees of each import and its findings, whenever that has changed."""

    def watch(is_over: threading.Event) -> None:
        last: dict[str, tuple[object, ...]] = {}
        while not is_over.is_set():
            with contextlib.suppress(psycopg.Error), psycopg.connect(database_url, autocommit=True) as connection:
                while not is_over.wait(SIGHT_SECONDS):
                    for import_id, *seen in connection.execute(SIGHTS, [tenants]).fetchall():
                        if last.get(import_id) != tuple(seen):
                            last[import_id] = tuple(seen)
                            state, rows, attempt, percent, size, read = seen
                            recorder.write(Sight(time.time(), import_id, state, rows, attempt, percent, size, read))
            is_over.wait(RECONNECT_SECONDS)

    return watch


def watch_acks(recorder: Recorder, nats_url: str) -> Callable[[threading.Event], None]:
    """Everything that workers say to the queue about messages."""

    async def heard(message: Msg) -> None:
        # $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>
        parts = message.subject.split(".")
        delivered, sequence = int(parts[-5]), int(parts[-4])
        recorder.write(Ack(time.time(), sequence, delivered, message.data.decode().partition(" ")[0]))

    async def listen(is_over: threading.Event) -> None:
        client = Client()

        async def quietly(error: Exception) -> None: ...

        while not is_over.is_set():
            try:
                await client.connect(nats_url, error_cb=quietly, max_reconnect_attempts=-1, reconnect_time_wait=1)
                break
            except (NatsError, OSError):
                await asyncio.sleep(RECONNECT_SECONDS)
        await client.subscribe(f"$JS.ACK.{STREAM}.>", cb=heard)
        await asyncio.to_thread(is_over.wait)
        with contextlib.suppress(NatsError, OSError):
            await client.close()

    return lambda is_over: asyncio.run(listen(is_over))


def sample(recorder: Recorder, fleet: Fleet, database_url: str, phase: str) -> None:
    """What each process of the fleet holds at this moment."""
    connections: dict[str, int] = {}
    with contextlib.suppress(psycopg.Error), psycopg.connect(database_url, autocommit=True) as connection:
        query = (
            "SELECT split_part(usename, '_', 2), count(*) FROM pg_stat_activity WHERE usename LIKE 'hythe_%' GROUP BY 1"
        )
        connections = dict(connection.execute(query).fetchall())
    for process in list(fleet.processes.values()):
        resident, files = process.held()
        if resident:
            held = connections.get(process.role, 0)
            recorder.write(Resources(time.time(), phase, process.name, resident, files, held))


def watch_resources(recorder: Recorder, fleet: Fleet, database_url: str) -> Callable[[threading.Event], None]:
    def watch(is_over: threading.Event) -> None:
        while not is_over.wait(SAMPLE_SECONDS):
            sample(recorder, fleet, database_url, "during")

    return watch

"""What may go wrong in a random run, drawn by a seeded scheduler; a quarter of the draws do nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping

import psycopg
from nats import connect
from nats.aio.client import Client
from nats.errors import Error as NatsError

from runtime.streams import STREAM, subject_of
from services.importer import job_message
from tests.chaos.processes import LEASE_SECONDS, Fleet, frozen
from tests.chaos.recording import Recorder
from tests.stack import LiveStack

DUPLICATES = 10
SUPERVISED = ("postgres", "nats", "s3")


class Faults:
    """Breaks parts of a stack whose worker and importer are of a fleet."""

    def __init__(self, stack: LiveStack, fleet: Fleet, recorder: Recorder, rng: random.Random) -> None:
        self._stack = stack
        self._fleet = fleet
        self._recorder = recorder
        self._rng = rng
        self.all: Mapping[str, Callable[[], None]] = {
            "kill -9 of a worker": self.kill_worker,
            "kill -9 of all workers": self.kill_workers,
            "kill -9 of the importer": self.kill_importer,
            "a worker is stopped for two leases": self.freeze_worker,
            "kill -9 of nats": lambda: self.kill_server("nats"),
            "kill -9 of postgres": lambda: self.kill_server("postgres"),
            "kill -9 of s3": lambda: self.kill_server("s3"),
            "the stream is purged": lambda: self.on_nats(self._purge),
            "the stream is deleted": lambda: self.on_nats(self._delete),
            "an import is published ten times more": lambda: self.on_nats(self._duplicate),
        }

    def run(self, is_over: threading.Event, pause: tuple[float, float]) -> None:
        """Draws until it is over. The same seed draws the same faults at the same distances."""
        names = sorted(self.all)
        while not is_over.wait(self._rng.uniform(*pause)):
            if self._rng.random() < 1 / 4:
                continue
            what = self._rng.choice(names)
            self._recorder.fault(what)
            self.all[what]()

    def kill_worker(self) -> None:
        self._rng.choice(self._fleet.workers()).kill()

    def kill_workers(self) -> None:
        for worker in self._fleet.workers():
            worker.kill()

    def kill_importer(self) -> None:
        self._fleet.processes["importer"].kill()

    def freeze_worker(self) -> None:
        with frozen(self._rng.choice(self._fleet.workers())):
            time.sleep(2 * LEASE_SECONDS)

    def kill_server(self, name: str) -> None:
        """The supervisor starts it again; a second fault waits until it has."""
        pid = self._stack.kill(name)
        self._stack.wait_ready(name, not_pid=pid)

    def on_nats(self, work: Callable[[Client], Awaitable[None]]) -> None:
        async def run() -> None:
            client = await connect(self._stack.nats_url, connect_timeout=2, max_reconnect_attempts=1)
            try:
                await work(client)
            finally:
                await client.close()

        # Away already, or without a stream: then it is broken enough.
        with contextlib.suppress(NatsError, OSError):
            asyncio.run(run())

    async def _purge(self, client: Client) -> None:
        await client.jetstream().purge_stream(STREAM)

    async def _delete(self, client: Client) -> None:
        await client.jetstream().delete_stream(STREAM)

    async def _duplicate(self, client: Client) -> None:
        query = "SELECT tenant_id, import_id, lane FROM imports ORDER BY import_id DESC LIMIT 20"
        with psycopg.connect(self._stack.database.superuser_url) as connection:
            rows = connection.execute(query).fetchall()
        tenant, import_id, lane = self._rng.choice(rows)
        payload = job_message.encode(job_message.JobMessage(tenant, import_id))
        for number in range(DUPLICATES):
            headers = {"Nats-Msg-Id": f"chaos:{import_id}:{time.time_ns()}:{number}"}
            await client.jetstream().publish(subject_of(lane), payload, headers=headers)

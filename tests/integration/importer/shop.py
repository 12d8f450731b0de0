"""Workers on a database and object store of their own, over a queue in memory that notes how messages are settled."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runtime.database import Database
from services.importer import job_message
from services.importer.engine import runner
from services.importer.engine.claims import Claim
from services.importer.engine.flip import flip
from services.importer.engine.target import Target
from services.importer.job_message import JobMessage
from services.importer.model import Lane
from services.importer.targets.findings.target import FindingsTarget
from services.importer.worker import Worker
from tests.fakes.jetstream import FakeDelivery, FakeJobQueue
from tests.integration.importer.office import PATIENTLY, eventually
from tests.integration.importer.workbench import LEASE, TENANT, Bench
from tests.scans import nessus

LARGE_SCAN = nessus(hosts=400, plugins=40)
LARGE_SCAN_ITEMS = 16_000


@dataclass
class NotedDelivery:
    """A delivery whose ways of settling are written down as they are asked for, before they work or fail."""

    inner: FakeDelivery
    settled: list[tuple[str, int]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def ack_sync(self) -> None:
        self.settled.append(("ack", self.inner.sequence))
        await self.inner.ack_sync()

    async def nak(self, delay: float = 0) -> None:
        self.settled.append((f"nak {delay:g}", self.inner.sequence))
        await self.inner.nak(delay)

    async def term(self) -> None:
        self.settled.append(("term", self.inner.sequence))
        await self.inner.term()


class NotingQueue(FakeJobQueue):
    def __init__(self) -> None:
        super().__init__()
        self.settled: list[tuple[str, int]] = []

    async def fetch(self, lane: str, *, timeout: float) -> Any:  # noqa: ASYNC109 - as the real one
        delivery = await super().fetch(lane, timeout=timeout)
        return None if delivery is None else NotedDelivery(delivery, self.settled)


@dataclass
class Shop:
    bench: Bench
    queue: NotingQueue = field(default_factory=NotingQueue)
    slots: dict[Lane, int] = field(default_factory=lambda: {Lane.SMALL: 1, Lane.LARGE: 1})

    def worker(self, database: Database | None = None, lease: timedelta = LEASE, **limits: Any) -> Worker:
        target: Target = FindingsTarget()
        queue: Any = self.queue
        return Worker(
            database or self.bench.engine.worker,
            self.bench.objects,
            queue,
            {target.name: target},
            lease=lease,
            slots=self.slots,
            limits=dataclasses.replace(self.bench.limits, **limits),
        )

    @asynccontextmanager
    async def working(
        self, database: Database | None = None, lease: timedelta = LEASE, **limits: Any
    ) -> AsyncIterator[asyncio.Event]:
        """A worker at work; the event is its signal to stop, which it gets at the end at the latest."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.worker(database, lease, **limits).run(stop))
        try:
            yield stop
        finally:
            stop.set()
            async with asyncio.timeout(PATIENTLY):
                await task

    async def post(self, import_id: UUID, *, tenant: int = TENANT, lane: str = "small") -> int:
        """As the dispatcher does, each time under a new message id."""
        return await self.post_bytes(job_message.encode(JobMessage(tenant, import_id)), lane)

    async def post_bytes(self, data: bytes, lane: str = "small") -> int:
        await self.queue.ensure_streams()
        return await self.queue.publish(lane, data, message_id=secrets.token_hex(8), headers={})

    async def until(self, import_id: UUID, state: str) -> dict[str, Any]:
        """The row of the import once it is in this state."""

        async def is_there() -> bool:
            return bool((await self.bench.row(import_id))["state"] == state)

        await eventually(is_there)
        return await self.bench.row(import_id)

    async def until_settled(self, count: int) -> list[tuple[str, int]]:
        """What became of the messages once so many are settled."""

        async def are_settled() -> bool:
            return len(self.queue.settled) >= count

        await eventually(are_settled)
        return self.queue.settled

    async def has_checkpoint(self) -> bool:
        return bool(await self.bench.engine.value("SELECT count(*) FROM staging.checkpoints"))


def value_of(counter: Any) -> float:
    return float(counter._value.get())


@asynccontextmanager
async def held_flips(monkeypatch: pytest.MonkeyPatch, held: set[UUID]) -> AsyncIterator[asyncio.Event]:
    """Flips of these imports wait for the event before they do anything."""
    go_on = asyncio.Event()

    async def held_flip(database: Any, target: Any, claim: Claim, *rest: Any) -> None:
        if claim.job.import_id in held:
            await go_on.wait()
        await flip(database, target, claim, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", held_flip)
        yield go_on

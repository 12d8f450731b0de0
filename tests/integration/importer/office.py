"""The dispatcher of a database of its own, over a queue in memory or a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from runtime.database import Database
from runtime.notifications import Listener
from services.importer.dispatcher import Dispatcher, Duty
from services.importer.settings import DispatchSettings
from services.importer.store.outbox import CHANNEL
from tests.fakes.jetstream import FakeJobQueue
from tests.integration.importer.workbench import Engine

PATIENTLY = 20
WORKER_SLOTS = 3


@dataclass
class Office:
    """A dispatcher whose looks are taken one by one, or that runs by itself."""

    engine: Engine
    listener_url: str
    database: Database
    queue: Any = field(default_factory=FakeJobQueue)
    limits: dict[int, int] = field(default_factory=dict)
    poll_seconds: float = 60

    def dispatcher(self, database: Database | None = None, duties: Sequence[Duty] = ()) -> Dispatcher:
        async def limit_of(tenant_id: int) -> int:
            return self.limits.get(tenant_id, 1_000)

        settings = DispatchSettings.model_validate(
            {
                "nats_url": "not used",
                "dispatch_database_url": "not used",
                "dispatch_poll_seconds": self.poll_seconds,
                "worker_slots": WORKER_SLOTS,
            }
        )
        listener = Listener(self.listener_url, CHANNEL)
        return Dispatcher(database or self.database, self.queue, listener, limit_of, duties, settings)

    async def look(self) -> list[UUID]:
        """What one look sends, in that order."""
        await self.queue.ensure_streams()
        before = set(self.queue.messages)
        await self.dispatcher().look()
        return [import_of(self.queue, sequence) for sequence in self.queue.messages if sequence not in before]

    @asynccontextmanager
    async def running(self, database: Database | None = None, duties: Sequence[Duty] = ()) -> AsyncIterator[None]:
        """A dispatcher at work, with a connection to the database of its own when one is given."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.dispatcher(database, duties).run(stop))
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(PATIENTLY):
                await task

    async def make_due(self, import_id: UUID) -> None:
        await self.engine.admin.execute("UPDATE outbox SET next_at = now() WHERE import_id = %s", (import_id,))

    async def row(self, import_id: UUID) -> dict[str, Any]:
        (row,) = await self.engine.rows("SELECT * FROM outbox WHERE import_id = %s", import_id)
        return row

    async def wait_after_publish(self, import_id: UUID) -> float:
        row = await self.row(import_id)
        return float((row["next_at"] - row["published_at"]).total_seconds())

    async def backlog(self, tenant_id: int, count: int) -> None:
        """As many imports of a tenant, queued a minute ago."""
        await self.engine.admin.execute(
            "WITH made AS (INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, "
            "file_type, file_size, lane, state, user_id, user_email) "
            "SELECT %s, gen_random_uuid(), 1, 'findings', 'nessus', 'k', 'f', 't', 1, 'small', 'QUEUED', 1, 'u' "
            "FROM generate_series(1, %s) RETURNING tenant_id, import_id, lane) "
            "INSERT INTO outbox (tenant_id, import_id, lane, next_at) "
            "SELECT tenant_id, import_id, lane, now() - interval '1 minute' FROM made",
            (tenant_id, count),
        )


def import_of(queue: FakeJobQueue, sequence: int) -> UUID:
    return UUID(json.loads(queue.messages[sequence].data)["import_id"])


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENTLY):
        while not await holds():  # noqa: ASYNC110  (nothing tells when it does)
            await asyncio.sleep(0.02)


async def has_rows(office: Office, query: str) -> bool:
    return bool(await office.engine.rows(query))


async def answered(value: bool) -> bool:
    return value

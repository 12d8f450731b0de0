"""Fetchers on a database and object store of their own, over a queue in memory; and sources for them to read."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import certifi
import msgspec
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from dialects.assets.source_settings import Secrets, write_secrets
from runtime.database import Database
from runtime.sealing import Sealer, new_key
from services.fetcher.attempt import Bounds
from services.fetcher.fetcher import Fetcher
from services.fetcher.store import FetchStore
from services.importer import job_message
from services.importer.job_message import JobMessage
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.office import PATIENTLY, eventually
from tests.integration.importer.shop import NotingQueue
from tests.integration.importer.workbench import LEASE, TENANT, Bench

LOOPBACK = "127.0.0.0/8"
SMALL_BYTES = 10_000


@dataclass
class Quay:
    """One workspace whose sources are fetched into object type `host`."""

    bench: Bench
    database: Database
    depot: Depot
    host: Type
    sealer: Sealer = field(default_factory=lambda: Sealer(new_key()))
    queue: NotingQueue = field(default_factory=NotingQueue)
    bounds: Bounds = field(
        default_factory=lambda: Bounds(exemptions=LOOPBACK, allow_http=True, authorities=certifi.where())
    )

    async def source(self, type_: str, settings: dict[str, Any], said: Secrets | None = None) -> None:
        """The source of the depot, which is of this type from now on."""
        text = write_secrets(said or Secrets())
        await self.bench.engine.admin.execute(
            "INSERT INTO import_sources (tenant_id, import_source_id, workspace_id, object_schema_id, name, type, "
            "settings, secret, user_id) VALUES (%s, %s, %s, %s, 's', %s, %s, %s, 1) "
            "ON CONFLICT (tenant_id, import_source_id) DO UPDATE SET type = excluded.type, "
            "settings = excluded.settings, secret = excluded.secret",
            (
                *(TENANT, self.depot.source_id, self.depot.workspace_id, self.depot.schema_id, type_),
                *(Jsonb(settings), self.sealer.seal(text) if text else None),
            ),
        )

    async def run(self, **columns: Any) -> UUID:
        """A run as its start leaves it: queued in the lane of the fetcher, without inputs."""
        more = {"source": "objects-json", "needs_fetch": True, "key": "", **columns}
        import_id = await self.bench.engine.queued(lane="fetch", size=0, **self.depot.columns(**more))
        await self.bench.engine.admin.execute("DELETE FROM import_inputs WHERE import_id = %s", (import_id,))
        return import_id

    def fetcher(self, lease: timedelta = LEASE, **bounds: Any) -> Fetcher:
        queue: Any = self.queue
        store = FetchStore(self.database, lease=lease, small_file_bytes=SMALL_BYTES)
        return Fetcher(store, self.bench.objects, queue, self.sealer, replace(self.bounds, **bounds), slots=1)

    @asynccontextmanager
    async def working(self, lease: timedelta = LEASE, **bounds: Any) -> AsyncIterator[asyncio.Event]:
        """A fetcher at work; the event is its signal to stop, which it gets at the end at the latest."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.fetcher(lease, **bounds).run(stop))
        try:
            yield stop
        finally:
            stop.set()
            async with asyncio.timeout(PATIENTLY):
                await task

    async def post(self, import_id: UUID, *, tenant: int = TENANT) -> int:
        """As the dispatcher does."""
        await self.queue.ensure_streams()
        data = job_message.encode(JobMessage(tenant, import_id))
        return await self.queue.publish("fetch", data, message_id=secrets.token_hex(8), headers={})

    async def fetched(self, import_id: UUID, **bounds: Any) -> dict[str, Any]:
        """The row of the import after one attempt."""
        before = len(self.queue.settled)
        async with self.working(**bounds):
            await self.post(import_id)
            await self.until_settled(before + 1)
        return await self.bench.row(import_id)

    async def fetch_all(
        self, type_: str, settings: dict[str, Any], said: Secrets | None = None, **bounds: Any
    ) -> tuple[dict[str, Any], list[Any]]:
        """A new run of such a source: its row after one attempt, and what was landed."""
        await self.source(type_, settings, said)
        import_id = await self.run()
        row = await self.fetched(import_id, **bounds)
        landed = await self.landed(import_id)
        # Others of the source may run.
        await self.bench.engine.admin.execute(
            "UPDATE imports SET state = 'CANCELLED' WHERE import_id = %s AND state NOT IN ('FAILED', 'SUCCEEDED')",
            (import_id,),
        )
        return row, landed

    async def landed(self, import_id: UUID) -> list[Any]:
        """The rows of all inputs, in order."""
        rows: list[Any] = []
        for each in await self.inputs(import_id):
            with self.bench.objects.open(each["object_key"], each["etag"]) as reader:
                rows += [json.loads(line) for line in reader.read(1 << 30).splitlines()]
        return rows

    async def inputs(self, import_id: UUID) -> list[dict[str, Any]]:
        return await self.bench.engine.rows(
            "SELECT * FROM import_inputs WHERE import_id = %s ORDER BY number", import_id
        )

    async def until_settled(self, count: int) -> list[tuple[str, int]]:
        async def are_settled() -> bool:
            return len(self.queue.settled) >= count

        await eventually(are_settled)
        return self.queue.settled

    async def until(self, import_id: UUID, state: str, phase: str = "") -> None:
        async def is_there() -> bool:
            row = await self.bench.row(import_id)
            told = await self.bench.engine.value("SELECT phase FROM import_progress WHERE import_id = %s", import_id)
            return bool(row["state"] == state and phase in {"", told})

        await eventually(is_there)

    async def stored(self) -> list[str]:
        """The keys of all landed objects."""
        pages = [page async for page in self.bench.objects.list_objects()]
        return [each.object_key for page in pages for each in page if "/fetched/" in each.object_key]


def plan_of(quay: Quay) -> Any:
    return msgspec.to_builtins(quay.depot.plan)


def new_id() -> UUID:
    return UUID(str(uuid7()))

"""An office that tells of ends, and the webhooks that it tells."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from runtime.database import Database
from services.importer.announcer import Announcer
from services.importer.engine import ending
from services.importer.model import State
from tests.integration.importer.office import Office
from tests.integration.importer.workbench import TENANT

ENDS = "SELECT count(*) FROM outbox WHERE topic = 'ended'"


@dataclass
class Desk:
    """`office` sees what is due; `importer` reads and writes as the tenant."""

    office: Office
    importer: Database
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def announcer(self) -> Announcer:
        return Announcer(self.office.database, self.importer, self.office.queue, self.called, poll_seconds=0.05)

    async def look(self) -> None:
        await self.office.queue.ensure_streams()
        await self.announcer().look()

    @property
    def published(self) -> list[dict[str, Any]]:
        return [json.loads(message.data) for message in self.office.queue.events.values()]

    async def ended(self, state: State = State.SUCCEEDED, code: str | None = None, **more: Any) -> UUID:
        """An import that has ended at a worker."""
        import_id = await self.office.engine.queued(**more)
        await self.office.engine.admin.execute(
            "UPDATE imports SET state = 'RUNNING' WHERE import_id = %s", (import_id,)
        )
        tenant_id = more.get("tenant", TENANT)
        async with self.office.engine.worker.transaction(tenant_id) as connection:
            await ending.end(connection, tenant_id, import_id, state, code, code and "It went wrong.")
        return import_id

    async def webhook(
        self,
        tenant: int = TENANT,
        *,
        client_id: int | None = None,
        states: tuple[str, ...] = (),
        url: str = "https://receiver.example/",
        secret: bytes = b"",
    ) -> int:
        return int(
            await self.office.engine.value(
                "INSERT INTO webhooks (tenant_id, url, secret, client_id, states, user_id) "
                "VALUES (%s, %s, %s, %s, %s, 1) RETURNING webhook_id",
                tenant,
                url,
                secret,
                client_id,
                list(states),
            )
        )

    async def deliveries(self) -> list[tuple[int, UUID]]:
        rows = await self.office.engine.rows("SELECT webhook_id, import_id FROM webhook_deliveries ORDER BY 1, 2")
        return [(row["webhook_id"], row["import_id"]) for row in rows]

    async def count(self, query: str) -> int:
        return int(await self.office.engine.value(query))

    async def is_told(self) -> bool:
        return await self.count(ENDS) == 0

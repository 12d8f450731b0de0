"""A desk whose deliveries are made, to a receiver on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from runtime.destinations import Destinations
from runtime.outbound import Outbound
from runtime.sealing import Sealer, new_key
from services.importer.deliveries import Deliveries
from services.importer.settings import WebhookSettings
from services.importer.signing import new_secret
from tests.integration.importer.desk import Desk
from tests.integration.importer.workbench import TENANT
from tests.receiver import Receiver

TIMEOUT_SECONDS = 0.5


@dataclass
class PostRoom:
    """`secret` signs for every webhook here. Retries wait until a test says that they are due, or hardly at all."""

    desk: Desk
    receiver: Receiver
    outbound: Outbound
    key: str = field(default_factory=new_key)
    secret: str = field(default_factory=new_secret)

    def deliveries(self, *, at_once: int = 64, **settings: Any) -> Deliveries:
        known = WebhookSettings.model_validate({"secrets_key": self.key, "webhook_at_once": at_once, **settings})
        return Deliveries(
            self.desk.office.database,
            self.desk.importer,
            self.outbound,
            Sealer(self.key),
            self.desk.called,
            known,
            poll_seconds=0.02,
        )

    def with_timeout(self, seconds: float) -> PostRoom:
        """The same with more patience. Its `outbound` is the caller's to close."""
        outbound = Outbound(Destinations("private"), allow_http=True, timeout_seconds=seconds)
        return replace(self, outbound=outbound)

    async def webhook(self, tenant: int = TENANT, *, path: str = "/hook", **more: Any) -> int:
        sealed = Sealer(self.key).seal(self.secret)
        return await self.desk.webhook(tenant, url=more.pop("url", self.receiver.url(path)), secret=sealed, **more)

    async def announced(self, count: int = 1, **more: Any) -> None:
        """So many imports have ended, and their deliveries are due."""
        for _ in range(count):
            await self.desk.ended(**more)
        await self.desk.look()

    async def deliver(self, **settings: Any) -> None:
        """Makes what is due, once."""
        made = self.deliveries(**settings)
        await made.start_due()
        await made.close()

    @asynccontextmanager
    async def delivering(self, **settings: Any) -> AsyncIterator[Deliveries]:
        """Deliveries are made all the time."""
        made, stop = self.deliveries(**settings), asyncio.Event()
        running = asyncio.create_task(made.run(stop))
        try:
            yield made
        finally:
            stop.set()
            await running
            await made.close()

    async def make_due(self) -> None:
        await self.desk.office.engine.admin.execute("UPDATE outbox SET next_at = now() WHERE topic = 'webhook'")

    async def log(self) -> list[dict[str, Any]]:
        """The delivery log, in the order of making."""
        return await self.desk.office.engine.rows("SELECT * FROM webhook_deliveries ORDER BY delivery_id")

    async def waiting(self) -> list[dict[str, Any]]:
        return await self.desk.office.engine.rows("SELECT * FROM outbox ORDER BY item_id")

    async def is_done(self) -> bool:
        return not await self.waiting()

"""Makes deliveries to webhooks: at least once, signed, with retries; many at once, of each webhook and tenant a few.

A slow receiver keeps the places of its own webhook busy and nobody else's. Nothing here waits for NATS or for imports,
and they do not wait for it. An attempt that a death cuts off is made again when its taking runs out, under the same
delivery id.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.failpoints import failpoint
from runtime.outbound import Answer, NotAnswered, Outbound
from runtime.sealing import Sealer, Unsealable
from services.importer import dispatch_store, metrics
from services.importer.dispatch_store import Telling
from services.importer.events import ENDED
from services.importer.settings import WebhookSettings
from services.importer.signing import signature
from services.importer.store import deliveries
from services.importer.store.deliveries import Order
from services.importer.waiting import wait_for_either

log = structlog.get_logger(__name__)

PER_WEBHOOK = 4
PER_TENANT = 16
TAKEN_MARGIN_SECONDS = 50
"""Beyond the time of an attempt: for the statements around it on a busy database."""
STATEMENTS_AT_ONCE = 3
"""Connections that deliveries keep busy: the API lives on the same pool."""
PUT_OFF = timedelta(minutes=1)
CLOSE_SECONDS = 8
GROWTH = 3
MOST_GROWTHS = 20
JITTER = 0.2
GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to. `error` is empty when the event was delivered."""

    error: str
    status_code: int | None = None
    retry_after: float | None = None
    is_final: bool = False


class Deliveries:
    """A duty of the active dispatcher. Attempts under way outlive a loss of the lead, until `close`."""

    def __init__(
        self,
        dispatch: Database,
        database: Database,
        outbound: Outbound,
        sealer: Sealer,
        called: asyncio.Event,
        settings: WebhookSettings,
        *,
        poll_seconds: float,
    ) -> None:
        self._dispatch = dispatch
        self._database = database
        self._outbound = outbound
        self._sealer = sealer
        self._called = called
        self._settings = settings
        self._poll_seconds = poll_seconds
        self._under_way: dict[UUID, Telling] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._statements = asyncio.Semaphore(STATEMENTS_AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Makes what is due, until `stop`."""
        while not stop.is_set():
            self._called.clear()
            started = 0
            try:
                started = await self.start_due()
            except ServiceError as error:
                log.warning("deliveries could not be looked for", error=str(error))
            except Exception:
                # Nobody waits for this task; without it nothing would ever be delivered again.
                log.exception("starting deliveries failed")
            if not started:
                await wait_for_either(stop, self._called, self._poll_seconds)

    async def close(self) -> None:
        """Gives attempts under way a moment to end; what is cut off is made again by the next one to lead."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def start_due(self) -> int:
        """Starts as many due deliveries as there is room for. How many."""
        room = self._settings.webhook_at_once - len(self._under_way)
        if room <= 0:
            return 0
        tenants, lanes = self._counts()
        async with self._dispatch.transaction(None) as connection:
            due = await dispatch_store.due_deliveries(
                connection,
                [tenant_id for tenant_id, count in tenants.items() if count >= PER_TENANT],
                [lane for lane, count in lanes.items() if count >= PER_WEBHOOK],
                # Those that were started and are not taken yet may be among them.
                per_lane=2 * PER_WEBHOOK,
                limit=2 * self._settings.webhook_at_once,
            )
        started = 0
        for item in due:
            lane = item.tenant_id, item.lane
            is_full = tenants[item.tenant_id] >= PER_TENANT or lanes[lane] >= PER_WEBHOOK
            if started < room and item.item_id not in self._under_way and not is_full:
                tenants[item.tenant_id] += 1
                lanes[lane] += 1
                started += 1
                self._start(item)
        return started

    def _counts(self) -> tuple[Counter[int], Counter[tuple[int, str]]]:
        items = self._under_way.values()
        return Counter(item.tenant_id for item in items), Counter((item.tenant_id, item.lane) for item in items)

    def _start(self, item: Telling) -> None:
        self._under_way[item.item_id] = item
        metrics.DELIVERING.set(len(self._under_way))
        task = asyncio.create_task(self._deliver(item), name="webhook")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, item: Telling) -> None:
        try:
            await self._make(item)
        except ServiceError as error:
            # The taking runs out, and it is made again.
            log.warning("a delivery was interrupted", delivery_id=str(item.item_id), error=str(error))
        except Exception:
            log.exception("a delivery cannot be made", delivery_id=str(item.item_id))
            with contextlib.suppress(ServiceError):
                async with self._dispatch.transaction(None) as connection:
                    await dispatch_store.put_off(connection, item, PUT_OFF)
        finally:
            del self._under_way[item.item_id]
            metrics.DELIVERING.set(len(self._under_way))
            # There is room for another one.
            self._called.set()

    async def _make(self, item: Telling) -> None:
        lease = timedelta(seconds=self._settings.webhook_timeout_seconds + TAKEN_MARGIN_SECONDS)
        async with self._statements, self._database.transaction(item.tenant_id) as connection:
            order = await deliveries.take(connection, item, lease)
            failpoint("webhook.before_taking")
        failpoint("webhook.after_taking")
        if order is not None:
            await self._settle(order, await self._attempt(order))

    async def _attempt(self, order: Order) -> Outcome:
        try:
            secret = self._sealer.unseal(order.secret)
        except Unsealable:
            log.error("the secret of a webhook cannot be unsealed", webhook_id=order.webhook_id)  # noqa: TRY400 - no cause to show
            return Outcome("The signing secret cannot be read; tell the operator of the installation.")
        body = order.payload.encode()
        headers = {
            "content-type": "application/json",
            "hythe-event": ENDED,
            "hythe-event-id": order.event_id,
            "hythe-delivery": str(order.delivery_id),
            "hythe-signature": signature(secret, int(time.time()), body),
        }
        failpoint("webhook.before_send")
        try:
            answer = await self._outbound.post(order.url, body, headers)
        except NotAnswered as error:
            return Outcome(str(error))
        failpoint("webhook.after_send")
        return outcome_of(answer)

    async def _settle(self, order: Order, outcome: Outcome) -> None:
        is_last = outcome.is_final or order.attempts + 1 >= self._settings.webhook_attempts
        facts = {"delivery_id": str(order.delivery_id), "webhook_id": order.webhook_id, "attempt": order.attempts + 1}
        async with self._statements, self._database.transaction(order.tenant_id) as connection:
            if outcome.error and not is_last:
                delay = delay_after(order.attempts + 1, outcome.retry_after, self._settings)
                await deliveries.try_again(
                    connection, order, delay, status_code=outcome.status_code, error=outcome.error
                )
                age = None
            else:
                age = await deliveries.end(
                    connection,
                    order,
                    is_delivered=not outcome.error,
                    status_code=outcome.status_code,
                    error=outcome.error,
                )
            failpoint("webhook.before_commit")
        failpoint("webhook.after_commit")
        if not outcome.error:
            metrics.DELIVERIES.labels("delivered").inc()
            if age is not None:
                metrics.DELIVERY_LAG.observe(age)
        elif is_last:
            metrics.DELIVERIES.labels("given_up").inc()
            log.warning("a delivery was given up", **facts, error=outcome.error)
        else:
            metrics.DELIVERIES.labels("again").inc()


def outcome_of(answer: Answer) -> Outcome:
    """Any 2xx is a delivery; 410 says that there will never be one."""
    if 200 <= answer.status < 300:  # noqa: PLR2004 - the classes of HTTP
        return Outcome("", answer.status)
    if 300 <= answer.status < 400:  # noqa: PLR2004
        return Outcome(f"The receiver answered {answer.status}; redirects are not followed.", answer.status)
    return Outcome(
        f"The receiver answered {answer.status}.", answer.status, answer.retry_after, is_final=answer.status == GONE
    )


def delay_after(attempts: int, retry_after: float | None, settings: WebhookSettings) -> timedelta:
    """Until the next attempt: grows threefold, with jitter; longer where the receiver asks for it, within bounds."""
    last = settings.webhook_last_delay_seconds
    grown = min(settings.webhook_first_delay_seconds * GROWTH ** min(attempts - 1, MOST_GROWTHS), last)
    jittered = grown * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, hides nothing
    return timedelta(seconds=max(jittered, min(retry_after or 0, last)))

"""Statements on deliveries that are being made, under the policy of their tenant.

A delivery's row in the outbox says when it is due. Taking it puts that off, so that nobody else makes it meanwhile and
somebody does if this process dies; its `dispatch_number` tells one taking from the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import outbox, webhook_deliveries, webhooks
from services.importer.dispatch_store import Telling
from services.importer.store.outbox import Topic

PENDING, DELIVERED, FAILED = "PENDING", "DELIVERED", "FAILED"


@dataclass(frozen=True, slots=True)
class Order:
    """A delivery to be made now. `attempts` are those before this one."""

    tenant_id: int
    delivery_id: UUID
    webhook_id: int
    event_id: str
    payload: str
    attempts: int
    url: str
    secret: bytes
    taking: int


async def take(connection: AsyncConnection, item: Telling, lease: timedelta) -> Order | None:
    """The delivery, for so long; None when somebody else has it, or it is not wanted any more."""
    taking = item.dispatch_number + 1
    taken = await connection.execute(
        update(outbox)
        .where(*_at(item.tenant_id, item.item_id), outbox.c.dispatch_number == item.dispatch_number)
        .values(dispatch_number=taking, next_at=func.now() + lease)
    )
    if taken.rowcount != 1:
        return None
    query = (
        select(webhook_deliveries, webhooks.c.url, webhooks.c.secret)
        .join(
            webhooks,
            and_(
                webhooks.c.tenant_id == webhook_deliveries.c.tenant_id,
                webhooks.c.webhook_id == webhook_deliveries.c.webhook_id,
            ),
        )
        .where(*_is(item.tenant_id, item.item_id), webhooks.c.is_active)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        # Its webhook was removed, or it has been delivered by somebody who was late in saying so.
        await connection.execute(delete(outbox).where(*_at(item.tenant_id, item.item_id)))
        return None
    return Order(
        tenant_id=row.tenant_id,
        delivery_id=row.delivery_id,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        payload=row.payload,
        attempts=row.attempts,
        url=row.url,
        secret=row.secret,
        taking=taking,
    )


async def end(
    connection: AsyncConnection, order: Order, *, is_delivered: bool, status_code: int | None, error: str
) -> float | None:
    """Its last attempt, well or not. Its age in seconds; None when somebody else has ended it."""
    age = func.extract("epoch", func.now() - webhook_deliveries.c.created_at)
    ended = await connection.execute(
        update(webhook_deliveries)
        .where(*_is(order.tenant_id, order.delivery_id))
        .values(
            state=DELIVERED if is_delivered else FAILED,
            attempts=webhook_deliveries.c.attempts + 1,
            status_code=status_code,
            error=error,
            attempted_at=func.now(),
            next_at=None,
            delivered_at=func.now() if is_delivered else None,
        )
        .returning(age)
    )
    await connection.execute(delete(outbox).where(*_at(order.tenant_id, order.delivery_id)))
    seconds = ended.scalar_one_or_none()
    return None if seconds is None else float(seconds)


async def try_again(
    connection: AsyncConnection, order: Order, delay: timedelta, *, status_code: int | None, error: str
) -> None:
    """An attempt that failed, and when the next one is due. Whoever has taken it since keeps their own time."""
    await connection.execute(
        update(webhook_deliveries)
        .where(*_is(order.tenant_id, order.delivery_id))
        .values(
            attempts=webhook_deliveries.c.attempts + 1,
            status_code=status_code,
            error=error,
            attempted_at=func.now(),
            next_at=func.now() + delay,
        )
    )
    await connection.execute(
        update(outbox)
        .where(*_at(order.tenant_id, order.delivery_id), outbox.c.dispatch_number == order.taking)
        .values(next_at=func.now() + delay)
    )


def _is(tenant_id: int, delivery_id: UUID) -> tuple[ColumnElement[bool], ...]:
    table = webhook_deliveries
    return table.c.tenant_id == tenant_id, table.c.delivery_id == delivery_id, table.c.state == PENDING


def _at(tenant_id: int, delivery_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return outbox.c.tenant_id == tenant_id, outbox.c.topic == Topic.WEBHOOK, outbox.c.item_id == delivery_id

"""Queries on webhooks and on the log of their deliveries."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, insert, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from runtime.database import Database
from schema.importer import clients, outbox, webhook_deliveries, webhooks
from services.importer.model import State
from services.importer.store.events import delivery_row
from services.importer.store.outbox import Topic, call_dispatcher
from services.importer.webhooks import Delivery, NewWebhook, Webhook

Clients = Collection[int] | None
"""The only clients whose webhooks there are; None: all, and those of no client too."""


class SqlWebhookStore:
    """The `WebhookStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has_client(self, tenant_id: int, client_id: int) -> bool:
        query = select(clients.c.client_id).where(clients.c.tenant_id == tenant_id, clients.c.client_id == client_id)
        async with self._database.transaction(tenant_id) as connection:
            return await connection.scalar(query) is not None

    async def add(self, tenant_id: int, new: NewWebhook, *, most: int) -> Webhook | None:
        async with self._database.transaction(tenant_id) as connection:
            # One after the other, so that two at once do not both find room for the last one.
            await connection.execute(select(func.pg_advisory_xact_lock(ADDING, tenant_id)))
            count = await connection.scalar(select(func.count()).where(webhooks.c.tenant_id == tenant_id))
            if (count or 0) >= most:
                return None
            row = await connection.execute(
                insert(webhooks)
                .values(
                    tenant_id=tenant_id,
                    url=new.url,
                    description=new.description,
                    secret=new.sealed_secret,
                    client_id=new.client_id,
                    states=list(new.states),
                    user_id=new.user_id,
                )
                .returning(webhooks)
            )
            return webhook_of(row.one())

    async def all(self, tenant_id: int, client_ids: Clients) -> list[Webhook]:
        query = select(webhooks).where(*_visible(tenant_id, client_ids)).order_by(webhooks.c.webhook_id)
        async with self._database.transaction(tenant_id) as connection:
            return [webhook_of(row) for row in await connection.execute(query)]

    async def has(self, tenant_id: int, webhook_id: int, client_ids: Clients) -> bool:
        query = select(webhooks.c.webhook_id).where(
            webhooks.c.webhook_id == webhook_id, *_visible(tenant_id, client_ids)
        )
        async with self._database.transaction(tenant_id) as connection:
            return await connection.scalar(query) is not None

    async def remove(self, tenant_id: int, webhook_id: int, client_ids: Clients) -> bool:
        gone = delete(webhooks).where(webhooks.c.webhook_id == webhook_id, *_visible(tenant_id, client_ids))
        waiting = delete(outbox).where(
            outbox.c.tenant_id == tenant_id, outbox.c.topic == Topic.WEBHOOK, outbox.c.lane == str(webhook_id)
        )
        async with self._database.transaction(tenant_id) as connection:
            if (await connection.execute(gone)).rowcount != 1:
                return False
            await connection.execute(waiting)
        return True

    async def deliveries(
        self, tenant_id: int, webhook_id: int | None, client_ids: Clients, *, before: UUID | None, limit: int
    ) -> list[Delivery]:
        query = _deliveries(tenant_id, client_ids).order_by(webhook_deliveries.c.delivery_id.desc()).limit(limit)
        if webhook_id is not None:
            query = query.where(webhook_deliveries.c.webhook_id == webhook_id)
        if before is not None:
            query = query.where(webhook_deliveries.c.delivery_id < before)
        async with self._database.transaction(tenant_id) as connection:
            return [delivery_of(row) for row in await connection.execute(query)]

    async def replay(self, tenant_id: int, delivery_id: UUID, client_ids: Clients) -> Delivery | None:
        async with self._database.transaction(tenant_id) as connection:
            query = _deliveries(tenant_id, client_ids).where(webhook_deliveries.c.delivery_id == delivery_id)
            # The webhook stays until its new delivery is there.
            found = (await connection.execute(query.with_for_update(of=webhooks, key_share=True, read=True))).first()
            return None if found is None else await _repeat(connection, tenant_id, found)


ADDING = 0x7765_6268
"""Name of the advisory lock, beside the tenant: "webh"."""


async def _repeat(connection: AsyncConnection, tenant_id: int, found: Row[*tuple[Any, ...]]) -> Delivery:
    made = await connection.execute(
        insert(webhook_deliveries)
        .values(
            tenant_id=tenant_id,
            delivery_id=uuid7(),
            webhook_id=found.webhook_id,
            import_id=found.import_id,
            event_id=found.event_id,
            payload=found.payload,
            replay_of=found.delivery_id,
        )
        .returning(webhook_deliveries)
    )
    delivery = delivery_of(made.one())
    await connection.execute(
        insert(outbox).values(delivery_row(tenant_id, delivery.import_id, delivery.delivery_id, delivery.webhook_id))
    )
    await call_dispatcher(connection)
    return delivery


def _deliveries(tenant_id: int, client_ids: Clients) -> Select[Any]:
    same = and_(
        webhooks.c.tenant_id == webhook_deliveries.c.tenant_id, webhooks.c.webhook_id == webhook_deliveries.c.webhook_id
    )
    return (
        select(webhook_deliveries)
        .join(webhooks, same)
        .where(webhook_deliveries.c.tenant_id == tenant_id, *_visible(tenant_id, client_ids))
    )


def _visible(tenant_id: int, client_ids: Clients) -> tuple[ColumnElement[bool], ...]:
    of_clients = true() if client_ids is None else webhooks.c.client_id.in_(client_ids)
    return webhooks.c.tenant_id == tenant_id, of_clients


def webhook_of(row: Row[*tuple[Any, ...]]) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        description=row.description,
        client_id=row.client_id,
        states=tuple(State(each) for each in row.states),
        created_at=row.created_at,
    )


def delivery_of(row: Row[*tuple[Any, ...]]) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        webhook_id=row.webhook_id,
        import_id=row.import_id,
        event_id=row.event_id,
        state=row.state,
        attempts=row.attempts,
        status_code=row.status_code,
        error=row.error,
        replay_of=row.replay_of,
        created_at=row.created_at,
        attempted_at=row.attempted_at,
        next_at=row.next_at,
    )

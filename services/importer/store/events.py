"""Statements that make deliveries of the end of an import, under the policy of its tenant."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from schema.importer import clients, import_progress, imports, outbox, reports, webhook_deliveries, webhooks
from services.importer.events import Ended, body_of, event_id_of
from services.importer.model import Kind, State
from services.importer.store.outbox import Topic, call_dispatcher
from services.importer.store.snapshots import COUNTERS


async def take_end(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> bool | None:
    """Locks the row of an end until the transaction is over; None when it is gone, or another process has it.

    True when its deliveries are still to be made.
    """
    query = select(outbox.c.dispatch_number).where(*_at(tenant_id, import_id)).with_for_update(skip_locked=True)
    dispatch_number: int | None = await connection.scalar(query)
    return None if dispatch_number is None else dispatch_number == 0


async def read_ended(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> Ended:
    """What there is to tell of a finished import."""
    query = (
        select(
            imports,
            clients.c.name.label("client_name"),
            reports.c.name.label("report_name"),
            *(func.coalesce(import_progress.c[name], 0).label(name) for name in COUNTERS),
        )
        .outerjoin(
            import_progress,
            and_(
                import_progress.c.tenant_id == imports.c.tenant_id, import_progress.c.import_id == imports.c.import_id
            ),
        )
        .outerjoin(
            clients, and_(clients.c.tenant_id == imports.c.tenant_id, clients.c.client_id == imports.c.client_id)
        )
        .outerjoin(
            reports, and_(reports.c.tenant_id == imports.c.tenant_id, reports.c.report_id == imports.c.report_id)
        )
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
    )
    row = (await connection.execute(query)).one()
    return Ended(
        tenant_id=row.tenant_id,
        import_id=row.import_id,
        state=State(row.state),
        kind=Kind(row.kind),
        ended_at=row.ended_at,
        dry_run=row.dry_run,
        origin=row.origin,
        origin_import_id=row.origin_import_id,
        duplicate_of=row.duplicate_of,
        client_id=row.client_id,
        client_name=row.client_name or "",
        report_id=row.report_id,
        report_name=row.report_name or "",
        source=row.source,
        file_name=row.file_name,
        file_size=row.file_size,
        user_id=row.user_id,
        created_at=row.created_at,
        started_at=row.started_at,
        error_code=row.error_code or "",
        error_message=row.error_message or "",
        error_position=row.error_position or "",
        counters={name: getattr(row, name) for name in COUNTERS},
    )


async def make_deliveries(connection: AsyncConnection, ended: Ended) -> int:
    """One delivery for each webhook that wants this end, due now. How many there are; repeating it makes none."""
    wanting = select(webhooks.c.webhook_id).where(
        webhooks.c.tenant_id == ended.tenant_id,
        webhooks.c.is_active,
        or_(webhooks.c.client_id.is_(None), webhooks.c.client_id == ended.client_id),
        or_(func.cardinality(webhooks.c.states) == 0, literal(ended.state.value) == webhooks.c.states.any_()),
    )
    found = list((await connection.execute(wanting.with_for_update(read=True, key_share=True))).scalars())
    if found:
        made = await _insert(connection, ended, found)
        if made:
            await call_dispatcher(connection)
        return made
    return 0


async def _insert(connection: AsyncConnection, ended: Ended, webhook_ids: list[int]) -> int:
    payload = body_of(ended)
    rows = [
        {
            "tenant_id": ended.tenant_id,
            "delivery_id": uuid7(),
            "webhook_id": webhook_id,
            "import_id": ended.import_id,
            "event_id": event_id_of(ended.import_id),
            "payload": payload,
        }
        for webhook_id in webhook_ids
    ]
    made = (
        await connection.execute(
            insert_or_skip(webhook_deliveries)
            .values(rows)
            .on_conflict_do_nothing()
            .returning(webhook_deliveries.c.delivery_id, webhook_deliveries.c.webhook_id)
        )
    ).all()
    if made:
        await connection.execute(
            insert(outbox),
            [
                delivery_row(ended.tenant_id, ended.import_id, delivery_id, webhook_id)
                for delivery_id, webhook_id in made
            ],
        )
    return len(made)


def delivery_row(tenant_id: int, import_id: UUID, delivery_id: UUID, webhook_id: int) -> dict[str, object]:
    """The outbox row of a delivery. Its lane is its webhook: what waits for one receiver hides nothing of another's."""
    return {
        "tenant_id": tenant_id,
        "import_id": import_id,
        "topic": Topic.WEBHOOK,
        "item_id": delivery_id,
        "lane": str(webhook_id),
    }


async def look_again(connection: AsyncConnection, tenant_id: int, import_id: UUID, delay: timedelta) -> None:
    """The deliveries are made: only the publishing is still to be done, and tried again after `delay` if it fails."""
    await connection.execute(
        update(outbox)
        .where(*_at(tenant_id, import_id))
        .values(dispatch_number=outbox.c.dispatch_number + 1, next_at=func.now() + delay)
    )


async def forget_end(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    await connection.execute(delete(outbox).where(*_at(tenant_id, import_id)))


def _at(tenant_id: int, import_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return outbox.c.tenant_id == tenant_id, outbox.c.import_id == import_id, outbox.c.topic == Topic.ENDED

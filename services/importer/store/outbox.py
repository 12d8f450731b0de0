"""Rows of the outbox: what is still to be done about an import outside the database, and the call to the dispatcher."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, cast, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import imports, outbox

CHANNEL = "hythe_outbox"
DISPATCHES_OF_A_ROW = 1_000
"""A row for an import that has had one before begins at a multiple of this: see `unused_dispatch_number`."""


class Topic(StrEnum):
    """What is to be done."""

    RUN = "run"
    ENDED = "ended"
    WEBHOOK = "webhook"


def unused_dispatch_number() -> ColumnElement[int]:
    """Where a row that takes the place of another begins to count.

    Message ids count dispatches: with those of the row before, the queue would drop its messages as repeated ones.
    """
    start = 1_001 + func.floor(func.random() * 2_000_000)
    return cast(start * DISPATCHES_OF_A_ROW, Integer)


async def call_dispatcher(connection: AsyncConnection) -> None:
    """Heard when the transaction commits."""
    await connection.execute(select(func.pg_notify(CHANNEL, "")))


async def announce_end(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    """An import that has ended needs no worker any more; its end is to be told, once, after the commit.

    Part of the transaction that moves it to its terminal state.
    """
    at = (outbox.c.tenant_id == tenant_id) & (outbox.c.import_id == import_id)
    await connection.execute(delete(outbox).where(at, outbox.c.topic == Topic.RUN))
    names = ["tenant_id", "import_id", "topic", "lane", "traceparent"]
    ended = select(
        imports.c.tenant_id, imports.c.import_id, literal(Topic.ENDED.value), imports.c.lane, imports.c.traceparent
    ).where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
    await connection.execute(insert(outbox).from_select(names, ended).on_conflict_do_nothing())
    # A place at the workers is free as well: the dispatcher need not wait for its next look.
    await call_dispatcher(connection)

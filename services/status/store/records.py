"""Queries over the records of a workspace. One that was deleted is a row without a document, and is not shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.records import records
from services.status.model import Batches, Row
from services.status.record_query import RecordQuery, RecordSet
from services.status.store.documents import fits, projected, sorted_by
from services.status.store.listing import all_rows, stream_rows

# A document may be near 1 MiB, and of a page only so many are to be held at once.
BATCH_ROWS = 20


async def list_records(
    connection: AsyncConnection, tenant_id: int, of: RecordSet, *, after: tuple[str, str] | None, limit: int
) -> list[Row]:
    """By data source and key, beginning behind `after`. The documents are JSON text."""
    page = (
        select(
            *(records.c[name] for name in ("entity_type", "data_source", "key", "import_id")),
            *(records.c[name] for name in ("created_at", "updated_at")),
            cast(records.c.document, Text).label("document"),
        )
        .where(_in(tenant_id, of))
        .order_by(records.c.data_source, records.c.key)
        .limit(limit)
    )
    if after is not None:
        page = page.where(tuple_(records.c.data_source, records.c.key) > tuple_(literal(after[0]), literal(after[1])))
    return await all_rows(connection, page)


async def count_records(connection: AsyncConnection, tenant_id: int, query: RecordQuery) -> int:
    """How many there are on all pages."""
    found = await connection.scalar(select(func.count()).select_from(_shown(tenant_id, query).subquery()))
    return found or 0


def stream_documents(connection: AsyncConnection, tenant_id: int, query: RecordQuery) -> Batches:
    """The page, as rows with a `document` in JSON text. Without a sort: by data source and key."""
    shown = _shown(tenant_id, query).subquery("shown")
    ties = [shown.c.document] if query.is_distinct else [shown.c.data_source, shown.c.key]
    page = (
        select(cast(shown.c.document, Text).label("document"))
        .order_by(*sorted_by(shown.c.sorted, query.sort), *ties)
        .offset(query.skip)
        .limit(query.take)
    )
    return stream_rows(connection, page, BATCH_ROWS)


def _shown(tenant_id: int, query: RecordQuery) -> Select[Any]:
    """All that fit, as they are shown. `sorted` is what they are sorted by, which has all members."""
    shown = projected(records.c.document, query.fields).label("document")
    fitting = (_in(tenant_id, query.records), fits(records.c.document, query.condition))
    if query.is_distinct:
        distinct = select(shown).where(*fitting).distinct().subquery("distinct_documents")
        return select(distinct.c.document, distinct.c.document.label("sorted"))
    whole = records.c.document.label("sorted")
    return select(shown, whole, records.c.data_source, records.c.key).where(*fitting)


def _in(tenant_id: int, of: RecordSet) -> ColumnElement[bool]:
    rows = and_(
        records.c.tenant_id == tenant_id,
        records.c.workspace_id == of.workspace_id,
        records.c.entity_type == of.entity_type,
        records.c.document.is_not(None),
    )
    return rows & (records.c.data_source == of.data_source) if of.data_source else rows

"""Queries over the tenant's list of tags."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.findings import assets, findings, tags
from schema.importer import clients, reports
from services.status.model import Batches, Row
from services.status.store.listing import all_rows, stream_rows

_TAGGED = (findings, assets, clients, reports)


def _tags(tenant_id: int, client_ids: Collection[int] | None) -> Select[Any]:
    """In their order. Of certain clients only those that something in them has, for a tag can tell about a client."""
    statement = select(tags).where(tags.c.tenant_id == tenant_id).order_by(tags.c.tag)
    if client_ids is None:
        return statement
    in_use = union(
        *(
            select(func.unnest(each.c.tags)).where(
                each.c.tenant_id == tenant_id, each.c.client_id.in_(sorted(client_ids))
            )
            for each in _TAGGED
        )
    )
    return statement.where(tags.c.tag.in_(in_use))


async def list_tags(
    connection: AsyncConnection, tenant_id: int, *, client_ids: Collection[int] | None, after: str, limit: int
) -> list[Row]:
    """Beginning behind `after`."""
    return await all_rows(connection, _tags(tenant_id, client_ids).where(tags.c.tag > after).limit(limit))


def stream_tags(
    connection: AsyncConnection, tenant_id: int, client_ids: Collection[int] | None, *, offset: int, limit: int | None
) -> Batches:
    """In batches; `limit` None: all."""
    return stream_rows(connection, _tags(tenant_id, client_ids).offset(offset).limit(limit))

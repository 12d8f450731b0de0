"""Queries over what an import has to say of single rows: its rejected items, and what an undo has decided on."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import row_errors, undo_items
from services.status.model import RowError, UndoItem

# A row of a file may have 1 MiB, and a page 1,000 of them.
RAW_CHARACTERS = 4_000
RAW = func.left(func.coalesce(row_errors.c.raw, ""), RAW_CHARACTERS)


async def list_row_errors(
    connection: AsyncConnection, tenant_id: int, import_id: UUID, *, after: int, limit: int
) -> list[RowError]:
    """In the order of the file, beginning behind item number `after`."""
    columns: list[ColumnElement[Any]] = [
        RAW if field.name == "raw" else row_errors.c[field.name] for field in fields(RowError)
    ]
    query = _page(row_errors, columns, row_errors.c.record_number, tenant_id, import_id, after, limit)
    return [RowError(*row) for row in await connection.execute(query)]


async def list_undo_items(
    connection: AsyncConnection, tenant_id: int, import_id: UUID, *, after: int, limit: int
) -> list[UndoItem]:
    """What was kept first, beginning behind item number `after`."""
    columns: list[ColumnElement[Any]] = [undo_items.c[field.name] for field in fields(UndoItem)]
    query = _page(undo_items, columns, undo_items.c.number, tenant_id, import_id, after, limit)
    return [UndoItem(*row) for row in await connection.execute(query)]


def _page(
    table: Table,
    columns: list[ColumnElement[Any]],
    number: Column[Any],
    tenant_id: int,
    import_id: UUID,
    after: int,
    limit: int,
) -> Select[Any]:
    return (
        select(*columns)
        .where(table.c.tenant_id == tenant_id, table.c.import_id == import_id, number > after)
        .order_by(number)
        .limit(limit)
    )

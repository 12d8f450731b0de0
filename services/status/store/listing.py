"""Conditions, sort keys and pages by offset, for every list that has them.

Each list names its columns in a dict. A name that is not in it is our own mistake, because a dialect checks what its
callers say before it comes here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, func, or_, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model import Batches, Condition, Listing, Match, Row

BATCH_ROWS = 500
SLOW_STARTERS = ("enable_sort", "enable_hashjoin", "enable_mergejoin", "jit")
AT_ONCE = select(*(func.set_config(name, "off", True) for name in SLOW_STARTERS))

Columns = Mapping[str, ColumnElement[Any]]


def client_scope(column: ColumnElement[Any], client_ids: Collection[int] | None) -> ColumnElement[bool]:
    """Only the clients that somebody may see; None is all of them."""
    return true() if client_ids is None else column.in_(sorted(client_ids))


async def all_rows(connection: AsyncConnection, statement: Select[Any]) -> list[Row]:
    return list((await connection.execute(statement)).mappings())


async def one_row(connection: AsyncConnection, statement: Select[Any]) -> Row | None:
    """Of a statement that gives one row or none."""
    rows = await all_rows(connection, statement)
    return rows[0] if rows else None


async def stream_rows(connection: AsyncConnection, statement: Select[Any], batch_rows: int = BATCH_ROWS) -> Batches:
    """By a cursor of the server's, which is closed with the generator.

    Rows are to come at once and to take no room, so the plan is made of index scans in their own order and nested
    loops, also where fresh tables have no statistics. Sending a row costs more than the dearest of its index lookups.
    """
    await connection.execute(AT_ONCE)
    result = await connection.stream(statement, execution_options={"yield_per": batch_rows})
    try:
        async for batch in result.mappings().partitions():
            yield batch
    finally:
        # SQLAlchemy's own context manager leaves the cursor open where a generator ends early.
        await result.close()


async def read_page(
    connection: AsyncConnection, statement: Select[Any], columns: Columns, listing: Listing, tie: ColumnElement[Any]
) -> tuple[int, list[Row]]:
    """The number of all rows that fit, and those of the page. `tie` decides where the sort keys are equal."""
    if listing.is_empty:
        return 0, []
    matching = statement.where(*(holds(condition, columns) for condition in listing.conditions))
    total = await connection.scalar(select(func.count()).select_from(matching.subquery()))
    keys = [
        columns[order.column].desc().nulls_last() if order.descending else columns[order.column].asc().nulls_last()
        for order in listing.orders
    ]
    page = matching.order_by(*keys, tie).offset(listing.offset).limit(listing.limit)
    return total or 0, await all_rows(connection, page)


def holds(condition: Condition, columns: Columns) -> ColumnElement[bool]:
    """The condition as SQL."""
    column, values = columns[condition.column], condition.values
    match condition.match:
        case Match.ONE_OF:
            return column.in_(values)
        case Match.CONTAINS:
            return or_(*(_as_text(column).icontains(value, autoescape=True) for value in values))
        case Match.ANY_ELEMENT:
            return column.op("?|" if isinstance(column.type, JSONB) else "&&")(cast(list(values), ARRAY(Text)))
        case Match.NO_ELEMENT:
            return func.cardinality(column) == 0
        case Match.BETWEEN:
            first, last = values
            return (true() if first is None else column >= first) & (true() if last is None else column <= last)


def _as_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    return func.array_to_string(column, " ") if isinstance(column.type, ARRAY) else column

"""Objects that a query in AQL asks for: pages by offset, and how many there are.

A query is somebody else's program: it is bounded in size where it is read, and in time here. The settings for that hold
until the end of the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Text, and_, cast, column, func, select, table, true
from sqlalchemy.ext.asyncio import AsyncConnection

from dialects.assets.aql_tree import Query
from schema.assets import objects
from services.status.model import Row
from services.status.store.aql_catalogue import load_catalogue
from services.status.store.aql_conditions import Conditions, Rows
from services.status.store.aql_order import sorted_by
from services.status.store.aql_values import one_of
from services.status.store.listing import all_rows

LONGEST_MS = 10_000
MOST_RESULTS = 1_000
COLUMNS = ("object_id", "object_type_id", "label", "created_at", "updated_at")

_SETTINGS = table("pg_settings", column("name", Text), column("setting", Text))
_LEFT_MS = func.coalesce(func.nullif(cast(_SETTINGS.c.setting, Integer), 0), LONGEST_MS)
_BOUNDED = select(
    func.set_config("statement_timeout", cast(func.least(_LEFT_MS, LONGEST_MS), Text), true()),
    # Compiling a condition costs more than it saves: most queries are over before.
    func.set_config("jit", "off", true()),
    # Sets are joined by hashing, whose price is that of reading them, whatever the planner believes of their size.
    func.set_config("enable_nestloop", "off", true()),
).where(_SETTINGS.c.name == "statement_timeout")


@dataclass(frozen=True, slots=True)
class Page:
    """More than 1,000 are never given at once."""

    offset: int = 0
    limit: int = 25


async def find_objects(
    connection: AsyncConnection,
    tenant_id: int,
    workspace_id: UUID,
    query: Query,
    page: Page,
    *,
    now: datetime,
    with_documents: bool = True,
) -> tuple[int, list[Row]]:
    """How many there are, and those of the page. `now` is in UTC.

    Rows have object_id, object_type_id, label, created_at, updated_at and, where asked for, document: values by
    attribute ids. Raises AqlError for names that mean nothing and comparisons that cannot be made, DeadlineExceeded
    after ten seconds.
    """
    conditions = await _conditions(connection, tenant_id, workspace_id, query, now)
    columns = [objects.c[name] for name in (*COLUMNS, *(["document"] if with_documents else []))]
    rows, fits = _asked(conditions, query)
    total = await connection.scalar(select(func.count()).select_from(rows.joined()).where(fits))
    keys = sorted_by(conditions, query.order, rows)
    page_rows = (
        select(*columns)
        .select_from(rows.joined())
        .where(fits)
        .order_by(*keys)
        .offset(page.offset)
        .limit(min(page.limit, MOST_RESULTS))
    )
    return total or 0, await all_rows(connection, page_rows)


async def count_objects(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, query: Query, *, now: datetime
) -> int:
    """As `find_objects`."""
    conditions = await _conditions(connection, tenant_id, workspace_id, query, now)
    rows, fits = _asked(conditions, query)
    return await connection.scalar(select(func.count()).select_from(rows.joined()).where(fits)) or 0


async def _conditions(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, query: Query, now: datetime
) -> Conditions:
    catalogue = await load_catalogue(connection, tenant_id, workspace_id, query)
    await connection.execute(_BOUNDED)
    return Conditions(tenant_id, catalogue, now)


def _asked(conditions: Conditions, query: Query) -> tuple[Rows, ColumnElement[bool]]:
    """Objects are of a workspace by their types. A removed one has no document."""
    rows = Rows(objects)
    fits: ColumnElement[bool] = true()
    if query.condition is not None:
        rows = conditions.narrowed(query.condition, rows)
        fits = conditions.holds(query.condition, rows)
    return rows, and_(
        objects.c.tenant_id == conditions.tenant_id,
        one_of(objects.c.object_type_id, conditions.catalogue.type_ids),
        objects.c.document.is_not(None),
        fits,
    )

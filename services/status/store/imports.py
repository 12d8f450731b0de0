"""Queries over imports, their progress and their errors.

A list takes its page from one index of `imports` first; everything else is looked up for that page by primary key. So
the price of a page does not depend on how many imports are stored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Table,
    and_,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import LateralFromClause

from schema.importer import (
    clients,
    import_cancellations,
    import_claims,
    import_leases,
    import_progress,
    imports,
    reports,
    row_errors,
)
from services.status.model import COMPLETE_PERCENT, Counters, Import, RowError

COUNTERS = tuple(field.name for field in fields(Counters))
# A queued import waits this long before it counts as stuck.
PATIENCE = timedelta(seconds=60)
OWN_COLUMNS = tuple(imports.c[field.name] for field in fields(Import) if field.name in imports.c)


async def find_import(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> Import | None:
    page = select(*OWN_COLUMNS).where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
    found = await _read(connection, page)
    return found[0] if found else None


async def list_own_imports(
    connection: AsyncConnection,
    tenant_id: int,
    user_id: int,
    *,
    client_ids: Collection[int] | None,
    after: UUID | None,
    limit: int,
) -> list[Import]:
    """Newest first, beginning behind the import `after`."""
    page = select(*OWN_COLUMNS).where(imports.c.tenant_id == tenant_id, imports.c.user_id == user_id)
    return await _read(connection, _page(page, client_ids, after, limit))


async def list_tenant_imports(
    connection: AsyncConnection,
    tenant_id: int,
    *,
    client_ids: Collection[int] | None,
    states: Collection[str],
    stuck_only: bool,
    after: UUID | None,
    limit: int,
) -> list[Import]:
    """As list_own_imports, of all users. `states` empty: all."""
    page = select(*OWN_COLUMNS).where(imports.c.tenant_id == tenant_id)
    if states:
        page = page.where(imports.c.state.in_(states))
    if stuck_only:
        page = page.where(_is_stuck())
    return await _read(connection, _page(page, client_ids, after, limit))


async def list_row_errors(
    connection: AsyncConnection, tenant_id: int, import_id: UUID, *, after: int, limit: int
) -> list[RowError]:
    """In the order of the file, beginning behind item number `after`."""
    columns = [row_errors.c[field.name] for field in fields(RowError)]
    statement = (
        select(*columns)
        .where(
            row_errors.c.tenant_id == tenant_id,
            row_errors.c.import_id == import_id,
            row_errors.c.record_number > after,
        )
        .order_by(row_errors.c.record_number)
        .limit(limit)
    )
    return [RowError(*row) for row in await connection.execute(statement)]


def _page(page: Select[Any], client_ids: Collection[int] | None, after: UUID | None, limit: int) -> Select[Any]:
    if client_ids is not None:
        page = page.where(imports.c.client_id.in_(sorted(client_ids)))
    if after is not None:
        page = page.where(imports.c.import_id < after)
    return page.order_by(imports.c.import_id.desc()).limit(limit)


def _is_stuck() -> ColumnElement[bool]:
    leased = exists().where(
        import_leases.c.tenant_id == imports.c.tenant_id,
        import_leases.c.import_id == imports.c.import_id,
        import_leases.c.expires_at > func.now(),
    )
    waiting_since = func.greatest(imports.c.updated_at, imports.c.not_before)
    return or_(
        and_(imports.c.state == "RUNNING", ~leased),
        and_(imports.c.state == "QUEUED", waiting_since < func.now() - PATIENCE),
    )


async def _read(connection: AsyncConnection, page: Select[Any]) -> list[Import]:
    result = await connection.execute(_with_details(page.subquery("page")))
    return [_import(row) for row in result.mappings()]


def _with_details(page: Subquery) -> Select[Any]:
    """The page with what stands in other tables.

    Each is a lateral look-up of one row by primary key: a join would become a hash of a whole table when the planner
    thinks the page long or the table short.
    """
    progress, claim = _of_import(import_progress, page), _of_import(import_claims, page)
    cancellation = _of_import(import_cancellations, page)
    client = _one(clients, clients.c.tenant_id == page.c.tenant_id, clients.c.client_id == page.c.client_id)
    report = _one(reports, reports.c.tenant_id == page.c.tenant_id, reports.c.report_id == page.c.report_id)
    joined: FromClause = page
    for each in (progress, claim, cancellation, client, report):
        joined = joined.outerjoin(each, true())
    return (
        select(
            *(column for column in page.c if column.name != "updated_at"),
            *(progress.c[name] for name in COUNTERS),
            func.coalesce(progress.c.percent, 0).label("percent"),
            func.coalesce(progress.c.phase, "").label("phase"),
            progress.c.cautions,
            func.greatest(page.c.updated_at, progress.c.updated_at).label("updated_at"),
            func.coalesce(claim.c.attempt, 0).label("attempt"),
            cancellation.c.import_id.is_not(None).label("cancel_requested"),
            func.coalesce(client.c.name, "").label("client_name"),
            func.coalesce(report.c.name, "").label("report_name"),
        )
        .select_from(joined)
        .order_by(page.c.import_id.desc())
    )


def _of_import(table: Table, page: Subquery) -> LateralFromClause:
    return _one(table, table.c.tenant_id == page.c.tenant_id, table.c.import_id == page.c.import_id)


def _one(table: Table, *conditions: ColumnElement[bool]) -> LateralFromClause:
    return select(table).where(*conditions).limit(1).lateral(f"one_of_{table.name}")


def _import(row: Any) -> Import:
    counters = Counters(**{name: row[name] or 0 for name in COUNTERS})
    taken = {"counters", "cautions", "percent", "asset_tags", "finding_tags"}
    plain = {field.name: row[field.name] for field in fields(Import) if field.name not in taken}
    return Import(
        **plain,
        counters=counters,
        cautions=tuple(row["cautions"] or ()),
        # The last progress of a worker may be a step behind the state, which is written last.
        percent=COMPLETE_PERCENT if row["state"] == "SUCCEEDED" else row["percent"],
        asset_tags=tuple(row["asset_tags"]),
        finding_tags=tuple(row["finding_tags"]),
    )

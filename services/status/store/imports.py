"""Queries over imports and their progress.

A list takes its page from one index of `imports` first; everything else is looked up for that page by primary key. So
the price of a page does not depend on how many imports are stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    case,
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
    import_claims,
    import_leases,
    import_progress,
    import_requests,
    imports,
    reports,
)
from services.status.model import COMPLETE_PERCENT, IMPORT, Counters, Import, Row

COUNTERS = tuple(field.name for field in fields(Counters))
# What an Import has as the query gives it.
MADE = frozenset({"counters", "cautions", "asset_tags", "finding_tags", "undo"})
PLAIN = tuple(field.name for field in fields(Import) if field.name not in MADE)
OWN_COLUMNS = tuple(imports.c[field.name] for field in fields(Import) if field.name in imports.c)
# Of the page, what a list shows.
LISTED = (
    *("import_id", "file_name", "file_size", "state", "source", "error_code", "error_message", "error_position"),
    *("dry_run", "duplicate_of", "undone_by"),
)
# A queued import waits this long before it counts as stuck.
PATIENCE = timedelta(seconds=60)


async def find_import(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> Import | None:
    found = await connection.execute(_one_import(), {"tenant_id": tenant_id, "import_id": import_id})
    row = found.mappings().one_or_none()
    return None if row is None else _import(row)


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
    statement = _many_imports(is_own=True, is_limited=client_ids is not None, goes_on=after is not None)
    values = _own_values(tenant_id, user_id, client_ids, after, limit)
    return await _read(connection, statement, values)


async def list_own_rows(
    connection: AsyncConnection,
    tenant_id: int,
    user_id: int,
    *,
    client_ids: Collection[int] | None,
    after: UUID | None,
    limit: int,
) -> list[Row]:
    """As list_own_imports without undos, and with no more of each than a list shows, which costs a third."""
    statement = _own_rows(is_limited=client_ids is not None, goes_on=after is not None)
    values = _own_values(tenant_id, user_id, client_ids, after, limit)
    return list((await connection.execute(statement, values)).mappings())


def _own_values(
    tenant_id: int, user_id: int, client_ids: Collection[int] | None, after: UUID | None, limit: int
) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "user_id": user_id,
        "client_ids": list(client_ids or ()),
        "after": after,
        "limit": limit,
    }


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
    statement = _many_imports(
        is_limited=client_ids is not None, goes_on=after is not None, has_states=bool(states), is_stuck=stuck_only
    )
    values = {
        "tenant_id": tenant_id,
        "client_ids": list(client_ids or ()),
        "states": list(states),
        "after": after,
        "limit": limit,
    }
    return await _read(connection, statement, values)


# Statements are made once: to make one takes longer than to run it, and watchers run the first of them all the time.
@cache
def _one_import() -> Select[Any]:
    page = select(*OWN_COLUMNS).where(
        imports.c.tenant_id == bindparam("tenant_id"), imports.c.import_id == bindparam("import_id")
    )
    return _with_details(page.subquery("page"))


@cache
def _many_imports(**what: bool) -> Select[Any]:
    return _with_details(_page(**what))


@cache
def _own_rows(**what: bool) -> Select[Any]:
    page = _page(is_own=True, has_undos=False, **what)
    progress, client, report = _of_import(import_progress, page), _client_of(page), _report_of(page)
    return (
        select(
            *(page.c[name] for name in LISTED),
            _percent(page, progress),
            func.coalesce(client.c.name, "").label("client_name"),
            func.coalesce(report.c.name, "").label("report_name"),
        )
        .select_from(_joined(page, progress, client, report))
        .order_by(page.c.import_id.desc())
    )


def _page(
    *,
    is_own: bool = False,
    has_undos: bool = True,
    is_limited: bool = False,
    goes_on: bool = False,
    has_states: bool = False,
    is_stuck: bool = False,
) -> Subquery:
    page = select(*OWN_COLUMNS).where(imports.c.tenant_id == bindparam("tenant_id"))
    if is_own:
        page = page.where(imports.c.user_id == bindparam("user_id"))
    if not has_undos:
        page = page.where(imports.c.kind == IMPORT)
    if is_limited:
        page = page.where(imports.c.client_id == any_(bindparam("client_ids", type_=ARRAY(Integer))))
    if has_states:
        page = page.where(imports.c.state == any_(bindparam("states", type_=ARRAY(Text))))
    if is_stuck:
        page = page.where(_is_stuck())
    if goes_on:
        page = page.where(imports.c.import_id < bindparam("after"))
    return page.order_by(imports.c.import_id.desc()).limit(bindparam("limit", type_=Integer)).subquery("page")


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


def _with_details(page: Subquery) -> Select[Any]:
    """The page with what stands in other tables."""
    progress, claim = _of_import(import_progress, page), _of_import(import_claims, page)
    asked = _of_import(import_requests, page)
    client, report = _client_of(page), _report_of(page)
    return (
        select(
            *(column for column in page.c if column.name != "updated_at"),
            *(progress.c[name] for name in COUNTERS),
            _percent(page, progress),
            func.coalesce(progress.c.phase, "").label("phase"),
            progress.c.cautions,
            progress.c.undo,
            func.greatest(page.c.updated_at, progress.c.updated_at).label("updated_at"),
            func.coalesce(claim.c.attempt, 0).label("attempt"),
            func.coalesce(asked.c.action == "cancel", False).label("cancel_requested"),
            func.coalesce(asked.c.action == "pause", False).label("pause_requested"),
            func.coalesce(client.c.name, "").label("client_name"),
            func.coalesce(report.c.name, "").label("report_name"),
        )
        .select_from(_joined(page, progress, claim, asked, client, report))
        .order_by(page.c.import_id.desc())
    )


def _joined(page: Subquery, *others: LateralFromClause) -> FromClause:
    """Each of the others is a look-up of one row by primary key.

    A plain join would become a hash of a whole table when the planner thinks the page long or the table short.
    """
    joined: FromClause = page
    for each in others:
        joined = joined.outerjoin(each, true())
    return joined


def _percent(page: Subquery, progress: LateralFromClause) -> ColumnElement[int]:
    # The last progress of a worker may be a step behind the state, which is written last.
    return case((page.c.state == "SUCCEEDED", COMPLETE_PERCENT), else_=func.coalesce(progress.c.percent, 0)).label(
        "percent"
    )


def _client_of(page: Subquery) -> LateralFromClause:
    return _one(clients, clients.c.tenant_id == page.c.tenant_id, clients.c.client_id == page.c.client_id)


def _report_of(page: Subquery) -> LateralFromClause:
    return _one(reports, reports.c.tenant_id == page.c.tenant_id, reports.c.report_id == page.c.report_id)


def _of_import(table: Table, page: Subquery) -> LateralFromClause:
    return _one(table, table.c.tenant_id == page.c.tenant_id, table.c.import_id == page.c.import_id)


def _one(table: Table, *conditions: ColumnElement[bool]) -> LateralFromClause:
    return select(table).where(*conditions).limit(1).lateral(f"one_of_{table.name}")


async def _read(connection: AsyncConnection, statement: Select[Any], values: Mapping[str, Any]) -> list[Import]:
    """`values` may have more than the statement asks for."""
    return [_import(row) for row in (await connection.execute(statement, values)).mappings()]


def _import(row: Any) -> Import:
    return Import(
        **{name: row[name] for name in PLAIN},
        counters=Counters(*[row[name] or 0 for name in COUNTERS]),
        cautions=tuple(row["cautions"] or ()),
        asset_tags=tuple(row["asset_tags"]),
        finding_tags=tuple(row["finding_tags"]),
        undo=tuple(row["undo"] or ()),
    )

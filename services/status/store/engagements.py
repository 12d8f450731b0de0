"""Queries over clients and reports: what imports go into."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.findings import findings
from schema.importer import clients, reports
from services.status.model import Batches, Listing, Row
from services.status.store.listing import all_rows, client_scope, one_row, read_page, stream_rows

CLIENT_COLUMNS: dict[str, ColumnElement[Any]] = {
    "client_id": clients.c.client_id,
    "created_at": clients.c.created_at,
    "name": clients.c.name,
    "poc": clients.c.poc,
    "tags": clients.c.tags,
    "search": func.concat_ws(" ", clients.c.name, clients.c.poc, clients.c.poc_email),
}
REPORT_COLUMNS: dict[str, ColumnElement[Any]] = {
    "client_id": reports.c.client_id,
    "created_at": reports.c.created_at,
    "name": reports.c.name,
    "operators": reports.c.details["operators"],
    "report_id": reports.c.report_id,
    "reviewers": reports.c.details["reviewers"],
    "status": reports.c.status,
    "tags": reports.c.tags,
}


def _clients(tenant_id: int, client_ids: Collection[int] | None) -> Select[Any]:
    return select(clients).where(clients.c.tenant_id == tenant_id, client_scope(clients.c.client_id, client_ids))


def _reports(tenant_id: int, client_ids: Collection[int] | None) -> Select[Any]:
    finding_count = (
        select(func.count())
        .where(findings.c.tenant_id == reports.c.tenant_id, findings.c.report_id == reports.c.report_id)
        .correlate(reports)
        .scalar_subquery()
    )
    return (
        select(reports, finding_count.label("finding_count"), clients.c.name.label("client_name"))
        .join(clients, and_(clients.c.tenant_id == reports.c.tenant_id, clients.c.client_id == reports.c.client_id))
        .where(reports.c.tenant_id == tenant_id, client_scope(reports.c.client_id, client_ids))
    )


async def find_client(connection: AsyncConnection, tenant_id: int, client_id: int) -> Row | None:
    return await one_row(connection, _clients(tenant_id, [client_id]))


async def find_report(connection: AsyncConnection, tenant_id: int, client_id: int, report_id: int) -> Row | None:
    return await one_row(connection, _reports(tenant_id, [client_id]).where(reports.c.report_id == report_id))


async def find_names(connection: AsyncConnection, tenant_id: int, client_id: int, report_id: int) -> Row | None:
    """Only what the report and its client are called: nothing is counted for it."""
    statement = _reports(tenant_id, [client_id]).where(reports.c.report_id == report_id)
    names = statement.with_only_columns(reports.c.name.label("report_name"), clients.c.name.label("client_name"))
    return await one_row(connection, names)


async def list_clients(
    connection: AsyncConnection, tenant_id: int, *, client_ids: Collection[int] | None, after: int, limit: int
) -> list[Row]:
    """By id, beginning behind `after`."""
    statement = _clients(tenant_id, client_ids).where(clients.c.client_id > after)
    return await all_rows(connection, statement.order_by(clients.c.client_id).limit(limit))


async def list_reports(
    connection: AsyncConnection, tenant_id: int, client_id: int, *, after: int, limit: int
) -> list[Row]:
    """Of one client, by id, beginning behind `after`."""
    statement = _reports(tenant_id, [client_id]).where(reports.c.report_id > after)
    return await all_rows(connection, statement.order_by(reports.c.report_id).limit(limit))


async def page_of_clients(
    connection: AsyncConnection, tenant_id: int, client_ids: Collection[int] | None, listing: Listing
) -> tuple[int, list[Row]]:
    """The number of all that fit, and those of the page."""
    return await read_page(connection, _clients(tenant_id, client_ids), CLIENT_COLUMNS, listing, clients.c.client_id)


async def page_of_reports(
    connection: AsyncConnection, tenant_id: int, client_ids: Collection[int] | None, listing: Listing
) -> tuple[int, list[Row]]:
    """As page_of_clients."""
    return await read_page(connection, _reports(tenant_id, client_ids), REPORT_COLUMNS, listing, reports.c.report_id)


def stream_clients(connection: AsyncConnection, tenant_id: int, client_ids: Collection[int] | None) -> Batches:
    """All, by id, in batches."""
    return stream_rows(connection, _clients(tenant_id, client_ids).order_by(clients.c.client_id))


def stream_reports(connection: AsyncConnection, tenant_id: int, client_id: int) -> Batches:
    """All of one client, by id, in batches."""
    return stream_rows(connection, _reports(tenant_id, [client_id]).order_by(reports.c.report_id))

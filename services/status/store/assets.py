"""Queries over the assets of clients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CollectionAggregate, ColumnElement, Select, and_, any_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.findings import affected_assets, assets, findings
from services.status.model import Batches, Listing, Row
from services.status.store.listing import all_rows, client_scope, one_row, read_page, stream_rows

COLUMNS: dict[str, ColumnElement[Any]] = {
    "client_id": assets.c.client_id,
    "created_at": assets.c.created_at,
    "name": assets.c.name,
    "search": func.concat_ws(" ", assets.c.name, assets.c.hostname, func.array_to_string(assets.c.ips, " ")),
    "tags": assets.c.tags,
    "type": assets.c.type,
    "updated_at": assets.c.updated_at,
}


def _of_client(tenant_id: int, client_id: int) -> Select[Any]:
    return select(assets).where(assets.c.tenant_id == tenant_id, assets.c.client_id == client_id)


def _in_report(tenant_id: int, report_id: int) -> ColumnElement[bool]:
    """That a finding of the report is on the asset.

    As arrays, each made once through an index: as a join it is at the mercy of statistics, which tables that have just
    been filled lack, and then it ran into the statement timeout for four assets beside hundreds of thousands.
    """
    of_report = select(findings.c.finding_id).where(
        findings.c.tenant_id == tenant_id, findings.c.report_id == report_id
    )
    affected = (
        select(affected_assets.c.asset_id)
        .distinct()
        .where(affected_assets.c.tenant_id == tenant_id, affected_assets.c.finding_id == _any_of(of_report))
    )
    return assets.c.asset_id == _any_of(affected)


def _any_of(ids: Select[tuple[int]]) -> CollectionAggregate[Any]:
    return any_(func.array(ids.scalar_subquery(), type_=ARRAY(BigInteger)))


async def find_asset(connection: AsyncConnection, tenant_id: int, client_id: int, asset_id: int) -> Row | None:
    statement = _of_client(tenant_id, client_id).where(assets.c.asset_id == asset_id)
    return await one_row(connection, statement)


async def list_assets(
    connection: AsyncConnection, tenant_id: int, client_id: int, report_id: int | None, *, after: int, limit: int
) -> list[Row]:
    """By id, beginning behind `after`; with a report only the assets in it."""
    statement = _of_client(tenant_id, client_id).where(assets.c.asset_id > after)
    if report_id is not None:
        statement = statement.where(_in_report(tenant_id, report_id))
    return await all_rows(connection, statement.order_by(assets.c.asset_id).limit(limit))


async def page_of_client_assets(
    connection: AsyncConnection, tenant_id: int, client_id: int, listing: Listing
) -> tuple[int, list[Row]]:
    """The number of all that fit, and those of the page."""
    return await read_page(connection, _of_client(tenant_id, client_id), COLUMNS, listing, assets.c.asset_id)


async def page_of_tenant_assets(
    connection: AsyncConnection, tenant_id: int, client_ids: Collection[int] | None, listing: Listing
) -> tuple[int, list[Row]]:
    """As page_of_client_assets, of all clients that may be seen."""
    statement = select(assets).where(assets.c.tenant_id == tenant_id, client_scope(assets.c.client_id, client_ids))
    return await read_page(connection, statement, COLUMNS, listing, assets.c.asset_id)


def stream_assets(connection: AsyncConnection, tenant_id: int, client_id: int, report_id: int | None) -> Batches:
    """All, by id, in batches; with a report only the assets in it."""
    statement = _of_client(tenant_id, client_id)
    if report_id is not None:
        statement = statement.where(_in_report(tenant_id, report_id))
    return stream_rows(connection, statement.order_by(assets.c.asset_id))


async def count_severities(
    connection: AsyncConnection, tenant_id: int, asset_ids: Collection[int]
) -> dict[int, dict[int, int]]:
    """How many findings of each severity are on each of these assets."""
    place = affected_assets
    statement = (
        select(place.c.asset_id, findings.c.severity, func.count(findings.c.finding_id.distinct()))
        .join(findings, and_(findings.c.tenant_id == place.c.tenant_id, findings.c.finding_id == place.c.finding_id))
        .where(place.c.tenant_id == tenant_id, place.c.asset_id.in_(sorted(asset_ids)))
        .group_by(place.c.asset_id, findings.c.severity)
    )
    counts: dict[int, dict[int, int]] = {}
    for asset_id, severity, count in await connection.execute(statement):
        counts.setdefault(asset_id, {})[severity] = count
    return counts

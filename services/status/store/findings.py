"""Queries over findings, the places where they are, and the evidence of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Numeric, Select, Text, and_, cast, func, select
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.findings import affected_assets, assets, evidence, findings
from services.status.model import Batches, Listing, Row
from services.status.store.listing import all_rows, one_row, read_page, stream_rows

# An evidence text has up to a million characters, and a batch of them is held in memory.
EVIDENCE_BATCH_ROWS = 4

# Not the bare column: without statistics, as after a large import, the planner would walk all evidence of the tenant
# in the order of its primary key to find that of one place.
_BY_EVIDENCE = evidence.c.evidence_id + 0

# What a row of `flaws` is made of: the long texts stay where they are.
SUMMARY = (
    findings.c.flaw_id,
    findings.c.client_id,
    findings.c.report_id,
    findings.c.severity,
    findings.c.title,
    findings.c.status,
    findings.c.visibility,
    findings.c.created_at,
    findings.c.updated_at,
    findings.c.closed_at,
)


def _base_score(system: str) -> ColumnElement[Any]:
    """The base score of one CVSS version, out of `[{system, base, …}]`."""
    path = cast(f'$[*] ? (@.system == "{system}").base', JSONPATH)
    # `#>> '{}'` is the value as text, and SQL's null for that of JSON.
    return cast(func.jsonb_path_query_first(findings.c.scores, path).op("#>>")(cast([], ARRAY(Text))), Numeric)


COLUMNS: dict[str, ColumnElement[Any]] = {
    "client_id": findings.c.client_id,
    "closed_at": findings.c.closed_at,
    "created_at": findings.c.created_at,
    "cve": findings.c.cves[1],
    "cvss3_1": _base_score("cvss3_1"),
    "cwe": findings.c.cwes[1],
    "flaw_id": findings.c.flaw_id,
    "report_id": findings.c.report_id,
    "severity": findings.c.severity,
    "source": findings.c.source,
    "status": findings.c.status,
    "tags": findings.c.tags,
    "title": findings.c.title,
    "updated_at": findings.c.updated_at,
    "visibility": findings.c.visibility,
}


def _of_report(statement: Select[Any], tenant_id: int, report_id: int) -> Select[Any]:
    return statement.where(findings.c.tenant_id == tenant_id, findings.c.report_id == report_id)


async def find_finding(connection: AsyncConnection, tenant_id: int, report_id: int, flaw_id: int) -> Row | None:
    statement = _of_report(select(findings), tenant_id, report_id).where(findings.c.flaw_id == flaw_id)
    return await one_row(connection, statement)


async def list_findings(
    connection: AsyncConnection, tenant_id: int, report_id: int, *, after: int, limit: int
) -> list[Row]:
    """By public id, beginning behind `after`, each with the number of assets that have it."""
    asset_count = (
        select(func.count(affected_assets.c.asset_id.distinct()))
        .where(
            affected_assets.c.tenant_id == findings.c.tenant_id, affected_assets.c.finding_id == findings.c.finding_id
        )
        .correlate(findings)
        .scalar_subquery()
    )
    statement = _of_report(select(findings, asset_count.label("affected_asset_count")), tenant_id, report_id)
    page = statement.where(findings.c.flaw_id > after).order_by(findings.c.flaw_id).limit(limit)
    return await all_rows(connection, page)


async def page_of_findings(
    connection: AsyncConnection, tenant_id: int, report_id: int, listing: Listing
) -> tuple[int, list[Row]]:
    """The number of all that fit, and those of the page."""
    return await read_page(
        connection, _of_report(select(findings), tenant_id, report_id), COLUMNS, listing, findings.c.flaw_id
    )


def stream_summaries(connection: AsyncConnection, tenant_id: int, report_id: int) -> Batches:
    """SUMMARY of all findings of a report in the order of an index, so that the first comes at once."""
    statement = _of_report(select(*SUMMARY), tenant_id, report_id).order_by(findings.c.flaw_id)
    return stream_rows(connection, statement)


def stream_places(connection: AsyncConnection, tenant_id: int, finding_id: int) -> Batches:
    """Every place of a finding with its asset and the ids of its evidence, by asset.

    A place's own columns begin with `place_`.
    """
    place = affected_assets
    statement = (
        select(assets, *_place_columns())
        .select_from(place)
        .join(assets, and_(assets.c.tenant_id == place.c.tenant_id, assets.c.asset_id == place.c.asset_id))
        .where(place.c.tenant_id == tenant_id, place.c.finding_id == finding_id)
        .order_by(place.c.asset_id)
    )
    return stream_rows(connection, statement)


def stream_findings_of_assets(
    connection: AsyncConnection,
    tenant_id: int,
    client_id: int,
    *,
    asset_id: int | None = None,
    report_id: int | None = None,
) -> Batches:
    """Every place on the assets of a client with its finding, by asset and public id of the finding.

    Only those on one asset, or those of the findings of one report, where that is said.
    """
    place = affected_assets
    statement = (
        select(place.c.asset_id, *_place_columns(), *SUMMARY, findings.c.finding_id, findings.c.tenant_id)
        .select_from(assets)
        .join(place, and_(place.c.tenant_id == assets.c.tenant_id, place.c.asset_id == assets.c.asset_id))
        .join(findings, and_(findings.c.tenant_id == place.c.tenant_id, findings.c.finding_id == place.c.finding_id))
        .where(assets.c.tenant_id == tenant_id, assets.c.client_id == client_id)
        .order_by(assets.c.asset_id, findings.c.flaw_id)
    )
    if asset_id is not None:
        statement = statement.where(assets.c.asset_id == asset_id)
    if report_id is not None:
        statement = statement.where(findings.c.report_id == report_id)
    return stream_rows(connection, statement)


def stream_evidence(connection: AsyncConnection, tenant_id: int, finding_id: int, asset_id: int) -> Batches:
    """All evidence of one finding on one asset, with the public ids of both."""
    place = affected_assets
    public_ids = (findings.c.flaw_id, findings.c.client_id, findings.c.report_id, place.c.asset_id)
    statement = (
        select(evidence, *public_ids)
        .join(place, and_(place.c.tenant_id == evidence.c.tenant_id, place.c.affected_id == evidence.c.affected_id))
        .join(findings, and_(findings.c.tenant_id == place.c.tenant_id, findings.c.finding_id == place.c.finding_id))
        .where(place.c.tenant_id == tenant_id, place.c.finding_id == finding_id, place.c.asset_id == asset_id)
        .order_by(_BY_EVIDENCE)
    )
    return stream_rows(connection, statement, EVIDENCE_BATCH_ROWS)


def _place_columns() -> list[ColumnElement[Any]]:
    """The columns of one place, prefixed: an asset and a finding have some of the same names."""
    proof = (
        select(evidence.c.evidence_id)
        .where(
            evidence.c.tenant_id == affected_assets.c.tenant_id,
            evidence.c.affected_id == affected_assets.c.affected_id,
        )
        # In the order of the index of a place's evidence, so that no planner without statistics prefers another one,
        # which has all evidence of the tenant. Whoever shows them sorts these few.
        .order_by(evidence.c.digest)
        .correlate(affected_assets)
        .scalar_subquery()
    )
    names = (
        "affected_id",
        "port",
        "protocol",
        "service",
        "location",
        "parameters",
        "notes",
        "status",
        "created_at",
        "updated_at",
    )
    return [
        *(affected_assets.c[name].label(f"place_{name}") for name in names),
        func.array(proof).label("place_evidence_ids"),
    ]

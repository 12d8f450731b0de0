"""Queries on clients, reports and limits."""

from __future__ import annotations

from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert

from runtime.database import Database
from schema.importer import clients, reports, tenant_limits
from services.importer.ports import Limits, NewClient, NewReport


class SqlEngagementStore:
    """The `EngagementStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_client(self, tenant_id: int, client: NewClient) -> int:
        row = insert(clients).values(
            tenant_id=tenant_id,
            name=client.name,
            description=client.description,
            poc=client.poc,
            poc_email=client.poc_email,
            tags=list(client.tags),
        )
        async with self._database.transaction(tenant_id) as connection:
            client_id: int = (await connection.execute(row.returning(clients.c.client_id))).scalar_one()
        return client_id

    async def add_report(self, tenant_id: int, report: NewReport) -> int | None:
        values: dict[str, Any] = {
            "name": report.name,
            "description": report.description,
            "status": report.status,
            "details": report.details,
            "tags": list(report.tags),
        }
        client = select(
            clients.c.tenant_id,
            clients.c.client_id,
            *(literal(value, reports.c[name].type) for name, value in values.items()),
        ).where(clients.c.tenant_id == tenant_id, clients.c.client_id == report.client_id)
        row = insert(reports).from_select(["tenant_id", "client_id", *values], client)
        async with self._database.transaction(tenant_id) as connection:
            report_id: int | None = await connection.scalar(row.returning(reports.c.report_id))
        return report_id

    async def limits(self, tenant_id: int) -> Limits:
        query = select(tenant_limits.c.max_file_bytes, tenant_limits.c.max_running_imports).where(
            tenant_limits.c.tenant_id == tenant_id
        )
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        return Limits(*row) if row else Limits(None, None)

    async def set_limits(self, tenant_id: int, limits: Limits) -> None:
        values = {"max_file_bytes": limits.max_file_bytes, "max_running_imports": limits.max_running_imports}
        row = insert(tenant_limits).values(tenant_id=tenant_id, **values)
        async with self._database.transaction(tenant_id) as connection:
            await connection.execute(row.on_conflict_do_update(index_elements=[tenant_limits.c.tenant_id], set_=values))

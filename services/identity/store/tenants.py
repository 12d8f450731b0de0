"""Queries on tenants."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.identity import tenants
from services.identity.model import Tenant


class TenantQueries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, tenant_id: int) -> Tenant | None:
        row = (await self._connection.execute(select(tenants).where(tenants.c.tenant_id == tenant_id))).one_or_none()
        return _read_tenant(row) if row else None

    async def get_by_name(self, name: str) -> Tenant | None:
        row = (await self._connection.execute(select(tenants).where(tenants.c.name == name))).one_or_none()
        return _read_tenant(row) if row else None

    async def list(self, *, after: int, limit: int) -> list[Tenant]:
        query = select(tenants).where(tenants.c.tenant_id > after).order_by(tenants.c.tenant_id).limit(limit)
        return [_read_tenant(row) for row in await self._connection.execute(query)]

    async def add(self, name: str) -> Tenant | None:
        """None when the name is taken."""
        statement = insert(tenants).values(name=name).on_conflict_do_nothing().returning(tenants)
        row = (await self._connection.execute(statement)).one_or_none()
        return _read_tenant(row) if row else None

    async def set_disabled(self, tenant_id: int, *, disabled: bool) -> Tenant | None:
        statement = update(tenants).where(tenants.c.tenant_id == tenant_id).values(disabled=disabled)
        row = (await self._connection.execute(statement.returning(tenants))).one_or_none()
        return _read_tenant(row) if row else None


def _read_tenant(row: Row[Any]) -> Tenant:
    return Tenant(tenant_id=row.tenant_id, name=row.name, disabled=row.disabled, created_at=row.created_at)

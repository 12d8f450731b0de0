"""Queries on the workspaces of the dialects that have them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.identity import workspaces
from services.identity.model import Workspace


class WorkspaceQueries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self, tenant_id: int, *, after: UUID, limit: int) -> list[Workspace]:
        query = select(workspaces).where(workspaces.c.tenant_id == tenant_id, workspaces.c.workspace_id > after)
        rows = await self._connection.execute(query.order_by(workspaces.c.workspace_id).limit(limit))
        return [_read_workspace(row) for row in rows]

    async def add(self, tenant_id: int, workspace_id: UUID, *, dialect: str, name: str) -> Workspace:
        values = {"tenant_id": tenant_id, "workspace_id": workspace_id, "dialect": dialect, "name": name}
        statement = insert(workspaces).values(values).returning(workspaces)
        return _read_workspace((await self._connection.execute(statement)).one())

    async def set_disabled(self, tenant_id: int, workspace_id: UUID, *, disabled: bool) -> Workspace | None:
        statement = (
            update(workspaces)
            .where(workspaces.c.tenant_id == tenant_id, workspaces.c.workspace_id == workspace_id)
            .values(disabled=disabled)
            .returning(workspaces)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return _read_workspace(row) if row else None


def _read_workspace(row: Row[Any]) -> Workspace:
    return Workspace(workspace_id=row.workspace_id, dialect=row.dialect, name=row.name, disabled=row.disabled)

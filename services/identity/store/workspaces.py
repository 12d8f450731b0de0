"""Queries on the workspaces of the dialects that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Text, cast, insert, or_, select, update
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

    async def usable(self, tenant_id: int, dialect: str, wanted: str) -> Sequence[Workspace]:
        """Those that are not disabled and have this id or this name, oldest first; `wanted` empty: all."""
        query = select(workspaces).where(
            workspaces.c.tenant_id == tenant_id, workspaces.c.dialect == dialect, ~workspaces.c.disabled
        )
        if wanted:
            query = query.where(or_(workspaces.c.name == wanted, cast(workspaces.c.workspace_id, Text) == wanted))
        # Ids are UUIDv7, which grow with time.
        rows = await self._connection.execute(query.order_by(workspaces.c.workspace_id))
        return [_read_workspace(row) for row in rows]

    async def is_there(self, tenant_id: int, dialect: str, name: str) -> bool:
        """Also when it is disabled."""
        query = select(workspaces.c.workspace_id).where(
            workspaces.c.tenant_id == tenant_id, workspaces.c.dialect == dialect, workspaces.c.name == name
        )
        return await self._connection.scalar(query.limit(1)) is not None

    async def add(
        self, tenant_id: int, workspace_id: UUID, *, dialect: str, name: str, bucket_id: str | None
    ) -> Workspace:
        values = {
            "tenant_id": tenant_id,
            "workspace_id": workspace_id,
            "dialect": dialect,
            "name": name,
            "bucket_id": bucket_id,
        }
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
    return Workspace(
        workspace_id=row.workspace_id,
        dialect=row.dialect,
        name=row.name,
        disabled=row.disabled,
        own_bucket_id=row.bucket_id,
    )

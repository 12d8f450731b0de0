"""Queries on container tokens, one of each import source. Only digests and sealed texts come here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.identity import container_tokens, users, workspaces
from services.identity.model import Account, ContainerToken
from services.identity.store.accounts import COLUMNS, USERS_OF_TENANTS, read_account

# A token may be used many times in a second; to write that down once a minute is enough.
USE_NOTED = timedelta(minutes=1)
# Beside those of an account, whose names they must not have.
TOKEN_COLUMNS: tuple[ColumnElement[Any], ...] = (
    container_tokens.c.import_source_id,
    container_tokens.c.workspace_id,
    container_tokens.c.user_id.label("owner_id"),
    container_tokens.c.sealed,
    container_tokens.c.created_at,
    container_tokens.c.used_at,
)


class ContainerTokenQueries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(
        self, owner: Account, import_source_id: UUID, workspace_id: UUID, *, digest: bytes, sealed: bytes
    ) -> ContainerToken | None:
        """The source's token from now on. None when the source has one of another tenant's."""
        values = {
            "workspace_id": workspace_id,
            "user_id": owner.user_id,
            "secret_hash": digest,
            "sealed": sealed,
            "created_at": func.now(),
            "used_at": None,
        }
        statement = (
            insert(container_tokens)
            .values(tenant_id=owner.tenant_id, import_source_id=import_source_id, **values)
            .on_conflict_do_update(
                index_elements=[container_tokens.c.import_source_id],
                set_=values,
                where=container_tokens.c.tenant_id == owner.tenant_id,
            )
            .returning(*TOKEN_COLUMNS)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return _read_token(row) if row else None

    async def get(self, tenant_id: int, import_source_id: UUID) -> ContainerToken | None:
        query = select(*TOKEN_COLUMNS).where(
            container_tokens.c.tenant_id == tenant_id, container_tokens.c.import_source_id == import_source_id
        )
        row = (await self._connection.execute(query)).one_or_none()
        return _read_token(row) if row else None

    async def remove(self, tenant_id: int, import_source_id: UUID) -> None:
        await self._connection.execute(
            delete(container_tokens).where(
                container_tokens.c.tenant_id == tenant_id, container_tokens.c.import_source_id == import_source_id
            )
        )

    async def get_owner(self, digest: bytes) -> tuple[Account, ContainerToken] | None:
        """Whose token this is; None when there is no such token, or its workspace is disabled."""
        query = (
            select(*COLUMNS, *TOKEN_COLUMNS)
            .select_from(
                USERS_OF_TENANTS.join(container_tokens, container_tokens.c.user_id == users.c.user_id).join(
                    workspaces, workspaces.c.workspace_id == container_tokens.c.workspace_id
                )
            )
            .where(container_tokens.c.secret_hash == digest, ~workspaces.c.disabled)
        )
        row = (await self._connection.execute(query)).one_or_none()
        return (read_account(row), _read_token(row)) if row else None

    async def note_use(self, digest: bytes) -> None:
        await self._connection.execute(
            update(container_tokens)
            .where(container_tokens.c.secret_hash == digest)
            .where(or_(container_tokens.c.used_at.is_(None), container_tokens.c.used_at < func.now() - USE_NOTED))
            .values(used_at=func.now())
        )


def _read_token(row: Row[Any]) -> ContainerToken:
    return ContainerToken(
        import_source_id=row.import_source_id,
        workspace_id=row.workspace_id,
        user_id=row.owner_id,
        sealed=row.sealed,
        created_at=row.created_at,
        used_at=row.used_at,
    )

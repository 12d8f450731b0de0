"""Queries on people and service accounts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.auth import Role
from schema.identity import tenants, users
from services.identity.model import Account

COLUMNS = (
    users.c.user_id,
    users.c.tenant_id,
    users.c.email,
    users.c.role,
    users.c.operator,
    users.c.service_account,
    users.c.client_ids,
    (users.c.disabled | tenants.c.disabled).label("is_disabled"),
    users.c.tokens_valid_after,
    users.c.created_at.label("account_created_at"),
)
USERS_OF_TENANTS = users.join(tenants, users.c.tenant_id == tenants.c.tenant_id)


class AccountQueries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, tenant_id: int, user_id: int) -> Account | None:
        query = _accounts().where(users.c.tenant_id == tenant_id, users.c.user_id == user_id)
        row = (await self._connection.execute(query)).one_or_none()
        return read_account(row) if row else None

    async def get_with_password(self, email: str) -> tuple[Account, str | None] | None:
        """The account of a user name, and the hash of its password; a service account has none."""
        query = _accounts().add_columns(users.c.password_hash).where(users.c.email == email)
        row = (await self._connection.execute(query)).one_or_none()
        return (read_account(row), row.password_hash) if row else None

    async def list(self, tenant_id: int, *, after: int, limit: int) -> list[Account]:
        query = _accounts().where(users.c.tenant_id == tenant_id, users.c.user_id > after)
        rows = await self._connection.execute(query.order_by(users.c.user_id).limit(limit))
        return [read_account(row) for row in rows]

    async def add(
        self,
        tenant_id: int,
        email: str,
        *,
        role: Role,
        password_hash: str | None,
        client_ids: frozenset[int] | None = None,
        operator: bool = False,
    ) -> Account | None:
        """None when the name is taken, by whichever tenant. An account without a password is a service account."""
        statement = (
            insert(users)
            .values(
                tenant_id=tenant_id,
                email=email,
                password_hash=password_hash,
                role=int(role),
                operator=operator,
                service_account=password_hash is None,
                client_ids=sorted(client_ids or ()),
            )
            .on_conflict_do_nothing()
            .returning(users.c.user_id)
        )
        user_id = (await self._connection.execute(statement)).scalar_one_or_none()
        return None if user_id is None else await self.get(tenant_id, user_id)

    async def set_disabled(self, account: Account, *, disabled: bool) -> Account:
        return await self._change(account, disabled=disabled, tokens_valid_after=func.clock_timestamp())

    async def set_role(self, account: Account, role: Role, client_ids: frozenset[int] | None) -> Account:
        return await self._change(account, role=int(role), client_ids=sorted(client_ids or ()))

    async def set_password(self, account: Account, password_hash: str) -> Account:
        """Also ends every token that was made so far."""
        return await self._change(account, password_hash=password_hash, tokens_valid_after=func.clock_timestamp())

    async def replace_hash(self, account: Account, old_hash: str, new_hash: str) -> None:
        """The same password hashed anew, unless it was changed in between."""
        statement = update(users).where(users.c.user_id == account.user_id, users.c.password_hash == old_hash)
        await self._connection.execute(statement.values(password_hash=new_hash))

    async def make_operator(self, account: Account) -> Account:
        return await self._change(account, operator=True, role=int(Role.ADMIN), disabled=False, client_ids=[])

    async def count_other_administrators(self, account: Account) -> int:
        """People who can administer the tenant if this account cannot."""
        return await self._count_others(account, users.c.tenant_id == account.tenant_id)

    async def count_other_operators(self, account: Account) -> int:
        """People who can operate the installation if this account cannot."""
        return await self._count_others(account, users.c.operator, ~tenants.c.disabled)

    async def _count_others(self, account: Account, *conditions: ColumnElement[bool]) -> int:
        query = (
            select(func.count())
            .select_from(USERS_OF_TENANTS)
            .where(users.c.user_id != account.user_id, users.c.role == int(Role.ADMIN), users.c.client_ids == [])
            .where(~users.c.disabled, ~users.c.service_account, *conditions)
        )
        return (await self._connection.execute(query)).scalar_one()

    async def _change(self, account: Account, **values: Any) -> Account:
        await self._connection.execute(update(users).where(users.c.user_id == account.user_id).values(values))
        changed = await self.get(account.tenant_id, account.user_id)
        if changed is None:
            message = f"account {account.user_id} is gone, and accounts are never deleted"
            raise RuntimeError(message)
        return changed


def _accounts() -> Select[Any]:
    return select(*COLUMNS).select_from(USERS_OF_TENANTS)


def read_account(row: Row[Any]) -> Account:
    return Account(
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        email=row.email,
        role=Role(row.role),
        operator=row.operator,
        service_account=row.service_account,
        client_ids=frozenset(row.client_ids) or None,
        disabled=row.is_disabled,
        tokens_valid_after=row.tokens_valid_after,
        created_at=row.account_created_at,
    )

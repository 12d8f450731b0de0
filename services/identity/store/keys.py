"""Queries on API keys. Only digests of secrets come here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.identity import api_keys, users
from services.identity.model import Account, KeyRecord
from services.identity.store.accounts import COLUMNS, USERS_OF_TENANTS, read_account


class KeyQueries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get_owner(self, digest: bytes) -> tuple[Account, frozenset[str]] | None:
        """Whose key this is, and its scopes; None when there is no such key that is good at this moment."""
        is_it = or_(
            api_keys.c.secret_hash == digest,
            and_(api_keys.c.previous_hash == digest, api_keys.c.previous_until > func.now()),
        )
        query = (
            select(*COLUMNS, api_keys.c.scopes)
            .select_from(USERS_OF_TENANTS.join(api_keys, api_keys.c.user_id == users.c.user_id))
            .where(is_it, ~api_keys.c.disabled)
            .where(or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()))
        )
        row = (await self._connection.execute(query)).one_or_none()
        return (read_account(row), frozenset(row.scopes)) if row else None

    async def get(self, tenant_id: int, api_key_id: int) -> KeyRecord | None:
        query = select(api_keys).where(api_keys.c.tenant_id == tenant_id, api_keys.c.api_key_id == api_key_id)
        row = (await self._connection.execute(query)).one_or_none()
        return _read_key(row) if row else None

    async def list(self, tenant_id: int, *, after: int, limit: int) -> list[KeyRecord]:
        query = select(api_keys).where(api_keys.c.tenant_id == tenant_id, api_keys.c.api_key_id > after)
        rows = await self._connection.execute(query.order_by(api_keys.c.api_key_id).limit(limit))
        return [_read_key(row) for row in rows]

    async def add(
        self,
        owner: Account,
        *,
        name: str,
        prefix: str,
        digest: bytes,
        scopes: frozenset[str] = frozenset(),
        life: timedelta | None = None,
    ) -> KeyRecord | None:
        """None when there is a key with this secret, which only a secret from outside can be."""
        statement = insert(api_keys).values(
            tenant_id=owner.tenant_id,
            user_id=owner.user_id,
            name=name,
            prefix=prefix,
            secret_hash=digest,
            scopes=sorted(scopes),
            expires_at=None if life is None else func.now() + life,
        )
        row = (await self._connection.execute(statement.on_conflict_do_nothing().returning(api_keys))).one_or_none()
        return _read_key(row) if row else None

    async def set_disabled(self, key: KeyRecord, *, disabled: bool) -> KeyRecord:
        return await self._change(key, disabled=disabled)

    async def rotate(self, key: KeyRecord, *, prefix: str, digest: bytes, grace: timedelta) -> KeyRecord:
        """A new secret; the one so far stays good for `grace`, the one before it does not."""
        return await self._change(
            key,
            prefix=prefix,
            secret_hash=digest,
            previous_hash=api_keys.c.secret_hash if grace else None,
            previous_until=func.now() + grace if grace else None,
        )

    async def disable_others(self, owner: Account, name: str, digest: bytes) -> None:
        """Disable this user's keys of this name, but for the one with this secret."""
        await self._connection.execute(
            update(api_keys)
            .where(api_keys.c.user_id == owner.user_id, api_keys.c.name == name, api_keys.c.secret_hash != digest)
            .values(disabled=True)
        )

    async def _change(self, key: KeyRecord, **values: Any) -> KeyRecord:
        statement = update(api_keys).where(api_keys.c.api_key_id == key.api_key_id).values(values).returning(api_keys)
        return _read_key((await self._connection.execute(statement)).one())


def _read_key(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        api_key_id=row.api_key_id,
        user_id=row.user_id,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(row.scopes),
        disabled=row.disabled,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )

"""Queries on writeups."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.parser_actions import parser_action_settings, writeups
from services.importer.writeups import Writeup, WriteupText


class SqlWriteupStore:
    """The `WriteupStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant_id: int, text: WriteupText) -> Writeup:
        statement = insert(writeups).values(tenant_id=tenant_id, **asdict(text)).returning(writeups)
        async with self._database.transaction(tenant_id) as connection:
            # Nothing links to it yet, so no file comes out differently.
            return writeup_of((await connection.execute(statement)).one())

    async def find(self, tenant_id: int, writeup_id: int) -> Writeup | None:
        query = select(writeups).where(writeups.c.tenant_id == tenant_id, writeups.c.writeup_id == writeup_id)
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else writeup_of(row)

    async def list(self, tenant_id: int, *, after: int, limit: int) -> list[Writeup]:
        query = (
            select(writeups)
            .where(writeups.c.tenant_id == tenant_id, writeups.c.writeup_id > after, ~writeups.c.is_deleted)
            .order_by(writeups.c.writeup_id)
            .limit(limit)
        )
        async with self._database.transaction(tenant_id) as connection:
            return [writeup_of(row) for row in await connection.execute(query)]

    async def change(self, tenant_id: int, writeup_id: int, text: WriteupText) -> Writeup | None:
        row = await self._change(tenant_id, writeup_id, asdict(text))
        return None if row is None else writeup_of(row)

    async def delete(self, tenant_id: int, writeup_id: int) -> bool:
        return await self._change(tenant_id, writeup_id, {"is_deleted": True}) is not None

    async def _change(self, tenant_id: int, writeup_id: int, values: dict[str, Any]) -> Row[*tuple[Any, ...]] | None:
        statement = (
            update(writeups)
            .where(writeups.c.tenant_id == tenant_id, writeups.c.writeup_id == writeup_id, ~writeups.c.is_deleted)
            .values(**values, updated_at=func.now())
            .returning(writeups)
        )
        async with self._database.transaction(tenant_id) as connection:
            found: Row[*tuple[Any, ...]] | None = (await connection.execute(statement)).one_or_none()
            if found is not None:
                await raise_version(connection, tenant_id)
            return found


async def raise_version(connection: AsyncConnection, tenant_id: int, **settings: Any) -> None:
    """The same file may come out differently from now on; `settings` are what else changes of them."""
    row = upsert(parser_action_settings).values(tenant_id=tenant_id, version=1, **settings)
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=[parser_action_settings.c.tenant_id],
            set_={"version": parser_action_settings.c.version + 1, **settings},
        )
    )


def writeup_of(row: Row[*tuple[Any, ...]]) -> Writeup:
    """Of a row with all columns of the table."""
    return Writeup(
        writeup_id=row.writeup_id,
        text=WriteupText(
            title=row.title,
            severity=row.severity,
            description=row.description,
            recommendations=row.recommendations,
            references=row.references,
            source=row.source,
            fields=row.fields,
            abbreviation=row.abbreviation,
            repository_id=row.repository_id,
        ),
        is_deleted=row.is_deleted,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

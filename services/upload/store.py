"""Queries on the table of files."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, func, insert, select

from runtime.database import Database
from schema.importer import tenant_limits
from schema.upload import files
from services.upload.model import File, NewFile

FILE_COLUMNS = (files.c.key, files.c.file_name, files.c.created_at, files.c.expires_at)


class FileStore:
    """The `Files` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def max_file_bytes(self, tenant_id: int) -> int | None:
        query = select(tenant_limits.c.max_file_bytes).where(tenant_limits.c.tenant_id == tenant_id)
        async with self._database.transaction(tenant_id) as connection:
            limit: int | None = await connection.scalar(query)
        return limit

    async def add(self, tenant_id: int, file: NewFile) -> File:
        row = insert(files).values(
            tenant_id=tenant_id,
            key=file.key,
            file_name=file.file_name,
            declared_size=file.declared_size,
            user_id=file.user_id,
            expires_at=func.now() + file.life,
        )
        async with self._database.transaction(tenant_id) as connection:
            return _file((await connection.execute(row.returning(*FILE_COLUMNS))).one())

    async def get(self, tenant_id: int, key: str) -> File | None:
        query = select(*FILE_COLUMNS).where(files.c.tenant_id == tenant_id, files.c.key == key)
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        return _file(row) if row else None

    async def remove(self, tenant_id: int, key: str) -> None:
        async with self._database.transaction(tenant_id) as connection:
            await connection.execute(delete(files).where(files.c.tenant_id == tenant_id, files.c.key == key))


def _file(row: Row[*tuple[Any, ...]]) -> File:
    return File(key=row.key, file_name=row.file_name, created_at=row.created_at, expires_at=row.expires_at)

"""Queries on the table of files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.failpoints import failpoint
from schema.importer import tenant_limits
from schema.upload import files, record_files
from services.upload.model import File, NewFile, RecordFile

# The fields of File, which are columns of the same name.
FILE_COLUMNS = (
    files.c.key,
    files.c.file_name,
    files.c.created_at,
    files.c.expires_at,
    files.c.declared_size,
    files.c.sha256,
    files.c.multipart_id,
    files.c.part_size,
    files.c.completed_at,
)


class FileStore:
    """The `Files` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def max_file_bytes(self, tenant_id: int) -> int | None:
        query = select(tenant_limits.c.max_file_bytes).where(tenant_limits.c.tenant_id == tenant_id)
        async with self._database.transaction(tenant_id) as connection:
            limit: int | None = await connection.scalar(query)
        return limit

    async def add(self, tenant_id: int, new: NewFile) -> File:
        row = insert(files).values(
            tenant_id=tenant_id,
            key=new.key,
            file_name=new.file_name,
            declared_size=new.declared_size,
            sha256=new.sha256,
            multipart_id=new.multipart_id,
            part_size=new.part_size,
            user_id=new.user_id,
            expires_at=func.now() + new.life,
        )
        async with self._database.transaction(tenant_id) as connection:
            file = _file((await connection.execute(row.returning(*FILE_COLUMNS))).one())
            if new.record_file is not None:
                await connection.execute(insert(record_files).values(_record_file(tenant_id, new.record_file)))
            failpoint("upload.before_commit")
        failpoint("upload.after_commit")
        return file

    async def get(self, tenant_id: int, key: str) -> File | None:
        query = select(*FILE_COLUMNS).where(_is(tenant_id, key))
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        return _file(row) if row else None

    @asynccontextmanager
    async def lock(self, tenant_id: int, key: str) -> AsyncIterator[LockedFile | None]:
        """In one transaction, which the block leaves open."""
        query = select(*FILE_COLUMNS).where(_is(tenant_id, key)).with_for_update()
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
            yield LockedFile(connection, tenant_id, _file(row)) if row else None
            failpoint("parts.before_commit")
        failpoint("parts.after_commit")

    async def older(self, tenant_id: int, age: timedelta, after: tuple[datetime, str] | None, limit: int) -> list[File]:
        order = (files.c.created_at, files.c.key)
        query = select(*FILE_COLUMNS).where(files.c.tenant_id == tenant_id, files.c.created_at < func.now() - age)
        if after is not None:
            query = query.where(tuple_(*order) > after)
        async with self._database.transaction(tenant_id) as connection:
            return [_file(row) for row in await connection.execute(query.order_by(*order).limit(limit))]

    async def remove(self, tenant_id: int, key: str) -> None:
        async with self._database.transaction(tenant_id) as connection:
            await connection.execute(delete(files).where(_is(tenant_id, key)))


class LockedFile:
    """The `FileLock` of one transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: int, file: File) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self.file = file

    async def complete(self) -> None:
        row = update(files).where(_is(self._tenant_id, self.file.key))
        await self._connection.execute(row.values(completed_at=func.now()))


def _is(tenant_id: int, key: str) -> ColumnElement[bool]:
    return and_(files.c.tenant_id == tenant_id, files.c.key == key)


def _file(row: Row[*tuple[Any, ...]]) -> File:
    return File(*row)


def _record_file(tenant_id: int, file: RecordFile) -> dict[str, Any]:
    said = file.description
    return {
        "tenant_id": tenant_id,
        "file_id": file.file_id,
        "key": file.key,
        "workspace_id": file.workspace_id,
        "workspace": file.workspace,
        "bucket_id": file.bucket_id,
        "entity_type": said.entity_type,
        "folder": said.folder,
        "category": said.category,
        "tags": list(said.tags),
        "metadata": said.metadata,
        "action_id": said.action_id,
        "description": said.description,
    }

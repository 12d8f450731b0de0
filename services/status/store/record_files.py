"""Queries over files of records and their imports."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import imports
from schema.upload import files, record_files
from services.status.model import IMPORT, Row
from services.status.store.listing import one_row


async def find_record_file(connection: AsyncConnection, tenant_id: int, file_id: str) -> Row | None:
    """What was said of it when its URL was asked for."""
    of_file = and_(files.c.tenant_id == record_files.c.tenant_id, files.c.key == record_files.c.key)
    return await one_row(
        connection,
        select(record_files, *(files.c[name] for name in ("file_name", "created_at", "expires_at")))
        .join(files, of_file)
        .where(record_files.c.tenant_id == tenant_id, record_files.c.file_id == file_id),
    )


async def last_import(connection: AsyncConnection, tenant_id: int, key: str) -> UUID | None:
    """The last import of a file, of all that were started and are not undos."""
    query = (
        select(imports.c.import_id)
        .where(
            imports.c.tenant_id == tenant_id,
            imports.c.key == key,
            imports.c.workspace_id.is_not(None),
            imports.c.kind == IMPORT,
        )
        .order_by(imports.c.import_id.desc())
        .limit(1)
    )
    found: UUID | None = await connection.scalar(query)
    return found

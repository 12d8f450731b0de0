"""The schemas that workspaces have put into the table `record_schemas`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.records import record_schemas
from services.importer.targets.records.published import with_published
from services.importer.targets.records.schemas import RecordSchema, SchemaColumn


async def schemas_in_force(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> tuple[RecordSchema, ...]:
    """The workspace's own, then the published ones that it has not replaced."""
    query = select(record_schemas).where(
        record_schemas.c.tenant_id == tenant_id, record_schemas.c.workspace_id == workspace_id
    )
    return with_published(schema_of(row) for row in await connection.execute(query))


def schema_of(row: Row[*tuple[Any, ...]]) -> RecordSchema:
    """Of a row with all columns of the table."""
    return RecordSchema(row.entity_type, row.data_source, msgspec.convert(row.columns, tuple[SchemaColumn, ...]))

"""Queries on the record schemas of workspaces."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from runtime.database import Database
from schema.records import record_schemas
from services.importer.record_schemas import StoredSchema
from services.importer.targets.records.schemas import RecordSchema
from services.importer.targets.records.stored_schemas import schema_of


class SqlRecordSchemaStore:
    """The `RecordSchemaStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, tenant_id: int, workspace_id: UUID) -> list[StoredSchema]:
        query = select(record_schemas).where(*_of(tenant_id, workspace_id))
        async with self._database.transaction(tenant_id) as connection:
            return [_stored(row) for row in await connection.execute(query)]

    async def put(
        self, tenant_id: int, workspace_id: UUID, schema: RecordSchema, *, user_id: int, most: int
    ) -> StoredSchema | None:
        others = select(func.count()).where(
            *_of(tenant_id, workspace_id),
            (record_schemas.c.entity_type != schema.entity_type) | (record_schemas.c.data_source != schema.data_source),
        )
        said = {"columns": msgspec.to_builtins(schema.columns), "user_id": user_id}
        row = upsert(record_schemas).values(
            tenant_id=tenant_id,
            workspace_id=workspace_id,
            entity_type=schema.entity_type,
            data_source=schema.data_source,
            **said,
        )
        replacing = row.on_conflict_do_update(
            index_elements=record_schemas.primary_key.columns, set_={**said, "updated_at": func.now()}
        ).returning(record_schemas)
        async with self._database.transaction(tenant_id) as connection:
            # Two at once would both count before either is there.
            await connection.execute(
                select(func.pg_advisory_xact_lock(func.hashtextextended(f"record_schemas {workspace_id}", tenant_id)))
            )
            if (await connection.scalar(others) or 0) >= most:
                return None
            return _stored((await connection.execute(replacing)).one())

    async def remove(self, tenant_id: int, workspace_id: UUID, entity_type: str, data_source: str) -> bool:
        statement = delete(record_schemas).where(
            *_of(tenant_id, workspace_id),
            record_schemas.c.entity_type == entity_type,
            record_schemas.c.data_source == data_source,
        )
        async with self._database.transaction(tenant_id) as connection:
            return bool((await connection.execute(statement)).rowcount)


def _of(tenant_id: int, workspace_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return record_schemas.c.tenant_id == tenant_id, record_schemas.c.workspace_id == workspace_id


def _stored(row: Row[*tuple[Any, ...]]) -> StoredSchema:
    return StoredSchema(schema_of(row), row.created_at, row.updated_at)

"""Queries on files of records, and on the imports that they have had."""

from __future__ import annotations

from sqlalchemy import or_, select

from runtime.database import Database
from schema.importer import import_inputs, imports
from schema.upload import files, record_files
from services.importer.model import Kind, State
from services.importer.record_imports import Imported, RecordFile

DESCRIBED = (
    *("file_id", "key", "workspace_id", "bucket_id", "entity_type", "folder", "category", "tags", "metadata"),
    *("action_id", "description"),
)
ENDED_BADLY = (State.FAILED, State.CANCELLED)


class SqlRecordFileStore:
    """The `RecordFileStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant_id: int, file_id: str) -> RecordFile | None:
        file = record_files
        query = (
            select(*(file.c[name] for name in DESCRIBED), files.c.file_name)
            .join(files, (files.c.tenant_id == file.c.tenant_id) & (files.c.key == file.c.key))
            .where(file.c.tenant_id == tenant_id, or_(file.c.file_id == file_id, file.c.key == file_id))
        )
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else RecordFile(**{**row, "tags": tuple(row["tags"])})

    async def imported(self, tenant_id: int, file: RecordFile) -> Imported | None:
        query = (
            select(imports.c.import_id, import_inputs.c.etag, imports.c.source, imports.c.state)
            .join(
                import_inputs,
                (import_inputs.c.tenant_id == imports.c.tenant_id)
                & (import_inputs.c.import_id == imports.c.import_id)
                & (import_inputs.c.number == 0),
            )
            .where(
                imports.c.tenant_id == tenant_id,
                imports.c.key == file.key,
                imports.c.workspace_id == file.workspace_id,
                imports.c.kind == Kind.IMPORT,
                imports.c.state.not_in(ENDED_BADLY),
                imports.c.dry_run.is_(False),
                imports.c.undone_at.is_(None),
            )
            .order_by(imports.c.import_id.desc())
            .limit(1)
        )
        async with self._database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return Imported(row.import_id, row.etag, row.source, is_live=not State(row.state).is_terminal)

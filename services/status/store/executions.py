"""Queries over the runs of import sources."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Text, and_, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.assets import import_sources, object_types
from schema.importer import import_inputs, import_progress, imports, row_errors
from services.status.model import COMPLETE_PERCENT, IMPORT, Row
from services.status.store.listing import all_rows, one_row

# What a source is known by here. Not its credentials, which this service cannot read.
SOURCE = ("import_source_id", "workspace_id", "object_schema_id", "type", "name")
OWN = (
    *("tenant_id", "import_id", "import_source_id", "workspace_id", "execution_number", "kind", "state", "file_size"),
    *("needs_fetch", "is_scheduled", "waits", "dry_run", "force", "told_progress"),
    *("error_code", "error_message", "error_position"),
    *("user_id", "user_email", "created_at", "started_at", "ended_at", "origin", "origin_import_id", "duplicate_of"),
    *("undone_by", "undone_at"),
)
COUNTED = (
    *("processed_bytes", "read", "inserted", "updated", "unchanged", "deleted", "skipped", "rejected"),
    "cautions",
)
ERROR = ("record_number", "position", "field", "code", "message", "value")
INPUT = ("number", "chunk_id", "size", "digest", "purged_at")


async def find_source(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, import_source_id: UUID
) -> Row | None:
    return await one_row(
        connection,
        select(*(import_sources.c[name] for name in SOURCE)).where(
            import_sources.c.tenant_id == tenant_id,
            import_sources.c.import_source_id == import_source_id,
            import_sources.c.workspace_id == workspace_id,
        ),
    )


async def find_source_of(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> UUID | None:
    """The source that an import is a run of."""
    found: UUID | None = await connection.scalar(
        select(imports.c.import_source_id).where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
    )
    return found


async def find_execution(
    connection: AsyncConnection, tenant_id: int, source: Row, import_id: UUID | None = None
) -> Row | None:
    """The run of that id, which may take another one back; or that which was made last, of those that do not."""
    wanted = imports.c.kind == IMPORT if import_id is None else imports.c.import_id == import_id
    page = _page(tenant_id, source, wanted).limit(1)
    found = await one_row(connection, _with_progress(page, source))
    return None if found is None else {**found, "type_names": await _type_names(connection, tenant_id, found)}


async def list_executions(
    connection: AsyncConnection, tenant_id: int, source: Row, *, offset: int, limit: int
) -> list[Row]:
    """Newest first. Names of the object types that they count by are not in the list."""
    page = _page(tenant_id, source, imports.c.kind == IMPORT).offset(offset).limit(limit)
    return await all_rows(connection, _with_progress(page, source))


async def list_inputs(
    connection: AsyncConnection, tenant_id: int, import_id: UUID, *, offset: int, limit: int
) -> tuple[int, list[Row]]:
    """How many there are, and a page in reading order."""
    of_import = and_(import_inputs.c.tenant_id == tenant_id, import_inputs.c.import_id == import_id)
    total = await connection.scalar(select(func.count()).select_from(import_inputs).where(of_import))
    page = (
        select(*(import_inputs.c[name] for name in INPUT))
        .where(of_import)
        .order_by(import_inputs.c.number)
        .offset(offset)
        .limit(limit)
    )
    return total or 0, await all_rows(connection, page)


async def list_errors(
    connection: AsyncConnection, tenant_id: int, import_id: UUID, *, offset: int, limit: int
) -> tuple[int, list[Row]]:
    """How many are kept, which are the first 1,000 of a run, and a page in the order of its data."""
    of_import = and_(row_errors.c.tenant_id == tenant_id, row_errors.c.import_id == import_id)
    total = await connection.scalar(select(func.count()).select_from(row_errors).where(of_import))
    page = (
        select(*(row_errors.c[name] for name in ERROR))
        .where(of_import)
        .order_by(row_errors.c.record_number)
        .offset(offset)
        .limit(limit)
    )
    return total or 0, await all_rows(connection, page)


def _page(tenant_id: int, source: Row, wanted: ColumnElement[bool]) -> Select[Any]:
    return (
        select(*(imports.c[name] for name in OWN), imports.c.updated_at.label("changed_at"))
        .where(imports.c.tenant_id == tenant_id, imports.c.import_source_id == source["import_source_id"], wanted)
        .order_by(imports.c.import_id.desc())
    )


def _with_progress(page: Select[Any], source: Row) -> Select[Any]:
    """Progress is looked up by primary key, of the runs of the page alone."""
    run = page.subquery("run")
    progress = (
        select(import_progress)
        .where(import_progress.c.tenant_id == run.c.tenant_id, import_progress.c.import_id == run.c.import_id)
        .limit(1)
        .lateral("progress")
    )
    percent = case((run.c.state == "SUCCEEDED", COMPLETE_PERCENT), else_=func.coalesce(progress.c.percent, 0))
    return (
        select(
            *(run.c[name] for name in OWN),
            func.greatest(run.c.changed_at, progress.c.updated_at).label("updated_at"),
            func.coalesce(progress.c.phase, "queued").label("phase"),
            cast(percent, Integer).label("percent"),
            *(func.coalesce(progress.c[name], 0).label(name) for name in COUNTED if name != "cautions"),
            progress.c.cautions,
            func.coalesce(progress.c.entities, cast("{}", JSONB)).label("entities"),
            literal(source["type"], Text).label("source_type"),
            literal(source["object_schema_id"], Integer).label("object_schema_id"),
        )
        .select_from(run.outerjoin(progress, progress.c.import_id.is_not(None)))
        .order_by(run.c.import_id.desc())
    )


async def _type_names(connection: AsyncConnection, tenant_id: int, run: Row) -> dict[str, str]:
    """Names of the object types that it counts by, as they are now."""
    numbers = [int(name) for name in run["entities"]]
    if not numbers:
        return {}
    found = await all_rows(
        connection,
        select(object_types.c.object_type_id, object_types.c.name).where(
            object_types.c.tenant_id == tenant_id, object_types.c.object_type_id.in_(numbers)
        ),
    )
    return {str(each["object_type_id"]): each["name"] for each in found}

"""The first rejected items of an import as rows. All of them are in its report (engine/report.py)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.importer.engine.staging import has_errors, staged_errors

KEPT_ERRORS = 1_000


async def keep_errors(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    """Copies them out of staging, which is about to go. Part of the transaction that ends the import."""
    if not await has_errors(connection, import_id):
        return
    statement = (
        "INSERT INTO row_errors (tenant_id, import_id, record_number, position, field, code, message, value, raw) "  # noqa: S608
        "SELECT :tenant_id, :import_id, ordinal, position, field, code, message, value, raw "
        f"FROM {staged_errors(import_id)} ORDER BY ordinal LIMIT :kept"  # a name made of a UUID
    )
    await connection.execute(text(statement), {"tenant_id": tenant_id, "import_id": import_id, "kept": KEPT_ERRORS})

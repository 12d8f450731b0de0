"""The first rejected items of an import as rows. All of them are in its report (engine/report.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import importer, staging
from services.importer.engine.staging import creation, has_errors, staged_errors
from services.importer.engine.statements import Statements

KEPT_ERRORS = 1_000

RowErrors = Sequence[dict[str, Any]]
"""Rows of `row_errors`, without whose they are."""

_FIRST = "SELECT ordinal AS record_number, position, field, code, message, value, raw FROM {} ORDER BY ordinal LIMIT {}"


async def keep_errors(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    """Copies them out of staging, which is about to go. Part of the transaction that ends the import."""
    if not await has_errors(connection, import_id):
        return
    statement = (
        "INSERT INTO row_errors (tenant_id, import_id, record_number, position, field, code, message, value, raw) "  # noqa: S608
        f"SELECT :tenant_id, :import_id, e.* FROM ({_FIRST.format(staged_errors(import_id), KEPT_ERRORS)}) e"
    )
    await connection.execute(text(statement), {"tenant_id": tenant_id, "import_id": import_id})


async def first_errors(connection: AsyncConnection, import_id: UUID) -> RowErrors:
    """The same as values, of a transaction that is about to be rolled back."""
    found = await connection.execute(text(_FIRST.format(staged_errors(import_id), KEPT_ERRORS)))
    return [dict(row) for row in found.mappings()]


async def write_errors(connection: AsyncConnection, tenant_id: int, import_id: UUID, errors: RowErrors) -> None:
    """What `first_errors` has read, in the transaction that ends the import."""
    rows = [{"tenant_id": tenant_id, "import_id": import_id, **each} for each in errors]
    if rows:
        await connection.execute(insert(importer.row_errors), rows)


async def reject_staged(sql: Statements, import_id: UUID, query: str, **parameters: Any) -> int:
    """Adds items that a merge rejects: the query gives ordinal, position, field, code, message and value of each.

    Of an ordinal one row at most. Answers how many.
    """
    name = staged_errors(import_id)
    await sql.run(creation(staging.errors, name))
    added = await sql.run(
        f"INSERT INTO {name} (tenant_id, slice, ordinal, position, field, code, message, value) "  # noqa: S608
        f"SELECT :tenant, 0, e.* FROM ({query}) e",
        **parameters,
    )
    return added.rowcount

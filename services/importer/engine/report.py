"""The full list of rejected items, as a CSV object beside the upload.

Beside it, where the target has such files, the items themselves as a file that can be corrected and imported. Written
before the flip; the same attempt or the next writes the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.failpoints import failpoint
from runtime.objects import ObjectStore, StorageUnavailable
from runtime.reports import error_file_key, errors_report_key
from schema.importer import imports
from services.importer.engine.claims import Claim
from services.importer.engine.failures import RetryableFailure
from services.importer.engine.staging import has_errors, staged_errors
from services.importer.engine.target import ErrorFile, Tally

HEADER = ("record_number", "position", "field", "code", "message", "value")
# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")
ITEMS_AT_ONCE = 10
# 10,000 parts of the smallest size that uploads are cut into: a larger bound makes larger parts, which are held whole.
MAX_REPORT_BYTES = 75 * 1024**3

Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
"""Opens a transaction that sees the rejected items."""


def report_key(tenant_id: int, import_id: UUID) -> str:
    """The object's key below the store's prefix."""
    return errors_report_key(tenant_id, import_id)


def inert(value: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


async def write_report(
    database: Database, objects: ObjectStore, held: Claim, tally: Tally, error_file: ErrorFile | None
) -> None:
    """Streams every staged error into the report, and the items into their file; neither when there is none.

    Raises RetryableFailure when the object store does not answer.
    """
    if tally.rejected:
        await _write(partial(database.transaction, held.job.tenant_id), objects, held, error_file)


async def rewrite_report(
    connection: AsyncConnection, objects: ObjectStore, held: Claim, error_file: ErrorFile | None
) -> None:
    """The same with what is staged in this transaction only: a merge may reject items, too."""
    await _write(lambda: nullcontext(connection), objects, held, error_file)


async def _write(connect: Connect, objects: ObjectStore, held: Claim, error_file: ErrorFile | None) -> None:
    if not await _has_errors(connect, held):
        return
    job = held.job
    header = None if error_file is None else await _file_header(connect, held)
    try:
        failpoint("report.before_write")
        key = objects.object_key(report_key(job.tenant_id, job.import_id))
        await objects.put_stream(key, _lines(connect, held), max_bytes=MAX_REPORT_BYTES)
        if error_file is not None and header is not None:
            key = objects.object_key(error_file_key(job.tenant_id, job.import_id))
            await objects.put_stream(key, _items(connect, held, error_file, header), max_bytes=MAX_REPORT_BYTES)
        failpoint("report.after_write")
    except StorageUnavailable as error:
        raise RetryableFailure("STORAGE_UNAVAILABLE", "The object store does not answer.") from error


async def _has_errors(connect: Connect, held: Claim) -> bool:
    """An attempt may have counted rejected items that it did not come to stage."""
    async with connect() as connection:
        return await has_errors(connection, held.job.import_id)


async def _lines(connect: Connect, held: Claim) -> AsyncIterator[bytes]:
    staged = staged_errors(held.job.import_id)
    query = text(f"SELECT ordinal, position, field, code, message, value FROM {staged} ORDER BY ordinal")  # noqa: S608
    yield csv_lines([HEADER])
    async with connect() as connection:
        result = await connection.stream(query)
        async for rows in result.partitions(1_000):
            yield csv_lines([tuple(inert(str(value)) for value in row) for row in rows])


async def _file_header(connect: Connect, held: Claim) -> str | None:
    """None where the file has come to its end without one that could be read."""
    job = held.job
    query = select(imports.c.file_header).where(
        imports.c.tenant_id == job.tenant_id, imports.c.import_id == job.import_id
    )
    async with connect() as connection:
        header: str | None = await connection.scalar(query)
    return header


async def _items(connect: Connect, held: Claim, error_file: ErrorFile, header: str) -> AsyncIterator[bytes]:
    """The header of the imported file, each rejected item as it stood there, and the footer that such a file has."""
    staged = staged_errors(held.job.import_id)
    query = text(f"SELECT raw FROM {staged} WHERE raw <> '' ORDER BY ordinal")  # noqa: S608
    yield header.encode()
    counted = 0
    async with connect() as connection:
        # An item may have 1 MiB, so few are held at once.
        result = await connection.stream(query, execution_options={"yield_per": ITEMS_AT_ONCE})
        async for rows in result.partitions():
            counted += sum(error_file.is_counted(raw) for (raw,) in rows)
            yield "".join(f"{raw}\n" for (raw,) in rows).encode()
    yield error_file.footer(counted).encode()


def csv_lines(rows: list[tuple[str, ...]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()

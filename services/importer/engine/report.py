"""The full list of rejected items, as a CSV object beside the upload.

Written before the flip; the same attempt or the next writes the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy import text

from runtime.database import Database
from runtime.objects import ObjectStore, StorageUnavailable
from schema.staging import errors
from services.importer.engine.claims import Claim
from services.importer.engine.failures import RetryableFailure
from services.importer.engine.staging import Staging
from services.importer.engine.target import Tally

HEADER = ("record_number", "position", "field", "code", "message", "value")
# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")
MAX_REPORT_BYTES = 5 * 1024**4


def report_key(tenant_id: int, import_id: UUID) -> str:
    """The object's key below the store's prefix."""
    return f"reports/{tenant_id}/{import_id}/errors.csv"


def inert(value: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


async def write_report(database: Database, objects: ObjectStore, held: Claim, staging: Staging, tally: Tally) -> None:
    """Streams every staged error into the report; nothing is written when none was rejected."""
    if not tally.rejected:
        return
    key = objects.object_key(report_key(held.job.tenant_id, held.job.import_id))
    try:
        await objects.put_stream(key, _lines(database, held, staging), max_bytes=MAX_REPORT_BYTES)
    except StorageUnavailable as error:
        raise RetryableFailure("STORAGE_UNAVAILABLE", "The object store does not answer.") from error


async def _lines(database: Database, held: Claim, staging: Staging) -> AsyncIterator[bytes]:
    query = text(f"SELECT ordinal, position, field, code, message, value FROM {staging.names[errors]} ORDER BY ordinal")  # noqa: S608
    yield _csv([HEADER])
    async with database.transaction(held.job.tenant_id) as connection:
        result = await connection.stream(query)
        async for rows in result.partitions(1_000):
            yield _csv([tuple(inert(str(value)) for value in row) for row in rows])


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()

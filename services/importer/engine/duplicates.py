"""The same file twice: the earlier import that has brought the same bytes to the same place in the same way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, cast, false, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import imports
from services.importer.engine.target import Job
from services.importer.model import Kind, State


async def earlier_import(connection: AsyncConnection, job: Job, target: str, digest: bytes) -> UUID | None:
    """The latest import whose merge made this one superfluous, if there is one.

    Asked under the lock of the job's owner, so that of two at once the second sees the first.
    """
    query = (
        select(imports.c.import_id)
        .where(
            imports.c.tenant_id == job.tenant_id,
            imports.c.content_sha256 == digest,
            imports.c.state == State.SUCCEEDED,
            imports.c.kind == Kind.IMPORT,
            imports.c.import_id != job.import_id,
            imports.c.target == target,
            imports.c.client_id == job.client_id,
            imports.c.report_id.is_not_distinct_from(job.report_id),
            imports.c.source == job.source,
            imports.c.use_parser_actions == job.use_parser_actions,
            *_same_tags(imports.c.asset_tags, job.asset_tags),
            *_same_tags(imports.c.finding_tags, job.finding_tags),
            # What merged nothing, or was taken back, is no reason to leave anything out.
            imports.c.dry_run == false(),
            imports.c.duplicate_of == null(),
            imports.c.undone_at == null(),
        )
        .order_by(imports.c.flip_number.desc().nulls_last())
        .limit(1)
    )
    found: UUID | None = await connection.scalar(query)
    return found


def _same_tags(column: Any, tags: tuple[str, ...]) -> tuple[ColumnElement[bool], ...]:
    """Whatever their order."""
    wanted = cast(list(tags), ARRAY(Text))
    return column.op("@>")(wanted), column.op("<@")(wanted)

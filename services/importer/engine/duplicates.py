"""The same file twice: the earlier import that has brought the same bytes to the same place in the same way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, cast, false, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import imports
from schema.parser_actions import parser_action_settings
from services.importer.engine.target import Job
from services.importer.model import Kind, State
from services.importer.policy import EmptyValues


async def actions_version(connection: AsyncConnection, job: Job) -> int | None:
    """The state of the tenant's parser actions that a merge would apply now at the earliest; None: it applies none.

    Read before them: an import that is said to have applied an older state than it did is merely not superfluous.
    """
    if not job.use_parser_actions:
        return None
    query = select(parser_action_settings.c.version).where(parser_action_settings.c.tenant_id == job.tenant_id)
    return await connection.scalar(query) or 0


async def earlier_import(
    connection: AsyncConnection, job: Job, target: str, digest: bytes, version: int | None
) -> UUID | None:
    """The latest import whose merge made this one superfluous, if there is one; `version` is that of actions_version.

    Asked under the lock of the job's owner, so that of two at once the second sees the first. Never of objects: their
    source says what there is now, and a run that finds it all as it was has looked for what is missing, too.
    """
    if job.import_source_id is not None:
        return None
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
            imports.c.parser_actions_version.is_not_distinct_from(version),
            *_same_file(job),
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


def _same_file(job: Job) -> tuple[ColumnElement[bool], ...]:
    """Of records: the very upload, read in the same way.

    A sync file says what is so from now on: the same bytes sent again are news when others came in between.
    """
    if job.workspace_id is None:
        return ()
    empty = func.coalesce(imports.c.policy["empty"].astext, EmptyValues.CLEAR)
    return imports.c.key == job.key, imports.c.workspace_id == job.workspace_id, empty == job.options.policy.empty


def _same_tags(column: Any, tags: tuple[str, ...]) -> tuple[ColumnElement[bool], ...]:
    """Whatever their order."""
    wanted = cast(list(tags), ARRAY(Text))
    return column.op("@>")(wanted), column.op("<@")(wanted)

"""What an import asks of its file, as the database has it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.upload import record_files
from services.importer.engine.failures import ImportFailure
from services.importer.engine.target import Job
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.stored_schemas import schemas_in_force


async def demands_of(connection: AsyncConnection, job: Job) -> Demands:
    """Of one import. Raises ImportFailure for a file that has lost its place in a workspace."""
    query = select(record_files.c.workspace, record_files.c.bucket_id).where(
        record_files.c.tenant_id == job.tenant_id, record_files.c.key == job.key
    )
    file = (await connection.execute(query)).one_or_none()
    if file is None or job.workspace_id is None:
        raise ImportFailure("FILE_MISSING", "The file is not known any more.")
    policy = job.options.policy
    return Demands(
        workspaces=(str(job.workspace_id), file.workspace),
        bucket=file.bucket_id,
        require_footer=policy.require_footer,
        schemas=await schemas_in_force(connection, job.tenant_id, job.workspace_id),
    )

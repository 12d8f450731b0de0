"""A retry of a failed import takes over what that one has staged (docs/adr/0009)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import imports
from schema.staging import SCHEMA, checkpoints
from services.importer.engine.claims import Claim, inputs_of
from services.importer.engine.staging import Staging
from services.importer.engine.target import Target
from services.importer.model import Origin

# What is known of the file since it was read: a retry of an import that has staged all of it does not read it again.
_SAID = tuple(
    imports.c[name]
    for name in (
        *("content_sha256", "entity_type", "data_source", "columns"),
        *("reference_id", "file_header", "validation_code"),
    )
)


async def adopt(connection: AsyncConnection, held: Claim, target: Target) -> bool:
    """Gives the tables and the checkpoint of the import that this one retries to this one, in the caller's transaction.

    Answers False when there is nothing to adopt: it has none, its time is over, or it read something else. Then the
    retry starts from the beginning. An attempt after the first finds what was adopted as its own.
    """
    job = held.job
    if job.origin is not Origin.RETRY or job.origin_import_id is None:
        return False
    old = job.origin_import_id
    if await _has_checkpoint(connection, job.import_id):
        return False
    is_adoptable = await _is_adoptable(connection, held, old)
    # Adopted or not, nobody else will need what is staged there.
    await connection.execute(
        update(imports)
        .where(_is(job.tenant_id, old), imports.c.resumable_until.is_not(None))
        .values(resumable_until=None)
    )
    if not is_adoptable:
        return False
    before, after = (Staging(job.tenant_id, each, target.templates) for each in (old, job.import_id))
    # What an earlier attempt has made and never filled is in the way of the names.
    await after.drop(connection)
    for old_name, new_name in zip(before.all_names, after.all_names, strict=True):
        bare_name = new_name.removeprefix(f"{SCHEMA}.")
        await connection.execute(text(f"ALTER TABLE IF EXISTS {old_name} RENAME TO {bare_name}"))
    await connection.execute(update(checkpoints).where(checkpoints.c.import_id == old).values(import_id=job.import_id))
    said = await connection.execute(select(*_SAID).where(_is(job.tenant_id, old)))
    values = dict(said.mappings().one())
    await connection.execute(update(imports).where(_is(job.tenant_id, job.import_id)).values(values))
    return True


async def _is_adoptable(connection: AsyncConnection, held: Claim, old: UUID) -> bool:
    job = held.job
    new = imports.alias("new")
    plan = (
        select(new.c.plan).where(new.c.tenant_id == job.tenant_id, new.c.import_id == job.import_id).scalar_subquery()
    )
    # The lock keeps the janitor from dropping the tables meanwhile, and a second retry from taking them.
    found = await connection.execute(
        select(imports.c.import_id)
        .where(
            _is(job.tenant_id, old),
            imports.c.resumable_until > func.now(),
            imports.c.target == held.target,
            imports.c.source == job.source,
            imports.c.report_id.is_not_distinct_from(job.report_id),
            # What is staged of objects was made by a mapping.
            imports.c.plan.is_not_distinct_from(plan),
        )
        .with_for_update(key_share=True)
    )
    if found.first() is None or not await _has_checkpoint(connection, old):
        return False
    return await inputs_of(connection, job.tenant_id, old) == held.inputs


async def _has_checkpoint(connection: AsyncConnection, import_id: UUID) -> bool:
    query = select(checkpoints.c.import_id).where(checkpoints.c.import_id == import_id)
    return (await connection.execute(query)).first() is not None


def _is(tenant_id: int, import_id: UUID) -> ColumnElement[bool]:
    return (imports.c.tenant_id == tenant_id) & (imports.c.import_id == import_id)

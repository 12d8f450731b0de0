"""Removes staging tables that nobody will go on from.

What a crash between an import's end and its DROP can leave, and what was kept for a retry that did not come in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.importer import imports
from services.importer.engine.staging import Staging, staged_imports
from services.importer.engine.target import Target
from services.importer.model import State

log = structlog.get_logger(__name__)


async def sweep(database: Database, targets: Mapping[str, Target]) -> int:
    """Drops what is left of finished or vanished imports; answers how many there were."""
    async with database.transaction(None) as connection:
        found = await staged_imports(connection)
    dropped = 0
    for import_id, tenant_id in found.items():
        async with database.transaction(tenant_id) as connection:
            if not await _is_needed(connection, tenant_id, import_id):
                for target in targets.values():
                    await Staging(tenant_id, import_id, target.templates).drop(connection)
                dropped += 1
                log.info("staging swept", staged_import=str(import_id))
    return dropped


async def _is_needed(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> bool:
    """Whether the import is live, or has failed and may still be continued by a retry."""
    at = (imports.c.tenant_id == tenant_id) & (imports.c.import_id == import_id)
    state = await connection.scalar(select(imports.c.state).where(at))
    if state is None or not State(state).is_terminal:
        return state is not None
    # The lock lets a retry that is taking the tables over come first; then there is nothing to drop under these names.
    resumable = await connection.scalar(
        select(func.coalesce(imports.c.resumable_until > func.now(), False)).where(at).with_for_update(key_share=True)
    )
    return bool(resumable)

"""Removes staging tables of imports that are not live any more.

What a crash between an import's end and its DROP can leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from schema.importer import imports
from services.importer.engine.staging import Staging, staged_imports, tenant_of
from services.importer.engine.target import Target
from services.importer.model import State

log = structlog.get_logger(__name__)


async def sweep(database: Database, targets: Mapping[str, Target]) -> int:
    """Drops what is left of finished or vanished imports; answers how many there were."""
    async with database.transaction(None) as connection:
        found = {import_id: await tenant_of(connection, import_id) for import_id in await staged_imports(connection)}
    dropped = 0
    for import_id, tenant_id in found.items():
        async with database.transaction(tenant_id) as connection:
            if not await _is_live(connection, tenant_id, import_id):
                for target in targets.values():
                    await Staging(tenant_id, import_id, target.templates).drop(connection)
                dropped += 1
                log.info("staging swept", staged_import=str(import_id))
    return dropped


async def _is_live(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> bool:
    query = select(imports.c.state).where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
    state = (await connection.execute(query)).scalar_one_or_none()
    return state is not None and not State(state).is_terminal

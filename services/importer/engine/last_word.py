"""Writes down how an attempt has ended, behind its fence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.errors import ServiceError
from services.importer.engine import claims
from services.importer.engine.claims import Claim
from services.importer.engine.failures import FencedOut
from services.importer.engine.progress import Progress

log = structlog.get_logger(__name__)

WRITE_AGAIN_SECONDS = 1.0

T = TypeVar("T")


async def written(
    database: Database, claim: Claim, seen: Progress, write: Callable[[AsyncConnection], Awaitable[T]]
) -> T | None:
    """What `write` gives, committed, for as long as the database is away.

    None: the fence has fallen, by another attempt or by an end that did commit although its answer was lost.
    """
    seen.is_closed = True
    while True:
        try:
            async with database.transaction(claim.job.tenant_id) as connection:
                await claims.hold(connection, claim)
                ended = await write(connection)
        except FencedOut:
            return None
        except (ServiceError, DBAPIError) as error:
            log.warning("the end of an attempt could not be written yet", error=str(error))
            await asyncio.sleep(WRITE_AGAIN_SECONDS)
        else:
            return ended

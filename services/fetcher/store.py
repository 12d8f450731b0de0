"""What the fetcher writes down: claims, and how an attempt ends. Each is one transaction behind the fence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.failpoints import failpoint
from schema.assets import import_sources
from schema.importer import import_inputs, imports, outbox, tenant_limits
from services.importer.engine import claims, ending, last_word, progress
from services.importer.engine.claims import Claim, Input, Refusal, Request
from services.importer.engine.failures import ImportFailure
from services.importer.engine.progress import Progress
from services.importer.model import Lane, State

NO_DELAY = timedelta(0)


class Ending(StrEnum):
    """How an attempt ended. After FENCED the message is left alone; after all others it is done with."""

    LANDED = "landed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    RETRIED = "retried"
    DRAINED = "drained"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class StoredSource:
    """What is read, as it is stored. `max_bytes` None: the tenant has no limit of its own."""

    type: str
    settings: dict[str, Any]
    sealed_secret: bytes | None
    max_bytes: int | None


class _NotToFetch(Exception):
    """The import was landed by somebody else while this message was under way."""


class FetchStore:
    """The tables of imports, as the role of the fetcher sees them."""

    def __init__(self, database: Database, *, lease: timedelta, small_file_bytes: int) -> None:
        self.database = database
        self._lease = lease
        self._small_file_bytes = small_file_bytes

    async def claim(self, tenant_id: int, import_id: UUID, owner: str) -> Claim | Refusal:
        """As the engine's; an import that is not in the lane of the fetcher is none of its own."""
        try:
            async with self.database.transaction(tenant_id) as connection:
                claimed = await claims.claim(connection, tenant_id, import_id, owner, self._lease, NO_DELAY)
                if isinstance(claimed, Claim) and await _lane(connection, tenant_id, import_id) != Lane.FETCH:
                    raise _NotToFetch  # noqa: TRY301 - so that the claim is rolled back
                failpoint("fetch.before_claim")
        except _NotToFetch:
            return Refusal.FINISHED
        failpoint("fetch.after_claim")
        return claimed

    async def source(self, tenant_id: int, import_source_id: UUID | None) -> StoredSource | None:
        columns = (import_sources.c.type, import_sources.c.settings, import_sources.c.secret)
        query = select(*columns).where(
            import_sources.c.tenant_id == tenant_id, import_sources.c.import_source_id == import_source_id
        )
        limit = select(tenant_limits.c.max_file_bytes).where(tenant_limits.c.tenant_id == tenant_id)
        async with self.database.transaction(tenant_id) as connection:
            row = (await connection.execute(query)).one_or_none()
            max_bytes = await connection.scalar(limit)
        return None if row is None else StoredSource(row.type, row.settings, row.secret, max_bytes)

    async def hand_over(self, claim: Claim, seen: Progress, landed: Sequence[Input]) -> Ending:
        """To the workers, with these inputs."""
        return await self._record(claim, seen, partial(self._hand_over, claim, seen, landed))

    async def hand_back(self, claim: Claim, seen: Progress, delay: timedelta, *, is_retry: bool) -> Ending:
        """To a fetcher, which begins anew; or to a pause, where somebody has asked for one."""
        return await self._record(claim, seen, partial(self._hand_back, claim, seen, delay, is_retry=is_retry))

    async def cancel(self, claim: Claim, seen: Progress) -> Ending:
        return await self._record(claim, seen, partial(_cancel, claim, seen))

    async def fail(self, claim: Claim, seen: Progress, why: ImportFailure) -> Ending:
        return await self._record(claim, seen, partial(_end, claim, seen, State.FAILED, why))

    async def _hand_over(
        self, claim: Claim, seen: Progress, landed: Sequence[Input], connection: AsyncConnection
    ) -> Ending:
        tenant_id, import_id = _key(claim)
        await ending.lock(connection, tenant_id, import_id)
        request = await claims.requested(connection, claim)
        if request is Request.CANCEL:
            return await _cancel(claim, seen, connection)
        await self._add_inputs(connection, tenant_id, import_id, landed)
        if request is Request.PAUSE:
            return await _pause(claim, seen, connection)
        await progress.write(connection, claim, {**seen.values(), "phase": "queued"})
        await ending.hand_back(connection, tenant_id, import_id, NO_DELAY, is_retry=False)
        failpoint("fetch.before_handover")
        return Ending.LANDED

    async def _add_inputs(
        self, connection: AsyncConnection, tenant_id: int, import_id: UUID, landed: Sequence[Input]
    ) -> None:
        key = {"tenant_id": tenant_id, "import_id": import_id}
        rows = [
            {**key, "number": number, "object_key": each.object_key, "etag": each.etag, "size": each.size}
            for number, each in enumerate(landed)
        ]
        if rows:
            await connection.execute(insert(import_inputs), rows)
        size = sum(each.size for each in landed)
        lane = Lane.SMALL if size <= self._small_file_bytes else Lane.LARGE
        await connection.execute(
            update(imports)
            .where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
            # What went wrong while it was fetched is not held against its merge.
            .values(file_size=size, lane=lane, needs_fetch=False, crashes=0, retries=0)
        )
        await connection.execute(
            update(outbox).where(outbox.c.tenant_id == tenant_id, outbox.c.import_id == import_id).values(lane=lane)
        )

    async def _hand_back(
        self, claim: Claim, seen: Progress, delay: timedelta, connection: AsyncConnection, *, is_retry: bool
    ) -> Ending:
        tenant_id, import_id = _key(claim)
        await ending.lock(connection, tenant_id, import_id)
        request = await claims.requested(connection, claim)
        if request is Request.CANCEL:
            return await _cancel(claim, seen, connection)
        if request is Request.PAUSE:
            return await _pause(claim, seen, connection)
        await ending.hand_back(connection, tenant_id, import_id, delay, is_retry=is_retry)
        failpoint("fetch.before_handback")
        return Ending.RETRIED if is_retry else Ending.DRAINED

    async def _record(
        self, claim: Claim, seen: Progress, write: Callable[[AsyncConnection], Awaitable[Ending]]
    ) -> Ending:
        async def end(connection: AsyncConnection) -> Ending:
            ended = await write(connection)
            failpoint("fetch.before_end")
            return ended

        ended = await last_word.written(self.database, claim, seen, end)
        if ended is None:
            return Ending.FENCED
        failpoint("fetch.after_end")
        return ended


def _key(claim: Claim) -> tuple[int, UUID]:
    return claim.job.tenant_id, claim.job.import_id


async def _lane(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> str | None:
    query = select(imports.c.lane).where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
    lane: str | None = await connection.scalar(query)
    return lane


async def _pause(claim: Claim, seen: Progress, connection: AsyncConnection) -> Ending:
    await progress.write(connection, claim, {**seen.values(), "phase": "paused"})
    await ending.pause(connection, *_key(claim))
    return Ending.PAUSED


async def _cancel(claim: Claim, seen: Progress, connection: AsyncConnection) -> Ending:
    why = ImportFailure("CANCELLED", "The import was cancelled.")
    return await _end(claim, seen, State.CANCELLED, why, connection)


async def _end(claim: Claim, seen: Progress, state: State, why: ImportFailure, connection: AsyncConnection) -> Ending:
    await progress.write(connection, claim, {**seen.values(), "phase": state.lower()})
    await ending.end(connection, *_key(claim), state, why.code, why.message, why.position)
    return Ending.CANCELLED if state is State.CANCELLED else Ending.FAILED

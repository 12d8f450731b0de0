"""One attempt at fetching the data of an import: the child that reads, what it lands, and how it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from dialects.assets.source_settings import FETCHED_TYPES, Secrets, SourceType, read_secrets
from runtime.errors import ServiceError
from runtime.sealing import Sealer, Unsealable
from services.fetcher import metrics
from services.fetcher.frames import Order
from services.fetcher.landing import Landing, Objects
from services.fetcher.reader_process import Lines, SourceBusy, reading
from services.fetcher.store import Ending, FetchStore, StoredSource
from services.importer.engine.claims import Claim
from services.importer.engine.failures import (
    Cancelled,
    Drained,
    FencedOut,
    ImportFailure,
    Paused,
    RetryableFailure,
)
from services.importer.engine.heartbeat import Heartbeat, Signals
from services.importer.engine.progress import Progress

log = structlog.get_logger(__name__)

MAX_RETRIES = 5
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0
REMOVE_SECONDS = 20.0
NO_DELAY = timedelta(0)
UNKNOWN_TYPE = "unknown"
"""Of a source that is not read yet."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one fetch."""

    exemptions: str = ""
    allow_http: bool = False
    authorities: str = ""
    max_bytes: int = 10 << 30
    max_rows: int = 50_000_000
    seconds: float = 6 * 3_600
    object_bytes: int = 64 << 20
    row_bytes: int = 16 << 20
    frame_bytes: int = 1 << 20
    memory_bytes: int = 1 << 30
    connect_seconds: float = 10
    idle_seconds: float = 60
    drain_seconds: float = 20


class Attempt:
    """Runs a claim to its end. `beat_message` tells the queue that the message is being worked on."""

    def __init__(
        self,
        store: FetchStore,
        objects: Objects,
        sealer: Sealer,
        claim: Claim,
        folder: str,
        bounds: Bounds,
        draining: asyncio.Event,
        beat_message: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._objects = objects
        self._sealer = sealer
        self._claim = claim
        self._bounds = bounds
        self._signals = Signals()
        self._progress = Progress(0, 0)
        self._landing = Landing(objects, folder, bounds.object_bytes)
        self._heartbeat = Heartbeat(
            store.database, claim, self._progress, self._signals, draining, bounds.drain_seconds, beat_message
        )
        self.type: str = UNKNOWN_TYPE

    async def run(self) -> Ending:
        """Runs it and records how it ended. Only a database that stays away keeps this from returning."""
        work = asyncio.create_task(self._fetch())
        heart = asyncio.create_task(self._heartbeat.run(work))
        try:
            ending = await self._end(work)
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
        return ending

    async def _fetch(self) -> None:
        self._progress.phase = "fetching"
        job = self._claim.job
        source = await self._store.source(job.tenant_id, job.import_source_id)
        if source is None:
            raise ImportFailure("SOURCE_MISSING", "The import source is not there any more.")
        self.type = source.type
        most_bytes = min(self._bounds.max_bytes, source.max_bytes or self._bounds.max_bytes)
        order = self._order(source, most_bytes)
        try:
            async with asyncio.timeout(self._bounds.seconds), reading(order, self._signals.check) as lines:
                await self._landing.land(self._counted(lines, most_bytes))
        except TimeoutError:
            raise ImportFailure(
                "FETCH_LIMIT", f"Reading the source took longer than {self._bounds.seconds:g} s."
            ) from None

    def _order(self, source: StoredSource, most_bytes: int) -> Order:
        try:
            secrets = read_secrets(self._sealer.unseal(source.sealed_secret)) if source.sealed_secret else Secrets()
        except Unsealable:
            raise ImportFailure(
                "SECRET_UNREADABLE", "The credentials cannot be read any more; give them again."
            ) from None
        return Order(
            type=fetched_type(source.type),
            settings=source.settings,
            secrets=secrets,
            exemptions=self._bounds.exemptions,
            allow_http=self._bounds.allow_http,
            authorities=self._bounds.authorities,
            frame_bytes=self._bounds.frame_bytes,
            row_bytes=self._bounds.row_bytes,
            memory_bytes=self._bounds.memory_bytes,
            max_bytes=most_bytes,
            connect_seconds=self._bounds.connect_seconds,
            idle_seconds=self._bounds.idle_seconds,
        )

    async def _counted(self, frames: AsyncIterator[Lines], most_bytes: int) -> AsyncIterator[Lines]:
        """What has come so far is what people see. Raises what has come from outside, and at a bound."""
        tally = self._progress.tally
        async for lines in frames:
            self._signals.check()
            tally.read += lines.rows
            tally.bytes += len(lines.data)
            if tally.read > self._bounds.max_rows:
                raise ImportFailure("FETCH_LIMIT", f"The source has more than {self._bounds.max_rows} rows.")
            if tally.bytes > most_bytes:
                raise ImportFailure("FETCH_LIMIT", f"The source has more than {most_bytes} bytes.")
            yield lines

    async def _end(self, work: asyncio.Task[None]) -> Ending:
        try:
            await self._outcome(work)
        except ImportFailure as failure:
            log.info("the source cannot be read", code=failure.code)
            return await self._discard(await self._store.fail(self._claim, self._progress, failure))
        except Cancelled:
            return await self._discard(await self._store.cancel(self._claim, self._progress))
        except (Drained, Paused):
            return await self._discard(
                await self._store.hand_back(self._claim, self._progress, NO_DELAY, is_retry=False)
            )
        except FencedOut:
            return Ending.FENCED
        except RetryableFailure as failure:
            return await self._discard(await self._retry(failure))
        ending = await self._store.hand_over(self._claim, self._progress, self._landing.inputs)
        if ending is Ending.CANCELLED:
            return await self._discard(ending)
        if ending is not Ending.FENCED:
            metrics.FETCHED_ROWS.labels(self.type).inc(self._progress.tally.read)
            metrics.FETCHED_BYTES.labels(self.type).inc(self._progress.tally.bytes)
        return ending

    async def _outcome(self, work: asyncio.Task[None]) -> None:
        """Waits for the work and gives every way of ending one of our names."""
        try:
            await work
        except (ImportFailure, RetryableFailure, Cancelled, Paused, Drained, FencedOut):
            raise
        except asyncio.CancelledError:
            # The heartbeat stopped it; or we ourselves are being stopped, and then that goes on.
            if self._signals.reason is None:
                work.cancel()
                raise
            raise self._signals.reason from None
        except ServiceError as error:
            raise RetryableFailure(error.reason, error.message) from error
        except Exception as error:
            log.exception("a fetch failed unexpectedly")
            raise RetryableFailure("INTERNAL", "Something went wrong on our side.") from error

    async def _retry(self, failure: RetryableFailure) -> Ending:
        retries = self._claim.retries
        if retries + 1 >= MAX_RETRIES:
            return await self._store.fail(self._claim, self._progress, ImportFailure(failure.code, failure.message))
        asked = failure.retry_after if isinstance(failure, SourceBusy) else 0.0
        delay = min(max(FIRST_RETRY_SECONDS * 2**retries, asked), LAST_RETRY_SECONDS)
        delay *= random.uniform(1, 1.2)  # noqa: S311  (jitter)
        log.warning("fetch failed, to be tried again", code=failure.code, delay_seconds=round(delay, 1))
        return await self._store.hand_back(self._claim, self._progress, timedelta(seconds=delay), is_retry=True)

    async def _discard(self, ending: Ending) -> Ending:
        """Removes what this attempt has landed and nobody will read. What stays behind goes to the reaper."""
        if ending is Ending.FENCED:
            # It may have been handed over by a commit whose answer was lost.
            return ending
        for key in self._landing.begun:
            try:
                await asyncio.wait_for(self._objects.delete(key), REMOVE_SECONDS)
            except (ServiceError, TimeoutError) as error:
                log.warning("a landed object could not be removed", object_key=key, error=type(error).__name__)
        return ending


def fetched_type(text: str) -> SourceType:
    """Raises ImportFailure for a source that nobody fetches."""
    for known in FETCHED_TYPES:
        if known == text:
            return known
    raise ImportFailure("SOURCE_REFUSED", f"A source of type {text} is not fetched.")

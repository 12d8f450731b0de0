"""One attempt at one import, seen from its worker: heartbeats beside the run, and what is written down when it ends."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.objects import ObjectStore
from services.importer import metrics
from services.importer.engine import claims, ending, flip, progress
from services.importer.engine.claims import Claim
from services.importer.engine.failures import Cancelled, Drained, FencedOut, ImportFailure, RetryableFailure
from services.importer.engine.progress import Progress
from services.importer.engine.runner import Limits, Runner
from services.importer.engine.staging import Staging
from services.importer.engine.target import Target
from services.importer.model import State

log = structlog.get_logger(__name__)

MAX_RETRIES = 5
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0
BEAT_SECONDS = 1.0
DATA_EXCEPTION = "22"
NO_DELAY = timedelta(0)


class Ending(StrEnum):
    """How an attempt ended. After FENCED the message is left alone; after all others it is done with."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    DRAINED = "drained"
    FENCED = "fenced"


class Signals:
    """What has come from outside since the attempt began. Set by the heartbeat, read by the run."""

    def __init__(self) -> None:
        self.reason: Cancelled | Drained | FencedOut | None = None

    def check(self) -> None:
        """Raises what has come."""
        if self.reason is not None:
            raise self.reason


class Attempt:
    """Runs a claim to its end. `beat_message` tells the queue that the message is being worked on."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        target: Target,
        claim: Claim,
        limits: Limits,
        draining: asyncio.Event,
        beat_message: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._objects = objects
        self._target = target
        self._claim = claim
        self._limits = limits
        self._draining = draining
        self._beat_message = beat_message
        self._signals = Signals()
        self._progress = Progress(claim.size, target.merge_steps)
        self._is_forgiven = False
        self._must_end_at = math.inf

    async def run(self) -> Ending:
        """Runs it and records how it ended. Only a database that stays away keeps this from returning."""
        runner = Runner(
            self._database, self._objects, self._target, self._claim, self._progress, self._signals, self._limits
        )
        work = asyncio.create_task(runner.run())
        heart = asyncio.create_task(self._beat(work))
        try:
            ending = await self._end(work)
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
        metrics.FENCED_WRITES.inc(int(ending is Ending.FENCED))
        return ending

    async def _end(self, work: asyncio.Task[None]) -> Ending:
        try:
            await self._outcome(work)
        except ImportFailure as failure:
            return await self._record(partial(self._fail, failure), Ending.FAILED)
        except Cancelled:
            return await self._record(self._cancel, Ending.CANCELLED)
        except Drained:
            return await self._record(self._drain, Ending.DRAINED)
        except FencedOut:
            return Ending.FENCED
        except RetryableFailure as failure:
            return await self._retry(failure)
        return Ending.SUCCEEDED

    async def _outcome(self, work: asyncio.Task[None]) -> None:
        """Waits for the run and gives every way of ending one of our names."""
        try:
            await work
        except (ImportFailure, RetryableFailure, Cancelled, Drained, FencedOut):
            raise
        except asyncio.CancelledError:
            # The heartbeat stopped the run; or we ourselves are being stopped, and then that goes on.
            if self._signals.reason is None:
                work.cancel()
                raise
            raise self._signals.reason from None
        except ServiceError as error:
            raise RetryableFailure(error.reason, error.message) from error
        except DBAPIError as error:
            raise _named(error) from error
        except Exception as error:
            log.exception("attempt failed unexpectedly")
            raise RetryableFailure("INTERNAL", "Something went wrong on our side.") from error

    async def _beat(self, work: asyncio.Task[None]) -> None:
        """Lease, message, progress and the cancel request, from a loop that never parses."""
        renew_every = self._claim.lease.total_seconds() / 4
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(min(BEAT_SECONDS, renew_every))
            try:
                await self._forgive()
                async with self._database.transaction(self._claim.job.tenant_id) as connection:
                    if not self._progress.is_closed:
                        await progress.write(connection, self._claim, self._progress.values())
                    if time.monotonic() - renewed_at >= renew_every:
                        await claims.renew(connection, self._claim, self._claim.lease)
                        renewed_at = time.monotonic()
                    if await claims.is_cancelled(connection, self._claim):
                        self._stop(work, Cancelled())
                await self._beat_message()
            except FencedOut as fenced:
                self._stop(work, fenced)
            except (ServiceError, DBAPIError) as error:
                # The run meets the same trouble and says so; the lease decides who goes on.
                log.warning("heartbeat failed", error=str(error))
            if self._draining.is_set():
                self._drain_soon(work)

    async def _forgive(self) -> None:
        if self._progress.has_advanced and not self._is_forgiven:
            # By itself: the end of an import takes its row before its lease, so a heartbeat that takes it last could
            # lock both of them up.
            async with self._database.transaction(self._claim.job.tenant_id) as connection:
                await progress.forgive(connection, self._claim)
            self._is_forgiven = True

    def _drain_soon(self, work: asyncio.Task[None]) -> None:
        """The run stops at its next chunk. What has no chunks any more, as a flip, is stopped where it is."""
        self._must_end_at = min(self._must_end_at, time.monotonic() + self._limits.drain_seconds)
        self._signals.reason = self._signals.reason or Drained()
        if time.monotonic() >= self._must_end_at:
            self._stop(work, self._signals.reason)

    def _stop(self, work: asyncio.Task[None], reason: Cancelled | Drained | FencedOut) -> None:
        # From the last statements of the flip on, its own fence and its own look at the cancel request decide. A lease
        # that is gone may then be gone because the import has ended.
        if not self._progress.is_closed:
            self._signals.reason = reason
            work.cancel()

    async def _retry(self, failure: RetryableFailure) -> Ending:
        retries = 0 if self._progress.has_advanced else self._claim.retries
        if retries + 1 >= MAX_RETRIES:
            final = ImportFailure(failure.code, failure.message)
            return await self._record(partial(self._fail, final), Ending.FAILED)
        delay = min(FIRST_RETRY_SECONDS * 2**retries, LAST_RETRY_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311  (jitter)
        log.warning("attempt failed, to be tried again", code=failure.code, delay_seconds=round(delay, 1))

        async def write(connection: AsyncConnection) -> None:
            if self._progress.has_advanced:
                await progress.forgive(connection, self._claim)
            await self._hand_back(connection, timedelta(seconds=delay), is_retry=True)

        return await self._record(write, Ending.RETRIED)

    async def _drain(self, connection: AsyncConnection) -> None:
        await self._hand_back(connection, NO_DELAY, is_retry=False)

    async def _hand_back(self, connection: AsyncConnection, delay: timedelta, *, is_retry: bool) -> None:
        job = self._claim.job
        await ending.hand_back(connection, job.tenant_id, job.import_id, delay, is_retry=is_retry)

    async def _cancel(self, connection: AsyncConnection) -> None:
        await self._finish(connection, State.CANCELLED, "CANCELLED", "The import was cancelled.", "")

    async def _fail(self, failure: ImportFailure, connection: AsyncConnection) -> None:
        await self._finish(connection, State.FAILED, failure.code, failure.message, failure.position)

    async def _finish(self, connection: AsyncConnection, state: State, code: str, message: str, position: str) -> None:
        job = self._claim.job
        staging = Staging(job.tenant_id, job.import_id, self._target.templates)
        if await staging.exists(connection):
            await flip.keep_errors(connection, self._claim, staging)
        await staging.drop(connection)
        await progress.write(connection, self._claim, {**self._progress.values(), "phase": state.lower()})
        await ending.end(connection, job.tenant_id, job.import_id, state, code, message, position)

    async def _record(self, write: Callable[[AsyncConnection], Awaitable[None]], ending: Ending) -> Ending:
        """Writes the end down behind the fence, for as long as the database is away."""
        self._progress.is_closed = True
        while True:
            try:
                async with self._database.transaction(self._claim.job.tenant_id) as connection:
                    await claims.hold(connection, self._claim)
                    await write(connection)
            except FencedOut:
                # Another attempt, or an end that did commit although its answer was lost.
                return Ending.FENCED
            except (ServiceError, DBAPIError) as error:
                log.warning("the end of an attempt could not be written yet", ending=ending, error=str(error))
                await asyncio.sleep(BEAT_SECONDS)
            else:
                return ending


def _named(error: DBAPIError) -> ImportFailure | RetryableFailure:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state.startswith(DATA_EXCEPTION):
        return ImportFailure("UNSTORABLE_VALUE", "The file holds a value that cannot be stored.")
    log.error("database refused a statement", sqlstate=state, error=str(error.orig))
    return RetryableFailure("DATABASE_ERROR", "The database refused the import.")

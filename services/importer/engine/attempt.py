"""One attempt at one import, seen from its worker: the run, and what is written down when it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.errors import ServiceError
from runtime.failpoints import failpoint
from runtime.objects import ObjectStore
from runtime.tracing import span
from services.importer import metrics
from services.importer.engine import claims, ending, last_word, progress, undo
from services.importer.engine.claims import Claim, Request
from services.importer.engine.failures import Cancelled, Drained, FencedOut, ImportFailure, Paused, RetryableFailure
from services.importer.engine.heartbeat import Heartbeat, Signals
from services.importer.engine.limits import Limits
from services.importer.engine.progress import Progress
from services.importer.engine.report import write_report
from services.importer.engine.row_errors import keep_errors, write_errors
from services.importer.engine.runner import Gate, Runner
from services.importer.engine.staging import Staging
from services.importer.engine.target import Target
from services.importer.engine.undo import Undoing
from services.importer.model import Kind, State

log = structlog.get_logger(__name__)

MAX_RETRIES = 5
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0
REPORT_SECONDS = 15.0
DATA_EXCEPTION = "22"
NO_DELAY = timedelta(0)


class Ending(StrEnum):
    """How an attempt ended. After FENCED the message is left alone; after all others it is done with."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    RETRIED = "retried"
    DRAINED = "drained"
    FENCED = "fenced"


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
        gate: Gate | None = None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._target = target
        self._claim = claim
        self._limits = limits
        self._draining = draining
        self._beat_message = beat_message
        self._gate = gate
        self._signals = Signals()
        self._is_undo = claim.job.kind is Kind.UNDO
        self._progress = Progress(claim.size, undo.STEPS if self._is_undo else target.merge_steps)
        self._staging = Staging(claim.job.tenant_id, claim.job.import_id, target.templates)

    async def run(self) -> Ending:
        """Runs it and records how it ended. Only a database that stays away keeps this from returning."""
        heartbeat = Heartbeat(
            self._database,
            self._claim,
            self._progress,
            self._signals,
            self._draining,
            self._limits.drain_seconds,
            self._beat_message,
        )
        work = asyncio.create_task(self._work())
        heart = asyncio.create_task(heartbeat.run(work))
        try:
            ending = await self._end(work)
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
        metrics.FENCED_WRITES.inc(int(ending is Ending.FENCED))
        return ending

    async def _work(self) -> None:
        given = (self._database, self._objects, self._target, self._claim, self._progress, self._signals)
        if self._is_undo:
            with span("undo"):
                await Undoing(*given).run()
        else:
            await Runner(*given, self._limits, self._gate).run()

    async def _end(self, work: asyncio.Task[None]) -> Ending:
        try:
            await self._outcome(work)
        except ImportFailure as failure:
            await self._report_what_is_staged()
            return await self._record(partial(self._fail, failure))
        except Cancelled:
            await self._report_what_is_staged()
            return await self._record(self._cancel)
        except (Drained, Paused):
            return await self._record(self._hand_back)
        except FencedOut:
            return Ending.FENCED
        except RetryableFailure as failure:
            return await self._retry(failure)
        return Ending.SUCCEEDED

    async def _outcome(self, work: asyncio.Task[None]) -> None:
        """Waits for the run and gives every way of ending one of our names."""
        try:
            await work
        except (ImportFailure, RetryableFailure, Cancelled, Paused, Drained, FencedOut):
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

    async def _retry(self, failure: RetryableFailure) -> Ending:
        retries = 0 if self._progress.has_advanced else self._claim.retries
        if retries + 1 >= MAX_RETRIES:
            final = ImportFailure(failure.code, failure.message)
            await self._report_what_is_staged()
            return await self._record(partial(self._fail, final, is_resumable=True))
        delay = min(FIRST_RETRY_SECONDS * 2**retries, LAST_RETRY_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311  (jitter)
        log.warning("attempt failed, to be tried again", code=failure.code, delay_seconds=round(delay, 1))

        async def write(connection: AsyncConnection) -> Ending:
            if self._progress.has_advanced:
                await progress.forgive(connection, self._claim)
            return await self._hand_back(connection, timedelta(seconds=delay), is_retry=True)

        return await self._record(write)

    async def _hand_back(
        self, connection: AsyncConnection, delay: timedelta = NO_DELAY, *, is_retry: bool = False
    ) -> Ending:
        """Back to the queue, unless somebody has asked for something else: seen here, no request gets lost."""
        job = self._claim.job
        await ending.lock(connection, job.tenant_id, job.import_id)
        request = await claims.requested(connection, self._claim)
        if request is Request.CANCEL:
            return await self._cancel(connection)
        if request is Request.PAUSE:
            await progress.write(connection, self._claim, {**self._progress.values(), "phase": "paused"})
            await ending.pause(connection, job.tenant_id, job.import_id)
            return Ending.PAUSED
        await ending.hand_back(connection, job.tenant_id, job.import_id, delay, is_retry=is_retry)
        failpoint("handback.before_commit")
        return Ending.RETRIED if is_retry else Ending.DRAINED

    async def _cancel(self, connection: AsyncConnection) -> Ending:
        failure = ImportFailure("CANCELLED", "The import was cancelled.")
        await self._finish(connection, State.CANCELLED, failure, is_resumable=False)
        return Ending.CANCELLED

    async def _fail(self, failure: ImportFailure, connection: AsyncConnection, *, is_resumable: bool = False) -> Ending:
        await self._finish(connection, State.FAILED, failure, is_resumable=is_resumable)
        return Ending.FAILED

    async def _finish(
        self, connection: AsyncConnection, state: State, why: ImportFailure, *, is_resumable: bool
    ) -> None:
        tenant_id, import_id = self._claim.job.tenant_id, self._claim.job.import_id
        if why.row_errors:
            await write_errors(connection, tenant_id, import_id, why.row_errors)
        else:
            await keep_errors(connection, tenant_id, import_id)
        keep = self._limits.keep_resumable if is_resumable else NO_DELAY
        if not await ending.keep_resumable(connection, tenant_id, import_id, keep):
            await self._staging.drop(connection)
        await progress.write(connection, self._claim, {**self._progress.values(), "phase": state.lower()})
        await ending.end(connection, tenant_id, import_id, state, why.code, why.message, why.position)

    async def _report_what_is_staged(self) -> None:
        """The report of an import that was not merged: worth trying, and no reason to put its end off."""
        if self._progress.is_reported:
            return
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                error_file = self._target.error_file
                await write_report(self._database, self._objects, self._claim, self._progress.tally, error_file)
        except (TimeoutError, RetryableFailure, ServiceError, DBAPIError) as error:
            log.warning("the report of a failed import could not be written", error=str(error))

    async def _record(self, write: Callable[[AsyncConnection], Awaitable[Ending]]) -> Ending:
        async def end(connection: AsyncConnection) -> Ending:
            ended = await write(connection)
            failpoint("end.before_commit")
            return ended

        ended = await last_word.written(self._database, self._claim, self._progress, end)
        if ended is None:
            return Ending.FENCED
        failpoint("end.after_commit")
        return ended


def _named(error: DBAPIError) -> ImportFailure | RetryableFailure:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state.startswith(DATA_EXCEPTION):
        return ImportFailure("UNSTORABLE_VALUE", "The file holds a value that cannot be stored.")
    log.error("database refused a statement", sqlstate=state, error=str(error.orig))
    return RetryableFailure("DATABASE_ERROR", "The database refused the import.")

"""Beside a running attempt, from a loop that never parses: lease, message, progress, and what comes from outside."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import DBAPIError

from runtime.database import Database
from runtime.errors import ServiceError
from services.importer.engine import claims, progress
from services.importer.engine.claims import Claim, Request
from services.importer.engine.failures import Cancelled, Drained, FencedOut, Paused
from services.importer.engine.progress import Progress

log = structlog.get_logger(__name__)

BEAT_SECONDS = 1.0


class Signals:
    """What has come from outside since the attempt began. Set by the heartbeat, read by the run."""

    def __init__(self) -> None:
        self.reason: Cancelled | Paused | Drained | FencedOut | None = None

    def check(self) -> None:
        """Raises what has come."""
        if self.reason is not None:
            raise self.reason


class Heartbeat:
    """Of one attempt. `beat_message` tells the queue that the message is being worked on."""

    def __init__(
        self,
        database: Database,
        claim: Claim,
        seen: Progress,
        signals: Signals,
        draining: asyncio.Event,
        drain_seconds: float,
        beat_message: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._claim = claim
        self._progress = seen
        self._signals = signals
        self._draining = draining
        self._drain_seconds = drain_seconds
        self._beat_message = beat_message
        self._renew_every = claim.lease.total_seconds() / 4
        self._renewed_at = time.monotonic()
        self._is_forgiven = False
        self._must_end_at = math.inf

    async def run(self, work: asyncio.Task[None]) -> None:
        """Beats until it is cancelled."""
        while True:
            await asyncio.sleep(min(BEAT_SECONDS, self._renew_every))
            try:
                await self._beat(work)
            except FencedOut as fenced:
                self._stop(work, fenced)
            except (ServiceError, DBAPIError) as error:
                # The run meets the same trouble and says so; the lease decides who goes on.
                log.warning("heartbeat failed", error=str(error))
            if self._draining.is_set():
                self._drain_soon(work)

    async def _beat(self, work: asyncio.Task[None]) -> None:
        await self._forgive()
        async with self._database.transaction(self._claim.job.tenant_id) as connection:
            if not self._progress.is_closed:
                await progress.write(connection, self._claim, self._progress.values())
            if time.monotonic() - self._renewed_at >= self._renew_every:
                await claims.renew(connection, self._claim, self._claim.lease)
                self._renewed_at = time.monotonic()
            self._note(work, await claims.requested(connection, self._claim))
        await self._beat_message()

    def _note(self, work: asyncio.Task[None], request: Request | None) -> None:
        """A cancel stops the run where it is, a pause at its next chunk; a pause may be withdrawn until then."""
        if request is Request.CANCEL:
            self._stop(work, Cancelled())
        elif request is Request.PAUSE:
            self._signals.reason = self._signals.reason or Paused()
        elif isinstance(self._signals.reason, Paused):
            self._signals.reason = None

    async def _forgive(self) -> None:
        if self._progress.has_advanced and not self._is_forgiven:
            # By itself: the end of an import takes its row before its lease, so a heartbeat that takes it last could
            # lock both of them up.
            async with self._database.transaction(self._claim.job.tenant_id) as connection:
                await progress.forgive(connection, self._claim)
            self._is_forgiven = True

    def _drain_soon(self, work: asyncio.Task[None]) -> None:
        """The run stops at its next chunk. What has no chunks any more, as a flip, is stopped where it is."""
        self._must_end_at = min(self._must_end_at, time.monotonic() + self._drain_seconds)
        self._signals.reason = self._signals.reason or Drained()
        if time.monotonic() >= self._must_end_at:
            self._stop(work, self._signals.reason)

    def _stop(self, work: asyncio.Task[None], reason: Cancelled | Paused | Drained | FencedOut) -> None:
        # From the last statements of the flip on, its own fence and its own look at the cancel request decide. A lease
        # that is gone may then be gone because the import has ended.
        if not self._progress.is_closed:
            self._signals.reason = reason
            work.cancel()

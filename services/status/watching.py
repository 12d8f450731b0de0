"""Watching imports: one poller per import, however many watch it.

Polling by primary key, and not LISTEN: it holds no connection for a watcher, works through connection poolers and on
read replicas, and cannot miss a change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import structlog

from runtime.errors import DeadlineExceeded, Internal, ServiceError, Unavailable
from services.status.imports import unknown_import
from services.status.metrics import POLLS, WATCHED_IMPORTS, WATCHERS
from services.status.model import Import

log = structlog.get_logger(__name__)

Fetch = Callable[[int, UUID], Awaitable[Import | None]]
BACKOFF = 1.5
# A database that restarts is waited for; one that is away for longer ends the watch.
OUTAGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two reads: `fast` after a change, growing to `slow`; and between two words to a watcher."""

    fast: float = 0.1
    slow: float = 0.5
    repeat: float = 10.0


@dataclass(slots=True)
class _Poll:
    """One watched import. `version` counts its changes; `news` is set at each and then replaced."""

    latest: Import
    version: int = 0
    failure: ServiceError | None = None
    watchers: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def knows_more_than(self, imported: Import) -> bool:
        """Another watcher's poller may be ahead of what a new one was just told, or behind it."""
        is_ahead = self.latest.is_terminal or self.latest.updated_at > imported.updated_at
        return self.failure is not None or is_ahead

    def tell(self) -> None:
        self.version += 1
        self.news.set()
        self.news = asyncio.Event()


class Watching:
    """All watches of this process."""

    def __init__(self, fetch: Fetch, pace: Pace) -> None:
        self._fetch = fetch
        self._pace = pace
        self._polls: dict[tuple[int, UUID], _Poll] = {}

    async def watch(self, imported: Import, stopping: asyncio.Event) -> AsyncGenerator[Import, None]:
        """The import now, at each change, and again when nothing changed for a while; ends behind a terminal state.

        Raises Unavailable when the server drains (`stopping`) or the database stays away, NotFound when the import is
        gone.
        """
        yield imported
        if imported.is_terminal:
            return
        poll = self._join(imported)
        drain = asyncio.create_task(stopping.wait())
        seen, shown = -1 if poll.knows_more_than(imported) else poll.version, imported
        try:
            while not shown.is_terminal:
                if poll.version == seen:
                    await self._wait(poll.news, drain)
                if poll.failure is not None:
                    raise poll.failure
                if drain.done():
                    raise Unavailable("SHUTTING_DOWN", "The service restarts. Watch again.")
                seen, shown = poll.version, poll.latest
                yield shown
        finally:
            drain.cancel()
            self._leave(imported, poll)

    async def _wait(self, news: asyncio.Event, drain: asyncio.Task[Literal[True]]) -> None:
        hearing = asyncio.create_task(news.wait())
        try:
            await asyncio.wait({hearing, drain}, timeout=self._pace.repeat, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hearing.cancel()

    def _join(self, imported: Import) -> _Poll:
        key = (imported.tenant_id, imported.import_id)
        poll = self._polls.get(key)
        if poll is None:
            poll = self._polls[key] = _Poll(imported)
            # In a context of its own: the call that happens to come first must not lend it its deadline.
            poll.task = asyncio.create_task(self._run(poll), context=Context())
            WATCHED_IMPORTS.inc()
        poll.watchers += 1
        WATCHERS.inc()
        return poll

    def _leave(self, imported: Import, poll: _Poll) -> None:
        poll.watchers -= 1
        WATCHERS.dec()
        if poll.watchers == 0:
            del self._polls[imported.tenant_id, imported.import_id]
            WATCHED_IMPORTS.dec()
            if poll.task is not None:
                poll.task.cancel()

    async def _run(self, poll: _Poll) -> None:
        """Read the import until it is terminal or cannot be read; then there is news for the last time."""
        try:
            await self._follow(poll)
        except ServiceError as error:
            log.warning("watch ended", import_id=str(poll.latest.import_id), reason=error.reason)
            poll.failure = error
        except Exception:
            log.exception("watch failed", import_id=str(poll.latest.import_id))
            poll.failure = Internal("INTERNAL", "The import cannot be watched.")
        poll.tell()

    async def _follow(self, poll: _Poll) -> None:
        loop = asyncio.get_running_loop()
        wait, read_at = self._pace.fast, loop.time()
        while not poll.latest.is_terminal:
            await asyncio.sleep(wait)
            wait = min(wait * BACKOFF, self._pace.slow)
            try:
                found = await self._fetch(poll.latest.tenant_id, poll.latest.import_id)
            except (Unavailable, DeadlineExceeded):
                POLLS.labels("failed").inc()
                if loop.time() - read_at > OUTAGE_SECONDS:
                    raise
                continue
            read_at = loop.time()
            if found is None:
                raise unknown_import(str(poll.latest.import_id))
            POLLS.labels("same" if found == poll.latest else "changed").inc()
            if found != poll.latest:
                poll.latest, wait = found, self._pace.fast
                poll.tell()

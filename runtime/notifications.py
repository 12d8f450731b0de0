"""LISTEN on a PostgreSQL channel: turns a notification into a set event, and survives lost connections.

A notification is a hint to look now, not a message: whoever waits must also look by itself from time to time.
"""

from __future__ import annotations

import asyncio

import psycopg
import structlog
from psycopg import sql

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


class Listener:
    """Sets its events when something is said on the channel, and after each connect: anything may have been missed."""

    def __init__(self, url: str, channel: str) -> None:
        # SQLAlchemy's name of the driver is not part of a libpq URL.
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._channel = channel
        self._events: list[asyncio.Event] = []
        self.event = self.another_event()

    def another_event(self) -> asyncio.Event:
        """One more, for a second loop: whoever clears an event must be the only one who waits for it."""
        event = asyncio.Event()
        self._events.append(event)
        return event

    async def run(self, stop: asyncio.Event) -> None:
        """Listens until `stop`."""
        while not stop.is_set():
            try:
                await self._listen(stop)
            except psycopg.Error as error:
                log.warning("listening was interrupted", channel=self._channel, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, stop: asyncio.Event) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=5) as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            self._set_all()
            while not stop.is_set():
                async for _ in connection.notifies(timeout=1.0, stop_after=1):
                    self._set_all()

    def _set_all(self) -> None:
        for event in self._events:
            event.set()

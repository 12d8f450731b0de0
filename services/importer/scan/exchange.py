"""One request with a large body and its answer, side by side over one connection.

HTTP clients, and those for ICAP, read an answer when all is sent. A scanner may have its verdict long before, and then
closes the connection or just reads no more; and one that neither takes nor gives a byte must be given up, however long
the store takes for the next block.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.importer.scan.verdict import ScannerUnavailable

T = TypeVar("T")

LINE_BYTES = 64 * 1024
"""Longest head or line that a reader is given."""
SLICE_BYTES = 64 * 1024
LOOK_SECONDS = 1.0

Read = Callable[[asyncio.StreamReader, Callable[[], None]], Awaitable[T]]
"""Reads the answer, and calls its second argument whenever something of it has come."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scanner listens; `tls` where it is spoken to by TLS."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent before the body, what is made of each piece of it, and what is sent after it."""

    head: bytes
    frame: Callable[[bytes], bytes]
    end: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The answer, and what had been sent of the body when it came."""

    answer: T
    is_all_sent: bool
    digest: bytes
    """SHA-256 of what was sent."""


class _Broken(Exception):
    """The scanner takes no more bytes. It may have answered all the same."""


async def exchange(
    place: Place, request: Request, blocks: AsyncIterator[bytes], read: Read[T], seconds: float
) -> Outcome[T]:
    """Raises ScannerUnavailable when the scanner is silent for so many seconds, and what `blocks` or `read` raise."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(place.host, place.port, ssl=place.tls, limit=LINE_BYTES)
    except (OSError, TimeoutError) as error:
        raise ScannerUnavailable("the scanner cannot be reached") from error
    try:
        return await _Exchange[T](reader, writer, seconds).run(request, blocks, read)
    finally:
        # What is not sent yet is for nobody any more.
        writer.transport.abort()


class _Exchange(Generic[T]):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
        self._reader = reader
        self._writer = writer
        self._seconds = seconds
        self._digest = hashlib.sha256()
        self._is_all_sent = False
        self._moved_at = time.monotonic()

    async def run(self, request: Request, blocks: AsyncIterator[bytes], read: Read[T]) -> Outcome[T]:
        sending = asyncio.create_task(self._send(request, blocks))
        answering = asyncio.ensure_future(read(self._reader, self._move))
        try:
            while not answering.done():
                waiting = {answering} if sending.done() else {answering, sending}
                await asyncio.wait(waiting, timeout=self._look_seconds, return_when=asyncio.FIRST_COMPLETED)
                if sending.done() and not isinstance(error := sending.exception(), _Broken | None):
                    raise error
                if time.monotonic() - self._moved_at > self._seconds and not answering.done():
                    raise ScannerUnavailable(f"the scanner was silent for {self._seconds:g} s")
            return Outcome(answering.result(), self._is_all_sent, self._digest.digest())
        except OSError as error:
            raise ScannerUnavailable("the scanner broke the connection off") from error
        finally:
            sending.cancel()
            answering.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)

    @property
    def _look_seconds(self) -> float:
        return min(LOOK_SECONDS, self._seconds)

    async def _send(self, request: Request, blocks: AsyncIterator[bytes]) -> None:
        await self._write(request.head)
        self._moved_at = math.inf
        async for block in blocks:
            self._move()
            self._digest.update(block)
            for at in range(0, len(block), SLICE_BYTES):
                await self._write(request.frame(block[at : at + SLICE_BYTES]))
            # Now it is the store that is waited for.
            self._moved_at = math.inf
        self._is_all_sent = True
        await self._write(request.end)

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise _Broken from error
        finally:
            self._move()

    def _move(self) -> None:
        self._moved_at = time.monotonic()

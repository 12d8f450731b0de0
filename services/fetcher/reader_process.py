"""The child process that reads a source, seen from the fetcher."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
import structlog

from services.fetcher.frames import HEAD, Failure, Kind, Order
from services.importer.engine.failures import ImportFailure, RetryableFailure

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
BUFFER_BYTES = 1 << 20
COMMAND = (sys.executable, "-P", "-m", "services.fetcher.child")
# Nothing of this process's environment, which has credentials in it.
ENVIRONMENT = {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
KINDS = frozenset(Kind)
GARBLED = "What reads the source has sent what nobody understands."


class Lines(NamedTuple):
    """So many rows, each a line of JSON."""

    rows: int
    data: bytes


class SourceBusy(RetryableFailure):
    """The source asks to be left alone for so many seconds."""

    def __init__(self, code: str, message: str, retry_after: float) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


@asynccontextmanager
async def reading(order: Order, check: Callable[[], None]) -> AsyncIterator[AsyncIterator[Lines]]:
    """What the child reads, as it comes; it is gone when the block ends, however that is.

    `check` is called again and again while the child is silent, and raises what is to end the wait.
    """
    process = await asyncio.create_subprocess_exec(
        *COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=ENVIRONMENT, limit=BUFFER_BYTES, start_new_session=True
    )
    try:
        if process.stdin is not None:
            process.stdin.write(msgspec.json.encode(order) + b"\n")
        yield _lines(process, check, order.frame_bytes + order.row_bytes)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(asyncio.ensure_future(process.wait()))


async def _lines(process: Process, check: Callable[[], None], most_bytes: int) -> AsyncIterator[Lines]:
    while True:
        kind, rows, data = await _frame(process, check, most_bytes)
        match kind:
            case Kind.LINES:
                yield Lines(rows, data)
            case Kind.DONE:
                return
            case Kind.FAILED:
                raise failure_of(_told(data))


async def _frame(process: Process, check: Callable[[], None], most_bytes: int) -> tuple[Kind, int, bytes]:
    frame = asyncio.ensure_future(_read_frame(process, most_bytes))
    try:
        while not frame.done():
            await asyncio.wait({frame}, timeout=LOOK_SECONDS)
            check()
        return frame.result()
    except (asyncio.IncompleteReadError, ConnectionError):
        raise crashed("What reads the source stopped in the middle.") from None
    finally:
        frame.cancel()


async def _read_frame(process: Process, most_bytes: int) -> tuple[Kind, int, bytes]:
    """A hostile server may have taken the child over: what it says is not believed, and not kept without bound."""
    stream = process.stdout
    if stream is None:
        raise ConnectionError
    kind, rows, length = HEAD.unpack(await stream.readexactly(HEAD.size))
    if kind not in KINDS or length > most_bytes:
        raise crashed(GARBLED)
    return Kind(kind), rows, await stream.readexactly(length) if length else b""


def _told(data: bytes) -> Failure:
    try:
        return msgspec.json.decode(data, type=Failure)
    except msgspec.MsgspecError:
        raise crashed(GARBLED) from None


def crashed(message: str) -> RetryableFailure:
    return RetryableFailure("READER_CRASHED", message)


def failure_of(told: Failure) -> ImportFailure | RetryableFailure:
    """What the attempt ends with."""
    if told.trace:
        log.error("a reader failed unexpectedly", trace=told.trace)
    if not told.is_retryable:
        return ImportFailure(told.code, told.message)
    if told.retry_after is not None:
        return SourceBusy(told.code, told.message, told.retry_after)
    return RetryableFailure(told.code, told.message)

"""The worker's side of a parser child: starts it, feeds it the file, reads its replies, and says how it died."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import IO, Any, Protocol, Self

import msgspec

from runtime.environment import hidden_environment
from services.importer.engine import child
from services.importer.engine.failures import ImportFailure
from services.importer.engine.frames import LENGTH, MAX_FRAME_BYTES, Order

READ_BYTES = 1024 * 1024
STALL_SECONDS = 60.0

EXIT_SECONDS = 5.0
POLL_SECONDS = 0.002

_context = multiprocessing.get_context("forkserver")
# A child's exit code can be read from the fork server once. multiprocessing reads it whenever any process is started,
# asked or joined, in whichever thread, so those of several imports must take turns: the loser would read 255.
_one_at_a_time = threading.Lock()


class Reader(Protocol):
    """The object being imported; blocking."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""

    def close(self) -> None:
        """Lets go of the connection; a `read` in another thread ends."""


def start_fork_server() -> None:
    """Starts the process that children are forked from: formats loaded, no network, no credentials.

    Called before grpc is imported, whose threads do not survive a fork.
    """
    from multiprocessing import forkserver  # noqa: PLC0415  (only the worker's entry point needs it)

    _context.set_forkserver_preload(["services.importer.engine.preload"])
    with hidden_environment():
        forkserver.ensure_running()


class Feeder:
    """Copies objects into the child's pipe from a thread of its own.

    The store's client blocks, the event loop must not.
    """

    def __init__(self, readers: Sequence[Callable[[], Reader]], write_fd: int) -> None:
        self._readers = readers
        self._write_fd = write_fd
        self._is_stopping = False
        self._current: Reader | None = None
        self.error: BaseException | None = None
        self.digest: bytes | None = None
        """SHA-256 of all objects, one after the other, once the child has taken every byte."""
        self._sha256 = hashlib.sha256()
        self.active_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Begins to feed."""
        self._thread.start()

    def stop(self) -> None:
        """Ends feeding; safe to call at any time."""
        self._is_stopping = True
        if self._current is not None:
            self._current.close()

    def join(self, seconds: float) -> None:
        """Waits until it has ended, for so long at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            for open_reader in self._readers:
                self._copy(open_reader)
            if not self._is_stopping:
                self.digest = self._sha256.digest()
        except BrokenPipeError:
            # The child is gone; its exit code tells the story.
            return
        except Exception as error:  # noqa: BLE001  (crosses a thread: whoever waits for the replies raises it)
            self.error = error
        finally:
            os.close(self._write_fd)

    def _copy(self, open_reader: Callable[[], Reader]) -> None:
        reader = open_reader()
        self._current = reader
        try:
            while not self._is_stopping and (data := reader.read(READ_BYTES)):
                self._write(LENGTH.pack(len(data)), data)
                # While the child is busy with them. hashlib lets go of the interpreter's lock meanwhile.
                self._sha256.update(data)
            if not self._is_stopping:
                self._write(LENGTH.pack(0))
        finally:
            self._current = None
            reader.close()

    def _write(self, *parts: bytes) -> None:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(self._write_fd, view) :]
        self.active_at = time.monotonic()


class ParserProcess:
    """One child for one import. Use as an async context manager; leaving it ends the child whatever state it is in."""

    def __init__(
        self, order: Order, readers: Sequence[Callable[[], Reader]], decoder: msgspec.msgpack.Decoder[Any]
    ) -> None:
        self._order = order
        self._readers = readers
        self._decoder = decoder

    async def __aenter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            child_reads, write_fd = os.pipe()
            undo.callback(os.close, write_fd)
            read_fd, child_writes = os.pipe()
            replies = os.fdopen(read_fd, "rb", buffering=0)
            undo.callback(replies.close)
            await self._start(Connection(child_reads, writable=False), Connection(child_writes, readable=False))
            order = msgspec.msgpack.encode(self._order)
            with contextlib.suppress(BrokenPipeError):
                os.write(write_fd, LENGTH.pack(len(order)) + order)
            self._replies, self._transport = await _open_stream(replies)
            self._feeder = Feeder(self._readers, write_fd)
            self._feeder.start()
            undo.pop_all()
        self._heard_at = time.monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._feeder.stop()
        self._transport.close()
        if await self._exit_code(0) is None:
            self._process.kill()
            await self._exit_code(EXIT_SECONDS)

    async def _start(self, child_reads: Connection, child_writes: Connection) -> None:
        """Starts the child with its ends of the pipes.

        When this is cancelled, the thread goes on and the child comes to be. It then finds the other ends closed, and
        leaves; its own ends belong to the thread until then.
        """
        self._process = _context.Process(target=child.main, args=(child_reads, child_writes), daemon=True)
        await asyncio.to_thread(_start_in_turn, self._process)
        child_reads.close()
        child_writes.close()

    async def _exit_code(self, seconds: float) -> int | None:
        """The child's exit code, as soon as it has ended; None when it still runs after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            with _one_at_a_time:
                code = self._process.exitcode
            if code is not None or time.monotonic() >= deadline:
                return code
            await asyncio.sleep(POLL_SECONDS)

    async def fed_digest(self) -> bytes | None:
        """SHA-256 of the whole input, after the last reply; None when the child has left some of it unread."""
        await asyncio.to_thread(self._feeder.join, EXIT_SECONDS)
        return self._feeder.digest

    async def replies(self) -> AsyncIterator[Any]:
        """Each message of the child, until its pipe closes.

        Raises ImportFailure when the child died, stalled or spoke nonsense, and whatever the object store raised.
        """
        while True:
            payload = await self._next_frame()
            if payload is None:
                break
            try:
                yield self._decoder.decode(payload)
            except msgspec.DecodeError as error:
                raise ImportFailure("PARSER_CRASHED", "The parser answered something that is no record.") from error
        await self._raise_how_it_died()

    async def _next_frame(self) -> bytes | None:
        try:
            header = await self._read(LENGTH.size)
            (size,) = LENGTH.unpack(header)
            if size > MAX_FRAME_BYTES:
                raise ImportFailure(
                    "RECORD_TOO_LARGE", f"One record takes {size} bytes; {MAX_FRAME_BYTES} are allowed."
                )
            return await self._read(size)
        except asyncio.IncompleteReadError:
            return None

    async def _read(self, size: int) -> bytes:
        """Waits for `size` bytes as long as either side moves."""
        reading = asyncio.ensure_future(self._replies.readexactly(size))
        try:
            while not (await asyncio.wait({reading}, timeout=1.0))[0]:
                if self._feeder.error is not None:
                    raise self._feeder.error
                quiet = time.monotonic() - max(self._feeder.active_at, self._heard_at)
                if quiet > STALL_SECONDS:
                    raise ImportFailure("PARSER_TIMEOUT", f"The parser did nothing for {STALL_SECONDS:.0f} s.")
            self._heard_at = time.monotonic()
            return reading.result()
        finally:
            reading.cancel()

    async def _raise_how_it_died(self) -> None:
        code = await self._exit_code(EXIT_SECONDS)
        if self._feeder.error is not None:
            raise self._feeder.error
        if code == 0:
            return
        if code == -signal.SIGXCPU:
            raise ImportFailure("PARSER_TIMEOUT", f"The parser used more than {self._order.cpu_seconds} s of CPU time.")
        raise ImportFailure("PARSER_CRASHED", f"The parser died reading the file (exit code {code}).")


def _start_in_turn(process: BaseProcess) -> None:
    with _one_at_a_time:
        process.start()


async def _open_stream(pipe: IO[bytes]) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader(limit=4 * READ_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    return reader, transport

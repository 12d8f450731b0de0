"""Sending the parts of a file: a few at a time, read while they are sent, and again by a fresh URL when one fails."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Protocol

import grpc
import httpx

from cli.shapes import UploadPart, UploadParts
from hythe_client import HytheError
from hythe_client.errors import UPLOAD_FAILED
from hythe_client.files import open_regular, send

AT_ONCE = 4
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.5
STOP_SECONDS = 2
WINDOW = 32
"""URLs asked for at a time: they are good for minutes only, and a part may take long."""


class PartList(Protocol):
    """Asks the server for parts of the upload, with fresh URLs."""

    def __call__(self, first: int, limit: int) -> UploadParts: ...


class Stopped(Exception):
    """Somebody wants no more parts."""


class Window:
    """A piece of a file that is read as if it were one; each has the file open for itself."""

    def __init__(self, path: Path, offset: int) -> None:
        self._file = open_regular(path)
        self._offset = offset

    def seek(self, offset: int, /) -> int:
        return self._file.seek(self._offset + offset)

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


class Gauge:
    """Bytes of a file that are on their way or there, summed up over parts and threads."""

    def __init__(self, arrived: int, on_sent: Callable[[int], None]) -> None:
        self._arrived = arrived
        self._going: dict[int, int] = {}
        self._lock = threading.Lock()
        self._on_sent = on_sent
        self.is_stopped = False

    def tell(self, number: int, sent: int) -> None:
        """Raises Stopped when no more is wanted."""
        if self.is_stopped:
            raise Stopped
        with self._lock:
            self._going[number] = sent
            self._on_sent(self._arrived + sum(self._going.values()))

    def add(self, number: int, size: int) -> None:
        with self._lock:
            self._going.pop(number, None)
            self._arrived += size


class PartSender:
    """Sends parts of one file. `list_parts` and everything else of the server is asked in the caller's thread only."""

    def __init__(
        self,
        http: httpx.Client,
        path: Path,
        list_parts: PartList,
        gauge: Gauge,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._path = path
        self._list_parts = list_parts
        self._gauge = gauge
        self._pause = pause
        self._ready: deque[UploadPart] = deque()
        self._going: dict[Future[None], UploadPart] = {}
        self._failures: Counter[int] = Counter()

    def send(self, numbers: Iterable[int]) -> None:
        """These parts, in this order. Raises HytheError, or what asking for URLs raises, when one cannot be sent."""
        missing = deque(numbers)
        try:
            while missing or self._ready or self._going:
                while len(self._going) < AT_ONCE and (part := self._next(missing)):
                    self._start(part)
                done, _ = wait(self._going, return_when=FIRST_COMPLETED)
                for future in done:
                    self._settle(self._going.pop(future), future.exception())
        except BaseException:
            self._gauge.is_stopped = True
            wait(self._going, timeout=STOP_SECONDS)
            raise

    def _start(self, part: UploadPart) -> None:
        """In a thread that nobody waits for in the end: a line that is dead must not hold up the end of the command."""
        future: Future[None] = Future()
        self._going[future] = part

        def run() -> None:
            try:
                self._send(part)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the future is read
                future.set_exception(error)
            else:
                future.set_result(None)

        threading.Thread(target=run, name=f"part-{part.number}", daemon=True).start()

    def _next(self, missing: deque[int]) -> UploadPart | None:
        while missing and not self._ready:
            listed = {part.number: part for part in self._list_parts(missing[0], WINDOW).parts}
            if missing[0] not in listed:
                raise HytheError(grpc.StatusCode.INTERNAL, UPLOAD_FAILED, f"The server knows no part {missing[0]}.")
            while missing and missing[0] in listed:
                self._take(listed[missing.popleft()])
        return self._ready.popleft() if self._ready else None

    def _take(self, part: UploadPart) -> None:
        """A part that the server has just listed: one without a URL has arrived meanwhile."""
        if part.url is None:
            self._gauge.add(part.number, int(part.size))
        else:
            self._ready.append(part)

    def _settle(self, part: UploadPart, error: BaseException | None) -> None:
        if error is None:
            self._gauge.add(part.number, int(part.size))
            return
        self._failures[part.number] += 1
        failures = self._failures[part.number]
        if not isinstance(error, HytheError) or not may_be_repeated(error) or failures >= ATTEMPTS:
            raise error
        if not is_expired(error):
            self._pause(FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
        # Whatever it was, the URL may have ended meanwhile; or the part has arrived and only the answer got lost.
        for fresh in self._list_parts(part.number, 1).parts:
            self._take(fresh)

    def _send(self, part: UploadPart) -> None:
        window = Window(self._path, int(part.offset))
        try:
            send(self._http, part.url or "", window, int(part.size), lambda sent: self._gauge.tell(part.number, sent))
        finally:
            window.close()


def is_expired(error: HytheError) -> bool:
    """Whether the store says that the URL is good no more."""
    return error.metadata.get("status") == str(int(httpx.codes.FORBIDDEN))


def may_be_repeated(error: HytheError) -> bool:
    return is_expired(error) or error.code is grpc.StatusCode.UNAVAILABLE


def missing_numbers(pages: Iterable[Sequence[UploadPart]]) -> list[int]:
    return [part.number for page in pages for part in page if part.url is not None]

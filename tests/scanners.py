"""Scanners for malware on this machine, by ICAP and by HTTP, that answer as they are told: well, badly, late, or not.

They read what they are sent strictly, so that a request that a real server would not understand fails the test.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

# Made for tests; like the EICAR file it is a sign and no program. The real one would set off scanners of developers.
MARK, THREAT = b"X5O!HYTHE-STANDARD-ANTIVIRUS-TEST-FILE!", "Hythe-Test-Signature"
INFECTED_HEADER = f"X-Infection-Found: Type=0; Resolution=2; Threat={THREAT};\r\n"
PIECE = 64 * 1024


class Mood(Enum):
    """How a scanner behaves. Where it says early, a quarter of the bytes has come."""

    GOOD = auto()
    SAYS_INFECTED_EARLY_AND_CLOSES = auto()
    SAYS_INFECTED_EARLY_AND_GOES_ON_READING = auto()
    SAYS_CLEAN_EARLY_AND_CLOSES = auto()
    DROPS_EARLY = auto()
    STOPS_READING_EARLY = auto()
    NEVER_ANSWERS = auto()
    ANSWERS_WHEN_LEFT = auto()
    CLOSES_WITHOUT_ANSWER = auto()
    ANSWERS_HALF = auto()
    ANSWERS_GARBAGE = auto()
    ANSWERS_ENDLESS_HEADERS = auto()
    ANSWERS_SLOWLY = auto()


@dataclass
class Scanner:
    """`status`, when it is set, is answered in place of a verdict; `reply` is a whole answer, sent as it is."""

    url: str = ""
    mood: Mood = Mood.GOOD
    status: int = 0
    reply: bytes = b""
    echoes: bool = False
    """An ICAP server that does not know 204: it sends back what it was sent."""
    sizes: list[int] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    open_connections: int = 0

    async def settled(self) -> None:
        """Until no connection is open any more."""
        async with asyncio.timeout(10):
            while self.open_connections:  # noqa: ASYNC110  (no event tells of it)
                await asyncio.sleep(0.01)


class _Enough(Exception):
    """The scanner does not want the rest."""


class _Exchange:
    def __init__(self, scanner: Scanner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.scanner = scanner
        self.reader = reader
        self.writer = writer
        self.got = 0
        self.is_infected = False
        self._tail = b""

    async def take(self, piece: bytes, whole: int, infected: bytes, clean: bytes) -> None:
        """A piece of the body, and what the mood makes of it."""
        self.got += len(piece)
        self.is_infected |= MARK in self._tail + piece
        self._tail = piece[-len(MARK) :]
        if self.got < whole // 4:
            return
        match self.scanner.mood:
            case Mood.SAYS_INFECTED_EARLY_AND_CLOSES:
                await self.send(infected)
                raise _Enough
            case Mood.SAYS_CLEAN_EARLY_AND_CLOSES:
                await self.send(clean)
                raise _Enough
            case Mood.SAYS_INFECTED_EARLY_AND_GOES_ON_READING:
                await self.send(infected)
                while await self.reader.read(PIECE):
                    pass
                raise _Enough
            case Mood.DROPS_EARLY:
                self.writer.transport.abort()
                raise _Enough
            case Mood.STOPS_READING_EARLY:
                await asyncio.Event().wait()

    async def answer(self, infected: bytes, clean: bytes, odd: bytes) -> None:
        self.scanner.sizes.append(self.got)
        good = odd if self.scanner.status else infected if self.is_infected else clean
        match self.scanner.mood:
            case Mood.NEVER_ANSWERS:
                await asyncio.Event().wait()
            case Mood.ANSWERS_WHEN_LEFT:
                await self.reader.read()
            case Mood.CLOSES_WITHOUT_ANSWER:
                return
            case Mood.ANSWERS_HALF:
                await self.send(good[:12])
            case Mood.ANSWERS_GARBAGE:
                await self.send(b"\x00\xff220 mail.example.net ESMTP\r\n\r\n" * 3)
            case Mood.ANSWERS_ENDLESS_HEADERS:
                for _ in range(200):
                    await self.send(b"X-More: " + b"m" * 1_000 + b"\r\n")
            case Mood.ANSWERS_SLOWLY:
                for at in range(len(good)):
                    await self.send(good[at : at + 1])
            case _:
                await self.send(self.scanner.reply or good)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


def _icap(code: int, extra: str = "", page: str = "", body: bytes | None = None) -> bytes:
    words = {200: "OK", 204: "No Content"}.get(code, "Odd")
    place = "" if not page else f"Encapsulated: res-hdr=0, {'null' if body is None else 'res'}-body={len(page)}\r\n"
    chunks = b"" if body is None else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return f'ICAP/1.0 {code} {words}\r\nISTag: "1"\r\n{extra}{place}\r\n{page}'.encode() + chunks


_BLOCKED = _icap(200, INFECTED_HEADER, "HTTP/1.1 403 Forbidden\r\n\r\n", b"<p>blocked</p>")


async def _serve_icap(it: _Exchange) -> None:
    head = (await it.reader.readuntil(b"\r\n\r\n")).decode("ascii")
    it.scanner.heads.append(head)
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert re.fullmatch(r"RESPMOD icap://127\.0\.0\.1:\d+/\S+ ICAP/1\.0", first), first
    assert headers["Host"] in first
    assert headers["Allow"] == "204"
    assert "Preview" not in headers
    places = re.fullmatch(r"req-hdr=0, res-hdr=(\d+), res-body=(\d+)", headers["Encapsulated"])
    assert places
    enclosed = await it.reader.readexactly(int(places[2]))
    request, answer = enclosed[: int(places[1])].decode(), enclosed[int(places[1]) :].decode()
    assert re.fullmatch(r"GET /\S+ HTTP/1\.1\r\nHost: \S+\r\n\r\n", request), request
    size = re.fullmatch(r"HTTP/1\.1 200 OK\r\n(?:.+\r\n)*Content-Length: (\d+)\r\n\r\n", answer)
    assert size, answer
    clean = _icap(204)
    if it.scanner.echoes:
        await it.send(b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
    while length := int(await it.reader.readuntil(b"\r\n"), 16):
        piece = await it.reader.readexactly(length + 2)
        assert piece.endswith(b"\r\n")
        if it.scanner.echoes:
            await it.send(b"%x; part=echo\r\n%b" % (length, piece))
        await it.take(piece[:-2], int(size[1]), _BLOCKED, clean)
    assert await it.reader.readexactly(2) == b"\r\n"
    assert it.got == int(size[1])
    if it.scanner.echoes:
        await it.send(b"0\r\n\r\n")
        return
    await it.answer(_BLOCKED, clean, _icap(it.scanner.status))


def _http(code: int, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Word\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (code, len(body), body)


async def _serve_http(it: _Exchange) -> None:
    head = (await it.reader.readuntil(b"\r\n\r\n")).decode("ascii")
    it.scanner.heads.append(head)
    assert head.startswith("POST /scan?service=1 HTTP/1.1\r\n")
    size = re.search(r"\r\nContent-Length: (\d+)\r\n", head)
    assert size, head
    infected, clean = _http(406, json.dumps({"name": THREAT}).encode()), _http(204)
    while it.got < int(size[1]):
        piece = await it.reader.read(min(PIECE, int(size[1]) - it.got))
        if not piece:
            raise _Enough
        await it.take(piece, int(size[1]), infected, clean)
    await it.answer(infected, clean, _http(it.scanner.status))


@asynccontextmanager
async def scanning(protocol: str) -> AsyncIterator[Scanner]:
    """A scanner that speaks `icap` or `http`. What it finds wrong with a request fails the test at its end."""
    scanner, errors, serving = Scanner(), list[BaseException](), set[asyncio.Task[None]]()
    serve: Callable[[_Exchange], Awaitable[None]] = _serve_icap if protocol == "icap" else _serve_http

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        scanner.open_connections += 1
        try:
            await serve(_Exchange(scanner, reader, writer))
        except (_Enough, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001  (shown where the test ends)
            errors.append(error)
        finally:
            writer.close()
            scanner.open_connections -= 1
            serving.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=4 * PIECE)
    host, port = server.sockets[0].getsockname()
    scanner.url = f"icap://{host}:{port}/avscan" if protocol == "icap" else f"http://{host}:{port}/scan?service=1"
    try:
        yield scanner
    finally:
        server.close()
        for task in set(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()
    assert not errors, errors

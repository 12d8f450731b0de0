"""A scanner behind HTTP: one POST of the bytes, whose status is the verdict (docs/scanning.md)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import h11

from runtime.outbound import trusted
from services.importer.scan.exchange import Outcome, Place, Request, exchange
from services.importer.scan.verdict import CLEAN, ScannerUnavailable, Subject, Verdict

CLEAN_STATUSES = frozenset({200, 204})
INFECTED_STATUSES = frozenset({406, 422})
MAX_ANSWER_BYTES = 64 * 1024
PIECE_BYTES = 16 * 1024


class HttpScanner:
    """`url` is asked as it is; a user name and password in it are sent as Basic credentials."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        tls = trusted() if is_secure else None
        self._place = Place(parts.hostname or "", parts.port or (443 if is_secure else 80), tls)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = [("Host", parts.netloc.rpartition("@")[2]), ("User-Agent", "Hythe"), ("Connection", "close")]
        if parts.username is not None:
            told = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers.append(("Authorization", f"Basic {base64.b64encode(told.encode()).decode()}"))
        self._seconds = timeout_seconds

    async def scan(self, subject: Subject, blocks: AsyncIterator[bytes]) -> Verdict:
        about = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", str(subject.size)),
            ("Hythe-Scan", subject.name),
        ]
        # It reads the answer; the body is not its business.
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER_BYTES)
        head = connection.send(h11.Request(method="POST", target=self._target, headers=self._headers + about))

        async def read(stream: asyncio.StreamReader, moved: Callable[[], None]) -> Answer:
            try:
                return await _read_answer(connection, stream, moved)
            except h11.RemoteProtocolError as error:
                raise ScannerUnavailable("the scanner answered something that is not HTTP") from error

        request = Request(head or b"", bytes)
        return _judge(await exchange(self._place, request, blocks, read, self._seconds))


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body; the body only where it may name what was found, and no more of it than is wanted."""

    status: int
    body: bytes = b""


async def _read_answer(connection: h11.Connection, stream: asyncio.StreamReader, moved: Callable[[], None]) -> Answer:
    status, body = 0, b""
    while True:
        match event := connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await _more(stream, has_status=bool(status)))
                moved()
            case h11.Response():
                status = event.status_code
                if status not in INFECTED_STATUSES:
                    return Answer(status)
            case h11.Data():
                body += event.data
                if len(body) > MAX_ANSWER_BYTES:
                    return Answer(status)
            case h11.InformationalResponse():
                pass
            case _:
                if not status:
                    raise ScannerUnavailable("the scanner closed the connection before its answer was whole")
                return Answer(status, body)


async def _more(stream: asyncio.StreamReader, *, has_status: bool) -> bytes:
    """What has come; the end of the stream where the connection breaks behind a verdict."""
    try:
        return await stream.read(PIECE_BYTES)
    except OSError:
        if has_status:
            return b""
        raise


def _judge(outcome: Outcome[Answer]) -> Verdict:
    status = outcome.answer.status
    if status in INFECTED_STATUSES:
        return Verdict(is_clean=False, threat=_threat_in(outcome.answer.body))
    if status not in CLEAN_STATUSES:
        raise ScannerUnavailable(f"the scanner answered {status}")
    if not outcome.is_all_sent:
        raise ScannerUnavailable("the scanner called the file clean before it had all of it")
    return CLEAN


def _threat_in(body: bytes) -> str:
    """The `name` in the JSON of an answer that may have one. That there is none does not change the verdict."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    name = told.get("name") if isinstance(told, dict) else None
    return name if isinstance(name, str) else ""

"""A scanner behind ICAP: RESPMOD with `Allow: 204` and without a preview (RFC 3507)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

from services.importer.scan.exchange import Outcome, Place, Request, exchange
from services.importer.scan.icap_answer import NO_MODIFICATION, OK, Answer, read_answer
from services.importer.scan.verdict import CLEAN, ScannerUnavailable, Subject, Verdict

PORT = 1344


class IcapScanner:
    """`url` is `icap://host[:port]/service`. One connection for each file."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        self._place = Place(parts.hostname or "", parts.port or PORT)
        self._authority = parts.netloc.rpartition("@")[2]
        self._target = f"icap://{self._authority}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        self._seconds = timeout_seconds

    async def scan(self, subject: Subject, blocks: AsyncIterator[bytes]) -> Verdict:
        request = Request(self._head(subject), _chunk, b"0\r\n\r\n")
        # Of what comes back no more is read than was sent: a longer body is another one.
        read = partial(read_answer, most=subject.size)
        return _judge(await exchange(self._place, request, blocks, read, self._seconds))

    def _head(self, subject: Subject) -> bytes:
        request = f"GET /{subject.name} HTTP/1.1\r\nHost: hythe\r\n\r\n"
        answer = f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {subject.size}\r\n\r\n"
        places = f"req-hdr=0, res-hdr={len(request)}, res-body={len(request) + len(answer)}"
        head = (
            f"RESPMOD {self._target} ICAP/1.0\r\nHost: {self._authority}\r\nUser-Agent: Hythe\r\nAllow: 204\r\n"
            f"Connection: close\r\nEncapsulated: {places}\r\n\r\n"
        )
        return (head + request + answer).encode("ascii")


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _judge(outcome: Outcome[Answer]) -> Verdict:
    answer = outcome.answer
    if answer.threat is not None and answer.status in {OK, NO_MODIFICATION}:
        return Verdict(is_clean=False, threat=answer.threat)
    if answer.status == NO_MODIFICATION:
        if not outcome.is_all_sent:
            raise ScannerUnavailable("the scanner called the file clean before it had all of it")
        return CLEAN
    if answer.status != OK:
        raise ScannerUnavailable(f"the scanner answered {answer.status}")
    # Another page in its place, or another body: it was not to pass as it is.
    is_same = answer.echo is not None and outcome.is_all_sent and answer.echo.digest == outcome.digest
    return CLEAN if is_same else Verdict(is_clean=False)

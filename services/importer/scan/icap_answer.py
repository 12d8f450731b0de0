"""Reads the answer of an ICAP server to RESPMOD (RFC 3507 §4.3-4.9), in flat memory and within limits."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from services.importer.scan.verdict import ScannerUnavailable

MAX_HEADER_BYTES = 64 * 1024
PIECE_BYTES = 64 * 1024
OK, NO_MODIFICATION = 200, 204

_STATUS = re.compile(rb"ICAP/1\.[0-9] ([0-9]{3})(?: |\r\n)")
_HTTP_STATUS = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})[ \r]")
_HEADER = re.compile(r"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)
_FOLDED = re.compile(r"\r\n[ \t]+")
_PLACES = re.compile(r"res-hdr=0, *(null|res)-body=(\d{1,6})", re.IGNORECASE | re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\r\n]*)?\r\n")
# c-icap, and the draft it follows: `Type=0; Resolution=2; Threat=Eicar-Test-Signature;`.
_THREAT = re.compile(r"Threat=([^;]*)", re.IGNORECASE)
_VIOLATION_LINES = 4


@dataclass(frozen=True, slots=True)
class Echo:
    """The body that came back: its SHA-256 and its size. A server that cannot say 204 sends back what it was sent."""

    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`threat` is None where no header tells of one. `echo` is None where the server has put another page in place."""

    status: int
    threat: str | None = None
    echo: Echo | None = None


async def read_answer(stream: asyncio.StreamReader, moved: Callable[[], None], *, most: int) -> Answer:
    """The whole answer; `moved` is called whenever something of it has come.

    Of a body no more than `most` bytes are read: a longer one is another one than was sent. Raises ScannerUnavailable.
    """
    try:
        return await _read(stream, moved, most)
    except asyncio.IncompleteReadError as error:
        raise ScannerUnavailable("the scanner closed the connection before its answer was whole") from error
    except asyncio.LimitOverrunError as error:
        raise ScannerUnavailable("the scanner answered something that is not ICAP") from error


async def _read(stream: asyncio.StreamReader, moved: Callable[[], None], most: int) -> Answer:
    head = await stream.readuntil(b"\r\n\r\n")
    moved()
    status = _STATUS.match(head)
    if status is None:
        raise ScannerUnavailable("the scanner answered something that is not ICAP")
    code, headers = int(status[1]), headers_of(head)
    threat = threat_in(headers)
    if threat is not None or code != OK:
        return Answer(code, threat)
    return Answer(code, None, await _read_echo(stream, headers.get("encapsulated", ""), moved, most))


async def _read_echo(stream: asyncio.StreamReader, places: str, moved: Callable[[], None], most: int) -> Echo | None:
    found = _PLACES.fullmatch(places)
    if found is None or int(found[2]) > MAX_HEADER_BYTES:
        raise ScannerUnavailable("the scanner answered something that is not ICAP")
    page = _HTTP_STATUS.match(await stream.readexactly(int(found[2])))
    moved()
    if page is None or int(page[1]) != OK:
        return None
    has_body = found[1].lower() == "res"
    return await _hash_chunks(stream, moved, most) if has_body else Echo(hashlib.sha256().digest(), 0)


async def _hash_chunks(stream: asyncio.StreamReader, moved: Callable[[], None], most: int) -> Echo:
    digest, size = hashlib.sha256(), 0
    while left := await _chunk_size(stream):
        size += left
        if size > most:
            break
        while left:
            piece = await stream.readexactly(min(left, PIECE_BYTES))
            moved()
            digest.update(piece)
            left -= len(piece)
        if await stream.readexactly(2) != b"\r\n":
            raise ScannerUnavailable("the scanner answered something that is not ICAP")
    return Echo(digest.digest(), size)


async def _chunk_size(stream: asyncio.StreamReader) -> int:
    found = _CHUNK.fullmatch(await stream.readuntil(b"\r\n"))
    if found is None:
        raise ScannerUnavailable("the scanner answered something that is not ICAP")
    return int(found[1], 16)


def headers_of(head: bytes) -> dict[str, str]:
    """The headers after the first line by their names in lower case; of several with one name the first.

    The lines of a folded header stay apart.
    """
    text = _FOLDED.sub("\n", head.decode("utf-8", "replace"))
    headers: dict[str, str] = {}
    for line in text.split("\r\n")[1:]:
        if found := _HEADER.fullmatch(line):
            headers.setdefault(found[1].lower(), found[2].strip())
    return headers


def threat_in(headers: dict[str, str]) -> str | None:
    """What the headers of the common servers say was found; "" where they do not name it, None where nothing was."""
    if told := headers.get("x-infection-found"):
        named = _THREAT.search(told)
        return named[1].strip() if named else ""
    if told := headers.get("x-virus-id") or headers.get("x-virus-name"):
        return "" if told.lower() in {"none", "no threats", "0"} else told
    if told := headers.get("x-violations-found"):
        # A count, then four lines for each: file, threat, problem, resolution.
        count, *lines = told.split("\n")
        if count.strip() != "0":
            return lines[1].strip() if len(lines) >= _VIOLATION_LINES else ""
    return None

"""Sending a file to a presigned URL: streamed from disk with flat memory, repeated when the connection breaks."""

from __future__ import annotations

import os
import re
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import grpc
import httpx

from hythe_client.errors import FILE_NOT_READABLE, UNREACHABLE, UPLOAD_FAILED, HytheError

CHUNK_BYTES = 1 << 20
ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.5
# The storage answers only when it has written everything, so reading may take long.
TIMEOUT = httpx.Timeout(10, read=300, write=120)

_ERROR_MEMBER = re.compile(r"<(Code|Message)>([^<]{1,500})</")


def put_file(
    url: str,
    path: Path,
    *,
    on_sent: Callable[[int], None] = lambda _sent: None,
    verify: ssl.SSLContext | bool = True,
    transport: httpx.BaseTransport | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """PUT the bytes of a regular file and give back how many there were.

    `on_sent` hears the bytes handed to the network so far, and 0 again when an attempt starts over. An exception that
    it raises ends the upload. Raises HytheError.
    """
    with open_regular(path) as file, httpx.Client(verify=verify, transport=transport, timeout=TIMEOUT) as http:
        size = os.fstat(file.fileno()).st_size
        for attempt in range(1, ATTEMPTS + 1):
            try:
                send(http, url, file, size, on_sent)
            except HytheError as error:
                if error.code is not grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS:
                    raise
                pause(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            else:
                break
        return size


def regular_size(path: Path) -> int:
    """Size in bytes of a regular file. Anything else is refused, because S3 wants to know the length beforehand."""
    try:
        found = path.stat()
    except OSError as error:
        raise not_readable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise HytheError(grpc.StatusCode.INVALID_ARGUMENT, FILE_NOT_READABLE, f"{path} is not a regular file.")
    return found.st_size


def open_regular(path: Path) -> BinaryIO:
    regular_size(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise not_readable(path, error) from error


def not_readable(path: Path, error: OSError) -> HytheError:
    text = f"{path} cannot be read: {error.strerror}."
    return HytheError(grpc.StatusCode.INVALID_ARGUMENT, FILE_NOT_READABLE, text)


class Readable(Protocol):
    """What is sent: a file, or a part of one that begins at 0."""

    def seek(self, offset: int, /) -> object: ...

    def read(self, size: int, /) -> bytes: ...


def send(http: httpx.Client, url: str, file: Readable, size: int, on_sent: Callable[[int], None]) -> None:
    """One attempt. UNAVAILABLE when it may work the next time."""
    # S3 refuses chunked transfer, so the length is given. No content type: the signature binds none.
    headers = {"Content-Length": str(size)}
    try:
        answer = http.put(url, content=chunks(file, size, on_sent), headers=headers)
    except httpx.TransportError as error:
        where = httpx.URL(url).netloc.decode("ascii")
        text = f"The upload to {where} broke off: {str(error) or type(error).__name__}."
        raise HytheError(grpc.StatusCode.UNAVAILABLE, UNREACHABLE, text) from error
    if not answer.is_success:
        raise refusal(answer)


def chunks(file: Readable, size: int, on_sent: Callable[[int], None]) -> Iterator[bytes]:
    """Exactly `size` bytes from the start of the file."""
    file.seek(0)
    sent = 0
    on_sent(0)
    while sent < size:
        block = file.read(min(CHUNK_BYTES, size - sent))
        if not block:
            raise HytheError(grpc.StatusCode.ABORTED, FILE_NOT_READABLE, "The file became shorter while it was sent.")
        yield block
        sent += len(block)
        on_sent(sent)


def refusal(answer: httpx.Response) -> HytheError:
    """The storage's or the gateway's answer as an error, with the words of its XML when there are any."""
    members = dict(_ERROR_MEMBER.findall(answer.text[:10_000]))
    words = members.get("Message") or members.get("Code") or answer.reason_phrase
    code = grpc.StatusCode.FAILED_PRECONDITION
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        code = grpc.StatusCode.UNAVAILABLE
    text = f"The storage refused the file with status {answer.status_code}: {words}"
    return HytheError(code, UPLOAD_FAILED, text, {"status": str(answer.status_code), **members})

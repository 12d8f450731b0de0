"""Multipart bodies for tests, and streams to send them by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

BOUNDARY = "----1234"
CONTENT_TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'


def file_part(data: bytes, disposition: str = 'name="file"; filename="a.nessus"', headers: str = "") -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n{headers}\r\n".encode() + data + b"\r\n"


def field_part(name: str, value: str) -> bytes:
    return file_part(value.encode(), f'name="{name}"')


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    return stream(body[start : start + size] for start in range(0, len(body), size))

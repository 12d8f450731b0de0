"""One gRPC connection: where to, how secured, with which credential, and which calls are repeated."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
from grpc import aio

from hythe_client.errors import HytheError, from_status

Request = TypeVar("Request")
Response = TypeVar("Response")

# Reading, and writing what may be repeated: a second CreateUpload costs a key, CreateImport and RerunImport carry
# a request id, and who asks twice for a pause or a retry gets what there is.
_REPEATABLE = [
    {"service": "hythe.status.v1.StatusService"},
    {"service": "hythe.upload.v1.UploadService"},
    *(
        {"service": "hythe.importer.v1.ImportService", "method": method}
        for method in ("CreateImport", "PauseImport", "RetryImport", "RerunImport", "ListSources")
    ),
    *(
        {"service": "hythe.identity.v1.IdentityService", "method": method}
        for method in ("WhoAmI", "ListTenants", "ListUsers", "ListApiKeys", "ListWorkspaces")
    ),
]
SERVICE_CONFIG: dict[str, Any] = {
    "methodConfig": [
        {
            "name": _REPEATABLE,
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
MAX_MESSAGE_BYTES = 4 << 20
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


@dataclass(frozen=True)
class Credential:
    """An API key, or a token. A token may be a function, which is asked before each call, so that it can be renewed."""

    api_key: str | None = None
    token: str | Callable[[], str] | None = None

    def __post_init__(self) -> None:
        if (self.api_key is None) == (self.token is None):
            raise ValueError("Give either api_key or token.")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        if self.api_key is not None:
            return (("x-api-key", self.api_key),)
        token = self.token() if callable(self.token) else self.token
        return (("authorization", f"Bearer {token}"),)


class Connection:
    """A channel and what every call on it carries. Make it inside the event loop that uses it."""

    def __init__(self, channel: aio.Channel, *, address: str, credential: Credential, deadline_seconds: float) -> None:
        self.channel = channel
        self.address = address
        self.credential = credential
        self.deadline_seconds = deadline_seconds

    async def call(
        self,
        method: aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        deadline_seconds: float | None = None,
    ) -> Response:
        """One unary call. Raises HytheError."""
        deadline = deadline_seconds or self.deadline_seconds
        try:
            return await method(request, timeout=deadline, metadata=self.credential.metadata())
        except aio.AioRpcError as error:
            raise self.error_of(error) from error

    async def stream(
        self,
        method: aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        silence_seconds: float,
    ) -> AsyncGenerator[Response, None]:
        """The messages of one server-streaming call, which fails when the server says nothing for `silence_seconds`."""
        call = method(request, metadata=self.credential.metadata())
        messages = aiter(call)
        try:
            while True:
                async with asyncio.timeout(silence_seconds):
                    message = await anext(messages)
                yield message
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            text = f"{self.address} sent nothing for {silence_seconds:g} s."
            raise HytheError(grpc.StatusCode.UNAVAILABLE, "UNREACHABLE", text) from error
        except aio.AioRpcError as error:
            raise self.error_of(error) from error
        finally:
            call.cancel()

    def error_of(self, error: aio.AioRpcError) -> HytheError:
        return from_status(error.code(), error.details(), error.trailing_metadata(), self.address)

    async def close(self) -> None:
        await self.channel.close(grace=None)


def open_channel(address: str, tls: bool | Path) -> aio.Channel:
    """A channel to `host:port`. `tls`: True for the system's authorities, a path for a PEM file of other ones."""
    if not tls:
        return aio.insecure_channel(address, options=OPTIONS)
    roots = tls.read_bytes() if isinstance(tls, Path) else None
    return aio.secure_channel(address, grpc.ssl_channel_credentials(roots), options=OPTIONS)


def verification(tls: bool | Path) -> ssl.SSLContext | bool:
    """The same trust for the HTTP side, where the file goes."""
    return ssl.create_default_context(cafile=tls) if isinstance(tls, Path) else True

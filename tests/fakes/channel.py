"""A gRPC channel without a network: each method is answered by a function of the request."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import aio

SILENCE = object()
"""In a stream: from here on the server says nothing."""


@dataclass(frozen=True)
class Call:
    method: str
    request: Any
    metadata: dict[str, str]
    timeout: float | None


def refusal(code: grpc.StatusCode, reason: str, message: str, **metadata: str) -> aio.AioRpcError:
    """The error that a service of ours ends a call with."""
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=reason, domain="hythe", metadata=metadata))
    status = Status(code=code.value[0], message=message, details=[detail])
    trailing = aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return aio.AioRpcError(code, aio.Metadata(), trailing, message, None)


def bare_failure(code: grpc.StatusCode, details: str = "") -> aio.AioRpcError:
    """The error of a proxy or of the network, which say nothing more."""
    return aio.AioRpcError(code, aio.Metadata(), aio.Metadata(), details, None)


class FakeStream:
    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages
        self.is_cancelled = False

    async def __aiter__(self) -> AsyncIterator[Any]:
        for message in self.messages:
            if message is SILENCE:
                await asyncio.Event().wait()
            if isinstance(message, BaseException):
                raise message
            yield message

    def cancel(self) -> bool:
        self.is_cancelled = True
        return True


class FakeChannel:
    """`answers` maps `/package.Service/Method` to a function of the request.

    It gives a message, or a list of messages and exceptions for a stream; or it raises.
    """

    def __init__(self, answers: Mapping[str, Callable[[Any], Any]]) -> None:
        self.answers = answers
        self.calls: list[Call] = []
        self.streams: list[FakeStream] = []
        self.is_closed = False

    def asked(self, method: str) -> list[Any]:
        """The requests of one method, by the last part of its name."""
        return [call.request for call in self.calls if call.method.endswith(f"/{method}")]

    def _record(self, path: str, request: Any, timeout: float | None, metadata: Any) -> Any:
        # A client that pages changes its request afterwards.
        self.calls.append(Call(path, copy.deepcopy(request), dict(metadata or ()), timeout))
        return self.answers[path](request)

    def unary_unary(self, path: str, *_codecs: Any, **_more: Any) -> Any:
        async def call(request: Any, *, timeout: float | None = None, metadata: Any = None) -> Any:  # noqa: ASYNC109
            return self._record(path, request, timeout, metadata)

        return call

    def unary_stream(self, path: str, *_codecs: Any, **_more: Any) -> Any:
        def call(request: Any, *, timeout: float | None = None, metadata: Any = None) -> FakeStream:
            stream = FakeStream(self._record(path, request, timeout, metadata))
            self.streams.append(stream)
            return stream

        return call

    async def close(self, grace: float | None = None) -> None:
        self.is_closed = True

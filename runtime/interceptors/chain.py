"""One interceptor that runs every call of every kind through a list of layers.

gRPC has four kinds of handlers. They are made alike here, once: whatever the kind, a layer is an async context manager
around the call, and sees in `Call` who calls what. The outermost comes first.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import Message

from runtime.context import Principal

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]

# What probes and tools ask of a server itself; it has no option to say who may.
OPEN_SERVICES = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}
)


@dataclass(slots=True)
class Call:
    """A call on its way through the layers."""

    method: str
    """`package.Service/Method`."""
    is_streaming: bool
    """Whether either side sends more than one message."""
    metadata: Mapping[str, str]
    context: Context
    request: Message | None = None
    """The first message of the client, once it is there."""
    principal: Principal | None = None
    code: grpc.StatusCode = grpc.StatusCode.OK
    """How it ended."""
    reason: str = ""
    """The reason of the error it ended with."""

    @property
    def service(self) -> str:
        return self.method.partition("/")[0]


Layer = Callable[[Call], AbstractAsyncContextManager[None]]


class Chain(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # Generic in the stubs only.
    """The layers around every method but those of OPEN_SERVICES."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = cast("Handler | None", await continuation(handler_call_details))
        method = handler_call_details.method.removeprefix("/")
        if handler is None or method.partition("/")[0] in OPEN_SERVICES:
            return cast("Handler", handler)
        return self._wrap(handler, method, texts(handler_call_details.invocation_metadata))

    def _wrap(self, handler: Handler, method: str, metadata: Mapping[str, str]) -> Handler:
        is_streaming = bool(handler.request_streaming or handler.response_streaming)
        inner: Any = next(
            function
            for function in (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
            if function is not None
        )

        def begin(request: Any, context: Context) -> tuple[Call, Any]:
            call = Call(method, is_streaming, metadata, context)
            if handler.request_streaming:
                return call, _noting_first(request, call)
            call.request = request
            return call, request

        async def answer_once(request: Any, context: Context) -> Any:
            call, argument = begin(request, context)
            async with self._around(call):
                result = inner(argument, context)
                return await result if inspect.isawaitable(result) else result

        async def answer_many(request: Any, context: Context) -> None:
            call, argument = begin(request, context)
            async with self._around(call):
                result = inner(argument, context)
                if inspect.isawaitable(result):
                    # This handler writes its messages itself.
                    await result
                    return
                async with aclosing(result) as messages:
                    async for message in messages:
                        await context.write(message)

        return _same_kind(handler, answer_many if handler.response_streaming else answer_once)

    @asynccontextmanager
    async def _around(self, call: Call) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for layer in self._layers:
                await stack.enter_async_context(layer(call))
            yield


async def _noting_first(requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
    async for request in requests:
        if call.request is None:
            call.request = request
        yield request


def _same_kind(handler: Handler, function: Callable[[Any, Context], Any]) -> Handler:
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[bool(handler.request_streaming), bool(handler.response_streaming)]
    return cast("Handler", make(function, handler.request_deserializer, handler.response_serializer))


def texts(metadata: Any) -> dict[str, str]:
    """The metadata that is text; of a name that comes twice the first, as a gateway in front may only append."""
    found: dict[str, str] = {}
    for key, value in metadata or ():
        if isinstance(value, str):
            found.setdefault(key, value)
    return found

"""Twins of the four gRPC services: they answer what a test tells them to, and remember what reached them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from deploy.local.ports import address
from hythe.dialects.appfile.v1 import appfile_pb2
from hythe.dialects.assets.v1 import assets_pb2
from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.identity.v1 import identity_pb2, well_known_pb2
from hythe.importer.v1 import import_sources_pb2, importer_pb2
from hythe.status.v1 import status_pb2
from hythe.upload.v1 import upload_pb2

SERVED: dict[str, tuple[ServiceDescriptor, ...]] = {
    "upload": (
        upload_pb2.DESCRIPTOR.services_by_name["UploadService"],
        plextrac_pb2.DESCRIPTOR.services_by_name["PlextracUpload"],
        appfile_pb2.DESCRIPTOR.services_by_name["AppFileUpload"],
    ),
    "importer": (
        importer_pb2.DESCRIPTOR.services_by_name["ImportService"],
        import_sources_pb2.DESCRIPTOR.services_by_name["ImportSourceService"],
        plextrac_pb2.DESCRIPTOR.services_by_name["PlextracImporter"],
        appfile_pb2.DESCRIPTOR.services_by_name["AppFileImporter"],
        assets_pb2.DESCRIPTOR.services_by_name["AssetsImporter"],
    ),
    "status": (
        status_pb2.DESCRIPTOR.services_by_name["StatusService"],
        plextrac_pb2.DESCRIPTOR.services_by_name["PlextracStatus"],
        appfile_pb2.DESCRIPTOR.services_by_name["AppFileStatus"],
        assets_pb2.DESCRIPTOR.services_by_name["AssetsStatus"],
    ),
    "identity": (
        identity_pb2.DESCRIPTOR.services_by_name["IdentityService"],
        well_known_pb2.DESCRIPTOR.services_by_name["WellKnown"],
        plextrac_pb2.DESCRIPTOR.services_by_name["PlextracIdentity"],
        assets_pb2.DESCRIPTOR.services_by_name["AssetsIdentity"],
    ),
}

Context = grpc.aio.ServicerContext[Any, Any]
# Gets the messages of the request and yields those of the answer, however many each has.
Answer = Callable[[list[Message], Context], AsyncIterator[Message]]


@dataclass
class Call:
    """One RPC as it reached a service."""

    served_by: str
    method: str
    metadata: dict[str, str]
    requests: list[Any] = field(default_factory=list)
    received_bytes: int = 0
    is_over: bool = False

    @property
    def request(self) -> Any:
        return self.requests[0]


async def empty_answer(method: MethodDescriptor) -> AsyncIterator[Message]:
    yield message_factory.GetMessageClass(method.output_type)()


async def first(messages: AsyncGenerator[Message, None]) -> Message:
    async with aclosing(messages):
        return await anext(messages)


class Services:
    """Four servers on one event loop in a thread of its own, so that tests and fixtures may block."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.calls: list[Call] = []
        self.answers: dict[str, Answer] = {}
        self.loop = asyncio.new_event_loop()
        self.servers: dict[str, grpc.aio.Server] = {}
        self.thread = threading.Thread(target=self.loop.run_forever, name="services", daemon=True)

    def start(self) -> None:
        self.thread.start()
        for name in self.ports:
            self.start_server(name)

    def stop(self) -> None:
        for name in list(self.servers):
            self.stop_server(name)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def start_server(self, name: str) -> None:
        self.run(self._start(name))

    def stop_server(self, name: str) -> None:
        self.run(self._stop(name))

    def run(self, work: Awaitable[None]) -> None:
        async def wrapped() -> None:
            await work

        asyncio.run_coroutine_threadsafe(wrapped(), self.loop).result(timeout=10)

    async def _start(self, name: str) -> None:
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        server.add_generic_rpc_handlers(tuple(self.handlers(name, service) for service in SERVED[name]))
        checks = HealthServicer()
        await checks.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        server.add_insecure_port(address(self.ports[name]))
        await server.start()
        self.servers[name] = server

    async def _stop(self, name: str) -> None:
        await self.servers.pop(name).stop(grace=None)

    def event(self) -> asyncio.Event:
        """For an answer to wait on; `set` sets it."""
        return asyncio.Event()

    def set(self, event: asyncio.Event) -> None:
        self.loop.call_soon_threadsafe(event.set)

    def answer(self, method: str, answer: Answer) -> None:
        """What the RPC `method`, without its service, answers from now on."""
        self.answers[method] = answer

    def reset(self) -> None:
        self.calls.clear()
        self.answers.clear()

    @property
    def last(self) -> Call:
        return self.calls[-1]

    def handlers(self, name: str, service: ServiceDescriptor) -> grpc.GenericRpcHandler[Any, Any]:
        return grpc.method_handlers_generic_handler(
            service.full_name, {method.name: self.handler(name, method) for method in service.methods}
        )

    def handler(self, name: str, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
        async def streamed(requests: AsyncIterator[Message], context: Context) -> AsyncGenerator[Message, None]:
            call = Call(name, method.name, {key: str(value) for key, value in context.invocation_metadata() or ()})
            self.calls.append(call)
            try:
                async for request in requests:
                    call.received_bytes += request.ByteSize()
                    call.requests.append(request)
                answer = self.answers.get(method.name)
                async for message in answer(call.requests, context) if answer else empty_answer(method):
                    yield message
            finally:
                # Of a cancelled call the requests may just end, or the task is cancelled.
                call.is_over = True

        async def one(request: Message) -> AsyncIterator[Message]:
            yield request

        async def unary_unary(request: Message, context: Context) -> Message:
            return await first(streamed(one(request), context))

        async def stream_unary(requests: AsyncIterator[Message], context: Context) -> Message:
            return await first(streamed(requests, context))

        async def unary_stream(request: Message, context: Context) -> AsyncIterator[Message]:
            async for message in streamed(one(request), context):
                yield message

        kinds: dict[tuple[bool, bool], tuple[Any, Any]] = {
            (False, False): (grpc.unary_unary_rpc_method_handler, unary_unary),
            (True, False): (grpc.stream_unary_rpc_method_handler, stream_unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, unary_stream),
        }
        make, behaviour = kinds[method.client_streaming, method.server_streaming]
        handler: grpc.RpcMethodHandler[Any, Any] = make(
            behaviour,
            request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
            response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
        )
        return handler


def answer_with(*messages: Message) -> Answer:
    async def answer(requests: Sequence[Message], context: Context) -> AsyncIterator[Message]:
        for message in messages:
            yield message

    return answer

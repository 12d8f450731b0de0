"""The layers see every kind of call alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from runtime.interceptors.chain import Call, Chain, texts


class Recorder:
    """A layer that notes what passes it."""

    def __init__(self, name: str, notes: list[str], calls: list[Call]) -> None:
        self.name = name
        self.notes = notes
        self.calls = calls

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        self.notes.append(f"{self.name} in")
        self.calls.append(call)
        try:
            yield
        except ValueError:
            self.notes.append(f"{self.name} error")
            await call.context.abort(grpc.StatusCode.DATA_LOSS, "as a layer says")
        self.notes.append(f"{self.name} out")


def text(value: str) -> StringValue:
    return StringValue(value=value)


async def one_to_one(request: StringValue, _: Any) -> StringValue:
    return answer(request)


async def one_to_many(request: StringValue, _: Any) -> AsyncIterator[StringValue]:
    yield answer(request)
    yield answer(request)


async def many_to_one(requests: AsyncIterator[StringValue], _: Any) -> StringValue:
    return answer(text("+".join([request.value async for request in requests])))


async def many_to_many(requests: AsyncIterator[StringValue], _: Any) -> AsyncIterator[StringValue]:
    async for request in requests:
        yield answer(request)


async def writes_itself(request: StringValue, context: Any) -> None:
    await context.write(answer(request))
    await context.write(answer(request))


def answer(request: StringValue) -> StringValue:
    if request.value == "bad":
        raise ValueError
    return text(f"<{request.value}>")


CODECS: dict[str, Any] = {
    "request_deserializer": StringValue.FromString,
    "response_serializer": StringValue.SerializeToString,
}
HANDLERS: dict[str, Any] = {
    "OneToOne": grpc.unary_unary_rpc_method_handler(one_to_one, **CODECS),
    "OneToMany": grpc.unary_stream_rpc_method_handler(one_to_many, **CODECS),
    "WritesItself": grpc.unary_stream_rpc_method_handler(writes_itself, **CODECS),
    "ManyToOne": grpc.stream_unary_rpc_method_handler(many_to_one, **CODECS),
    "ManyToMany": grpc.stream_stream_rpc_method_handler(many_to_many, **CODECS),
}


class Server:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.calls: list[Call] = []
        layers = [Recorder(name, self.notes, self.calls) for name in ("outer", "inner")]
        self.server = grpc.aio.server(interceptors=[Chain(layers)])
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", HANDLERS),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    async def call(self, method: str, *values: str) -> list[str]:
        path = f"/test.Echo/{method}"
        codecs: dict[str, Any] = {
            "request_serializer": StringValue.SerializeToString,
            "response_deserializer": StringValue.FromString,
        }
        requests = [text(value) for value in values]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            match method:
                case "OneToOne":
                    return [(await channel.unary_unary(path, **codecs)(requests[0])).value]
                case "OneToMany" | "WritesItself":
                    return [reply.value async for reply in channel.unary_stream(path, **codecs)(requests[0])]
                case "ManyToOne":
                    return [(await channel.stream_unary(path, **codecs)(iter(requests))).value]
                case _:
                    return [reply.value async for reply in channel.stream_stream(path, **codecs)(iter(requests))]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.server.start()
    yield server
    await server.server.stop(None)


KINDS = {
    "OneToOne": (("a",), ["<a>"]),
    "OneToMany": (("a",), ["<a>", "<a>"]),
    "WritesItself": (("a",), ["<a>", "<a>"]),
    "ManyToOne": (("a", "b"), ["<a+b>"]),
    "ManyToMany": (("a", "b"), ["<a>", "<b>"]),
}


@pytest.mark.parametrize("method", KINDS)
async def test_a_call_goes_in_and_out_through_every_layer(server: Server, method: str) -> None:
    values, replies = KINDS[method]
    assert await server.call(method, *values) == replies
    assert server.notes == ["outer in", "inner in", "inner out", "outer out"]
    call = server.calls[0]
    assert call.method == f"test.Echo/{method}"
    assert call.service == "test.Echo"
    assert call.is_streaming is (method != "OneToOne")
    assert call.request == text("a"), "of a stream the first message"


@pytest.mark.parametrize("method", KINDS)
async def test_an_error_meets_the_innermost_layer_first(server: Server, method: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await server.call(method, "bad")
    assert failure.value.code() is grpc.StatusCode.DATA_LOSS
    assert server.notes == ["outer in", "inner in", "inner error"]


async def test_an_error_after_the_first_message_still_ends_the_stream_with_its_status(server: Server) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stream = channel.stream_stream(
            "/test.Echo/ManyToMany",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=StringValue.FromString,
        )(iter([text("a"), text("bad")]))
        assert await stream.read() == text("<a>")
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stream.read()
    assert failure.value.code() is grpc.StatusCode.DATA_LOSS


async def test_what_is_not_there_is_unimplemented(server: Server) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await server.call("Nothing", "a")
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert server.calls == []


def test_of_a_metadata_name_that_comes_twice_the_first_holds() -> None:
    assert texts((("a", "1"), ("b-bin", b"\0"), ("a", "2"))) == {"a": "1"}

"""What is read through the gateway for long or as it is: events of an import, reports from the object store."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import closing

import grpc
import httpx
import psutil
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from tests.integration.gateway.objectserver import STORED
from tests.integration.gateway.running import Gateway, poll
from tests.integration.gateway.test_errors import refuse
from tests.integration.gateway.twins import Context

EVENTS = "/api/v2/my-imports/abc/events"
REPORT = "/cloud/uploads/reports/1/a/errors.csv?response-content-type=text%2Fcsv&X-Amz-Signature=abc"
MIB = 1 << 20


def events(*pieces: bytes) -> list[HttpBody]:
    first, *others = pieces
    return [HttpBody(content_type="text/event-stream", data=first), *(HttpBody(data=piece) for piece in others)]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_each_event_arrives_when_it_is_sent_and_as_it_is(rest: httpx.Client, gateway: Gateway, encoding: str) -> None:
    steps = [gateway.services.event() for _ in range(3)]
    bodies = events(b"retry: 2000\n\n", b": heartbeat\n\n", b"event: import\ndata: {}\n\n", b"event: end\n\n")

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        for step, body in zip([None, *steps], bodies, strict=True):
            if step is not None:
                await step.wait()
            yield body

    gateway.services.answer("WatchMyImport", answer)
    headers = {"accept-encoding": encoding, "accept": "text/event-stream", "last-event-id": "5"}
    with rest.stream("GET", EVENTS, headers=headers) as streamed:
        pieces = streamed.iter_bytes()
        received = [next(pieces)]
        for step in steps:
            gateway.services.set(step)
            received.append(next(pieces))
        assert next(pieces, None) is None

    assert received == [body.data for body in bodies]
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.headers.get_list("cache-control") == ["no-cache"]
    assert streamed.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in streamed.headers
    assert "content-length" not in streamed.headers


def test_an_error_before_the_first_event_is_the_usual_json(rest: httpx.Client, gateway: Gateway) -> None:
    words = (("x-http-status", "404"), ("x-error-body", '{"status":"error"}'))
    gateway.services.answer("WatchMyImport", refuse(grpc.StatusCode.NOT_FOUND, "no", *words))
    answered = rest.get(EVENTS, headers={"accept": "text/event-stream"})
    assert (answered.status_code, answered.json()) == (404, {"status": "error"})
    assert answered.headers["content-type"] == "application/json"


def test_events_that_break_off_just_end(rest: httpx.Client, gateway: Gateway) -> None:
    """A browser then comes back. Nothing of the error may look like an event."""

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        yield events(b"retry: 2000\n\n")[0]
        await context.abort(
            grpc.StatusCode.UNAVAILABLE, "no", (("x-http-status", "503"), ("x-error-body", '{"status":"error"}'))
        )

    gateway.services.answer("WatchMyImport", answer)
    assert rest.get(EVENTS).content == b"retry: 2000\n\n"


def test_a_reader_of_events_that_goes_away_ends_the_call(rest: httpx.Client, gateway: Gateway) -> None:
    never = gateway.services.event()

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        yield events(b"retry: 2000\n\n")[0]
        await never.wait()

    gateway.services.answer("WatchMyImport", answer)
    with rest.stream("GET", EVENTS) as streamed:
        next(streamed.iter_raw())
    poll(lambda: gateway.services.last.is_over)


def test_a_reader_of_events_who_stops_reading_holds_the_service_up_and_no_memory(gateway: Gateway) -> None:
    sent = 0
    body = HttpBody(content_type="text/event-stream", data=b"x" * 65536)

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        nonlocal sent
        while True:
            yield body
            sent += len(body.data)

    gateway.services.answer("WatchMyImport", answer)
    process = psutil.Process(gateway.pid)
    before = process.memory_info().rss
    with closing(socket.create_connection(("127.0.0.1", gateway.ports.gateway), timeout=5)) as connection:
        connection.sendall(f"GET {EVENTS} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        # The sender stands still: it gets no further between two looks.
        looks = [-1, 0]

        def is_held_up() -> bool:
            looks.append(sent)
            return looks[-1] > 0 and len(looks) > 25 and len(set(looks[-25:])) == 1

        poll(is_held_up)
        assert sent < 32 * MIB
        assert process.memory_info().rss - before < 40 * MIB
    poll(lambda: gateway.services.last.is_over)


def test_a_signed_get_of_a_report_reaches_the_store_as_it_is_signed(rest: httpx.Client, gateway: Gateway) -> None:
    secrets = {"authorization": "Bearer t", "x-api-key": "k", "cookie": "c=1"}
    answer = rest.get(REPORT, headers={**secrets, "accept-encoding": "gzip"})

    (get,) = gateway.objects.gets
    assert get.target == REPORT.replace("/cloud/", "/hythe/", 1)
    assert get.headers["host"] == f"127.0.0.1:{gateway.ports.s3}"
    assert not secrets.keys() & get.headers.keys()
    assert answer.content == STORED
    assert answer.headers["content-disposition"] == 'attachment; filename="errors.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert "content-encoding" not in answer.headers


def test_the_signature_of_a_report_is_not_in_the_access_log(rest: httpx.Client, gateway: Gateway) -> None:
    rest.get(REPORT.replace("errors.csv", "logged.csv"))
    poll(lambda: "logged.csv" in gateway.access_log.read_text())
    assert "Amz-Signature" not in gateway.access_log.read_text()

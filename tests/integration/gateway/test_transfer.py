from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from google.api import httpbody_pb2
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from deploy.local.ports import free_ports
from tests.integration.gateway.running import MULTIPART_MAX_BYTES, Gateway, poll
from tests.integration.gateway.twins import Context, answer_with

UPLOAD = "/api/v2/client/1/report/2/importAsync/nessus"
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
MIB = 1 << 20


def test_a_put_reaches_the_store_under_the_path_and_host_it_is_signed_for(rest: httpx.Client, gateway: Gateway) -> None:
    path = "/cloud/uploads/c123/a%20b+c//%C3%A9%2F.xml?X-Amz-Signature=abc&X-Amz-Date=2026"
    answer = rest.put(path, content=b"hello", headers={"content-type": "application/octet-stream"})

    (put,) = gateway.objects.puts
    assert put.target == "/hythe/uploads/c123/a%20b+c//%C3%A9%2F.xml?X-Amz-Signature=abc&X-Amz-Date=2026"
    assert put.headers["host"] == f"127.0.0.1:{gateway.ports.s3}"
    assert put.headers["content-type"] == "application/octet-stream"
    assert put.body == b"hello"
    assert (answer.status_code, answer.headers["etag"]) == (200, '"abc"')


def test_a_credential_of_the_api_is_not_shown_to_the_store(rest: httpx.Client, gateway: Gateway) -> None:
    secrets = {"authorization": "Bearer t", "x-api-key": "k", "cookie": "c=1"}
    rest.put("/cloud/uploads/c123/a.xml", content=b"hello", headers=secrets)

    assert not secrets.keys() & gateway.objects.puts[0].headers.keys()


def test_a_refusal_by_the_store_passes_as_it_is(rest: httpx.Client, gateway: Gateway) -> None:
    gateway.objects.refuses = True
    answer = rest.put("/cloud/uploads/c123/a.xml?X-Amz-Signature=bad", content=b"hello")

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/xml"
    assert answer.text.endswith("<Error><Code>SignatureDoesNotMatch</Code></Error>")


def test_a_refused_put_that_asks_first_sends_no_byte(gateway: Gateway) -> None:
    gateway.objects.refuses = True
    request = b"PUT /cloud/uploads/c1/a HTTP/1.1\r\nhost: a\r\ncontent-length: 999999\r\nexpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.ports.gateway), timeout=5) as connection:
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 403")


def test_an_empty_file_can_be_put(rest: httpx.Client, gateway: Gateway) -> None:
    assert rest.put("/cloud/uploads/c123/empty", content=b"").status_code == 200
    assert gateway.objects.puts[0].body == b""


def test_a_store_that_is_down_is_a_503_in_json(gateway: Gateway, tmp_path: Path) -> None:
    with gateway.beside(tmp_path, S3_PORT=free_ports().s3) as other:
        answer = httpx.put(f"{other.url}/cloud/uploads/c123/a.xml", content=b"hello")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "error",
        "statusCode": 503,
        "error": "Service Unavailable",
        "message": "The service is not available. Try again in a moment.",
    }


def blocks(count: int, size: int = MIB) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * size


@pytest.mark.parametrize("has_length", [True, False], ids=["length known", "chunked"])
def test_a_multipart_body_is_streamed_to_the_service_byte_for_byte(
    rest: httpx.Client, gateway: Gateway, has_length: bool
) -> None:
    length = {"content-length": str(7 * MIB)} if has_length else {}
    answer = rest.post(UPLOAD, content=blocks(7), headers=MULTIPART | length)

    received = hashlib.sha256(b"".join(chunk.content.data for chunk in gateway.services.last.requests))
    assert answer.status_code == 200
    assert received.hexdigest() == hashlib.sha256(b"".join(blocks(7))).hexdigest()
    assert len(gateway.services.last.requests) >= 7
    first = gateway.services.last.request
    assert (first.client_id, first.report_id, first.source) == (1, 2, "nessus")
    assert first.content.content_type == MULTIPART["content-type"]


@pytest.mark.parametrize("has_length", [True, False], ids=["length known", "chunked"])
def test_a_multipart_body_above_the_limit_is_413(rest: httpx.Client, gateway: Gateway, has_length: bool) -> None:
    count = MULTIPART_MAX_BYTES // MIB + 1
    length = {"content-length": str(count * MIB)} if has_length else {}
    answer = rest.post(UPLOAD, content=blocks(count), headers=MULTIPART | length)

    assert (answer.status_code, answer.json()["statusCode"]) == (413, 413)
    assert answer.json()["message"] == "The request is larger than this route takes."
    if not has_length:
        poll(lambda: bool(gateway.services.calls) and gateway.services.last.is_over)
        assert gateway.services.last.received_bytes < count * MIB


def test_the_limit_of_a_json_body_is_one_mebibyte(rest: httpx.Client, gateway: Gateway) -> None:
    def body(size: int) -> bytes:
        return b'{"name":"' + b"x" * (size - 11) + b'"}'

    headers = {"content-type": "application/json"}
    assert rest.post("/api/v2/presigned-url", content=body(MIB), headers=headers).status_code == 200
    assert len(gateway.services.last.request.payload["name"]) == MIB - 11

    for content in (body(MIB + 1), iter([body(MIB), b" "])):
        answer = rest.post("/api/v2/presigned-url", content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (413, "Payload Too Large")


def test_the_limit_of_an_upload_does_not_apply_to_json_nor_the_other_way_round(rest: httpx.Client) -> None:
    assert rest.post(UPLOAD, content=blocks(2), headers=MULTIPART).status_code == 200
    assert rest.post("/api/v1/client/1/report/create", content=b" " * (2 * MIB)).status_code == 413


def test_a_large_answer_of_one_message_is_transcoded(rest: httpx.Client, gateway: Gateway) -> None:
    gateway.services.answer("GetClient", answer_with(ParseDict({"a": "x" * 3_900_000}, Struct())))

    answer = rest.get("/api/v1/client/1")

    assert answer.status_code == 200
    assert len(answer.json()["a"]) == 3_900_000


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_streamed_answer_arrives_piece_by_piece(rest: httpx.Client, gateway: Gateway, encoding: str) -> None:
    go_on = gateway.services.event()

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        yield httpbody_pb2.HttpBody(content_type="application/json", data=b'[{"id":1}')
        await go_on.wait()
        yield httpbody_pb2.HttpBody(data=b',{"id":2}]')

    gateway.services.answer("ListFlaws", answer)
    with rest.stream("GET", "/api/v1/client/1/report/2/flaws", headers={"accept-encoding": encoding}) as streamed:
        pieces = streamed.iter_bytes()
        first = next(pieces)
        gateway.services.set(go_on)
        rest_of_it = b"".join(pieces)

    assert streamed.headers["content-type"] == "application/json"
    assert streamed.headers.get("content-encoding", "identity") == encoding
    assert (first, rest_of_it) == (b'[{"id":1}', b',{"id":2}]')


def test_a_client_that_leaves_cancels_the_call(rest: httpx.Client, gateway: Gateway) -> None:
    never = gateway.services.event()

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        yield httpbody_pb2.HttpBody(content_type="application/json", data=b"[")
        await never.wait()

    gateway.services.answer("ListFlaws", answer)
    with rest.stream("GET", "/api/v1/client/1/report/2/flaws") as streamed:
        next(streamed.iter_raw())

    poll(lambda: gateway.services.last.is_over)


def test_memory_stays_flat_while_a_large_answer_streams(rest: httpx.Client, gateway: Gateway) -> None:
    piece = httpbody_pb2.HttpBody(content_type="application/json", data=b"x" * 65536)

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        for _ in range(3200):
            yield piece

    gateway.services.answer("ListFlaws", answer)
    process = psutil.Process(gateway.pid)
    before, peak, received = process.memory_info().rss, 0, 0
    with rest.stream("GET", "/api/v1/client/1/report/2/flaws", headers={"accept-encoding": "identity"}) as streamed:
        for chunk in streamed.iter_raw():
            received += len(chunk)
            peak = max(peak, process.memory_info().rss)

    assert received == 3200 * 65536
    assert peak - before < 40 * MIB


def test_json_is_compressed_for_those_who_ask(rest: httpx.Client, gateway: Gateway) -> None:
    gateway.services.answer("GetClient", answer_with(ParseDict({"a": "x" * 5000}, Struct())))

    plain = rest.get("/api/v1/client/1", headers={"accept-encoding": "identity"})
    packed = rest.get("/api/v1/client/1", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 10

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from google.protobuf.message import Message

from hythe.dialects.plextrac.v2 import plextrac_pb2
from hythe.upload.v1 import upload_pb2, upload_pb2_grpc
from tests.integration.gateway.running import Gateway
from tests.integration.gateway.twins import Answer, Context

FORM = "application/x-www-form-urlencoded"
JSON = {"content-type": "application/json"}
WORDED = '{"status":"error","statusCode":422,"error":"Unprocessable Entity","message":"There is no report 5."}'
IN_ENVOYS_WORDS = ("upstream", "grpc", "TYPE_", "google", "envoy", "reset", "transcod", "details")


async def abort(context: Context, code: grpc.StatusCode, message: str, *trailers: tuple[str, str | bytes]) -> None:
    await context.abort(code, message, trailers)


def refuse(
    code: grpc.StatusCode, message: str, *trailers: tuple[str, str | bytes], headers_first: bool = False
) -> Answer:
    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        if headers_first:
            await context.send_initial_metadata((("deprecation", "@1"),))
        await abort(context, code, message, *trailers)
        yield plextrac_pb2.Empty()  # Never: it makes this a generator.

    return answer


def assert_envelope(answer: httpx.Response, status: int, message: str | None = None) -> None:
    body = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert body.keys() == {"status", "statusCode", "error", "message"}
    assert (body["status"], body["statusCode"]) == ("error", status)
    assert body["error"] == (HTTPStatus(status).phrase if status != 413 else "Payload Too Large")
    assert body["message"] == message if message is not None else body["message"]
    assert not any(word in answer.text for word in IN_ENVOYS_WORDS), answer.text


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/"), ("GET", "/nowhere"), ("POST", "/api/v2/nowhere"), ("GET", "/api/v3/my-imports"),
        ("DELETE", "/api/v2/my-imports"), ("PATCH", "/api/v1/client/1"), ("POST", "/api/v1/"),
        ("GET", "/openapi/other.json"), ("GET", "/cloud/uploads/a/b"), ("OPTIONS", "/api/v2/my-imports"),
        ("POST", "/hythe.status.v1.StatusService/ListImports"), ("GET", "/hythe.identity.v1.IdentityService/Resolve"),
        ("POST", "/hythe.dialects.plextrac.v2.PlextracStatus/GetClient"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_json_404(rest: httpx.Client, gateway: Gateway, verb: str, path: str) -> None:
    answer = rest.request(verb, path, headers={"content-type": "application/json", "x-dialect": "plextrac"})

    assert_envelope(answer, 404, "There is nothing at this path for this method.")
    assert gateway.services.calls == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"name":', "The body is not JSON: Unexpected end of string. Expected a value."),
        (b'{"name" "secret-word', "The body is not JSON: Expected : between key:value pair."),
        (b'{"a":1}}', "The body is not JSON: Parsing terminated before end of input."),
        (b"{,", "The body is not JSON: Expected an object key or }."),
        (b"\xff\xfe", "The body is not JSON: Encountered non UTF-8 code points."),
        (b"[1]", "The body must be a JSON object."),
        (b'"text"', "The body must be a JSON object."),
    ],
)
def test_a_body_that_is_no_json_object_is_a_400_in_plain_words(rest: httpx.Client, body: bytes, message: str) -> None:
    answer = rest.post("/api/v2/presigned-url", content=body, headers=JSON)

    assert_envelope(answer, 400, message)
    assert "secret-word" not in answer.text


@pytest.mark.parametrize(
    ("verb", "path", "message"),
    [
        ("GET", "/api/v1/client/abc", "client_id must be a whole number."),
        ("GET", "/api/v1/client/99999999999", "client_id must be a whole number."),
        ("GET", "/api/v2/my-imports?limit=%22many%22", "limit must be a whole number."),
        ("POST", "/api/v2/client/1/assets/import/a?includeFullAssets=x", "include_full_assets must be true or false."),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_named(rest: httpx.Client, verb: str, path: str, message: str) -> None:
    assert_envelope(rest.request(verb, path), 400, message)


def test_a_credential_of_the_wrong_type_is_not_echoed(rest: httpx.Client) -> None:
    answer = rest.post("/api/v1/authenticate", json={"username": "u", "password": {"secret": "word"}})

    assert_envelope(answer, 400, "The request cannot be read.")


@pytest.mark.parametrize(
    ("path", "content_type", "message"),
    [
        ("/api/v2/presigned-url", "text/xml", "Send the body as application/json."),
        ("/api/v1/authenticate", FORM, "Send the body as application/json."),
        ("/api/v1/client/1/report/create", "text/xml", f"Send the body as application/json or {FORM}."),
        ("/api/v2/client/1/report/2/importAsync/nessus", "application/json", "Send the body as multipart/form-data."),
    ],
)  # fmt: skip
def test_a_media_type_that_a_route_does_not_read_is_a_415(
    rest: httpx.Client, gateway: Gateway, path: str, content_type: str, message: str
) -> None:
    assert_envelope(rest.post(path, content=b"<a/>", headers={"content-type": content_type}), 415, message)
    assert gateway.services.calls == []


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/api/v2/presigned-url", "application/json; charset=utf-8"),
        ("/api/v2/presigned-url", "Application/JSON"),
        ("/api/v2/presigned-url", "application/vnd.api+json"),
        ("/api/v1/client/1/report/create", "application/x-www-form-urlencoded"),
        ("/api/v2/client/1/report/2/importAsync/nessus", "multipart/form-data; boundary=x"),
    ],
)
def test_a_media_type_that_a_route_reads_passes(rest: httpx.Client, path: str, content_type: str) -> None:
    assert rest.post(path, content=b"{}", headers={"content-type": content_type}).status_code == 200


def test_a_content_type_without_a_body_is_no_mistake(rest: httpx.Client) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert rest.post("/api/v2/my-imports/some-id/cancel", headers=headers).status_code == 200
    assert rest.get("/api/v2/my-imports", headers={"content-type": "text/plain"}).is_success


@pytest.mark.parametrize("path", ["/api/v1/client/5", "/api/v1/client/5/report/6/flaws"])
@pytest.mark.parametrize("headers_first", [False, True])
def test_an_error_that_a_service_worded_is_passed_on_with_its_status(
    rest: httpx.Client, gateway: Gateway, path: str, headers_first: bool
) -> None:
    trailers = (("x-error-body", WORDED), ("x-http-status", "422"))
    refusal = refuse(grpc.StatusCode.NOT_FOUND, "inside", *trailers, headers_first=headers_first)
    gateway.services.answer("GetClient", refusal)
    gateway.services.answer("ListFlaws", refusal)
    answer = rest.get(path)

    assert (answer.status_code, answer.text) == (422, WORDED)
    assert answer.headers["content-type"] == "application/json"
    assert not {"x-error-body", "x-http-status", "grpc-status", "grpc-message"} & answer.headers.keys()


@pytest.mark.parametrize("headers_first", [False, True])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.INTERNAL, 500), (grpc.StatusCode.UNAVAILABLE, 503), (grpc.StatusCode.NOT_FOUND, 404),
        (grpc.StatusCode.UNAUTHENTICATED, 401), (grpc.StatusCode.PERMISSION_DENIED, 403),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429), (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
        (grpc.StatusCode.ALREADY_EXISTS, 409), (grpc.StatusCode.UNIMPLEMENTED, 501), (grpc.StatusCode.UNKNOWN, 500),
    ],
)  # fmt: skip
def test_an_error_without_words_says_nothing_of_the_inside(
    rest: httpx.Client, gateway: Gateway, code: grpc.StatusCode, status: int, headers_first: bool
) -> None:
    gateway.services.answer("GetClient", refuse(code, "SELECT secret FROM inside", headers_first=headers_first))

    answer = rest.get("/api/v1/client/5")

    assert_envelope(answer, status)
    assert "secret" not in answer.text + str(answer.headers)


def test_a_native_client_sees_the_error_as_the_service_sent_it(gateway: Gateway) -> None:
    trailers = (("x-error-body", WORDED), ("grpc-status-details-bin", b"\x08\x05"))
    gateway.services.answer("CreateUpload", refuse(grpc.StatusCode.NOT_FOUND, "There is no report 5.", *trailers))

    with grpc.insecure_channel(gateway.target) as channel, pytest.raises(grpc.RpcError) as refusal:
        upload_pb2_grpc.UploadServiceStub(channel).CreateUpload(upload_pb2.CreateUploadRequest(), timeout=5)

    assert refusal.value.code() == grpc.StatusCode.NOT_FOUND
    assert refusal.value.details() == "There is no report 5."
    assert {item.key: item.value for item in refusal.value.trailing_metadata()}[
        "grpc-status-details-bin"
    ] == b"\x08\x05"


def test_a_stream_that_breaks_is_no_whole_document(rest: httpx.Client, gateway: Gateway) -> None:
    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        yield httpbody_pb2.HttpBody(content_type="application/json", data=b'[{"id":1},')
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the database went away")

    gateway.services.answer("ListFlaws", answer)
    answer_ = rest.get("/api/v1/client/5/report/6/flaws")

    assert answer_.text == '[{"id":1},'


def test_a_status_and_headers_chosen_for_success_are_passed_on(rest: httpx.Client, gateway: Gateway) -> None:
    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        await context.send_initial_metadata((("x-http-status", "202"), ("deprecation", "@1750636800")))
        yield httpbody_pb2.HttpBody(content_type="application/json", data=b'{"ok":true}')

    gateway.services.answer("ImportFileAsync", answer)
    answer_ = rest.post("/api/v2/client/1/report/2/importAsync/nessus", files={"file": b"x"})

    assert (answer_.status_code, answer_.json()) == (202, {"ok": True})
    assert answer_.headers["deprecation"] == "@1750636800"
    assert not {"x-http-status", "grpc-status", "grpc-accept-encoding"} & answer_.headers.keys()


@pytest.fixture
def without_upload(gateway: Gateway) -> Iterator[Gateway]:
    gateway.services.stop_server("upload")
    yield gateway
    gateway.services.start_server("upload")
    gateway.wait_ready()


def test_a_service_that_is_down_is_a_503(rest: httpx.Client, without_upload: Gateway) -> None:
    answer = rest.post("/api/v2/presigned-url", json={"name": "a"})

    assert_envelope(answer, 503, "The service is not available. Try again in a moment.")
    with grpc.insecure_channel(without_upload.target) as channel, pytest.raises(grpc.RpcError) as refusal:
        upload_pb2_grpc.UploadServiceStub(channel).CreateUpload(upload_pb2.CreateUploadRequest(), timeout=5)
    assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE
    assert refusal.value.details() == "The service is not available. Try again in a moment."


def test_the_other_services_go_on_without_it(rest: httpx.Client, without_upload: Gateway) -> None:
    assert rest.get("/api/v2/my-imports").status_code == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /api/v1/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /api/v1/%00 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 426),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx-long: " + b"a" * 9000 + b"\r\n\r\n", 431),
    ],
    ids=["nonsense", "no host", "nul in the path", "two lengths", "old protocol", "long headers"],
)
def test_a_request_that_is_no_http_gets_json_all_the_same(gateway: Gateway, request_: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", gateway.ports.gateway), timeout=5) as connection:
        connection.sendall(request_)
        received = b""
        while b"}" not in received:
            received += connection.recv(65536) or pytest.fail(f"closed after {received!r}")
    head, body = received.split(b"\r\n\r\n", 1)
    answer = httpx.Response(
        int(head.split()[1]),
        headers=dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:]),
        content=body,
    )

    assert_envelope(answer, status)


def test_an_error_to_a_head_request_has_no_body(rest: httpx.Client) -> None:
    answer = rest.head("/api/v2/my-imports")

    assert (answer.status_code, answer.content) == (404, b"")


def test_more_requests_than_the_limit_are_429(gateway: Gateway, tmp_path: Path) -> None:
    with gateway.beside(tmp_path, REQUESTS_PER_SECOND=1) as limited, httpx.Client(base_url=limited.url) as rest:
        answers = [rest.get("/api/v2/my-imports") for _ in range(4)]

    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    for answer in refused:
        assert_envelope(answer, 429, "Too many requests. Try again in a second.")
        assert answer.headers["retry-after"] == "1"

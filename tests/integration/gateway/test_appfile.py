"""Routes of the AppFile API, and its errors that no service words."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from deploy.local.ports import free_ports
from tests.integration.gateway.running import Gateway
from tests.integration.gateway.test_errors import abort
from tests.integration.gateway.twins import Answer, Context, answer_with

JSON = {"content-type": "application/json"}
IN_ENVOYS_WORDS = ("upstream", "grpc", "TYPE_", "google", "envoy", "reset", "transcod", "details")
NOWHERE = "There is nothing at this path for this method."
WORDED = '{"IsSuccess":false,"ResponseStatus":{"ErrorCode":"FileNotFound","Message":"No.","StackTrace":"","Errors":[]}}'
MIB = 1 << 20


def refuse(code: grpc.StatusCode, message: str, *trailers: tuple[str, str | bytes]) -> Answer:
    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        await abort(context, code, message, *trailers)
        yield Struct()  # Never: it makes this a generator.

    return answer


def assert_envelope(answer: httpx.Response, status: int, code: str, message: str | None = None) -> None:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    said = body["ResponseStatus"]["Message"]
    assert body == {
        "IsSuccess": False,
        "ResponseStatus": {"ErrorCode": code, "Message": said, "StackTrace": "", "Errors": []},
        "Data": None,
    }
    assert said == message if message is not None else said
    assert not any(word in answer.text for word in IN_ENVOYS_WORDS), answer.text


@pytest.mark.parametrize(
    ("verb", "path", "served_by", "method"),
    [
        ("POST", "/appfile/file/path", "upload", "CreateFilePath"),
        ("POST", "/appfile/file/import/data", "upload", "ImportData"),
        ("POST", "/appfile/file/import", "importer", "ImportFile"),
        ("POST", "/appdata/import/file/async", "importer", "ImportFile"),
        ("GET", "/appfile/file/c1", "status", "GetFile"),
        ("POST", "/appdata/wks_family/query", "status", "QueryRecords"),
    ],
)
def test_a_path_leads_to_its_service_with_the_headers_that_choose_a_workspace(
    rest: httpx.Client, gateway: Gateway, verb: str, path: str, served_by: str, method: str
) -> None:
    headers = {"X-Param-Override-WorkspaceId": "w", "X-Param-Override-BucketId": "b", "x-dialect": "plextrac"}
    body = None if verb == "GET" else b'{"a": 1}'
    assert rest.request(verb, path, content=body, headers={**headers, **JSON}).status_code == 200
    call = gateway.services.last
    assert (call.served_by, call.method) == (served_by, method)
    told = {name: call.metadata[name] for name in ("x-param-override-workspaceid", "x-param-override-bucketid")}
    assert told == {"x-param-override-workspaceid": "w", "x-param-override-bucketid": "b"}
    assert call.metadata["x-dialect"] == "appfile"


def test_a_query_does_not_replace_what_the_path_says(rest: httpx.Client, gateway: Gateway) -> None:
    rest.get("/appfile/file/c1?file_id=c2&FileId=c2")
    assert gateway.services.last.request.file_id == "c1"


def test_an_answer_keeps_its_members_as_they_are(rest: httpx.Client, gateway: Gateway) -> None:
    answer = Struct()
    answer.update({"IsSuccess": True, "Data": {"Url": "", "Errors": [], "Size": 5_000_000_000, "Nothing": None}})
    gateway.services.answer("GetFile", answer_with(answer))
    expected = {"IsSuccess": True, "Data": {"Url": "", "Errors": [], "Size": 5_000_000_000, "Nothing": None}}
    assert rest.get("/appfile/file/c1").json() == expected


def test_records_may_be_more_than_other_routes_take_and_arrive_byte_by_byte(
    rest: httpx.Client, gateway: Gateway
) -> None:
    body = b'{"ImportData": {"data": [' + b" " * (5 * MIB) + b"]}}"
    assert rest.post("/appfile/file/import/data", content=body, headers=JSON).status_code == 200
    assert b"".join(chunk.content.data for chunk in gateway.services.last.requests) == body


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "/appfile/"), ("POST", "/appfile/nowhere"), ("DELETE", "/appfile/file/c1"), ("GET", "/appdata/x/query")],
)
def test_what_is_not_there_is_a_404(rest: httpx.Client, verb: str, path: str) -> None:
    assert_envelope(rest.request(verb, path), 404, "RouteNotFound", NOWHERE)


def test_a_native_call_of_a_dialect_is_a_404(rest: httpx.Client, gateway: Gateway) -> None:
    path = "/hythe.dialects.appfile.v1.AppFileStatus/GetFile"
    assert rest.post(path, headers={"x-dialect": "appfile", **JSON}).status_code == 404
    assert gateway.services.calls == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"FileName":', "The body is not JSON: Unexpected end of string. Expected a value."),
        (b"[1]", "The body must be a JSON object."),
        (b'{"FileName" "secret-word', "The body is not JSON: Expected : between key:value pair."),
    ],
)
def test_a_body_that_is_no_json_object_is_a_400(rest: httpx.Client, body: bytes, message: str) -> None:
    answer = rest.post("/appfile/file/path", content=body, headers=JSON)
    assert_envelope(answer, 400, "RequestUnreadable", message)
    assert "secret-word" not in answer.text


def test_another_media_type_is_a_415(rest: httpx.Client) -> None:
    answer = rest.post("/appfile/file/path", content=b"<a/>", headers={"content-type": "text/xml"})
    assert_envelope(answer, 415, "UnsupportedMediaType", "Send the body as application/json.")


def test_a_body_above_the_limit_is_a_413(rest: httpx.Client) -> None:
    answer = rest.post("/appfile/file/import", content=b" " * (MIB + 1), headers=JSON)
    assert_envelope(answer, 413, "FileTooLarge")


def test_too_many_requests_are_a_429(gateway: Gateway, tmp_path: Path) -> None:
    with gateway.beside(tmp_path, REQUESTS_PER_SECOND=1) as other, httpx.Client(base_url=other.url) as client:
        answers = [client.get("/appfile/file/c1") for _ in range(5)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert_envelope(refused[0], 429, "QuotaExceeded")


def test_a_service_that_is_down_is_a_503(gateway: Gateway, tmp_path: Path) -> None:
    with gateway.beside(tmp_path) as other:
        values = {"STATUS_PORT": free_ports().named()["status"]}
        other.stop()
        folder = tmp_path / "down"
        folder.mkdir()
        without = Gateway(other.ports, other.services, other.objects, folder)
        without.is_ready = lambda: is_listening(without.ports.gateway)  # type: ignore[method-assign]
        try:
            without.start(**values)
            answer = httpx.get(f"{without.url}/appfile/file/c1", timeout=20)
        finally:
            without.stop()
    assert_envelope(answer, 503, "ServiceUnavailable")


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_error_that_a_service_words_passes_as_it_is(rest: httpx.Client, gateway: Gateway) -> None:
    trailers = (("x-http-status", "422"), ("x-error-body", WORDED))
    gateway.services.answer("GetFile", refuse(grpc.StatusCode.INVALID_ARGUMENT, "No.", *trailers))
    answer = rest.get("/appfile/file/c1")
    assert (answer.status_code, answer.text) == (422, WORDED)


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        (grpc.StatusCode.INTERNAL, 500, "InternalError"),
        (grpc.StatusCode.UNAVAILABLE, 503, "ServiceUnavailable"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "QuotaExceeded"),
        (grpc.StatusCode.OUT_OF_RANGE, 400, "RequestUnreadable"),
    ],
)
def test_an_error_that_a_service_does_not_word_says_nothing_of_the_inside(
    rest: httpx.Client, gateway: Gateway, code: grpc.StatusCode, status: int, name: str
) -> None:
    gateway.services.answer("GetFile", refuse(code, "envoy upstream details"))
    assert_envelope(rest.get("/appfile/file/c1"), status, name)


def test_the_other_dialect_keeps_its_words(rest: httpx.Client) -> None:
    assert rest.get("/api/v2/nowhere").json()["status"] == "error"
    assert rest.get("/appfiles").json()["status"] == "error"

"""Routes of the Assets API by all its bases, statuses without a body, and the errors that no service words."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct

from deploy.local.ports import free_ports
from hythe.identity.v1 import identity_pb2, identity_pb2_grpc
from tests.integration.gateway.running import Gateway, poll
from tests.integration.gateway.test_errors import abort
from tests.integration.gateway.twins import Answer, Context, answer_with

JSON = {"content-type": "application/json"}
ERROR_TYPE = "application/json;charset=UTF-8"
IN_ENVOYS_WORDS = ("upstream", "grpc", "TYPE_", "google", "envoy", "reset", "transcod", "details")
NOWHERE = "There is nothing at this path for this method."
WORKSPACE = "/jsm/assets/workspace/w/v1"
SOURCE = f"{WORKSPACE}/importsource/s"
DATA = f"{SOURCE}/executions/e/data"
PREVIEW = f"{SOURCE}/mapping/preview"
WORDED = '{"errorMessages":["No."],"errors":{},"result":"error","errorCode":"IN_PROGRESS","code":409,"message":"No."}'
MIB = 1 << 20
LARGEST_CHUNK = 64 * MIB


def refuse(code: grpc.StatusCode, message: str, *trailers: tuple[str, str | bytes]) -> Answer:
    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        await abort(context, code, message, *trailers)
        yield Struct()  # Never: it makes this a generator.

    return answer


def choose(*metadata: tuple[str, str]) -> Answer:
    """An empty answer with these metadata before it."""

    async def answer(requests: list[Message], context: Context) -> AsyncIterator[Message]:
        await context.send_initial_metadata(metadata)
        yield Struct()

    return answer


def assert_envelope(answer: httpx.Response, status: int, code: str, message: str | None = None) -> None:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, ERROR_TYPE), answer.text
    assert body.keys() == {"errorMessages", "errors", "result", "errorCode", "code", "message"}
    assert (body["errors"], body["result"], body["errorCode"], body["code"]) == ({}, "error", code, status)
    (said,) = body["errorMessages"]
    assert said == message if message is not None else said
    assert body["message"] == ("Unauthorized" if status == 401 else said)
    assert not any(word in answer.text for word in IN_ENVOYS_WORDS), answer.text


@pytest.mark.parametrize(
    ("verb", "path", "served_by", "method"),
    [
        ("GET", "/rest/servicedeskapi/assets/workspace", "identity", "ListWorkspaces"),
        ("GET", "/rest/servicedeskapi/insight/workspace", "identity", "ListWorkspaces"),
        ("GET", "/ex/jira/c/rest/servicedeskapi/assets/workspace", "identity", "ListWorkspaces"),
        ("GET", "/_edge/tenant_info", "identity", "GetTenantInfo"),
        ("GET", "/jsm/assets/v1/imports/info", "importer", "GetImportsInfo"),
        ("GET", "/jsm/insight/v1/imports/info", "importer", "GetImportsInfo"),
        ("GET", "/ex/jira/c/jsm/insight/v1/imports/info", "importer", "GetImportsInfo"),
        ("POST", f"{WORKSPACE}/import/start/s", "importer", "StartImport"),
        ("POST", f"{WORKSPACE}/objectschema/create", "importer", "CreateObjectSchema"),
        ("GET", f"{WORKSPACE}/importsource", "importer", "ListImportSources"),
        ("POST", f"{WORKSPACE}/importsource", "importer", "CreateImportSource"),
        ("GET", f"{WORKSPACE}/importsource/objectschema/5", "importer", "ListImportSourcesOfSchema"),
        ("GET", SOURCE, "importer", "GetImportSource"),
        ("GET", f"{WORKSPACE}//importsource/s", "importer", "GetImportSource"),
        ("PUT", SOURCE, "importer", "UpdateImportSource"),
        ("DELETE", SOURCE, "importer", "DeleteImportSource"),
        ("GET", f"{SOURCE}/mapping", "importer", "GetMapping"),
        ("PUT", f"{SOURCE}/mapping", "importer", "PutMapping"),
        ("PATCH", f"{SOURCE}/mapping?async=true", "importer", "PatchMapping"),
        ("GET", f"{SOURCE}/mapping/progress/r", "importer", "GetMappingProgress"),
        ("POST", PREVIEW, "importer", "PreviewMapping"),
        ("GET", f"{SOURCE}/schema-and-mapping", "importer", "GetSchemaAndMapping"),
        ("GET", f"{SOURCE}/configstatus", "importer", "GetConfigStatus"),
        ("GET", f"{SOURCE}/token", "importer", "GetToken"),
        ("POST", f"{SOURCE}/token", "importer", "CreateToken"),
        ("POST", f"{SOURCE}/executions", "importer", "StartExecution"),
        ("GET", f"{SOURCE}/executions", "status", "ListExecutions"),
        ("GET", f"{SOURCE}/executions/status", "status", "GetLatestExecutionStatus"),
        ("GET", f"{SOURCE}/executions/e", "status", "GetExecution"),
        ("DELETE", f"{SOURCE}/executions/e", "importer", "CancelExecution"),
        ("DELETE", f"{SOURCE}/executions/e/cancel", "importer", "CancelExecution"),
        ("POST", DATA, "importer", "SubmitData"),
        ("GET", DATA, "status", "GetExecutionData"),
        ("PUT", f"{SOURCE}/executions/e/progress", "importer", "PutProgress"),
        ("GET", f"{SOURCE}/executions/e/progress", "status", "GetExecutionProgress"),
        ("GET", f"{SOURCE}/executions/e/status", "status", "GetExecutionStatus"),
        ("POST", f"{SOURCE}/executions/e/history/failed", "importer", "FailExecution"),
        ("GET", f"{SOURCE}/schedule", "importer", "GetSchedules"),
        ("POST", f"{SOURCE}/importschedule", "importer", "CreateSchedule"),
        ("PUT", f"{SOURCE}/importschedule/c", "importer", "UpdateSchedule"),
        ("DELETE", f"{SOURCE}/importschedule/c", "importer", "DeleteSchedule"),
        ("GET", f"{WORKSPACE}/progress/category/imports/s", "status", "GetImportProgress"),
        ("GET", f"{WORKSPACE}/objectschema/list", "status", "ListObjectSchemas"),
        ("GET", f"{WORKSPACE}/objectschema/5", "status", "GetObjectSchema"),
        ("GET", f"{WORKSPACE}/objectschema/5/objecttypes/flat", "status", "ListObjectTypesFlat"),
        ("GET", f"{WORKSPACE}/object/7", "status", "GetObject"),
        ("POST", f"{WORKSPACE}/object/aql", "status", "QueryObjects"),
        ("POST", f"{WORKSPACE}/object/aql/totalcount", "status", "CountObjects"),
        ("GET", "/jsm/assets/imports/external/schema/versions/2023_10_19", "status", "GetMappingSchema"),
        ("GET", "/jsm/insight/imports/external/schema/versions/2021_09_15", "status", "GetMappingSchema"),
    ],
)
def test_a_path_leads_to_its_service(
    rest: httpx.Client, gateway: Gateway, verb: str, path: str, served_by: str, method: str
) -> None:
    # Clients say that they send JSON, and send nothing.
    answer = rest.request(verb, path, headers={**JSON, "x-dialect": "plextrac"})
    assert answer.status_code == 200, answer.text
    call = gateway.services.last
    assert (call.served_by, call.method, call.metadata["x-dialect"]) == (served_by, method, "assets")


@pytest.mark.parametrize("base", ["", "/ex/jira/c-1", "/gateway/api"])
@pytest.mark.parametrize("product", ["assets", "insight"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_base_leads_to_the_same_place(
    rest: httpx.Client, gateway: Gateway, base: str, product: str, slash: str
) -> None:
    source = f"{base}/jsm/{product}/workspace/w/v1/importsource/s"
    rest.get(f"{source}/executions/e/status{slash}?x=1")
    request = gateway.services.last.request
    assert (request.workspace_id, request.import_source_id, request.execution_id) == ("w", "s", "e")
    body = b" " * (2 * MIB)
    assert rest.post(f"{source}/executions/e/data{slash}", content=body, headers=JSON).status_code == 200
    assert gateway.services.last.method == "SubmitData"
    assert b"".join(one.content.data for one in gateway.services.last.requests) == body


@pytest.mark.parametrize(
    "path",
    [
        "/ex/jira/c/api/v2/whoami", "/ex/jira/c/appfile/file/f", "/ex/jira/c/.well-known/jwks.json",
        "/ex/jira/jsm/assets", "/gateway/api/rest/servicedeskapi/assets/workspace", "/gateway/api/api/v2/whoami",
        "/jsm/other/workspace/w/v1/object/1",
        "/ex/jira/c/ex/jira/c/jsm/assets/v1/imports/info", "/jsm/assets", "/jsm/assets/workspace/w/v2/object/1",
        "/jsm/insight/insight/v1/imports/info", "/_edge/other", "/rest/servicedeskapi/request",
    ],
)  # fmt: skip
def test_a_base_of_assets_opens_nothing_else(rest: httpx.Client, gateway: Gateway, path: str) -> None:
    assert_envelope(rest.get(path), 404, "ROUTE_NOT_FOUND", NOWHERE)
    assert gateway.services.calls == []


@pytest.mark.parametrize(
    ("verb", "path"),
    [("PATCH", SOURCE), ("POST", f"{SOURCE}/configstatus"), ("PUT", f"{SOURCE}/executions"), ("DELETE", WORKSPACE)],
)
def test_another_verb_is_a_404(rest: httpx.Client, verb: str, path: str) -> None:
    assert_envelope(rest.request(verb, path), 404, "ROUTE_NOT_FOUND", NOWHERE)


def test_a_path_variable_is_decoded_and_no_query_replaces_it(rest: httpx.Client, gateway: Gateway) -> None:
    path = "/jsm/assets/workspace/w%201/v1/importsource/s%2D1"
    rest.get(f"{path}/executions/e?workspace_id=x&importSourceId=x&execution_id=x&executionId=x&version=x")
    request = gateway.services.last.request
    assert (request.workspace_id, request.import_source_id, request.execution_id) == ("w 1", "s-1", "e")


def test_numbers_behind_the_path_have_the_names_that_clients_use(rest: httpx.Client, gateway: Gateway) -> None:
    path = f"{WORKSPACE}/object/aql?startAt=5&maxResults=10&includeAttributes=false"
    rest.post(path, json={"qlQuery": "a = 1"})
    request = gateway.services.last.request
    assert (request.start_at, request.max_results, request.include_attributes) == (5, 10, False)
    assert dict(request.payload) == {"qlQuery": "a = 1"}


def test_a_list_and_bytes_are_answered_as_they_are(rest: httpx.Client, gateway: Gateway) -> None:
    gateway.services.answer("ListObjectReferences", answer_with(ListValue()))
    assert rest.get(f"{WORKSPACE}/object/5/referenceinfo").json() == []
    gateway.services.answer("ListObjectTypes", answer_with(HttpBody(content_type="application/json", data=b"[1]")))
    assert rest.get(f"{WORKSPACE}/objectschema/5/objecttypes").json() == [1]


def exchange(gateway: Gateway, request: bytes) -> bytes:
    """What the gateway answers to these bytes; they must ask it to close the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", gateway.ports.gateway), timeout=10) as connection:
        connection.sendall(request)
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", f"{SOURCE}/executions"), ("POST", f"{SOURCE}/token"), ("POST", f"{WORKSPACE}/import/start/s"),
        ("DELETE", f"{SOURCE}/executions/e"), ("PUT", f"{SOURCE}/executions/e/progress"), ("POST", DATA),
    ],
)  # fmt: skip
@pytest.mark.parametrize("framing", ["", "content-length: 0\r\n", "transfer-encoding: chunked\r\n"])
def test_an_empty_body_that_is_called_json_is_no_mistake(gateway: Gateway, verb: str, path: str, framing: str) -> None:
    end = "0\r\n\r\n" if "chunked" in framing else ""
    head = f"{verb} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n{framing}\r\n"
    answer = exchange(gateway, (head + end).encode())
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert gateway.services.last.request.import_source_id == "s"


def test_a_delete_may_have_a_body(rest: httpx.Client, gateway: Gateway) -> None:
    assert rest.request("DELETE", f"{SOURCE}/executions/e", content=b"{}", headers=JSON).status_code == 200
    assert gateway.services.last.method == "CancelExecution"


# Statuses


def test_a_204_has_no_body(gateway: Gateway) -> None:
    gateway.services.answer("PutMapping", choose(("x-http-status", "204")))
    request = f"PUT {SOURCE}/mapping HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    head, _, body = exchange(gateway, request.encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 204 No Content")
    assert body == b""
    for name in (b"content-length", b"content-type", b"transfer-encoding", b"x-http-status", b"grpc-status"):
        assert b"\r\n" + name not in head.lower()


def test_a_303_has_its_location_and_no_body(rest: httpx.Client, gateway: Gateway) -> None:
    location = f"https://hythe.example.com{SOURCE}/mapping/progress/r"
    gateway.services.answer("PatchMapping", choose(("x-http-status", "303"), ("location", location)))
    answer = rest.patch(f"{SOURCE}/mapping?async=true", json={}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"], answer.content) == (303, location, b"")
    assert answer.headers["content-length"] == "0"
    assert not {"content-type", "x-http-status"} & answer.headers.keys()
    assert getattr(gateway.services.last.request, "async") is True


def test_a_connection_goes_on_after_answers_without_a_body(rest: httpx.Client, gateway: Gateway) -> None:
    gateway.services.answer("FailExecution", choose(("x-http-status", "204")))
    for _ in range(3):
        assert rest.post(f"{SOURCE}/executions/e/history/failed", json={"failureReason": "a"}).status_code == 204
        assert rest.get(SOURCE).json() == {}


def test_another_status_keeps_its_body(rest: httpx.Client, gateway: Gateway) -> None:
    gateway.services.answer("StartExecution", choose(("x-http-status", "201")))
    answer = rest.post(f"{SOURCE}/executions")
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (201, {}, "application/json")


def test_a_client_cannot_choose_a_status(rest: httpx.Client, gateway: Gateway) -> None:
    for name in ("x-http-status", "X-Http-Status", "x_http_status"):
        answer = rest.get(SOURCE, headers={name: "204", "location": "https://evil.example", "x-error-body": "{}"})
        assert (answer.status_code, answer.json()) == (200, {})
        assert "location" not in answer.headers
        assert not {name.lower(), "x-error-body"} & gateway.services.last.metadata.keys()


# Data


def pieces(total: int, size: int = MIB) -> Iterator[bytes]:
    for number in range(total // size):
        yield bytes([number % 251]) * size
    if rest := total % size:
        yield b"z" * rest


@pytest.mark.parametrize("has_length", [True, False], ids=["length known", "chunked"])
def test_a_piece_of_64_mib_is_streamed_in_flat_memory(rest: httpx.Client, gateway: Gateway, has_length: bool) -> None:
    process = psutil.Process(gateway.pid)
    before, peak = process.memory_info().rss, 0

    def watched() -> Iterator[bytes]:
        nonlocal peak
        for piece in pieces(LARGEST_CHUNK):
            yield piece
            peak = max(peak, process.memory_info().rss)

    length = {"content-length": str(LARGEST_CHUNK)} if has_length else {}
    answer = rest.post(DATA, content=watched(), headers=JSON | length, timeout=60)
    assert answer.status_code == 200
    call = gateway.services.last
    assert call.received_bytes > LARGEST_CHUNK
    received, sent = hashlib.sha256(), hashlib.sha256()
    for request in call.requests:
        received.update(request.content.data)
    for piece in pieces(LARGEST_CHUNK):
        sent.update(piece)
    assert received.digest() == sent.digest()
    assert (call.request.import_source_id, call.request.execution_id) == ("s", "e")
    assert call.request.content.content_type == "application/json"
    assert peak - before < 40 * MIB


def test_a_plus_behind_the_path_is_a_space(rest: httpx.Client, gateway: Gateway) -> None:
    rest.get(f"{WORKSPACE}/aql/objects?qlQuery=Name+%3D+%22a%2Bb%22")
    assert gateway.services.last.request.ql_query == 'Name = "a+b"'


@pytest.mark.parametrize("kind", ["text/csv", "application/octet-stream"])
def test_a_sample_is_sent_as_what_it_is(rest: httpx.Client, gateway: Gateway, kind: str) -> None:
    assert rest.post(PREVIEW, content=b"a,b\n1,2\n", headers={"content-type": kind}).status_code == 200
    content = gateway.services.last.request.content
    assert (content.content_type, content.data) == (kind, b"a,b\n1,2\n")


@pytest.mark.parametrize("has_length", [True, False], ids=["length known", "chunked"])
@pytest.mark.parametrize(("path", "limit"), [(DATA, LARGEST_CHUNK), (PREVIEW, MIB), (f"{SOURCE}/mapping", MIB)])
def test_a_body_above_the_limit_is_a_413(
    rest: httpx.Client, gateway: Gateway, path: str, limit: int, has_length: bool
) -> None:
    verb = "PUT" if path.endswith("/mapping") else "POST"
    length = {"content-length": str(limit + 1)} if has_length else {}
    answer = rest.request(verb, path, content=pieces(limit + 1), headers=JSON | length, timeout=60)
    assert_envelope(answer, 413, "REQUEST_TOO_LARGE", "The request is larger than this route takes.")
    if not has_length and path != f"{SOURCE}/mapping":
        poll(lambda: bool(gateway.services.calls) and gateway.services.last.is_over)


def test_a_preview_of_one_mebibyte_passes(rest: httpx.Client, gateway: Gateway) -> None:
    assert rest.post(f"{PREVIEW}?limit=5", content=pieces(MIB), headers=JSON).status_code == 200
    assert gateway.services.last.request.limit == 5
    assert sum(len(one.content.data) for one in gateway.services.last.requests) == MIB


def test_data_that_is_no_json_is_a_415(rest: httpx.Client, gateway: Gateway) -> None:
    answer = rest.post(DATA, content=b"a,b", headers={"content-type": "text/csv"})
    assert_envelope(answer, 415, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json.")
    assert gateway.services.calls == []


# Errors


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"schema":', "The body is not JSON: Unexpected end of string. Expected a value."),
        (b"[1]", "The body must be a JSON object."),
        (b'{"schema" "secret-word', "The body is not JSON: Expected : between key:value pair."),
    ],
)
def test_a_body_that_is_no_json_object_is_a_400(rest: httpx.Client, body: bytes, message: str) -> None:
    answer = rest.put(f"{SOURCE}/mapping", content=body, headers=JSON)
    assert_envelope(answer, 400, "REQUEST_UNREADABLE", message)
    assert "secret-word" not in answer.text


def test_a_body_that_is_nested_too_deep_is_a_400(rest: httpx.Client) -> None:
    body = b'{"a":' * 120 + b"1" + b"}" * 120
    assert_envelope(rest.put(f"{SOURCE}/mapping", content=body, headers=JSON), 400, "REQUEST_UNREADABLE")


def test_a_number_that_is_none_is_named(rest: httpx.Client) -> None:
    answer = rest.get(f"{SOURCE}/executions?maxResults=many")
    assert_envelope(answer, 400, "REQUEST_UNREADABLE", "max_results must be a whole number.")


def test_too_many_requests_are_a_429(gateway: Gateway, tmp_path: Path) -> None:
    with gateway.beside(tmp_path, REQUESTS_PER_SECOND=1) as other, httpx.Client(base_url=other.url) as client:
        answers = [client.get(f"/ex/jira/c{SOURCE}") for _ in range(5)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert_envelope(refused[0], 429, "TOO_MANY_REQUESTS")
    assert refused[0].headers["retry-after"] == "1"


def test_a_service_that_is_down_is_a_503(gateway: Gateway, tmp_path: Path) -> None:
    ports = free_ports()
    without = Gateway(gateway.ports, gateway.services, gateway.objects, tmp_path)
    without.ports = type(ports)(
        **{**gateway.ports.named(), "gateway": ports.gateway, "gateway_admin": ports.gateway_admin}
    )
    without.url = f"http://127.0.0.1:{ports.gateway}"
    without.is_ready = lambda: is_listening(ports.gateway)  # type: ignore[method-assign]
    try:
        without.start(STATUS_PORT=ports.status)
        answer = httpx.get(f"{without.url}{SOURCE}/executions", timeout=20)
    finally:
        without.stop()
    assert_envelope(answer, 503, "SERVICE_UNAVAILABLE", "The service is not available. Try again in a moment.")


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_error_that_a_service_words_passes_as_it_is(rest: httpx.Client, gateway: Gateway) -> None:
    trailers = (("x-http-status", "409"), ("x-error-body", WORDED))
    gateway.services.answer("StartExecution", refuse(grpc.StatusCode.FAILED_PRECONDITION, "No.", *trailers))
    answer = rest.post(f"{SOURCE}/executions")
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (409, WORDED, ERROR_TYPE)
    assert not {"x-error-body", "x-http-status", "grpc-status", "grpc-message"} & answer.headers.keys()


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, 401, "INVALID_CREDENTIAL"),
        (grpc.StatusCode.INTERNAL, 500, "INTERNAL"),
        (grpc.StatusCode.UNAVAILABLE, 503, "SERVICE_UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "TOO_MANY_REQUESTS"),
        (grpc.StatusCode.OUT_OF_RANGE, 400, "REQUEST_UNREADABLE"),
        (grpc.StatusCode.PERMISSION_DENIED, 403, "REQUEST_REFUSED"),
    ],
)
def test_an_error_that_a_service_does_not_word_says_nothing_of_the_inside(
    rest: httpx.Client, gateway: Gateway, code: grpc.StatusCode, status: int, name: str
) -> None:
    gateway.services.answer("GetConfigStatus", refuse(code, "envoy upstream details"))
    assert_envelope(rest.get(f"{SOURCE}/configstatus"), status, name)


def test_the_other_dialects_keep_their_words_and_types(rest: httpx.Client) -> None:
    for path in ("/api/v2/nowhere", "/jsm", "/ex/jirac/jsm/assets/v1/imports/info"):
        answer = rest.get(path)
        assert (answer.json()["status"], answer.headers["content-type"]) == ("error", "application/json")
    assert "ResponseStatus" in rest.get("/appfile/nowhere").json()


# Who may not come in


def test_a_native_call_of_the_dialect_is_a_404(rest: httpx.Client, gateway: Gateway) -> None:
    path = "/hythe.dialects.assets.v1.AssetsStatus/GetObject"
    assert rest.post(path, headers={"x-dialect": "assets", **JSON}).status_code == 404
    with grpc.insecure_channel(gateway.target) as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(path, None, None)(b"", timeout=5, metadata=(("x-dialect", "assets"),))
    assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert gateway.services.calls == []


@pytest.mark.parametrize(
    "method", ["Resolve", "CheckAccount", "IssueContainerToken", "GetContainerToken", "RevokeContainerToken"]
)
def test_what_services_ask_among_themselves_is_unknown_outside(gateway: Gateway, method: str) -> None:
    with grpc.insecure_channel(gateway.target) as channel:
        stub = identity_pb2_grpc.IdentityServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refusal:
            getattr(stub, method)(getattr(identity_pb2, f"{method}Request")(), timeout=5)
    assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert gateway.services.calls == []


def test_a_page_may_patch_and_read_where_it_is_led(rest: httpx.Client) -> None:
    origin = {"origin": "http://localhost:3000"}
    preflight = origin | {"access-control-request-method": "PATCH", "access-control-request-headers": "authorization"}
    answer = rest.options(f"{SOURCE}/mapping", headers=preflight)
    assert answer.status_code == 200
    assert {"PATCH", "PUT", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(","))
    exposed = rest.get(SOURCE, headers=origin).headers["access-control-expose-headers"]
    assert "location" in exposed.split(",")

# ruff: noqa: N802 - a servicer's methods carry the names of the RPCs.
"""A small real server on loopback, made by `serve`, with the generated stubs of identity and others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hythe.dialects.plextrac.v2 import plextrac_pb2, plextrac_pb2_grpc
from hythe.identity.v1 import identity_pb2, identity_pb2_grpc
from hythe.options.v1 import options_pb2
from hythe.status.v1 import status_pb2, status_pb2_grpc
from runtime.auth import (
    ApiKey,
    Authenticator,
    Basic,
    act_as,
    current_credential,
    current_principal,
    current_request,
    note_object,
)
from runtime.channels import channel
from runtime.context import Principal, Role
from runtime.errors import NotFound, PayloadTooLarge, ServiceError, Unauthenticated
from runtime.otlp import record
from runtime.server import serve, stopped_by_signal
from runtime.settings import Settings
from runtime.wire import from_rpc_error
from tests.fakes.audit import FakeAudit
from tests.fakes.signing import ADMIN, FakeKeySource, make_ec_key

KEY = make_ec_key("one")
VIEWER = Principal(7, 5, "bob@example.com", Role.VIEWER)
SERVICES = ("hythe.identity.v1.IdentityService", "hythe.status.v1.StatusService")
REQUEST_ID = "0d9f1c9a-0000-4000-8000-000000000001"


class Identity(identity_pb2_grpc.IdentityServiceServicer):
    """Each RPC shows one thing."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.seen: dict[str, Any] = {}

    async def Authenticate(self, request: Any, context: Any) -> identity_pb2.AuthenticateResponse:
        if request.password != "right":
            raise Unauthenticated("WRONG_PASSWORD", "User name or password is wrong.")
        act_as(VIEWER)
        return identity_pb2.AuthenticateResponse()

    async def WhoAmI(self, request: Any, context: Any) -> identity_pb2.WhoAmIResponse:
        self.seen = {"request": current_request(), "credential": current_credential()}
        return identity_pb2.WhoAmIResponse(principal=identity_pb2.Principal(email=current_principal().email))

    async def ListUsers(self, request: Any, context: Any) -> identity_pb2.ListUsersResponse:
        raise NotFound("USER_NOT_FOUND", "There is no user ✓.", user_id="5")

    async def CreateUser(self, request: Any, context: Any) -> identity_pb2.CreateUserResponse:
        note_object(user_id=44)
        return identity_pb2.CreateUserResponse(password="secret")

    async def SetUserRole(self, request: Any, context: Any) -> identity_pb2.SetUserRoleResponse:
        message = "the password is hunter2 at postgresql://u:p@h/d"
        raise RuntimeError(message)

    async def CreateTenant(self, request: Any, context: Any) -> identity_pb2.CreateTenantResponse:
        return identity_pb2.CreateTenantResponse()

    async def ListApiKeys(self, request: Any, context: Any) -> identity_pb2.ListApiKeysResponse:
        self.entered.set()
        await self.go_on.wait()
        return identity_pb2.ListApiKeysResponse()


class Watching(status_pb2_grpc.StatusServiceServicer):
    async def WatchImport(self, request: Any, context: Any) -> AsyncIterator[status_pb2.WatchImportResponse]:
        if request.import_id == "none":
            raise NotFound("IMPORT_NOT_FOUND", "There is no such import.")
        yield status_pb2.WatchImportResponse()
        if request.import_id == "breaks":
            raise NotFound("IMPORT_NOT_FOUND", "It is gone.")
        await current_request().stopping.wait()
        yield status_pb2.WatchImportResponse()


class Upload(plextrac_pb2_grpc.PlextracUploadServicer):
    async def ImportFile(self, requests: AsyncIterator[Any], context: Any) -> HttpBody:
        size = 0
        async for chunk in requests:
            size += len(chunk.content.data)
            if size > 10:
                raise PayloadTooLarge("FILE_TOO_LARGE", "The file is larger than 10 bytes.")
        return HttpBody(data=str(size).encode())


class NoResolver:
    async def resolve(self, credential: ApiKey | Basic) -> Principal:
        raise Unauthenticated("INVALID_CREDENTIAL", "no")


def envelope(error: ServiceError, status: int) -> dict[str, Any]:
    return {"status": "error", "statusCode": status, "message": error.message}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A server, and what a test needs to talk to it."""

    def __init__(self, **changes: Any) -> None:
        port, metrics_port = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self.settings = Settings(
            **{
                "listen": self.address,
                "metrics_listen": f"127.0.0.1:{metrics_port}",
                "database_url": "postgresql+psycopg://nobody@localhost/none",
                "audit_database_url": "postgresql+psycopg://nobody@localhost/none",
                **changes,
            }
        )
        # Only some of the RPCs are written, which the types do not allow.
        self.identity = Identity()  # type: ignore[abstract]
        self.watching = Watching()  # type: ignore[abstract]
        self.uploading = Upload()  # type: ignore[abstract]
        self.audit = FakeAudit()
        self.stop = asyncio.Event()
        self.is_ready = True
        self.channel = channel(self.address)
        self.stub = identity_pb2_grpc.IdentityServiceStub(self.channel)
        self.status = status_pb2_grpc.StatusServiceStub(self.channel)
        self.upload = plextrac_pb2_grpc.PlextracUploadStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        self.background: list[Callable[[asyncio.Event], Awaitable[None]]] = []
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = asyncio.create_task(
            serve(
                self.settings,
                name="test",
                registrations=[
                    lambda server: identity_pb2_grpc.add_IdentityServiceServicer_to_server(self.identity, server),
                    lambda server: status_pb2_grpc.add_StatusServiceServicer_to_server(self.watching, server),
                    lambda server: plextrac_pb2_grpc.add_PlextracUploadServicer_to_server(self.uploading, server),
                ],
                service_names=SERVICES,
                envelopes={"plextrac": envelope},
                authenticator=Authenticator(FakeKeySource(KEY), NoResolver()),
                audit=self.audit,
                background=self.background,
                readiness=[self.check],
                stop=self.stop,
            )
        )
        await self.wait_for(health_pb2.HealthCheckResponse.SERVING)

    async def check(self) -> None:
        if not self.is_ready:
            message = "the database is away"
            raise ConnectionError(message)

    async def wait_for(self, wanted: int, service: str = "") -> None:
        async with asyncio.timeout(20):
            while await self.status_of(service) != wanted:  # noqa: ASYNC110 - it is another process's, as a rule
                await asyncio.sleep(0.02)

    async def status_of(self, service: str = "") -> int:
        request = health_pb2.HealthCheckRequest(service=service)
        reply = await self.health.Check(request, wait_for_ready=True)
        return int(reply.status)

    async def end(self) -> None:
        self.stop.set()
        if self.task is not None:
            await asyncio.wait([self.task])
        await self.channel.close(None)

    def metrics(self) -> str:
        with urllib.request.urlopen(self.metrics_url) as reply:  # noqa: S310 - our own address
            return str(reply.read().decode())


async def started(**changes: Any) -> Running:
    running = Running(**changes)
    await running.start()
    return running


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = await started()
    yield running
    await running.end()


def signed(principal: Principal = ADMIN, **more: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {KEY.sign(principal)}"), *((k.replace("_", "-"), v) for k, v in more.items()))


async def failure_of(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value


def trailers_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    return dict(cast("Any", error.trailing_metadata()))


def details_of(error: grpc.aio.AioRpcError) -> tuple[Status, ErrorInfo]:
    trailers = trailers_of(error)
    status, info = Status.FromString(trailers["grpc-status-details-bin"]), ErrorInfo()
    assert status.details[0].Unpack(info)
    return status, info


async def test_a_call_has_its_principal_request_id_and_trace(running: Running) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    metadata = signed(
        x_request_id=REQUEST_ID, traceparent=trace, x_forwarded_for="6.6.6.6, 10.0.0.9", x_dialect="plextrac"
    )
    reply = await running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=metadata, timeout=2)
    assert reply.principal.email == ADMIN.email
    request = running.identity.seen["request"]
    assert request.request_id == REQUEST_ID
    assert request.traceparent.split("-")[1] == trace.split("-")[1]
    assert request.traceparent != trace
    assert (request.method, request.dialect, request.peer) == (
        "hythe.identity.v1.IdentityService/WhoAmI",
        "plextrac",
        "10.0.0.9",
    )
    assert request.deadline < asyncio.get_running_loop().time() + 4, "2 seconds, as the client says"
    assert running.identity.seen["credential"] == metadata[0][1]


@pytest.mark.parametrize(
    ("ask", "code", "error_type"),
    [
        (lambda stub: stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=signed()), "OK", None),
        (lambda stub: stub.ListUsers(identity_pb2.ListUsersRequest(), metadata=signed()), "NOT_FOUND", None),
        (
            lambda stub: stub.SetUserRole(identity_pb2.SetUserRoleRequest(user_id=1), metadata=signed()),
            "INTERNAL",
            "INTERNAL",
        ),
    ],
    ids=["answer", "error of the caller", "error of ours"],
)
async def test_a_call_is_a_span_of_the_server_and_failed_when_that_is_our_fault(
    running: Running, ask: Any, code: str, error_type: str | None
) -> None:
    exporter = InMemorySpanExporter()
    stop = record("test", SimpleSpanProcessor(exporter))
    with contextlib.suppress(grpc.aio.AioRpcError):
        await ask(running.stub)
    stop()
    spans = {each.kind.name: each for each in exporter.get_finished_spans()}
    served, called = spans["SERVER"], spans["CLIENT"]
    assert served.parent is not None
    assert served.parent.span_id == called.context.span_id
    told = dict(served.attributes or {})
    assert told["rpc.method"] == served.name == called.name
    assert (told["rpc.system.name"], told["rpc.response.status_code"]) == ("grpc", code)
    assert told.get("error.type") == error_type
    assert "hunter2" not in served.to_json()


async def test_a_bad_request_id_and_trace_are_replaced(running: Running) -> None:
    metadata = signed(x_request_id='"; DROP TABLE', traceparent="nonsense")
    await running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=metadata)
    request = running.identity.seen["request"]
    assert "DROP" not in request.request_id
    assert len(request.request_id) == 36
    assert request.traceparent.startswith("00-")
    assert request.peer == "127.0.0.1"
    assert request.deadline <= asyncio.get_running_loop().time() + 5, "5 seconds when the client sets no deadline"


async def test_a_client_may_set_a_longer_deadline_up_to_the_limit(running: Running) -> None:
    before = asyncio.get_running_loop().time()
    await running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=signed(), timeout=1_000)
    deadline = running.identity.seen["request"].deadline
    assert before + 30 <= deadline <= asyncio.get_running_loop().time() + 30


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "NO_CREDENTIAL"),
        ((("authorization", "Bearer a.b.c"),), "INVALID_CREDENTIAL"),
        ((("x-api-key", "hy_x"),), "INVALID_CREDENTIAL"),
    ],
)
async def test_who_is_not_known_is_refused_and_noted(running: Running, metadata: Any, reason: str) -> None:
    error = await failure_of(running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=metadata))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert details_of(error)[1].reason == reason
    event = running.audit.events[-1]
    assert (event.tenant_id, event.user_id, event.outcome, event.reason) == (0, None, "UNAUTHENTICATED", reason)
    assert (event.service, event.method) == ("hythe.identity.v1.IdentityService", "WhoAmI")


async def test_a_role_that_is_too_low_is_refused_and_noted(running: Running) -> None:
    request = identity_pb2.CreateUserRequest(email="x@y.z")
    error = await failure_of(running.stub.CreateUser(request, metadata=signed(VIEWER)))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert running.audit.events[-1].tenant_id == VIEWER.tenant_id
    assert running.audit.events[-1].reason == "ROLE_REQUIRED"


async def test_an_admin_is_no_operator(running: Running) -> None:
    error = await failure_of(running.stub.CreateTenant(identity_pb2.CreateTenantRequest(), metadata=signed()))
    assert details_of(error)[1].reason == "OPERATOR_REQUIRED"


async def test_an_anonymous_method_takes_no_notice_of_a_bad_credential(running: Running) -> None:
    metadata = (("authorization", "Bearer a.b.c"),)
    error = await failure_of(
        running.stub.Authenticate(identity_pb2.AuthenticateRequest(username="u", password="p"), metadata=metadata)
    )
    assert details_of(error)[1].reason == "WRONG_PASSWORD"


async def test_a_login_is_noted_with_who_it_was_and_a_failed_one_with_nobody(running: Running) -> None:
    await running.stub.Authenticate(identity_pb2.AuthenticateRequest(username="u", password="right"))
    await failure_of(running.stub.Authenticate(identity_pb2.AuthenticateRequest(username="u", password="p")))
    assert [(event.tenant_id, event.user_id, event.outcome) for event in running.audit.events] == [
        (VIEWER.tenant_id, VIEWER.user_id, "OK"),
        (0, None, "UNAUTHENTICATED"),
    ]


async def test_an_audited_call_is_noted_with_ids_and_without_content(running: Running) -> None:
    request = identity_pb2.CreateUserRequest(email="new@example.com", role=options_pb2.ROLE_IMPORTER)
    await running.stub.CreateUser(request, metadata=signed(x_request_id=REQUEST_ID))
    await failure_of(
        running.stub.SetUserRole(identity_pb2.SetUserRoleRequest(user_id=44, client_ids=[1]), metadata=signed())
    )
    await running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=signed())
    created, changed = running.audit.events
    assert (created.tenant_id, created.user_id, created.outcome, created.request_id) == (7, 1001, "OK", REQUEST_ID)
    assert created.object == {"user_id": "44"}
    assert (changed.outcome, changed.object) == ("INTERNAL", {"user_id": "44"})
    assert "new@example.com" not in repr(running.audit.events)


async def test_an_error_has_its_status_reason_and_metadata(running: Running) -> None:
    error = await failure_of(running.stub.ListUsers(identity_pb2.ListUsersRequest(), metadata=signed()))
    status, info = details_of(error)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == status.message == "There is no user ✓."
    assert (status.code, info.reason, info.domain, dict(info.metadata)) == (
        5,
        "USER_NOT_FOUND",
        "hythe",
        {"user_id": "5"},
    )
    trailers = trailers_of(error)
    assert "x-error-body" not in trailers
    again = from_rpc_error(error, "identity")
    assert (type(again), again.reason, again.message, again.metadata) == (
        NotFound,
        info.reason,
        error.details(),
        {"user_id": "5"},
    )


async def test_an_error_on_a_dialect_has_its_envelope(running: Running) -> None:
    metadata = signed(x_dialect="plextrac")
    error = await failure_of(running.stub.ListUsers(identity_pb2.ListUsersRequest(), metadata=metadata))
    trailers = trailers_of(error)
    assert trailers["x-http-status"] == "404"
    assert trailers["x-error-body"].isascii()
    assert json.loads(trailers["x-error-body"]) == {
        "status": "error",
        "statusCode": 404,
        "message": "There is no user ✓.",
    }


async def test_an_unknown_dialect_has_no_envelope(running: Running) -> None:
    error = await failure_of(running.stub.ListUsers(identity_pb2.ListUsersRequest(), metadata=signed(x_dialect="none")))
    assert "x-error-body" not in trailers_of(error)


async def test_an_unknown_error_tells_its_request_id_and_nothing_else(capsys: Any) -> None:
    running = await started()
    metadata = signed(x_request_id=REQUEST_ID, x_dialect="plextrac")
    error = await failure_of(running.stub.SetUserRole(identity_pb2.SetUserRoleRequest(user_id=1), metadata=metadata))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == f"Something went wrong on our side; request {REQUEST_ID}."
    assert "hunter2" not in repr(error.trailing_metadata())
    await running.end()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    logged = next(line for line in lines if line["event"] == "unknown error")
    assert logged["request_id"] == REQUEST_ID
    assert "RuntimeError" in logged["exception"]
    assert "u:p@" not in logged["exception"]


async def test_each_call_is_one_log_line_without_its_credential(capsys: Any) -> None:
    running = await started()
    await running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=signed(x_request_id=REQUEST_ID))
    await running.end()
    text = capsys.readouterr().out
    calls = [line for line in map(json.loads, text.splitlines()) if line["event"] == "call"]
    assert [(line["rpc"], line["code"], line["request_id"], line["tenant_id"], line["service"]) for line in calls] == [
        ("hythe.identity.v1.IdentityService/WhoAmI", "OK", REQUEST_ID, 7, "test")
    ]
    assert (len(calls[0]["trace_id"]), len(calls[0]["span_id"])) == (32, 16)
    assert "Bearer" not in text


async def test_a_method_nobody_wrote_is_unimplemented(running: Running) -> None:
    error = await failure_of(
        running.stub.ListTenants(
            identity_pb2.ListTenantsRequest(), metadata=signed(Principal(1, 2, "o", Role.ADMIN, True))
        )
    )
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stream_is_authorized_before_its_first_message(running: Running) -> None:
    call = running.status.WatchImport(status_pb2.WatchImportRequest(import_id="x"))
    error = await failure_of(anext(aiter(call)))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert running.audit.events[-1].object == {"import_id": "x"}


async def test_a_stream_that_breaks_ends_with_its_error(running: Running) -> None:
    messages = aiter(running.status.WatchImport(status_pb2.WatchImportRequest(import_id="breaks"), metadata=signed()))
    await anext(messages)
    error = await failure_of(anext(messages))
    assert details_of(error)[1].reason == "IMPORT_NOT_FOUND"


async def test_a_client_stream_is_read_and_can_be_refused(running: Running) -> None:
    def chunks(count: int) -> list[Any]:
        return [plextrac_pb2.FileChunk(client_id=3, content=HttpBody(data=b"12345"))] * count

    assert (await running.upload.ImportFile(iter(chunks(2)), metadata=signed())).data == b"10"
    error = await failure_of(running.upload.ImportFile(iter(chunks(3)), metadata=signed(x_dialect="plextrac")))
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE
    assert trailers_of(error)["x-http-status"] == "413"
    assert running.audit.events[-1].object == {"client_id": "3"}


async def test_a_unary_call_that_takes_too_long_is_ended() -> None:
    running = await started(unary_seconds=0.1)
    try:
        error = await failure_of(running.stub.ListApiKeys(identity_pb2.ListApiKeysRequest(), metadata=signed()))
        assert details_of(error)[1].reason == "DEADLINE_EXCEEDED"
    finally:
        await running.end()


async def test_a_call_beyond_the_cap_is_refused_and_the_others_go_on() -> None:
    running = await started(max_in_flight=1)
    try:
        first = asyncio.ensure_future(running.stub.ListApiKeys(identity_pb2.ListApiKeysRequest(), metadata=signed()))
        await running.identity.entered.wait()
        error = await failure_of(running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=signed()))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await running.status_of() == health_pb2.HealthCheckResponse.SERVING, "health is not counted"
        running.identity.go_on.set()
        await first
        await running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=signed())
    finally:
        await running.end()


async def test_a_call_in_flight_ends_well_while_the_server_drains(running: Running) -> None:
    call = asyncio.ensure_future(running.stub.ListApiKeys(identity_pb2.ListApiKeysRequest(), metadata=signed()))
    watch = aiter(running.status.WatchImport(status_pb2.WatchImportRequest(import_id="x"), metadata=signed()))
    await anext(watch)
    await running.identity.entered.wait()
    health = aiter(running.health.Watch(health_pb2.HealthCheckRequest()))
    assert (await anext(health)).status == health_pb2.HealthCheckResponse.SERVING
    running.stop.set()
    assert (await anext(health)).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await anext(watch)
    assert [message async for message in watch] == [], "a watch ends by itself when the server drains"
    assert not call.done()
    running.identity.go_on.set()
    await call
    async with asyncio.timeout(10):
        assert running.task is not None
        await running.task
    assert not running.audit.is_running


async def test_health_follows_the_dependencies_and_liveness_does_not(running: Running) -> None:
    for name in ("", *SERVICES, "liveness"):
        assert await running.status_of(name) == health_pb2.HealthCheckResponse.SERVING
    running.is_ready = False
    await running.wait_for(health_pb2.HealthCheckResponse.NOT_SERVING)
    assert await running.status_of(SERVICES[0]) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert await running.status_of("liveness") == health_pb2.HealthCheckResponse.SERVING
    running.is_ready = True
    await running.wait_for(health_pb2.HealthCheckResponse.SERVING)
    error = await failure_of(running.health.Check(health_pb2.HealthCheckRequest(service="unknown")))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_metrics_count_calls_by_method_and_status(running: Running) -> None:
    await running.stub.WhoAmI(identity_pb2.WhoAmIRequest(), metadata=signed())
    text = await asyncio.to_thread(running.metrics)
    assert (
        'hythe_rpc_server_call_duration_seconds_count{rpc_method="hythe.identity.v1.IdentityService/WhoAmI",rpc_status_code="OK"}'
        in text
    )


async def test_what_alerts_count_is_there_before_it_happens(running: Running) -> None:
    text = await asyncio.to_thread(running.metrics)
    for method in ("hythe.identity.v1.IdentityService/RotateApiKey", "hythe.status.v1.StatusService/WatchImport"):
        assert f'hythe_rpc_server_unknown_errors_total{{rpc_method="{method}"}} 0.0' in text
    assert 'hythe_audit_events_total{outcome="lost"} ' in text


async def test_a_background_task_starts_with_the_server_and_ends_after_the_calls() -> None:
    running = Running()
    states: list[str] = []

    async def background(stop: asyncio.Event) -> None:
        states.append("started")
        await stop.wait()
        states.append("stopped")

    running.background = [background]
    await running.start()
    assert states == ["started"]
    await running.end()
    assert states == ["started", "stopped"]


async def test_a_background_task_that_fails_ends_the_process() -> None:
    running = Running()

    async def background(stop: asyncio.Event) -> None:
        await running.identity.go_on.wait()
        raise ZeroDivisionError

    running.background = [background]
    await running.start()
    running.identity.go_on.set()
    assert running.task is not None
    with pytest.raises(ZeroDivisionError):
        await running.task
    await running.end()


def any_channel(running: Running) -> Any:
    """Without codecs, which the stubs ask for: messages are bytes."""
    return running.channel


async def test_reflection_is_off_unless_it_is_switched_on(running: Running) -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    error = await failure_of(anext(aiter(any_channel(running).stream_stream(path)(iter([b""])))))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    open_server = await started(reflection=True)
    try:
        assert await anext(aiter(any_channel(open_server).stream_stream(path)(iter([b""]))))
    finally:
        await open_server.end()


async def test_an_address_that_is_not_ours_is_named() -> None:
    running = Running(listen="192.0.2.1:1")
    with pytest.raises(SystemExit, match=r"HYTHE_LISTEN: cannot listen at 192\.0\.2\.1:1"):
        await serve(
            running.settings,
            name="test",
            registrations=[],
            service_names=[],
            envelopes={},
            authenticator=Authenticator(FakeKeySource(KEY), NoResolver()),
            audit=running.audit,
            stop=asyncio.Event(),
        )
    await running.channel.close(None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_for_the_end(number: signal.Signals) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(10):
        stop = stopped_by_signal(stack)
        os.kill(os.getpid(), number)
        await stop.wait()

# ruff: noqa: N802 - a servicer's methods carry the names of the RPCs.
"""Calls to other services: retries, what they carry, and what their errors become."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import grpc
import pytest
from prometheus_client import generate_latest

from hythe.identity.v1 import identity_pb2, identity_pb2_grpc
from hythe.options.v1 import options_pb2
from runtime.auth import ApiKey, Basic, RemoteKeySource, RemoteResolver, remote_authenticator
from runtime.channels import call_metadata, channel
from runtime.context import Principal, RequestInfo, Role, credential_variable, request_variable
from runtime.errors import Internal, NotFound, ResourceExhausted, ServiceError, Unauthenticated, Unavailable
from runtime.standings import RemoteStandings
from runtime.telemetry import RPC_CLIENT_DURATION
from runtime.tracing import span, trace_id_of
from runtime.wire import DETAILS_KEY, from_rpc_error, status_details
from runtime.workspaces import RemoteWorkspaces
from tests.fakes.signing import ADMIN, make_ec_key

KEY = make_ec_key("one")
OWNER = identity_pb2.Principal(
    tenant_id=9, user_id=5, email="r@x.org", role=options_pb2.ROLE_IMPORTER, scopes=["a"], client_ids=[3]
)
EVERY_CLIENT = identity_pb2.Principal(
    tenant_id=9, user_id=6, email="s@x.org", role=options_pb2.ROLE_VIEWER, all_clients=True
)
CONTAINER = identity_pb2.Principal(
    tenant_id=9,
    user_id=6,
    email="s@x.org",
    role=options_pb2.ROLE_IMPORTER,
    scopes=["a"],
    all_clients=True,
    import_source_id="00000000-0000-0000-0000-000000000001",
    workspace_id="00000000-0000-0000-0000-000000000002",
)


class Identity(identity_pb2_grpc.IdentityServiceServicer):
    def __init__(self) -> None:
        self.calls = 0
        self.asked: list[str] = []
        self.cancelled = asyncio.Event()
        self.traceparents: list[str] = []
        self.refuse: list[Callable[[Any], Any]] = []

    async def GetKeySet(self, request: Any, context: Any) -> identity_pb2.GetKeySetResponse:
        self.calls += 1
        if self.refuse:
            try:
                await self.refuse.pop(0)(context)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return identity_pb2.GetKeySetResponse(jwks_json=json.dumps({"keys": [KEY.jwk]}))

    async def GetWorkspace(self, request: Any, context: Any) -> identity_pb2.GetWorkspaceResponse:
        self.asked.append(request.workspace)
        workspace = identity_pb2.Workspace(workspace_id=str(UUID(int=1)), name=request.workspace)
        return identity_pb2.GetWorkspaceResponse(workspace=workspace)

    async def CheckAccount(self, request: Any, context: Any) -> identity_pb2.CheckAccountResponse:
        if self.refuse:
            await self.refuse.pop(0)(context)
        standing: Any = request.user_id if request.role == options_pb2.ROLE_IMPORTER else 0
        return identity_pb2.CheckAccountResponse(standing=standing)

    async def Resolve(self, request: Any, context: Any) -> identity_pb2.ResolveResponse:
        self.traceparents += [str(value) for key, value in context.invocation_metadata() if key == "traceparent"]
        if request.api_key == "hy_good":
            return identity_pb2.ResolveResponse(principal=OWNER)
        if request.basic.username == "bob" and request.basic.secret == "hy_good":
            return identity_pb2.ResolveResponse(principal=EVERY_CLIENT)
        if request.api_key == "hyct_good":
            return identity_pb2.ResolveResponse(principal=CONTAINER)
        if request.api_key == "hy_strange":
            return identity_pb2.ResolveResponse(principal=identity_pb2.Principal(tenant_id=9, user_id=5))
        await ours(Unauthenticated("INVALID_CREDENTIAL", "no"))(context)
        raise AssertionError


def ours(error: ServiceError) -> Callable[[Any], Any]:
    return lambda context: context.abort(error.code, error.message, ((DETAILS_KEY, status_details(error)),))


def transports(code: grpc.StatusCode) -> Callable[[Any], Any]:
    return lambda context: context.abort(code, "connection to 10.0.0.5:9004 refused")


class Running:
    def __init__(self, identity: Identity, port: int) -> None:
        self.identity = identity
        self.channel = channel(f"127.0.0.1:{port}")


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    server = grpc.aio.server()
    identity = Identity()  # type: ignore[abstract] # Only some of the RPCs are written.
    identity_pb2_grpc.add_IdentityServiceServicer_to_server(identity, server)
    running = Running(identity, server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    yield running
    await running.channel.close(None)
    await server.stop(None)


async def test_what_is_unavailable_for_a_moment_is_asked_again(running: Running) -> None:
    running.identity.refuse = [transports(grpc.StatusCode.UNAVAILABLE)] * 2
    assert "keys" in await RemoteKeySource(running.channel).fetch()
    assert running.identity.calls == 3


async def test_what_stays_unavailable_is_given_up_after_three_tries(running: Running) -> None:
    running.identity.refuse = [transports(grpc.StatusCode.UNAVAILABLE)] * 9
    with pytest.raises(Unavailable) as failure:
        await RemoteKeySource(running.channel).fetch()
    assert failure.value.reason == "IDENTITY_UNAVAILABLE"
    assert "10.0.0.5" not in failure.value.message
    assert running.identity.calls == 3


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INVALID_ARGUMENT])
async def test_another_error_is_not_tried_again_and_its_text_is_not_told(
    running: Running, code: grpc.StatusCode
) -> None:
    running.identity.refuse = [transports(code)] * 9
    with pytest.raises(Internal) as failure:
        await RemoteKeySource(running.channel).fetch()
    assert "10.0.0.5" not in failure.value.message
    assert running.identity.calls == 1


async def test_an_error_of_ours_keeps_its_kind_and_reason(running: Running) -> None:
    running.identity.refuse = [ours(ResourceExhausted("LOGIN_LIMIT", "Too many logins.", limit="10"))]
    with pytest.raises(ResourceExhausted) as failure:
        await RemoteKeySource(running.channel).fetch()
    assert (failure.value.reason, failure.value.message) == ("LOGIN_LIMIT", "Too many logins.")
    assert failure.value.metadata == {"limit": "10"}


async def test_nobody_there_is_unavailable() -> None:
    nowhere = channel("127.0.0.1:1")
    with pytest.raises(Unavailable):
        await RemoteResolver(nowhere).resolve(ApiKey("hy_good"))
    await nowhere.close(None)


async def test_opaque_credentials_are_resolved_over_the_network(running: Running) -> None:
    resolver = RemoteResolver(running.channel)
    owner = Principal(9, 5, "r@x.org", Role.IMPORTER, scopes=frozenset({"a"}), client_ids=frozenset({3}))
    assert await resolver.resolve(ApiKey("hy_good")) == owner
    assert await resolver.resolve(Basic("bob", "hy_good")) == Principal(9, 6, "s@x.org", Role.VIEWER)
    with pytest.raises(Unauthenticated):
        await resolver.resolve(ApiKey("hy_bad"))


async def test_a_container_token_is_resolved_with_its_limits(running: Running) -> None:
    found = await RemoteResolver(running.channel).resolve(ApiKey("hyct_good"))
    assert (found.import_source_id, found.workspace_id) == (UUID(int=1), UUID(int=2))


async def test_a_workspace_is_remembered_and_yet_closed_to_a_token_of_another(running: Running) -> None:
    workspaces = RemoteWorkspaces(running.channel, "assets")
    anybody = Principal(9, 5, "r@x.org", Role.IMPORTER)
    assert (await workspaces.find(anybody, "first")).workspace_id == UUID(int=1)
    assert (await workspaces.find(anybody, "first")).workspace_id == UUID(int=1)
    assert running.identity.asked == ["first"]
    with pytest.raises(NotFound):
        await workspaces.find(replace(anybody, workspace_id=UUID(int=2)), "first")
    assert (await workspaces.find(replace(anybody, workspace_id=UUID(int=1)))).name == str(UUID(int=1))


async def test_a_role_that_is_not_known_grants_nothing(running: Running) -> None:
    with pytest.raises(ValueError, match="0 is not a valid Role"):
        await RemoteResolver(running.channel).resolve(ApiKey("hy_strange"))


async def test_a_service_verifies_tokens_by_the_key_set_of_identity(running: Running) -> None:
    authenticator = remote_authenticator(running.channel)
    assert (await authenticator.authenticate({"authorization": KEY.sign()})).principal == ADMIN
    await authenticator.close()


async def test_a_call_is_timed_and_is_a_span_that_the_service_called_goes_on_from(running: Running) -> None:
    def calls() -> float:
        text = generate_latest(RPC_CLIENT_DURATION).decode()
        found = re.search(r'_count\{rpc_method="(\S+)/Resolve",rpc_status_code="OK"} (\S+)', text)
        return float(found[2]) if found else 0.0

    before = calls()
    with span("around") as around:
        await RemoteResolver(running.channel).resolve(ApiKey("hy_good"))
    (carried,) = running.identity.traceparents
    assert trace_id_of(carried) == trace_id_of(around.traceparent)
    assert carried != around.traceparent
    assert calls() == before + 1


async def test_a_caller_that_goes_away_ends_its_call(running: Running) -> None:
    called = asyncio.Event()

    async def never(_: Any) -> None:
        called.set()
        await asyncio.Event().wait()

    running.identity.refuse = [never]
    call = asyncio.create_task(RemoteKeySource(running.channel).fetch())
    await called.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        await running.identity.cancelled.wait()


def test_a_call_on_behalf_carries_credential_and_request_id() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    tokens = (
        request_variable.set(RequestInfo("r-1", trace, "m", "", "p")),
        credential_variable.set("Bearer abc"),
    )
    try:
        carried = dict(call_metadata())
    finally:
        request_variable.reset(tokens[0])
        credential_variable.reset(tokens[1])
    assert (carried["authorization"], carried["x-request-id"]) == ("Bearer abc", "r-1")
    assert call_metadata() == (), "and nothing outside of a call"


def test_details_that_are_not_ours_are_not_read() -> None:
    trailers = grpc.aio.Metadata((DETAILS_KEY, b"\xff\xff"))
    error = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), trailers, "text", None)
    assert isinstance(from_rpc_error(error, "status"), Internal)


@pytest.mark.parametrize(
    ("standing", "refusal"),
    [(1, ""), (2, "OWNER_DISABLED"), (3, "OWNER_RIGHTS_MISSING"), (4, "WORKSPACE_DISABLED")],
)
async def test_the_standing_of_an_account_is_a_code_where_it_is_not_good(
    running: Running, standing: int, refusal: str
) -> None:
    # Of our own identity service, the account's number is its standing.
    assert await RemoteStandings(running.channel).refusal(4, standing, UUID(int=1)) == refusal


async def test_a_standing_that_nobody_knows_or_can_tell_is_no_good_one(running: Running) -> None:
    for standing in (0, 9):
        with pytest.raises(Unavailable):
            await RemoteStandings(running.channel).refusal(4, standing, UUID(int=1))
    running.identity.refuse = [transports(grpc.StatusCode.UNAVAILABLE)] * 9
    with pytest.raises(Unavailable):
        await RemoteStandings(running.channel).refusal(4, 1, UUID(int=1))

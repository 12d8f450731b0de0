"""The identity service as a process: every RPC by gRPC at its own port, with every kind of credential."""

from __future__ import annotations

import base64
import hmac
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import grpc
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg import sql

from deploy.local import postgres
from deploy.local.instance import ROOT
from deploy.local.secrets import make_signing_key
from deploy.local.stack import Stack
from hythe.dialects.assets.v1 import assets_pb2, assets_pb2_grpc
from hythe.dialects.plextrac.v2 import plextrac_pb2, plextrac_pb2_grpc
from hythe.identity.v1 import identity_pb2 as pb
from hythe.identity.v1 import identity_pb2_grpc, well_known_pb2, well_known_pb2_grpc
from hythe.options.v1 import options_pb2
from runtime.sealing import new_key
from services.identity.main import SERVICE_NAMES
from services.identity.signing import KeyRing
from tests.stack import Database

USER, PASSWORD, KEY = "root@example.com", "first password of all", "hythe_" + "k" * 40
METHODS: list[MethodDescriptor] = [
    method
    for name in SERVICE_NAMES
    for method in descriptor_pool.Default().FindServiceByName(name).methods_by_name.values()
]
ANONYMOUS = {"Authenticate", "GetKeySet", "Resolve", "CheckAccount", "GetJwks", "GetTenantInfo"}
CLOSED = [method for method in METHODS if method.name not in ANONYMOUS]
FOR_VIEWERS = {"RefreshToken", "WhoAmI", "GetWorkspace"}
FOR_ADMINS = [
    method
    for method in CLOSED
    if method.name not in FOR_VIEWERS and not method.full_name.endswith("AssetsIdentity.ListWorkspaces")
]
Metadata = tuple[tuple[str, str], ...]


@dataclass
class Running:
    """The service, its database, and what a test needs to talk to it."""

    database: Database
    channel: grpc.Channel
    key_file: Path
    admins: dict[str, Metadata] = field(default_factory=dict)

    @property
    def identity(self) -> identity_pb2_grpc.IdentityServiceStub:
        return identity_pb2_grpc.IdentityServiceStub(self.channel)

    @property
    def assets(self) -> assets_pb2_grpc.AssetsIdentityStub:
        return assets_pb2_grpc.AssetsIdentityStub(self.channel)

    @property
    def plextrac(self) -> plextrac_pb2_grpc.PlextracIdentityStub:
        return plextrac_pb2_grpc.PlextracIdentityStub(self.channel)

    def call(self, method: MethodDescriptor, request: Message, metadata: Metadata = ()) -> Any:
        """Any unary RPC by its descriptor."""
        service = method.containing_service
        assert service is not None
        sending = self.channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return sending(request, metadata=metadata, timeout=20)

    def login(self, name: str = USER, password: str = PASSWORD) -> pb.Token:
        request = pb.AuthenticateRequest(username=name, password=password)
        return self.identity.Authenticate(request, timeout=20).token


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def run(module: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, env={"PATH": "/usr/bin:/bin", **environment})


@pytest.fixture(scope="module")
def service(servers: Stack, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    database = Database(servers, "identity_service")
    files = tmp_path_factory.mktemp("identity")
    (files / "password").write_text(PASSWORD)
    (files / "key").write_text(KEY)
    (files / "signing.pem").write_text(make_signing_key())
    address = f"127.0.0.1:{free_port()}"
    environment = {
        "HYTHE_LISTEN": address,
        "HYTHE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "HYTHE_DATABASE_URL": database.url("hythe_identity"),
        "HYTHE_AUDIT_DATABASE_URL": database.url("hythe_audit"),
        "HYTHE_JWT_PRIVATE_KEY_FILE": str(files / "signing.pem"),
        "HYTHE_KEY_RELOAD_SECONDS": "0.1",
        "HYTHE_SECRETS_KEY": new_key(),
        "HYTHE_PUBLIC_URL": "https://hythe.example.com/",
        "HYTHE_BOOTSTRAP_TENANT": "First",
        "HYTHE_BOOTSTRAP_USER": USER,
        "HYTHE_ADMIN_PASSWORD_FILE": str(files / "password"),
        "HYTHE_BOOTSTRAP_API_KEY_FILE": str(files / "key"),
    }
    with psycopg.connect(
        postgres.superuser_url(servers.instance, servers.secrets, "postgres"), autocommit=True
    ) as admin:
        name = sql.Identifier(database.name)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(migrated_template)))
        assert run("services.identity.bootstrap", environment).wait(60) == 0
        process = run("services.identity.main", environment)
        try:
            with grpc.insecure_channel(address) as channel:
                wait_until_serving(channel)
                running = Running(database, channel, files / "signing.pem")
                running.admins = two_tenants(running)
                yield running
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def wait_until_serving(channel: grpc.Channel) -> None:
    grpc.channel_ready_future(channel).result(timeout=30)
    health = health_pb2_grpc.HealthStub(channel)
    deadline = time.monotonic() + 30
    while health.Check(health_pb2.HealthCheckRequest()).status != health_pb2.HealthCheckResponse.SERVING:
        assert time.monotonic() < deadline, "the service does not get ready"
        time.sleep(0.05)


def two_tenants(running: Running) -> dict[str, Metadata]:
    """The operator, the admin of a second tenant, and a viewer of it."""
    operator = bearer(running.login().token)
    request = pb.CreateTenantRequest(name="Second", admin_email="admin@second.example")
    second = running.identity.CreateTenant(request, metadata=operator)
    admin = bearer(running.login("admin@second.example", second.admin_password).token)
    viewer = running.identity.CreateUser(
        pb.CreateUserRequest(email="viewer@second.example", role=options_pb2.ROLE_VIEWER), metadata=admin
    )
    token = running.login("viewer@second.example", viewer.password).token
    return {"operator": operator, "admin": admin, "viewer": bearer(token)}


def refusal(call: Any, *arguments: Any, **named: Any) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        call(*arguments, **named)
    return refused.value


def trailers_of(error: Any) -> dict[str, Any]:
    return dict(error.trailing_metadata())


def reason_of(error: Any) -> str:
    status = Status.FromString(trailers_of(error)["grpc-status-details-bin"])
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


def ids(methods: list[MethodDescriptor]) -> list[str]:
    return [method.full_name.removeprefix("hythe.") for method in methods]


# Credentials


@pytest.mark.parametrize("form", ["bare", "bearer", "api key", "bearer key", "basic"])
def test_every_form_of_a_credential_is_the_same_principal(service: Running, form: str) -> None:
    basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
    metadata: dict[str, Metadata] = {
        "bare": (("authorization", service.admins["operator"][0][1].removeprefix("Bearer ")),),
        "bearer": service.admins["operator"],
        "api key": (("x-api-key", KEY),),
        "bearer key": (("authorization", f"Bearer {KEY}"),),
        "basic": (("authorization", f"Basic {basic}"),),
    }
    reply = service.identity.WhoAmI(pb.WhoAmIRequest(), metadata=metadata[form])
    assert (reply.principal.email, reply.principal.operator, reply.tenant_name) == (USER, True, "First")


def bad_tokens(service: Running) -> dict[str, str]:
    good = service.admins["operator"][0][1].removeprefix("Bearer ")
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    ring = KeyRing(service.key_file)
    kid = jwt.get_unverified_header(good)["kid"]
    public = load_pem_private_key(service.key_file.read_bytes(), None).public_key()
    public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    symmetric = f"{encoded({'alg': 'HS256', 'kid': kid, 'typ': 'JWT'})}.{payload}"
    return {
        "no signature": f"{header}.{payload}.",
        "other signature": f"{header}.{payload}.{signature[::-1]}",
        "other claims": f"{header}.{encoded({**claims, 'tenant_id': 2})}.{signature}",
        "alg none": f"{encoded({'alg': 'none', 'kid': kid, 'typ': 'JWT'})}.{payload}.",
        "HS256 with the public key": f"{symmetric}.{encoded(hmac.digest(public_pem, symmetric.encode(), 'sha256'))}",
        "other issuer": ring.sign({**claims, "iss": "somebody"}),
        "other audience": ring.sign({**claims, "aud": "somebody"}),
        "expired": ring.sign({**claims, "exp": claims["iat"] - 60}),
        "unknown API key": "hy_00000000_" + "A" * 43,
    }


def encoded(part: dict[str, Any] | bytes) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("method", CLOSED, ids=ids(CLOSED))
def test_no_method_is_open_to_a_bad_credential(service: Running, method: MethodDescriptor) -> None:
    request = GetMessageClass(method.input_type)()
    error = refusal(service.call, method, request)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAUTHENTICATED, "NO_CREDENTIAL")
    for name, token in bad_tokens(service).items():
        error = refusal(service.call, method, request, bearer(token))
        assert (name, error.code()) == (name, grpc.StatusCode.UNAUTHENTICATED)
    password = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    error = refusal(service.call, method, request, (("authorization", f"Basic {password}"),))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", FOR_ADMINS, ids=ids(FOR_ADMINS))
def test_administration_is_closed_to_a_viewer(service: Running, method: MethodDescriptor) -> None:
    request = GetMessageClass(method.input_type)()
    error = refusal(service.call, method, request, service.admins["viewer"])
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


def test_every_method_says_who_may_call_it() -> None:
    rules = {method.full_name: method.GetOptions().Extensions[options_pb2.authorization] for method in METHODS}
    assert {name.rpartition(".")[2] for name, rule in rules.items() if rule.anonymous} == ANONYMOUS
    assert all(rule.anonymous or rule.role for rule in rules.values())


def test_one_tenant_cannot_reach_into_another(service: Running) -> None:
    identity, theirs, ours = service.identity, service.admins["admin"], service.admins["operator"]
    user = identity.CreateUser(
        pb.CreateUserRequest(email="robot-first", role=options_pb2.ROLE_IMPORTER, service_account=True), metadata=ours
    ).user
    key = identity.CreateApiKey(pb.CreateApiKeyRequest(user_id=user.user_id, name="k"), metadata=ours).api_key
    workspace = identity.CreateWorkspace(pb.CreateWorkspaceRequest(dialect="assets", name="w"), metadata=ours).workspace
    reaching: list[tuple[Any, Message]] = [
        (identity.SetUserDisabled, pb.SetUserDisabledRequest(user_id=user.user_id, disabled=True)),
        (identity.SetUserRole, pb.SetUserRoleRequest(user_id=user.user_id, role=options_pb2.ROLE_VIEWER)),
        (identity.RotatePassword, pb.RotatePasswordRequest(user_id=user.user_id)),
        (identity.CreateApiKey, pb.CreateApiKeyRequest(user_id=user.user_id, name="k")),
        (identity.SetApiKeyDisabled, pb.SetApiKeyDisabledRequest(api_key_id=key.api_key_id, disabled=True)),
        (identity.RotateApiKey, pb.RotateApiKeyRequest(api_key_id=key.api_key_id)),
        (
            identity.SetWorkspaceDisabled,
            pb.SetWorkspaceDisabledRequest(workspace_id=workspace.workspace_id, disabled=True),
        ),
    ]
    for call, request in reaching:
        assert refusal(call, request, metadata=theirs).code() == grpc.StatusCode.NOT_FOUND
    for call, request in (
        (identity.CreateTenant, pb.CreateTenantRequest(name="Third", admin_email="a@third.example")),
        (identity.ListTenants, pb.ListTenantsRequest()),
        (identity.SetTenantDisabled, pb.SetTenantDisabledRequest(tenant_id=1, disabled=True)),
    ):
        assert refusal(call, request, metadata=theirs).code() == grpc.StatusCode.PERMISSION_DENIED
    emails = {user.email for user in identity.ListUsers(pb.ListUsersRequest(), metadata=theirs).users}
    assert emails == {"admin@second.example", "viewer@second.example"}
    assert not identity.ListApiKeys(pb.ListApiKeysRequest(), metadata=theirs).api_keys
    assert not identity.ListWorkspaces(pb.ListWorkspacesRequest(), metadata=theirs).workspaces


def test_an_administrator_does_everything_within_the_tenant(service: Running) -> None:
    identity, admin = service.identity, service.admins["admin"]
    created = identity.CreateUser(
        pb.CreateUserRequest(email="temp@second.example", role=options_pb2.ROLE_IMPORTER, client_ids=[7]),
        metadata=admin,
    )
    user_id = created.user.user_id
    assert (list(created.user.client_ids), created.user.create_time.seconds > 0) == ([7], True)
    role = pb.SetUserRoleRequest(user_id=user_id, role=options_pb2.ROLE_VIEWER)
    assert identity.SetUserRole(role, metadata=admin).user.role == options_pb2.ROLE_VIEWER
    assert identity.RotatePassword(pb.RotatePasswordRequest(user_id=user_id), metadata=admin).password
    key = identity.CreateApiKey(pb.CreateApiKeyRequest(user_id=user_id, name="k", life_days=1), metadata=admin)
    resolved = identity.Resolve(pb.ResolveRequest(api_key=key.secret)).principal
    assert (resolved.user_id, resolved.all_clients, list(resolved.client_ids)) == (user_id, True, [])
    rotation = pb.RotateApiKeyRequest(api_key_id=key.api_key.api_key_id, grace_seconds=5)
    rotated = identity.RotateApiKey(rotation, metadata=admin)
    basic = pb.BasicCredential(username="temp@second.example", secret=rotated.secret)
    assert identity.Resolve(pb.ResolveRequest(basic=basic)).principal == resolved
    disabling = pb.SetApiKeyDisabledRequest(api_key_id=key.api_key.api_key_id, disabled=True)
    assert identity.SetApiKeyDisabled(disabling, metadata=admin).api_key.disabled
    error = refusal(identity.Resolve, pb.ResolveRequest(basic=basic))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIAL")
    assert identity.SetUserDisabled(
        pb.SetUserDisabledRequest(user_id=user_id, disabled=True), metadata=admin
    ).user.disabled
    made = identity.CreateWorkspace(pb.CreateWorkspaceRequest(dialect="appfile", name="w"), metadata=admin).workspace
    listed = identity.ListWorkspaces(pb.ListWorkspacesRequest(), metadata=admin).workspaces
    assert list(listed) == [made]


# PlexTrac


def test_plextrac_answers_a_login_and_renews_it(service: Running) -> None:
    credentials = plextrac_pb2.Credentials(username=USER, password=PASSWORD)
    reply = service.plextrac.Authenticate(plextrac_pb2.AuthenticateRequest(credentials=credentials))
    assert (reply.status, reply.tenant_id, reply.cookie) == ("success", 1, reply.token)
    renewed = service.plextrac.RefreshToken(plextrac_pb2.Empty(), metadata=(("authorization", reply.token),))
    who = MessageToDict(service.plextrac.WhoAmI(plextrac_pb2.Empty(), metadata=bearer(renewed.token)))
    assert (who["email"], who["tenant_id"], who["role"]) == (USER, 1, "admin")
    claims = jwt.decode(renewed.cookie, options={"verify_signature": False})
    assert claims["tenantCuid"] == who["tenant_cuid"]


def test_plextrac_refuses_in_its_own_words(service: Running) -> None:
    credentials = plextrac_pb2.Credentials(username=USER, password="wrong password")
    request = plextrac_pb2.AuthenticateRequest(credentials=credentials)
    error = refusal(service.plextrac.Authenticate, request, metadata=(("x-dialect", "plextrac"),))
    trailers = trailers_of(error)
    assert trailers["x-http-status"] == "401"
    assert json.loads(trailers["x-error-body"]) == {
        "status": "error",
        "statusCode": 401,
        "error": "Unauthorized",
        "message": "The user name or the password is wrong.",
    }


def test_the_eleventh_login_in_a_minute_is_refused(service: Running) -> None:
    credentials = plextrac_pb2.Credentials(username="nobody@example.com", password="wrong password")
    request = plextrac_pb2.AuthenticateRequest(credentials=credentials)
    metadata = (("x-dialect", "plextrac"), ("x-forwarded-for", "203.0.113.9"))
    statuses = [
        trailers_of(refusal(service.plextrac.Authenticate, request, metadata=metadata))["x-http-status"]
        for _ in range(11)
    ]
    assert statuses == ["401"] * 10 + ["429"]


# Assets


@dataclass
class Issued:
    workspace_id: str
    source_id: str
    token: str


@pytest.fixture
def issued(service: Running) -> Issued:
    """A container token of the second tenant, of a source of its own."""
    identity, admin, source_id = service.identity, service.admins["admin"], str(uuid4())
    workspace = identity.CreateWorkspace(
        pb.CreateWorkspaceRequest(dialect="assets", name="a"), metadata=admin
    ).workspace
    request = pb.IssueContainerTokenRequest(import_source_id=source_id, workspace_id=workspace.workspace_id)
    made = identity.IssueContainerToken(request, metadata=admin).container_token
    return Issued(workspace.workspace_id, source_id, made.token)


def test_a_container_token_is_read_again_and_resolved_until_it_is_replaced(service: Running, issued: Issued) -> None:
    identity, admin = service.identity, service.admins["admin"]
    request = pb.GetContainerTokenRequest(import_source_id=issued.source_id)
    assert identity.GetContainerToken(request, metadata=admin).container_token.token == issued.token
    principal = identity.Resolve(pb.ResolveRequest(api_key=issued.token)).principal
    assert (principal.role, list(principal.scopes)) == (options_pb2.ROLE_IMPORTER, ["import:import-configuration:cmdb"])
    assert (principal.import_source_id, principal.workspace_id) == (issued.source_id, issued.workspace_id)
    again = pb.IssueContainerTokenRequest(import_source_id=issued.source_id, workspace_id=issued.workspace_id)
    identity.IssueContainerToken(again, metadata=admin)
    error = refusal(service.assets.ListWorkspaces, assets_pb2.WorkspacesRequest(), metadata=bearer(issued.token))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIAL")


SCOPED = {"GetWorkspace", "IssueContainerToken", "GetContainerToken", "RevokeContainerToken"}
UNSCOPED = [method for method in CLOSED if method.name not in SCOPED and "assets" not in method.full_name]


@pytest.mark.parametrize("method", UNSCOPED, ids=ids(UNSCOPED))
def test_what_names_no_scope_is_closed_to_a_container_token(
    service: Running, issued: Issued, method: MethodDescriptor
) -> None:
    error = refusal(service.call, method, GetMessageClass(method.input_type)(), bearer(issued.token))
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert reason_of(error) in {"SCOPE_REQUIRED", "ROLE_REQUIRED"}


def test_a_key_with_scopes_opens_what_names_one_of_them_and_nothing_else(service: Running, issued: Issued) -> None:
    identity, admin = service.identity, service.admins["admin"]
    user_id = identity.WhoAmI(pb.WhoAmIRequest(), metadata=admin).principal.user_id
    request = pb.CreateApiKeyRequest(user_id=user_id, name="k", scopes=["import:import-configuration:cmdb"])
    key = bearer(identity.CreateApiKey(request, metadata=admin).secret)
    reading = pb.GetContainerTokenRequest(import_source_id=issued.source_id)
    assert identity.GetContainerToken(reading, metadata=key).container_token.token == issued.token
    error = refusal(identity.ListUsers, pb.ListUsersRequest(), metadata=key)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_REQUIRED")


def test_a_client_of_assets_finds_its_workspaces(service: Running, issued: Issued) -> None:
    page = MessageToDict(service.assets.ListWorkspaces(assets_pb2.WorkspacesRequest(), metadata=bearer(issued.token)))
    assert page["values"] == [{"workspaceId": issued.workspace_id}]
    assert page["_links"]["base"] == "https://hythe.example.com"
    request = assets_pb2.WorkspacesRequest(limit=1)
    page = MessageToDict(service.assets.ListWorkspaces(request, metadata=service.admins["viewer"]))
    assert len(page["values"]) == 1


def test_the_installation_keeps_its_name(service: Running) -> None:
    told = [MessageToDict(service.assets.GetTenantInfo(assets_pb2.TenantInfoRequest())) for _ in range(2)]
    assert told == [{"cloudId": str(uuid5(NAMESPACE_URL, "https://hythe.example.com"))}] * 2


def test_assets_refuses_in_its_own_words(service: Running) -> None:
    metadata = (("x-dialect", "assets"), ("authorization", "Bearer hyct_" + "A" * 43))
    trailers = trailers_of(refusal(service.assets.ListWorkspaces, assets_pb2.WorkspacesRequest(), metadata=metadata))
    body = json.loads(trailers["x-error-body"])
    assert trailers["x-http-status"] == "401"
    assert (body["code"], body["message"], body["errors"]) == (401, "Unauthorized", {})


def test_container_tokens_are_in_the_audit_log_without_themselves(service: Running, issued: Issued) -> None:
    admin = service.admins["admin"]
    request = pb.GetContainerTokenRequest(import_source_id=issued.source_id)
    service.identity.GetContainerToken(request, metadata=(*admin, ("x-request-id", "read-token")))
    revocation = pb.RevokeContainerTokenRequest(import_source_id=issued.source_id)
    service.identity.RevokeContainerToken(revocation, metadata=(*admin, ("x-request-id", "take-token")))
    query = (
        "SELECT method, outcome, object FROM audit_log "
        f"WHERE object->>'import_source_id' = '{issued.source_id}' ORDER BY event_id"
    )
    source = {"import_source_id": issued.source_id}
    assert audited(service, query, 3) == [
        ("IssueContainerToken", "OK", {**source, "workspace_id": issued.workspace_id}),
        ("GetContainerToken", "OK", source),
        ("RevokeContainerToken", "OK", source),
    ]


# Keys and audit


def test_the_key_set_is_published_for_others_too(service: Running) -> None:
    document = well_known_pb2_grpc.WellKnownStub(service.channel).GetJwks(well_known_pb2.GetJwksRequest())
    assert document.content_type == "application/json"
    assert document.data.decode() == service.identity.GetKeySet(pb.GetKeySetRequest()).jwks_json


def test_keys_are_rotated_without_a_refusal(service: Running) -> None:
    before = service.admins["operator"]
    known = key_ids(service)
    service.key_file.write_text(service.key_file.read_text() + make_signing_key())
    deadline = time.monotonic() + 30
    while len(key_ids(service)) == len(known):
        service.identity.WhoAmI(pb.WhoAmIRequest(), metadata=before)
        assert time.monotonic() < deadline, "the new key is not published"
    after = service.login().token
    assert jwt.get_unverified_header(after)["kid"] not in known
    for metadata in (before, bearer(after)):
        service.identity.WhoAmI(pb.WhoAmIRequest(), metadata=metadata)


def key_ids(service: Running) -> set[str]:
    return {key["kid"] for key in json.loads(service.identity.GetKeySet(pb.GetKeySetRequest()).jwks_json)["keys"]}


def test_logins_changes_and_refusals_are_in_the_audit_log(service: Running) -> None:
    identity = service.identity
    login = pb.AuthenticateRequest(username=USER, password=PASSWORD)
    identity.Authenticate(login, metadata=(("x-request-id", "log-in"),))
    request = pb.CreateUserRequest(email="audited@second.example", role=options_pb2.ROLE_VIEWER)
    identity.CreateUser(request, metadata=(*service.admins["admin"], ("x-request-id", "make")))
    refusal(identity.CreateUser, request, metadata=(*service.admins["viewer"], ("x-request-id", "not")))
    query = (
        "SELECT request_id, tenant_id, email, method, outcome, reason "
        "FROM audit_log LEFT JOIN identity.users USING (tenant_id, user_id) "
        "WHERE request_id IN ('log-in', 'make', 'not') ORDER BY request_id"
    )
    assert audited(service, query, 3) == [
        ("log-in", 1, USER, "Authenticate", "OK", ""),
        ("make", 2, "admin@second.example", "CreateUser", "OK", ""),
        ("not", 2, "viewer@second.example", "CreateUser", "PERMISSION_DENIED", "ROLE_REQUIRED"),
    ]


def test_the_audit_log_names_what_was_made(service: Running) -> None:
    operator = service.admins["operator"]

    def as_(name: str) -> tuple[tuple[str, str], ...]:
        return (*operator, ("x-request-id", f"made-{name}"))

    user = service.identity.CreateUser(
        pb.CreateUserRequest(email="made@first.example", role=options_pb2.ROLE_VIEWER), metadata=as_("1-user")
    ).user
    tenant = service.identity.CreateTenant(
        pb.CreateTenantRequest(name="Made", admin_email="made@made.example"), metadata=as_("2-tenant")
    )
    key = service.identity.CreateApiKey(
        pb.CreateApiKeyRequest(user_id=user.user_id, name="made"), metadata=as_("3-key")
    ).api_key
    workspace = service.identity.CreateWorkspace(
        pb.CreateWorkspaceRequest(dialect="appfile", name="made"), metadata=as_("4-workspace")
    ).workspace
    query = "SELECT object FROM audit_log WHERE request_id LIKE 'made-%' ORDER BY request_id"
    assert audited(service, query, 4) == [
        ({"user_id": str(user.user_id)},),
        ({"tenant_id": str(tenant.tenant.tenant_id), "user_id": str(tenant.admin.user_id)},),
        ({"user_id": str(user.user_id), "api_key_id": str(key.api_key_id)},),
        ({"workspace_id": workspace.workspace_id},),
    ]


def audited(service: Running, query: str, count: int) -> list[tuple[Any, ...]]:
    """So many rows of the audit log, which is written beside the calls."""
    deadline = time.monotonic() + 30
    found: list[tuple[Any, ...]] = []
    while len(found) < count:
        assert time.monotonic() < deadline, f"the audit log has {found}"
        with psycopg.connect(service.database.superuser_url) as connection:
            found = connection.execute(query.encode()).fetchall()
    return found

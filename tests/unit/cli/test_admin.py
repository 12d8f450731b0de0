from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from hythe.identity.v1 import identity_pb2 as identity
from hythe.importer.v1 import importer_pb2 as importer
from hythe.options.v1 import options_pb2
from hythe.status.v1 import status_pb2 as status
from tests.fakes.channel import FakeChannel, refusal
from tests.unit.cli.conftest import Terminal

IDENTITY = "/hythe.identity.v1.IdentityService/"
ANA = identity.User(user_id=3, email="ana@example.org", role=options_pb2.ROLE_ADMIN)
ROBOT = identity.User(user_id=4, email="robot@example.org", role=options_pb2.ROLE_IMPORTER, service_account=True)


def keys(*, disabled: bool = False) -> identity.ListApiKeysResponse:
    return identity.ListApiKeysResponse(
        api_keys=[
            identity.ApiKey(api_key_id=10, user_id=3, name="of ana"),
            identity.ApiKey(api_key_id=11, user_id=4, name="of robot"),
            identity.ApiKey(api_key_id=12, user_id=4, name="old", disabled=not disabled),
        ]
    )


def answering(terminal: Terminal, **answers: Any) -> FakeChannel:
    """The channel answers these methods of IdentityService with these messages."""
    answers = {"ListUsers": identity.ListUsersResponse(users=[ANA, ROBOT]), **answers}
    terminal.channel = FakeChannel({IDENTITY + method: always(answer) for method, answer in answers.items()})
    return terminal.channel


def always(answer: Any) -> Callable[[Any], Any]:
    return lambda _request: answer


def test_a_tenant_is_made_with_an_administrator_whose_password_is_shown_once(terminal: Terminal) -> None:
    tenant = identity.Tenant(tenant_id=2, name="Acme")
    channel = answering(
        terminal, CreateTenant=identity.CreateTenantResponse(tenant=tenant, admin=ANA, admin_password="pw-once")
    )
    outcome = terminal.run("admin", "tenants", "create", "Acme", "--admin-email", "ana@example.org")
    assert outcome.stdout.count("pw-once") == 1
    assert "shown only now" in outcome.stderr
    assert channel.asked("CreateTenant")[0].admin_email == "ana@example.org"
    document = terminal.run("admin", "tenants", "create", "A", "--admin-email", "a@b.c", "--json").json
    assert document["admin_password"] == "pw-once"
    assert document["tenant"]["tenant_id"] == 2


@pytest.mark.parametrize(("verb", "disabled"), [("disable", True), ("enable", False)])
@pytest.mark.parametrize(
    ("noun", "given", "method", "field", "sent"),
    [
        ("tenants", "2", "SetTenantDisabled", "tenant_id", 2),
        ("users", "ANA@example.org", "SetUserDisabled", "user_id", 3),
        ("service-accounts", "robot@example.org", "SetUserDisabled", "user_id", 4),
        ("users", "99", "SetUserDisabled", "user_id", 99),
        ("keys", "11", "SetApiKeyDisabled", "api_key_id", 11),
        ("workspaces", "w-1", "SetWorkspaceDisabled", "workspace_id", "w-1"),
    ],
)
def test_everything_can_be_disabled_and_enabled(
    terminal: Terminal, verb: str, disabled: bool, noun: str, given: str, method: str, field: str, sent: object
) -> None:
    answer = getattr(identity, f"{method}Response")()
    channel = answering(terminal, **{method: answer})
    assert terminal.run("admin", noun, verb, given).exit_code == 0
    [request] = channel.asked(method)
    assert (getattr(request, field), request.disabled) == (sent, disabled)


def test_people_and_programs_are_listed_apart(terminal: Terminal) -> None:
    answering(terminal)
    users = terminal.run("admin", "users", "list", "--json").json["users"]
    robots = terminal.run("admin", "service-accounts", "list", "--json").json["service_accounts"]
    assert [one["email"] for one in users] == ["ana@example.org"]
    assert [one["email"] for one in robots] == ["robot@example.org"]
    assert "admin" in terminal.run("admin", "users", "list").stdout


def test_a_user_is_made_with_role_and_clients(terminal: Terminal) -> None:
    channel = answering(terminal, CreateUser=identity.CreateUserResponse(user=ANA, password="pw-once"))
    outcome = terminal.run(
        "admin", "users", "create", "ana@example.org", "--role", "importer", "--client", 1, "--client", 2
    )
    assert "pw-once" in outcome.stdout
    [request] = channel.asked("CreateUser")
    assert (request.role, list(request.client_ids), request.service_account) == (
        options_pb2.ROLE_IMPORTER,
        [1, 2],
        False,
    )


def test_a_role_is_changed(terminal: Terminal) -> None:
    channel = answering(terminal, SetUserRole=identity.SetUserRoleResponse(user=ANA))
    assert terminal.run("admin", "users", "role", "ana@example.org", "viewer").exit_code == 0
    assert channel.asked("SetUserRole")[0].role == options_pb2.ROLE_VIEWER
    assert terminal.run("admin", "users", "role", "ana@example.org", "god").exit_code == 2


def test_a_service_account_comes_with_a_key_shown_once(terminal: Terminal) -> None:
    key = identity.CreateApiKeyResponse(api_key=identity.ApiKey(api_key_id=11), secret="hy_once")
    channel = answering(terminal, CreateUser=identity.CreateUserResponse(user=ROBOT), CreateApiKey=key)
    outcome = terminal.run("admin", "service-accounts", "create", "robot@example.org", "--life-days", 30)
    assert outcome.stdout.count("hy_once") == 1
    assert channel.asked("CreateUser")[0].service_account is True
    [request] = channel.asked("CreateApiKey")
    assert (request.user_id, request.life_days) == (4, 30)


def test_rotating_a_service_account_rotates_its_only_active_key(terminal: Terminal) -> None:
    rotated = identity.RotateApiKeyResponse(secret="hy_new")
    channel = answering(terminal, ListApiKeys=keys(), RotateApiKey=rotated)
    outcome = terminal.run("admin", "service-accounts", "rotate", "robot@example.org", "--grace-seconds", 60)
    assert "hy_new" in outcome.stdout
    [request] = channel.asked("RotateApiKey")
    assert (request.api_key_id, request.grace_seconds) == (11, 60)


def test_rotating_a_service_account_with_two_active_keys_asks_which(terminal: Terminal) -> None:
    channel = answering(terminal, ListApiKeys=keys(disabled=True))
    outcome = terminal.run("admin", "service-accounts", "rotate", "robot@example.org")
    assert outcome.exit_code == 2
    assert "2 active keys" in outcome.stderr
    assert channel.asked("RotateApiKey") == []


def test_passwords_and_keys_are_rotated(terminal: Terminal) -> None:
    answering(
        terminal,
        RotatePassword=identity.RotatePasswordResponse(password="pw-new"),
        RotateApiKey=identity.RotateApiKeyResponse(secret="hy_new"),
    )
    assert "pw-new" in terminal.run("admin", "users", "rotate", "ana@example.org").stdout
    assert terminal.run("admin", "keys", "rotate", 10, "--json").json["secret"] == "hy_new"


def test_keys_are_listed_with_the_account_they_speak_for(terminal: Terminal) -> None:
    answering(terminal, ListApiKeys=keys())
    shown = terminal.run("admin", "keys", "list").stdout
    assert "robot@example.org" in shown
    assert "never" in shown


def test_workspaces_are_made_and_listed(terminal: Terminal) -> None:
    workspace = identity.Workspace(workspace_id="w-1", dialect="appfile", name="Main")
    channel = answering(
        terminal,
        CreateWorkspace=identity.CreateWorkspaceResponse(workspace=workspace),
        ListWorkspaces=identity.ListWorkspacesResponse(workspaces=[workspace]),
    )
    assert terminal.run("admin", "workspaces", "create", "Main", "--dialect", "appfile").exit_code == 0
    assert channel.asked("CreateWorkspace")[0].dialect == "appfile"
    assert terminal.run("admin", "workspaces", "list", "--json").json["workspaces"][0]["workspace_id"] == "w-1"


def test_an_unknown_account_is_a_usage_error(terminal: Terminal) -> None:
    answering(terminal)
    outcome = terminal.run("admin", "users", "disable", "nobody@example.org")
    assert outcome.exit_code == 2
    assert "There is no account 'nobody@example.org'" in outcome.stderr


def test_who_may_not_is_told_so(terminal: Terminal) -> None:
    def refuse(_: Any) -> None:
        raise refusal(grpc.StatusCode.PERMISSION_DENIED, "NOT_OPERATOR", "Only operators may do this.")

    terminal.channel = FakeChannel({IDENTITY + "ListTenants": refuse})
    outcome = terminal.run("admin", "tenants", "list")
    assert (outcome.exit_code, outcome.stderr) == (3, "Error: Only operators may do this.\n")


def test_stuck_imports_of_the_tenant_are_found(terminal: Terminal) -> None:
    page = status.ListTenantImportsResponse(
        imports=[importer.Import(import_id="i-1", state=importer.STATE_RUNNING, user_email="a@b", file_name="\x1bx")]
    )
    terminal.channel = FakeChannel({"/hythe.status.v1.StatusService/ListTenantImports": lambda _: page})
    outcome = terminal.run("admin", "imports", "--stuck", "--state", "running", "--state", "queued")
    assert "i-1" in outcome.stdout
    assert "\\x1bx" in outcome.stdout
    [request] = terminal.channel.asked("ListTenantImports")
    assert request.stuck_only
    assert list(request.states) == [importer.STATE_RUNNING, importer.STATE_QUEUED]


def test_an_import_is_requeued(terminal: Terminal) -> None:
    answer = importer.RequeueImportResponse(**{"import": importer.Import(state=importer.STATE_QUEUED)})
    terminal.channel = FakeChannel({"/hythe.importer.v1.ImportService/RequeueImport": lambda _: answer})
    assert "QUEUED" in terminal.run("admin", "requeue", "i-1").stdout
    assert terminal.channel.asked("RequeueImport")[0].import_id == "i-1"


def test_limits_are_set(terminal: Terminal) -> None:
    terminal.channel = FakeChannel(
        {
            "/hythe.importer.v1.ImportService/SetLimits": lambda request: importer.SetLimitsResponse(
                limits=request.limits
            )
        }
    )
    assert terminal.run("admin", "limits", 2).exit_code == 2
    outcome = terminal.run("admin", "limits", 2, "--max-file-bytes", 5_000_000_000, "--max-running-imports", 0)
    assert outcome.stdout == "Tenant 2: largest file 5.0 GB, running imports the installation's.\n"

"""Who may administer what: within one tenant, and never beyond one's own rights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from runtime.auth import Principal, Role
from runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
)
from services.identity.service import UseCases
from services.identity.store.transactions import ADMINISTRATION_LOCK
from tests.integration.identity.conftest import PASSWORD, People
from tests.stack import Database

Action = Callable[[UseCases, Principal, int], Awaitable[object]]

# Everything that is done to an account of a given id.
ACTIONS: dict[str, Action] = {
    "disable": lambda do, caller, user_id: do.users.set_disabled(caller, user_id, disabled=True),
    "enable": lambda do, caller, user_id: do.users.set_disabled(caller, user_id, disabled=False),
    "role": lambda do, caller, user_id: do.users.set_role(caller, user_id, role=1, client_ids=[5]),
    "password": lambda do, caller, user_id: do.users.rotate_password(caller, user_id),
    "key": lambda do, caller, user_id: do.api_keys.create(caller, user_id, name="k", scopes=[], life_days=0),
}


async def refused(kind: type[ServiceError], action: Awaitable[object]) -> str:
    with pytest.raises(kind) as error:
        await action
    return error.value.reason


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_account_of_another_tenant_does_not_exist(use_cases: UseCases, people: People, action: str) -> None:
    doing = ACTIONS[action](use_cases, people.principal("operator"), people.stranger.user_id)
    assert await refused(NotFound, doing) == "USER_NOT_FOUND"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("caller", "target"), [("admin", "operator"), ("admin_of_client_5", "viewer")])
async def test_an_account_with_more_rights_cannot_be_taken_over(
    use_cases: UseCases, people: People, action: str, caller: str, target: str
) -> None:
    user_id = getattr(people, target).user_id
    doing = ACTIONS[action](use_cases, people.principal(caller), user_id)
    assert await refused(PermissionDenied, doing) == "MORE_RIGHTS"


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_token_of_before_does_not_help_a_disabled_administrator(
    use_cases: UseCases, people: People, action: str
) -> None:
    await use_cases.users.set_disabled(people.principal("operator"), people.admin.user_id, disabled=True)
    doing = ACTIONS[action](use_cases, people.principal("admin"), people.viewer.user_id)
    assert await refused(Unauthenticated, doing) == "INVALID_CREDENTIAL"


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_token_of_before_does_not_help_a_demoted_administrator(
    use_cases: UseCases, people: People, action: str
) -> None:
    await use_cases.users.set_role(people.principal("operator"), people.admin.user_id, role=2, client_ids=[])
    doing = ACTIONS[action](use_cases, people.principal("admin"), people.viewer.user_id)
    assert await refused(PermissionDenied, doing) == "ROLE_REQUIRED"


@pytest.mark.parametrize("caller", ["admin", "stranger"])
async def test_tenants_are_for_operators(use_cases: UseCases, people: People, caller: str) -> None:
    principal, tenants = people.principal(caller), use_cases.tenants
    for doing in (
        tenants.create(principal, "Third", "third@example.com"),
        tenants.list(principal, page_size=0, page_token=""),
        tenants.set_disabled(principal, people.stranger.tenant_id, disabled=True),
    ):
        assert await refused(PermissionDenied, doing) == "OPERATOR_REQUIRED"


# Users


async def test_a_new_user_logs_in_with_the_password_that_is_shown_once(use_cases: UseCases, people: People) -> None:
    account, password = await use_cases.users.create(
        people.principal("admin"), "New@Example.com", role=2, service_account=False, client_ids=[5, 6]
    )
    assert (account.email, account.role, account.client_ids) == ("new@example.com", Role.IMPORTER, frozenset({5, 6}))
    assert account.tenant_id == people.admin.tenant_id
    assert not account.operator
    token = await use_cases.logins.authenticate("new@example.com", password, address="192.0.2.1")
    assert token.tenant_id == people.admin.tenant_id


async def test_a_service_account_has_no_password_and_gets_none(use_cases: UseCases, people: People) -> None:
    account, password = await use_cases.users.create(
        people.principal("admin"), "nightly-scan", role=2, service_account=True, client_ids=[]
    )
    assert account.service_account
    assert password == ""
    rotation = use_cases.users.rotate_password(people.principal("admin"), account.user_id)
    assert await refused(FailedPrecondition, rotation) == "SERVICE_ACCOUNT"


@pytest.mark.parametrize("name", ["viewer@example.com", "stranger@example.com", "VIEWER@example.com"])
async def test_a_user_name_is_taken_once_in_the_installation(use_cases: UseCases, people: People, name: str) -> None:
    creation = use_cases.users.create(people.principal("admin"), name, role=1, service_account=False, client_ids=[])
    assert await refused(AlreadyExists, creation) == "USER_EXISTS"


async def test_nobody_gives_access_to_clients_that_they_do_not_have(use_cases: UseCases, people: People) -> None:
    caller, users = people.principal("admin_of_client_5"), use_cases.users
    for clients in ([], [6], [5, 6]):
        creation = users.create(caller, "new@example.com", role=1, service_account=False, client_ids=clients)
        assert await refused(PermissionDenied, creation) == "MORE_RIGHTS"
    account, _ = await users.create(caller, "new@example.com", role=1, service_account=False, client_ids=[5])
    assert (
        await refused(PermissionDenied, users.set_role(caller, account.user_id, role=1, client_ids=[])) == "MORE_RIGHTS"
    )


async def test_users_are_listed_page_by_page_and_only_of_the_own_tenant(use_cases: UseCases, people: People) -> None:
    seen, token = [], ""
    while True:
        page = await use_cases.users.list(people.principal("admin"), page_size=2, page_token=token)
        seen += [account.user_id for account in page.items]
        token = page.next_token
        if not token:
            break
    ours = [people.operator, people.admin, people.admin_of_client_5, people.viewer, people.robot]
    assert seen == sorted(account.user_id for account in ours)


async def test_the_last_administrator_stays_one(use_cases: UseCases, people: People) -> None:
    stranger, caller = people.stranger.user_id, people.principal("stranger")
    assert (
        await refused(FailedPrecondition, use_cases.users.set_disabled(caller, stranger, disabled=True)) == "LAST_ADMIN"
    )
    for role, clients in ((1, []), (3, [5])):
        demotion = use_cases.users.set_role(caller, stranger, role=role, client_ids=clients)
        assert await refused(FailedPrecondition, demotion) == "LAST_ADMIN"
    await use_cases.users.create(caller, "second@example.com", role=3, service_account=False, client_ids=[])
    account = await use_cases.users.set_disabled(caller, stranger, disabled=True)
    assert account.disabled


async def test_a_service_account_does_not_count_as_an_administrator(use_cases: UseCases, people: People) -> None:
    caller = people.principal("stranger")
    await use_cases.users.create(caller, "robot-admin", role=3, service_account=True, client_ids=[])
    leaving = use_cases.users.set_disabled(caller, people.stranger.user_id, disabled=True)
    assert await refused(FailedPrecondition, leaving) == "LAST_ADMIN"


async def test_the_last_operator_stays_one(use_cases: UseCases, people: People) -> None:
    caller = people.principal("operator")
    leaving = use_cases.users.set_disabled(caller, people.operator.user_id, disabled=True)
    assert await refused(FailedPrecondition, leaving) == "LAST_OPERATOR"


async def test_two_administrators_cannot_disable_each_other(use_cases: UseCases, people: People) -> None:
    second, _ = await use_cases.users.create(
        people.principal("stranger"), "second@example.com", role=3, service_account=False, client_ids=[]
    )
    outcomes = await asyncio.gather(
        use_cases.users.set_disabled(people.principal("stranger"), second.user_id, disabled=True),
        use_cases.users.set_disabled(second.principal(), people.stranger.user_id, disabled=True),
        return_exceptions=True,
    )
    # Whoever came second has been disabled by then.
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Account", "Unauthenticated"]


@pytest.mark.parametrize("change", ["disable", "role"])
async def test_changes_of_rights_wait_for_each_other(
    use_cases: UseCases, people: People, database: Database, change: str
) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [ADMINISTRATION_LOCK])
        changing = asyncio.ensure_future(
            ACTIONS[change](use_cases, people.principal("operator"), people.viewer.user_id)
        )
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = %s)"
        )
        async with asyncio.timeout(30):
            while other.execute(waiting, [database.name]).fetchone() == (0,):
                assert not changing.done(), "it did not wait"
                await asyncio.sleep(0.01)
        other.execute("SELECT pg_advisory_unlock(%s)", [ADMINISTRATION_LOCK])
        await changing


async def test_an_unknown_role_is_refused(use_cases: UseCases, people: People) -> None:
    for role in (0, 4):
        change = use_cases.users.set_role(people.principal("admin"), people.viewer.user_id, role=role, client_ids=[])
        assert await refused(InvalidArgument, change) == "BAD_ROLE"


# Tenants


async def test_a_new_tenant_comes_with_an_administrator(use_cases: UseCases, people: People) -> None:
    tenant, admin, password = await use_cases.tenants.create(people.principal("operator"), "Third", "third@example.com")
    assert (admin.tenant_id, admin.role, admin.operator) == (tenant.tenant_id, Role.ADMIN, False)
    token = await use_cases.logins.authenticate("third@example.com", password, address="192.0.2.1")
    assert token.tenant_id == tenant.tenant_id
    page = await use_cases.users.list(admin.principal(), page_size=0, page_token="")
    assert page.items == [admin]


async def test_a_tenant_is_made_whole_or_not_at_all(use_cases: UseCases, people: People) -> None:
    caller = people.principal("operator")
    assert await refused(AlreadyExists, use_cases.tenants.create(caller, "Second", "x@example.com")) == "TENANT_EXISTS"
    assert await refused(AlreadyExists, use_cases.tenants.create(caller, "Third", "admin@example.com")) == "USER_EXISTS"
    page = await use_cases.tenants.list(caller, page_size=0, page_token="")
    assert [tenant.name for tenant in page.items] == ["First", "Second"]


async def test_tenants_are_listed_page_by_page(use_cases: UseCases, people: People) -> None:
    first = await use_cases.tenants.list(people.principal("operator"), page_size=1, page_token="")
    second = await use_cases.tenants.list(people.principal("operator"), page_size=1, page_token=first.next_token)
    assert [tenant.name for tenant in first.items + second.items] == ["First", "Second"]
    assert second.next_token == ""


async def test_an_operator_cannot_lock_out_the_operators(use_cases: UseCases, people: People) -> None:
    locking = use_cases.tenants.set_disabled(people.principal("operator"), people.operator.tenant_id, disabled=True)
    assert await refused(FailedPrecondition, locking) == "OWN_TENANT"


async def test_a_tenant_that_is_not_there_cannot_be_disabled(use_cases: UseCases, people: People) -> None:
    disabling = use_cases.tenants.set_disabled(people.principal("operator"), 2_000_000_000, disabled=True)
    assert await refused(NotFound, disabling) == "TENANT_NOT_FOUND"


async def test_a_disabled_tenant_comes_back_as_it_was(use_cases: UseCases, people: People) -> None:
    for disabled in (True, False):
        await use_cases.tenants.set_disabled(people.principal("operator"), people.stranger.tenant_id, disabled=disabled)
    await use_cases.logins.authenticate("stranger@example.com", PASSWORD, address="192.0.2.1")


# Workspaces


async def test_workspaces_are_of_one_tenant(use_cases: UseCases, people: People) -> None:
    made = [
        await use_cases.workspaces.create(people.principal("admin"), dialect=dialect, name=f"My {dialect}")
        for dialect in ("appfile", "assets")
    ]
    page = await use_cases.workspaces.list(people.principal("operator"), page_size=1, page_token="")
    rest = await use_cases.workspaces.list(people.principal("operator"), page_size=1, page_token=page.next_token)
    assert page.items + rest.items == made
    assert rest.next_token == ""
    theirs = await use_cases.workspaces.list(people.principal("stranger"), page_size=0, page_token="")
    assert theirs.items == []
    taking = use_cases.workspaces.set_disabled(people.principal("stranger"), str(made[0].workspace_id), disabled=True)
    assert await refused(NotFound, taking) == "WORKSPACE_NOT_FOUND"
    disabled = await use_cases.workspaces.set_disabled(
        people.principal("admin"), str(made[0].workspace_id), disabled=True
    )
    assert disabled.disabled


async def test_a_workspace_is_of_a_dialect_that_has_them(use_cases: UseCases, people: People) -> None:
    creation = use_cases.workspaces.create(people.principal("admin"), dialect="plextrac", name="x")
    assert await refused(InvalidArgument, creation) == "BAD_DIALECT"
    unknown = use_cases.workspaces.set_disabled(people.principal("admin"), "not a uuid", disabled=True)
    assert await refused(NotFound, unknown) == "WORKSPACE_NOT_FOUND"


async def test_a_workspace_is_found_by_its_id_its_name_or_as_the_oldest(use_cases: UseCases, people: People) -> None:
    workspaces, admin, viewer = use_cases.workspaces, people.principal("admin"), people.principal("viewer")
    await workspaces.create(admin, dialect="assets", name="first of all")
    first = await workspaces.create(admin, dialect="appfile", name="first", bucket_id=" bk ")
    second = await workspaces.create(admin, dialect="appfile", name="second")
    assert (first.bucket_id, second.bucket_id) == ("bk", f"bk-{second.workspace_id.hex}")
    for wanted, bucket, expected in (
        ("", "", first),
        ("", second.bucket_id, second),
        ("second", "", second),
        (" second ", second.bucket_id, second),
        (str(second.workspace_id).upper(), "", second),
        (second.workspace_id.hex, "", second),
    ):
        assert await workspaces.find(viewer, dialect="appfile", workspace=wanted, bucket_id=bucket) == expected


async def test_no_other_workspace_is_found(use_cases: UseCases, people: People) -> None:
    workspaces, admin = use_cases.workspaces, people.principal("admin")
    made = await workspaces.create(admin, dialect="appfile", name="mine")
    closed = await workspaces.create(admin, dialect="appfile", name="closed")
    await workspaces.set_disabled(admin, str(closed.workspace_id), disabled=True)
    for wanted, bucket in (("closed", ""), ("other", ""), ("mine", "bk-other"), ("a\0", ""), ("", closed.bucket_id)):
        finding = workspaces.find(admin, dialect="appfile", workspace=wanted, bucket_id=bucket)
        assert await refused(NotFound, finding) == "WORKSPACE_NOT_FOUND"
    for wanted in ("", "mine", str(made.workspace_id)):
        finding = workspaces.find(people.principal("stranger"), dialect="appfile", workspace=wanted)
        assert await refused(NotFound, finding) == "WORKSPACE_NOT_FOUND"
    assert await refused(NotFound, workspaces.find(admin, dialect="assets", workspace="mine")) == "WORKSPACE_NOT_FOUND"

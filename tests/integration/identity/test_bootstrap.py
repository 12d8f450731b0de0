from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from runtime.auth import ApiKey
from runtime.errors import Unauthenticated
from services.identity.bootstrap import BootstrapFailed, bootstrap
from services.identity.passwords import Passwords
from services.identity.service import UseCases
from services.identity.settings import BootstrapSettings
from services.identity.store.transactions import Store
from tests.integration.identity.conftest import People

USER = "root@example.com"
PASSWORD = "first password of all"
KEY = "hythe_" + "k" * 40
HOME = "192.0.2.1"


@pytest.fixture
def settings(tmp_path: Path) -> BootstrapSettings:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "key").write_text(f"{KEY}\n")
    return BootstrapSettings(
        database_url=SecretStr("not used here"),
        bootstrap_tenant="Local",
        bootstrap_user=USER,
        bootstrap_workspace="",
        bootstrap_bucket="",
        bootstrap_assets_workspace="",
        admin_password_file=tmp_path / "password",
        bootstrap_api_key_file=tmp_path / "key",
    )


async def test_the_first_administrator_is_an_operator_and_has_a_key(
    store: Store, passwords: Passwords, use_cases: UseCases, settings: BootstrapSettings
) -> None:
    await bootstrap(store, passwords, settings)
    token = await use_cases.logins.authenticate(USER, PASSWORD, address=HOME)
    principal = await use_cases.credentials.resolve(ApiKey(KEY))
    assert (principal.email, principal.operator, principal.tenant_id) == (USER, True, token.tenant_id)
    page = await use_cases.tenants.list(principal, page_size=0, page_token="")
    assert [tenant.name for tenant in page.items] == ["Local"]


async def test_it_may_be_run_again_and_leaves_a_changed_password_alone(
    store: Store, passwords: Passwords, use_cases: UseCases, settings: BootstrapSettings
) -> None:
    await bootstrap(store, passwords, settings)
    principal = await use_cases.credentials.resolve(ApiKey(KEY))
    changed = await use_cases.users.rotate_password(principal, principal.user_id)
    await bootstrap(store, passwords, settings)
    await use_cases.logins.authenticate(USER, changed, address=HOME)
    with pytest.raises(Unauthenticated):
        await use_cases.logins.authenticate(USER, PASSWORD, address=HOME)
    page = await use_cases.api_keys.list(principal, page_size=0, page_token="")
    assert len(page.items) == 1


async def test_a_lost_administrator_is_brought_back(
    store: Store, passwords: Passwords, use_cases: UseCases, settings: BootstrapSettings
) -> None:
    await bootstrap(store, passwords, settings)
    principal = await use_cases.credentials.resolve(ApiKey(KEY))
    await use_cases.users.rotate_password(principal, principal.user_id)
    async with store.begin() as queries:
        account = await queries.accounts.get(principal.tenant_id, principal.user_id)
        assert account is not None
        await queries.accounts.set_disabled(account, disabled=True)
        await queries.tenants.set_disabled(principal.tenant_id, disabled=True)
    await bootstrap(store, passwords, settings, reset=True)
    await use_cases.logins.authenticate(USER, PASSWORD, address=HOME)


async def test_a_key_that_is_no_longer_in_the_file_is_not_good(
    store: Store, passwords: Passwords, use_cases: UseCases, settings: BootstrapSettings
) -> None:
    await bootstrap(store, passwords, settings)
    assert settings.bootstrap_api_key_file is not None
    settings.bootstrap_api_key_file.write_text("hythe_" + "n" * 40)
    await bootstrap(store, passwords, settings)
    await use_cases.credentials.resolve(ApiKey("hythe_" + "n" * 40))
    with pytest.raises(Unauthenticated):
        await use_cases.credentials.resolve(ApiKey(KEY))


async def test_the_first_workspace_is_made_once(
    store: Store, passwords: Passwords, use_cases: UseCases, settings: BootstrapSettings
) -> None:
    wanted = settings.model_copy(update={"bootstrap_workspace": "ws", "bootstrap_bucket": "bk"})
    await bootstrap(store, passwords, wanted)
    principal = await use_cases.credentials.resolve(ApiKey(KEY))
    made = await use_cases.workspaces.find(principal, dialect="appfile")
    assert (made.name, made.bucket_id) == ("ws", "bk")
    await use_cases.workspaces.set_disabled(principal, str(made.workspace_id), disabled=True)
    await bootstrap(store, passwords, wanted)
    page = await use_cases.workspaces.list(principal, page_size=0, page_token="")
    assert [(one.workspace_id, one.disabled) for one in page.items] == [(made.workspace_id, True)]


async def test_both_apis_may_have_a_workspace(
    store: Store, passwords: Passwords, use_cases: UseCases, settings: BootstrapSettings
) -> None:
    wanted = settings.model_copy(update={"bootstrap_workspace": "ws", "bootstrap_assets_workspace": "ws"})
    for _ in range(2):
        await bootstrap(store, passwords, wanted)
    principal = await use_cases.credentials.resolve(ApiKey(KEY))
    page = await use_cases.workspaces.list(principal, page_size=0, page_token="")
    assert [(one.dialect, one.name) for one in page.items] == [("appfile", "ws"), ("assets", "ws")]


async def test_a_user_of_another_tenant_is_not_made_an_operator(
    store: Store, passwords: Passwords, people: People, settings: BootstrapSettings
) -> None:
    taken = settings.model_copy(update={"bootstrap_user": people.stranger.email})
    for reset in (False, True):
        with pytest.raises(BootstrapFailed, match="another tenant"):
            await bootstrap(store, passwords, taken, reset=reset)
    async with store.begin() as queries:
        assert await queries.tenants.get_by_name("Local") is None

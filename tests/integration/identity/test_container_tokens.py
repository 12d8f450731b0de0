from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from runtime.auth import ApiKey, Basic, Principal, Role
from runtime.errors import FailedPrecondition, NotFound, PermissionDenied, Unauthenticated
from runtime.sealing import Sealer, new_key
from services.identity.container_tokens import IMPORT_SCOPE, ContainerTokens
from services.identity.model import Workspace
from services.identity.service import UseCases
from services.identity.store.transactions import Store
from tests.integration.identity.conftest import People
from tests.stack import Database

SOURCE = str(uuid4())


@pytest.fixture
async def workspace(use_cases: UseCases, people: People) -> Workspace:
    return await use_cases.workspaces.create(people.principal("admin"), dialect="assets", name="w")


async def issue(use_cases: UseCases, caller: Principal, workspace: Workspace, source: str = SOURCE) -> str:
    return (await use_cases.container_tokens.issue(caller, source, str(workspace.workspace_id)))[1]


async def is_good(use_cases: UseCases, text: str) -> bool:
    try:
        await use_cases.credentials.resolve(ApiKey(text))
    except Unauthenticated:
        return False
    return True


async def test_a_token_is_its_owner_as_an_importer_of_one_source(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    text = await issue(use_cases, people.principal("operator"), workspace)
    owner = people.operator
    assert await use_cases.credentials.resolve(ApiKey(text)) == Principal(
        owner.tenant_id,
        owner.user_id,
        owner.email,
        Role.IMPORTER,
        scopes=frozenset({IMPORT_SCOPE}),
        import_source_id=UUID(SOURCE),
        workspace_id=workspace.workspace_id,
    )
    assert text.startswith("hyct_")
    assert len(text) == len("hyct_") + 43


async def test_a_token_is_no_password_of_its_owner(use_cases: UseCases, people: People, workspace: Workspace) -> None:
    text = await issue(use_cases, people.principal("admin"), workspace)
    with pytest.raises(Unauthenticated):
        await use_cases.credentials.resolve(Basic(people.admin.email, text))


async def test_a_new_token_ends_the_one_before_at_once(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    first = await issue(use_cases, people.principal("admin"), workspace)
    second = await issue(use_cases, people.principal("operator"), workspace)
    assert first != second
    assert not await is_good(use_cases, first)
    assert await is_good(use_cases, second)
    assert (await use_cases.container_tokens.get(people.principal("operator"), SOURCE))[1] == second


async def test_sources_have_tokens_of_their_own(use_cases: UseCases, people: People, workspace: Workspace) -> None:
    other = str(uuid4())
    first = await issue(use_cases, people.principal("admin"), workspace)
    second = await issue(use_cases, people.principal("admin"), workspace, other)
    await use_cases.container_tokens.revoke(people.principal("admin"), SOURCE)
    assert not await is_good(use_cases, first)
    assert await is_good(use_cases, second)


async def test_a_revoked_token_is_gone_and_revoking_again_changes_nothing(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    await issue(use_cases, people.principal("admin"), workspace)
    for _ in range(2):
        await use_cases.container_tokens.revoke(people.principal("admin"), SOURCE)
    with pytest.raises(NotFound) as refusal:
        await use_cases.container_tokens.get(people.principal("admin"), SOURCE)
    assert refusal.value.reason == "CONTAINER_TOKEN_NOT_FOUND"


async def test_only_a_digest_and_a_sealed_text_are_kept(
    use_cases: UseCases, people: People, workspace: Workspace, database: Database
) -> None:
    text = await issue(use_cases, people.principal("admin"), workspace)
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT t::text FROM identity.container_tokens t").fetchall()
    assert len(rows) == 1
    assert text[5:] not in rows[0][0]
    assert text[5:].encode().hex() not in rows[0][0]


async def test_a_token_that_was_sealed_with_a_lost_key_can_be_used_and_not_read(
    use_cases: UseCases, store: Store, people: People, workspace: Workspace
) -> None:
    text = await issue(use_cases, people.principal("admin"), workspace)
    with pytest.raises(FailedPrecondition) as refusal:
        await ContainerTokens(store, Sealer(new_key())).get(people.principal("admin"), SOURCE)
    assert refusal.value.reason == "CONTAINER_TOKEN_SEALED"
    assert await is_good(use_cases, text)


async def test_the_token_of_a_disabled_owner_is_not_good(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    text = await issue(use_cases, people.principal("admin"), workspace)
    await use_cases.users.set_disabled(people.principal("operator"), people.admin.user_id, disabled=True)
    assert not await is_good(use_cases, text)
    with pytest.raises(NotFound):
        await use_cases.container_tokens.get(people.principal("operator"), SOURCE)


async def test_the_tokens_of_a_disabled_workspace_are_not_good(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    admin = people.principal("admin")
    text = await issue(use_cases, admin, workspace)
    for disabled in (True, False):
        await use_cases.workspaces.set_disabled(admin, str(workspace.workspace_id), disabled=disabled)
        assert await is_good(use_cases, text) is not disabled


async def test_a_token_has_no_more_rights_than_its_owner_has_by_now(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    text = await issue(use_cases, people.principal("admin"), workspace)
    change = {"role": int(Role.VIEWER), "client_ids": [7]}
    await use_cases.users.set_role(people.principal("operator"), people.admin.user_id, **change)  # type: ignore[arg-type]
    found = await use_cases.credentials.resolve(ApiKey(text))
    assert (found.role, found.client_ids) == (Role.VIEWER, frozenset({7}))


@pytest.mark.parametrize("name", ["viewer", "robot"])
async def test_only_administrators_have_to_do_with_tokens(
    use_cases: UseCases, people: People, workspace: Workspace, name: str
) -> None:
    caller = people.principal(name)
    with pytest.raises(PermissionDenied):
        await issue(use_cases, caller, workspace)
    with pytest.raises(PermissionDenied):
        await use_cases.container_tokens.get(caller, SOURCE)
    with pytest.raises(PermissionDenied):
        await use_cases.container_tokens.revoke(caller, SOURCE)


async def test_the_token_of_somebody_with_more_clients_is_not_shown(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    await issue(use_cases, people.principal("admin"), workspace)
    with pytest.raises(PermissionDenied) as refusal:
        await use_cases.container_tokens.get(people.principal("admin_of_client_5"), SOURCE)
    assert refusal.value.reason == "MORE_RIGHTS"


async def test_one_tenant_does_not_reach_the_tokens_of_another(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    text = await issue(use_cases, people.principal("admin"), workspace)
    stranger = people.principal("stranger")
    with pytest.raises(NotFound):
        await issue(use_cases, stranger, workspace, str(uuid4()))
    own = await use_cases.workspaces.create(stranger, dialect="assets", name="w")
    with pytest.raises(NotFound) as refusal:
        await issue(use_cases, stranger, own)
    assert refusal.value.reason == "IMPORT_SOURCE_NOT_FOUND"
    with pytest.raises(NotFound):
        await use_cases.container_tokens.get(stranger, SOURCE)
    await use_cases.container_tokens.revoke(stranger, SOURCE)
    assert await is_good(use_cases, text)


@pytest.mark.parametrize("dialect", ["appfile", "assets"])
async def test_a_token_needs_a_workspace_of_the_assets_api_that_is_not_disabled(
    use_cases: UseCases, people: People, dialect: str
) -> None:
    admin = people.principal("admin")
    other = await use_cases.workspaces.create(admin, dialect=dialect, name="other")
    await use_cases.workspaces.set_disabled(admin, str(other.workspace_id), disabled=dialect == "assets")
    with pytest.raises(NotFound) as refusal:
        await issue(use_cases, admin, other)
    assert refusal.value.reason == "WORKSPACE_NOT_FOUND"


@pytest.mark.parametrize("text", ["", "\0", "no-id", "x" * 5_000])
async def test_what_is_no_id_names_nothing(
    use_cases: UseCases, people: People, workspace: Workspace, text: str
) -> None:
    admin = people.principal("admin")
    with pytest.raises(NotFound):
        await use_cases.container_tokens.issue(admin, text, str(workspace.workspace_id))
    with pytest.raises(NotFound):
        await use_cases.container_tokens.issue(admin, SOURCE, text)
    with pytest.raises(NotFound):
        await use_cases.container_tokens.get(admin, text)


async def test_the_last_use_is_noted_and_a_new_token_begins_without_one(
    use_cases: UseCases, people: People, workspace: Workspace
) -> None:
    admin = people.principal("admin")

    async def used() -> bool:
        return (await use_cases.container_tokens.get(admin, SOURCE))[0].used_at is not None

    text = await issue(use_cases, admin, workspace)
    assert not await used()
    assert await is_good(use_cases, text)
    assert await used()
    await issue(use_cases, admin, workspace)
    assert not await used()


async def test_a_token_sees_its_own_workspace_only(use_cases: UseCases, people: People, workspace: Workspace) -> None:
    admin = people.principal("admin")
    second = await use_cases.workspaces.create(admin, dialect="assets", name="second")
    await use_cases.workspaces.create(admin, dialect="appfile", name="records")
    assert [one.name for one in await use_cases.workspaces.usable(admin, "assets")] == ["w", "second"]
    holder = await use_cases.credentials.resolve(ApiKey(await issue(use_cases, admin, second)))
    assert [one.name for one in await use_cases.workspaces.usable(holder, "assets")] == ["second"]
    assert (await use_cases.workspaces.find(holder, dialect="assets")).name == "second"
    with pytest.raises(NotFound):
        await use_cases.workspaces.find(holder, dialect="assets", workspace=str(workspace.workspace_id))

"""Whether an account may still do what it has asked for earlier."""

from __future__ import annotations

from uuid import UUID

import pytest

from runtime.auth import Role
from services.identity.model import Standing, Workspace
from services.identity.service import UseCases
from services.identity.store.transactions import Store
from tests.integration.identity.conftest import People


@pytest.fixture
async def workspace(use_cases: UseCases, people: People) -> Workspace:
    return await use_cases.workspaces.create(people.principal("admin"), dialect="assets", name="w")


@pytest.mark.parametrize(
    ("name", "least", "expected"),
    [
        ("admin", Role.IMPORTER, Standing.GOOD),
        ("robot", Role.IMPORTER, Standing.GOOD),
        ("viewer", Role.VIEWER, Standing.GOOD),
        ("viewer", Role.IMPORTER, Standing.RIGHTS_MISSING),
        ("admin_of_client_5", Role.IMPORTER, Standing.RIGHTS_MISSING),
        ("stranger", Role.VIEWER, Standing.WORKSPACE_DISABLED),
    ],
)
async def test_it_takes_the_role_and_the_workspace(
    use_cases: UseCases, people: People, workspace: Workspace, name: str, least: Role, expected: Standing
) -> None:
    account = people.principal(name)
    found = await use_cases.standings.check(
        account.tenant_id, account.user_id, least=least, workspace_id=workspace.workspace_id
    )
    assert found is expected


async def test_what_is_disabled_is_so_at_once_and_until_it_is_enabled(
    use_cases: UseCases, people: People, workspace: Workspace, store: Store
) -> None:
    admin, robot = people.principal("admin"), people.principal("robot")

    async def standing(tenant_id: int = robot.tenant_id, workspace_id: UUID = workspace.workspace_id) -> Standing:
        return await use_cases.standings.check(tenant_id, robot.user_id, least=Role.IMPORTER, workspace_id=workspace_id)

    async def set_tenant(*, disabled: bool) -> None:
        async with store.begin() as queries:
            await queries.tenants.set_disabled(robot.tenant_id, disabled=disabled)

    found = []
    for disabled in (True, False):
        await use_cases.users.set_disabled(admin, robot.user_id, disabled=disabled)
        found.append(await standing())
    for disabled in (True, False):
        await set_tenant(disabled=disabled)
        found.append(await standing())
    assert found == [Standing.DISABLED, Standing.GOOD] * 2
    assert await standing(people.stranger.tenant_id) is Standing.DISABLED
    await use_cases.workspaces.set_disabled(admin, str(workspace.workspace_id), disabled=True)
    assert await standing() is Standing.WORKSPACE_DISABLED
    assert await standing(workspace_id=UUID(int=1)) is Standing.WORKSPACE_DISABLED

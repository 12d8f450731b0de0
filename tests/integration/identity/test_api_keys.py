from __future__ import annotations

from typing import Any

import psycopg
import pytest

from runtime.auth import ApiKey, Basic, Principal
from runtime.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from services.identity.model import KeyRecord
from services.identity.service import UseCases
from tests.integration.identity.conftest import PASSWORD, People
from tests.stack import Database


async def create(use_cases: UseCases, people: People, **values: Any) -> tuple[KeyRecord, str]:
    settings: dict[str, Any] = {"name": "k", "scopes": [], "life_days": 0, **values}
    return await use_cases.api_keys.create(people.principal("admin"), people.robot.user_id, **settings)


async def is_good(use_cases: UseCases, credential: str | Basic) -> bool:
    try:
        await use_cases.credentials.resolve(ApiKey(credential) if isinstance(credential, str) else credential)
    except Unauthenticated:
        return False
    return True


async def test_a_key_is_as_good_as_its_account(use_cases: UseCases, people: People) -> None:
    key, secret = await create(use_cases, people, scopes=["read:x"])
    robot = people.robot
    principal = Principal(robot.tenant_id, robot.user_id, robot.email, robot.role, scopes=frozenset({"read:x"}))
    assert await use_cases.credentials.resolve(ApiKey(secret)) == principal
    assert await use_cases.credentials.resolve(Basic("Robot@example.com", secret)) == principal
    assert key.prefix == secret[:11]


async def test_a_key_with_another_name_beside_it_is_not_good(use_cases: UseCases, people: People) -> None:
    _, secret = await create(use_cases, people)
    assert not await is_good(use_cases, Basic("viewer@example.com", secret))
    assert not await is_good(use_cases, Basic("", secret))


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("secret", ["", "hy_", "hy_00000000_" + "A" * 43, "\0", PASSWORD])
async def test_what_is_no_key_is_refused(use_cases: UseCases, secret: str) -> None:
    assert not await is_good(use_cases, secret)
    # Nor is a password, which would go round the limit on logins.
    assert not await is_good(use_cases, Basic("operator@example.com", secret))


async def test_only_a_digest_is_kept(use_cases: UseCases, people: People, database: Database) -> None:
    _, secret = await create(use_cases, people)
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT k::text FROM identity.api_keys k").fetchall()
    assert len(rows) == 1
    assert secret[12:] not in rows[0][0]


async def test_a_disabled_key_is_not_good_until_it_is_enabled(use_cases: UseCases, people: People) -> None:
    key, secret = await create(use_cases, people)
    for disabled in (True, False):
        changed = await use_cases.api_keys.set_disabled(people.principal("admin"), key.api_key_id, disabled=disabled)
        assert changed.disabled is disabled
        assert await is_good(use_cases, secret) is not disabled


async def test_the_keys_of_a_disabled_account_are_not_good(use_cases: UseCases, people: People) -> None:
    _, secret = await create(use_cases, people)
    await use_cases.users.set_disabled(people.principal("admin"), people.robot.user_id, disabled=True)
    assert not await is_good(use_cases, secret)
    with pytest.raises(FailedPrecondition):
        await create(use_cases, people)


async def test_the_keys_of_a_disabled_tenant_are_not_good(use_cases: UseCases, people: People) -> None:
    stranger = people.principal("stranger")
    _, secret = await use_cases.api_keys.create(stranger, stranger.user_id, name="k", scopes=[], life_days=0)
    assert await is_good(use_cases, secret)
    await use_cases.tenants.set_disabled(people.principal("operator"), stranger.tenant_id, disabled=True)
    assert not await is_good(use_cases, secret)


async def test_a_key_ends_with_its_life(use_cases: UseCases, people: People, database: Database) -> None:
    key, secret = await create(use_cases, people, life_days=30)
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).days == 30
    assert await is_good(use_cases, secret)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE identity.api_keys SET expires_at = now() - interval '1 s'")
    assert not await is_good(use_cases, secret)


async def test_a_rotated_key_has_a_new_secret_and_the_old_one_for_a_while(
    use_cases: UseCases, people: People, database: Database
) -> None:
    key, first = await create(use_cases, people)
    rotated, second = await use_cases.api_keys.rotate(people.principal("admin"), key.api_key_id, grace_seconds=60)
    assert rotated.api_key_id == key.api_key_id
    assert rotated.prefix != key.prefix
    assert await is_good(use_cases, first)
    assert await is_good(use_cases, second)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE identity.api_keys SET previous_until = now() - interval '1 s'")
    assert not await is_good(use_cases, first)
    assert await is_good(use_cases, second)


async def test_without_a_grace_the_old_secret_ends_at_once(use_cases: UseCases, people: People) -> None:
    key, first = await create(use_cases, people)
    await use_cases.api_keys.rotate(people.principal("admin"), key.api_key_id, grace_seconds=60)
    _, third = await use_cases.api_keys.rotate(people.principal("admin"), key.api_key_id, grace_seconds=0)
    assert not await is_good(use_cases, first)
    assert await is_good(use_cases, third)


async def test_keys_are_of_one_tenant(use_cases: UseCases, people: People) -> None:
    key, _ = await create(use_cases, people)
    stranger = people.principal("stranger")
    with pytest.raises(NotFound):
        await use_cases.api_keys.set_disabled(stranger, key.api_key_id, disabled=True)
    with pytest.raises(NotFound):
        await use_cases.api_keys.rotate(stranger, key.api_key_id, grace_seconds=0)
    assert (await use_cases.api_keys.list(stranger, page_size=0, page_token="")).items == []


async def test_the_key_of_somebody_with_more_rights_cannot_be_taken(use_cases: UseCases, people: People) -> None:
    operator = people.principal("operator")
    key, _ = await use_cases.api_keys.create(operator, operator.user_id, name="k", scopes=[], life_days=0)
    with pytest.raises(PermissionDenied):
        await use_cases.api_keys.rotate(people.principal("admin"), key.api_key_id, grace_seconds=0)
    with pytest.raises(PermissionDenied):
        await use_cases.api_keys.set_disabled(people.principal("admin"), key.api_key_id, disabled=True)


async def test_keys_are_listed_page_by_page_without_secrets(use_cases: UseCases, people: People) -> None:
    made = [(await create(use_cases, people, name=name))[0] for name in ("a", "b", "c")]
    page = await use_cases.api_keys.list(people.principal("admin"), page_size=2, page_token="")
    rest = await use_cases.api_keys.list(people.principal("admin"), page_size=2, page_token=page.next_token)
    assert page.items + rest.items == made


@pytest.mark.parametrize("values", [{"name": ""}, {"life_days": -1}, {"life_days": 3_651}, {"scopes": ["two words"]}])
async def test_what_cannot_be_is_refused(use_cases: UseCases, people: People, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        await create(use_cases, people, **values)


@pytest.mark.parametrize("grace", [-1, 86_401])
async def test_a_grace_has_a_limit(use_cases: UseCases, people: People, grace: int) -> None:
    key, _ = await create(use_cases, people)
    with pytest.raises(InvalidArgument):
        await use_cases.api_keys.rotate(people.principal("admin"), key.api_key_id, grace_seconds=grace)

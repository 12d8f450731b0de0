from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest
from argon2 import PasswordHasher

from runtime.auth import Authenticator, Principal, Role
from runtime.errors import InvalidArgument, ResourceExhausted, Unauthenticated
from services.identity.logins import LoginLimit, Logins, user_subject
from services.identity.passwords import Passwords
from services.identity.service import UseCases
from services.identity.store.transactions import Store
from services.identity.tokens import TokenIssuer
from tests.integration.identity.conftest import PASSWORD, People
from tests.stack import Database

HOME = "192.0.2.1"


async def verified(use_cases: UseCases, token: str) -> Principal:
    authenticator = Authenticator(use_cases.keys, use_cases.credentials)
    return (await authenticator.authenticate({"authorization": token})).principal


async def test_a_password_gives_a_token_with_the_account_s_rights(use_cases: UseCases, people: People) -> None:
    for name in ("operator@example.com", " Operator@EXAMPLE.com"):
        token = await use_cases.logins.authenticate(name, PASSWORD, address=HOME)
        assert token.tenant_id == people.operator.tenant_id
        assert await verified(use_cases, token.token) == people.principal("operator")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("operator@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("robot@example.com", PASSWORD),
        ("operator@example.com\0", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("operator@example.com", PASSWORD + "\0"),
    ],
)
@pytest.mark.usefixtures("people")
async def test_whatever_is_wrong_the_answer_is_the_same(use_cases: UseCases, name: str, password: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await use_cases.logins.authenticate(name, password, address=HOME)
    assert (refused.value.reason, refused.value.message) == ("LOGIN_FAILED", "The user name or the password is wrong.")
    assert refused.value.metadata == {}


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), (" ", PASSWORD), ("operator@example.com", "")])
async def test_nothing_at_all_is_a_wrong_request(use_cases: UseCases, name: str, password: str) -> None:
    with pytest.raises(InvalidArgument):
        await use_cases.logins.authenticate(name, password, address=HOME)


async def test_a_disabled_account_cannot_log_in(use_cases: UseCases, people: People) -> None:
    await use_cases.users.set_disabled(people.principal("operator"), people.viewer.user_id, disabled=True)
    with pytest.raises(Unauthenticated):
        await use_cases.logins.authenticate("viewer@example.com", PASSWORD, address=HOME)
    await use_cases.users.set_disabled(people.principal("operator"), people.viewer.user_id, disabled=False)
    await use_cases.logins.authenticate("viewer@example.com", PASSWORD, address=HOME)


async def test_nobody_of_a_disabled_tenant_can_log_in(use_cases: UseCases, people: People) -> None:
    await use_cases.tenants.set_disabled(people.principal("operator"), people.stranger.tenant_id, disabled=True)
    with pytest.raises(Unauthenticated):
        await use_cases.logins.authenticate("stranger@example.com", PASSWORD, address=HOME)


@pytest.mark.usefixtures("people")
async def test_a_hash_of_older_parameters_is_renewed_at_a_login(
    use_cases: UseCases, store: Store, database: Database
) -> None:
    newer = Passwords(hasher=PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    issuer = TokenIssuer(use_cases.keys, issuer="hythe", audience="hythe", life_seconds=900)
    logins = Logins(store, newer, issuer, LoginLimit(store, per_user=10, per_address=10))
    first = await logins.authenticate("viewer@example.com", PASSWORD, address=HOME)
    with psycopg.connect(database.superuser_url) as connection:
        query = "SELECT password_hash FROM identity.users WHERE email = 'viewer@example.com'"
        stored = connection.execute(query).fetchone()
    assert stored is not None
    assert not newer.is_outdated(stored[0])
    # It is the same password, so the token of before can still be renewed.
    await logins.refresh(await verified(use_cases, first.token), first.token)


# How often


@pytest.mark.usefixtures("people")
async def test_ten_logins_a_minute_with_one_name_good_or_bad(use_cases: UseCases) -> None:
    for attempt in range(10):
        address = f"198.51.100.{attempt}"
        if attempt % 2:
            with pytest.raises(Unauthenticated):
                await use_cases.logins.authenticate("viewer@example.com", "wrong", address=address)
        else:
            await use_cases.logins.authenticate("viewer@example.com", PASSWORD, address=address)
    with pytest.raises(ResourceExhausted) as refused:
        await use_cases.logins.authenticate("VIEWER@example.com", PASSWORD, address=HOME)
    assert refused.value.reason == "LOGIN_LIMIT"
    assert 1 <= int(refused.value.metadata["retry_after_seconds"]) <= 60
    # Others are not in its way.
    await use_cases.logins.authenticate("admin@example.com", PASSWORD, address=HOME)


async def test_logins_of_one_address_are_limited_whatever_the_names(store: Store) -> None:
    limit = LoginLimit(store, per_user=10, per_address=3)
    for name in ("a", "b", "c"):
        await limit.admit(name, "2001:db8::1")
    with pytest.raises(ResourceExhausted):
        await limit.admit("d", "2001:db8::2")
    await limit.admit("d", HOME)


async def test_refused_logins_do_not_count(store: Store, database: Database) -> None:
    limit = LoginLimit(store, per_user=1, per_address=10)
    await limit.admit("a", HOME)
    for _ in range(5):
        with pytest.raises(ResourceExhausted):
            await limit.admit("a", HOME)
    with psycopg.connect(database.superuser_url) as connection:
        assert connection.execute("SELECT count(*) FROM identity.login_attempts").fetchone() == (2,)


async def test_many_at_once_in_many_replicas_are_counted_exactly(store: Store) -> None:
    limits = [LoginLimit(store, per_user=10, per_address=1_000) for _ in range(4)]
    tried = await asyncio.gather(*(limits[n % 4].admit("a", HOME) for n in range(40)), return_exceptions=True)
    assert sum(isinstance(outcome, ResourceExhausted) for outcome in tried) == 30
    assert sum(outcome is None for outcome in tried) == 10


async def test_after_a_minute_there_is_room_again(store: Store, database: Database) -> None:
    limit = LoginLimit(store, per_user=1, per_address=10)
    await limit.admit("a", HOME)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE identity.login_attempts SET attempted_at = attempted_at - interval '61 s'")
    await limit.admit("a", HOME)


async def test_old_attempts_are_forgotten(store: Store, database: Database) -> None:
    limit = LoginLimit(store, per_user=5, per_address=10)
    await limit.admit("old", HOME)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("UPDATE identity.login_attempts SET attempted_at = attempted_at - interval '61 s'")
    await limit.admit("new", HOME)
    async with store.begin() as queries:
        assert await queries.attempts.delete_old() == 2
    with psycopg.connect(database.superuser_url) as connection:
        left = connection.execute("SELECT subject FROM identity.login_attempts").fetchall()
    assert (user_subject("new"),) in left
    assert (user_subject("old"),) not in left


async def test_pruning_ends_when_it_is_told_to(store: Store) -> None:
    stop = asyncio.Event()
    pruning = asyncio.create_task(LoginLimit(store, per_user=1, per_address=1).prune(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(pruning, 10)


# Renewal


async def test_a_token_is_exchanged_for_one_with_the_rights_of_now(use_cases: UseCases, people: People) -> None:
    old = await use_cases.logins.authenticate("viewer@example.com", PASSWORD, address=HOME)
    principal = await verified(use_cases, old.token)
    await use_cases.users.set_role(people.principal("admin"), people.viewer.user_id, role=2, client_ids=[5])
    new = await use_cases.logins.refresh(principal, f"Bearer {old.token}")
    renewed = await verified(use_cases, new.token)
    assert (renewed.role, renewed.client_ids) == (Role.IMPORTER, frozenset({5}))


async def test_a_new_password_ends_the_tokens_of_the_old_one(use_cases: UseCases, people: People) -> None:
    old = await use_cases.logins.authenticate("viewer@example.com", PASSWORD, address=HOME)
    password = await use_cases.users.rotate_password(people.principal("admin"), people.viewer.user_id)
    with pytest.raises(Unauthenticated):
        await use_cases.logins.refresh(people.principal("viewer"), old.token)
    with pytest.raises(Unauthenticated):
        await use_cases.logins.authenticate("viewer@example.com", PASSWORD, address=HOME)
    # One that was made in the same second as the change is good.
    new = await use_cases.logins.authenticate("viewer@example.com", password, address=HOME)
    await use_cases.logins.refresh(people.principal("viewer"), new.token)


async def test_a_token_of_before_an_account_was_disabled_stays_worthless(use_cases: UseCases, people: People) -> None:
    old = await use_cases.logins.authenticate("viewer@example.com", PASSWORD, address=HOME)
    for disabled in (True, False):
        await use_cases.users.set_disabled(people.principal("admin"), people.viewer.user_id, disabled=disabled)
        with pytest.raises(Unauthenticated):
            await use_cases.logins.refresh(people.principal("viewer"), old.token)


async def test_a_token_of_a_disabled_tenant_is_not_renewed(use_cases: UseCases, people: People) -> None:
    old = await use_cases.logins.authenticate("stranger@example.com", PASSWORD, address=HOME)
    await use_cases.tenants.set_disabled(people.principal("operator"), people.stranger.tenant_id, disabled=True)
    with pytest.raises(Unauthenticated):
        await use_cases.logins.refresh(people.principal("stranger"), old.token)
    with pytest.raises(Unauthenticated):
        await use_cases.logins.who_am_i(people.principal("stranger"))


async def test_an_api_key_does_not_turn_into_a_token(use_cases: UseCases, people: People) -> None:
    _, secret = await use_cases.api_keys.create(
        people.principal("admin"), people.robot.user_id, name="k", scopes=[], life_days=0
    )
    with pytest.raises(InvalidArgument):
        await use_cases.logins.refresh(people.principal("robot"), f"Bearer {secret}")


async def test_somebody_learns_the_name_of_their_tenant(use_cases: UseCases, people: People) -> None:
    assert (await use_cases.logins.who_am_i(people.principal("viewer"))).name == "First"
    with pytest.raises(Unauthenticated):
        await use_cases.logins.who_am_i(replace(people.principal("viewer"), tenant_id=people.stranger.tenant_id))

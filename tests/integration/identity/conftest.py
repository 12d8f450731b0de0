"""Use cases of the identity service over a real database with two tenants in it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import sql

from deploy.local import postgres
from deploy.local.secrets import make_signing_key
from deploy.local.stack import Stack
from runtime.auth import Principal, Role
from runtime.database import Database as Pool
from runtime.sealing import Sealer, new_key
from schema.base import metadata
from services.identity.api_keys import ApiKeys
from services.identity.container_tokens import ContainerTokens
from services.identity.credentials import Credentials
from services.identity.dialects.plextrac import extra_claims
from services.identity.logins import LoginLimit, Logins
from services.identity.model import Account
from services.identity.passwords import Passwords
from services.identity.service import UseCases
from services.identity.signing import KeyRing
from services.identity.standings import Standings
from services.identity.store.transactions import Store
from services.identity.tenants import Tenants
from services.identity.tokens import TokenIssuer
from services.identity.users import Users
from services.identity.workspaces import Workspaces
from tests.stack import Database

PASSWORD = "correct horse battery"
IDENTITY_TABLES = [table for table in metadata.sorted_tables if table.schema == "identity"]
IDENTITY_TABLES.append(metadata.tables["audit_log"])


@dataclass(frozen=True)
class People:
    """Somebody of each kind. The first tenant has the operator, the second is where nobody of the first belongs."""

    operator: Account
    admin: Account
    admin_of_client_5: Account
    viewer: Account
    robot: Account
    stranger: Account

    def principal(self, name: str) -> Principal:
        account: Account = getattr(self, name)
        return account.principal()


@pytest.fixture(scope="package")
def shared_database(servers: Stack, migrated_template: str) -> Iterator[Database]:
    name = f"identity_{secrets.token_hex(6)}"
    admin_url = postgres.superuser_url(servers.instance, servers.secrets, "postgres")
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(migrated_template))
        )
        try:
            yield Database(servers, name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(shared_database: Database) -> Database:
    """Emptied for each test, which is quicker than a database for each."""
    tables = sql.SQL(", ").join(sql.Identifier(*table.fullname.split(".")) for table in IDENTITY_TABLES)
    with psycopg.connect(shared_database.superuser_url) as connection:
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(tables))
    return shared_database


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    pool = Pool(database.url("hythe_identity"), application_name="test", pool_size=20)
    yield Store(pool)
    await pool.close()


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def people(store: Store, passwords: Passwords) -> People:
    stored = await passwords.hash(PASSWORD)
    async with store.begin() as queries:
        first, second = await queries.tenants.add("First"), await queries.tenants.add("Second")
        assert first is not None
        assert second is not None

        async def add(
            name: str,
            tenant_id: int = first.tenant_id,
            role: Role = Role.ADMIN,
            *,
            client: int = 0,
            operator: bool = False,
        ) -> Account:
            account = await queries.accounts.add(
                tenant_id,
                f"{name}@example.com",
                role=role,
                password_hash=None if name == "robot" else stored,
                client_ids=frozenset({client}) if client else None,
                operator=operator,
            )
            assert account is not None
            return account

        return People(
            operator=await add("operator", operator=True),
            admin=await add("admin"),
            admin_of_client_5=await add("admin5", client=5),
            viewer=await add("viewer", role=Role.VIEWER),
            robot=await add("robot", role=Role.IMPORTER),
            stranger=await add("stranger", second.tenant_id),
        )


@pytest.fixture
def use_cases(store: Store, passwords: Passwords, tmp_path: Path) -> UseCases:
    key_file = tmp_path / "key.pem"
    key_file.write_text(make_signing_key())
    keys = KeyRing(key_file)
    issuer = TokenIssuer(keys, issuer="hythe", audience="hythe", life_seconds=900, claims_of=extra_claims)
    limit = LoginLimit(store, per_user=10, per_address=15)
    return UseCases(
        keys=keys,
        logins=Logins(store, passwords, issuer, limit),
        credentials=Credentials(store),
        standings=Standings(store),
        tenants=Tenants(store, passwords),
        users=Users(store, passwords),
        api_keys=ApiKeys(store),
        container_tokens=ContainerTokens(store, Sealer(new_key())),
        workspaces=Workspaces(store),
    )

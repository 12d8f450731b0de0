"""Transactions on the schema `identity`, with the queries of each noun."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from services.identity.store.accounts import AccountQueries
from services.identity.store.attempts import AttemptQueries
from services.identity.store.container_tokens import ContainerTokenQueries
from services.identity.store.keys import KeyQueries
from services.identity.store.tenants import TenantQueries
from services.identity.store.workspaces import WorkspaceQueries

# Held while somebody's rights are changed, so that two administrators who demote each other cannot both succeed.
ADMINISTRATION_LOCK = 7_240_212


class Queries:
    """What can be asked and changed within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.accounts = AccountQueries(connection)
        self.attempts = AttemptQueries(connection)
        self.container_tokens = ContainerTokenQueries(connection)
        self.keys = KeyQueries(connection)
        self.tenants = TenantQueries(connection)
        self.workspaces = WorkspaceQueries(connection)

    async def lock_administration(self) -> None:
        await self._connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADMINISTRATION_LOCK})


class Store:
    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Queries]:
        """One transaction. It sets no tenant: a login comes before one is known."""
        async with self._database.transaction(None) as connection:
            yield Queries(connection)

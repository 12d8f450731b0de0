"""Transactions on PostgreSQL: tenant and time limit set in each, lost connections renewed, failures named.

`transaction` is the one way in. Its first statement sets the tenant for row-level security and the statement timeout,
both for this transaction only, so that nothing leaks through the pool. That statement is also the check that a pooled
connection still lives: when it does not, another is taken, once, before anything of the caller's ran.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from runtime.context import request_variable
from runtime.errors import DeadlineExceeded, ServiceError, Unavailable

CONNECT_SECONDS = 5
POOL_WAIT_SECONDS = 5
LEAST_TIMEOUT_MS = 1

# A dead peer is noticed within about half a minute, also in the middle of a statement.
KEEPALIVE = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

BEGIN = text("SELECT set_config('hythe.tenant', :tenant, true), set_config('statement_timeout', :timeout, true)")
SET_TENANT = text("SELECT set_config('hythe.tenant', :tenant, true)")

QUERY_CANCELED = "57014"
# Connection lost; resources used up (disk, memory, connections); the server is stopping, crashing or starting.
UNAVAILABLE_STATES = ("08", "53", "57P01", "57P02", "57P03")


class Database:
    """A pool of connections of one role."""

    def __init__(
        self, url: str, *, application_name: str, pool_size: int = 10, statement_timeout_seconds: float = 30
    ) -> None:
        self._statement_timeout = statement_timeout_seconds
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_recycle=1_800,
            connect_args={"application_name": application_name, **KEEPALIVE},
            hide_parameters=True,
        )

    @asynccontextmanager
    async def transaction(self, tenant_id: int | None) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end and rolled back on any error.

        None means no tenant: row-level security then shows no rows. Raises Unavailable when the database cannot be
        reached, DeadlineExceeded when a statement took too long.
        """
        try:
            connection = await self._begin(tenant_id)
            try:
                yield connection
                await connection.commit()
            finally:
                # A cancelled call still gives its connection back; closing rolls back what was not committed.
                await asyncio.shield(asyncio.ensure_future(connection.close()))
        except (DBAPIError, PoolTimeout) as error:
            named = named_error(error)
            if named is None:
                raise
            raise named from error

    async def _begin(self, tenant_id: int | None) -> AsyncConnection:
        try:
            return await self._first_statement(tenant_id)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        # The pooled connection was dead, and with it SQLAlchemy has thrown away all that were opened before.
        return await self._first_statement(tenant_id)

    async def _first_statement(self, tenant_id: int | None) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            tenant = "" if tenant_id is None else str(tenant_id)
            await connection.execute(BEGIN, {"tenant": tenant, "timeout": str(self._timeout_ms())})
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(connection.close()))
            raise
        return connection

    def _timeout_ms(self) -> int:
        """What the setting allows, or the call being served when that is less."""
        request = request_variable.get(None)
        seconds = self._statement_timeout
        if request is not None and request.deadline is not None:
            seconds = min(seconds, request.deadline - asyncio.get_running_loop().time())
        return max(LEAST_TIMEOUT_MS, int(seconds * 1000))

    async def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        async with self.transaction(None):
            pass

    async def close(self) -> None:
        await self._engine.dispose()


async def set_tenant(connection: AsyncConnection, tenant_id: int) -> None:
    """Go on as another tenant, for work that is every tenant's, in the same transaction."""
    await connection.execute(SET_TENANT, {"tenant": str(tenant_id)})


def named_error(error: DBAPIError | PoolTimeout) -> ServiceError | None:
    """What a caller of the API may be told; None when it is for the code that sent the statement to handle."""
    if isinstance(error, PoolTimeout):
        return Unavailable("DATABASE_UNAVAILABLE", "The database is busy.")
    state = sql_state(error)
    if state == QUERY_CANCELED:
        return DeadlineExceeded("DATABASE_TIMEOUT", "The database took too long.")
    is_lost = error.connection_invalidated or (state is None and isinstance(error.orig, psycopg.OperationalError))
    if is_lost or (state is not None and state.startswith(UNAVAILABLE_STATES)):
        return Unavailable("DATABASE_UNAVAILABLE", "The database does not answer at the moment.")
    return None


def sql_state(error: DBAPIError) -> str | None:
    """The five characters of PostgreSQL, such as 55P03 for a lock that is not to be had."""
    return error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None

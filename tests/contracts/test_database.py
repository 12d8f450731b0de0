"""Transactions against a real PostgreSQL: tenant, time limits, lost connections, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import uvloop
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deploy.local import postgres
from deploy.local.bootstrap import DATABASE
from deploy.local.stack import Stack
from runtime.context import RequestInfo, request_variable
from runtime.database import Database, set_tenant, sql_state
from runtime.errors import DeadlineExceeded, Unavailable

NAME = "hythe-test"


@pytest.fixture
def url(servers: Stack) -> str:
    plain = postgres.superuser_url(servers.instance, servers.secrets, DATABASE)
    return plain.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, application_name=NAME, pool_size=2, statement_timeout_seconds=20)
    yield database
    await database.close()


@pytest.fixture
def admin(servers: Stack) -> Iterator[psycopg.Connection]:
    """A connection beside, to look and to hurt."""
    plain = postgres.superuser_url(servers.instance, servers.secrets, DATABASE)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS scratch")
        connection.execute("CREATE TABLE scratch (value int)")
        yield connection
        connection.execute("DROP TABLE scratch")


def rows(admin: psycopg.Connection) -> int:
    found = admin.execute("SELECT count(*) FROM scratch").fetchone()
    return int(found[0]) if found else -1


def running(admin: psycopg.Connection) -> int:
    """Statements of the pool that the server is still at."""
    found = admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state = 'active'", [NAME]
    ).fetchone()
    return int(found[0]) if found else -1


async def setting(database: Database, name: str, tenant_id: int | None) -> str:
    async with database.transaction(tenant_id) as connection:
        return str((await connection.execute(text(f"SELECT current_setting('{name}', true)"))).scalar_one())


async def test_the_tenant_is_set_for_the_transaction_only(database: Database) -> None:
    assert await setting(database, "hythe.tenant", 7) == "7"
    assert await setting(database, "hythe.tenant", None) == ""
    async with database.transaction(7) as connection:
        await set_tenant(connection, 8)
        assert (await connection.execute(text("SELECT current_setting('hythe.tenant')"))).scalar_one() == "8"


async def test_leaving_commits_and_an_error_rolls_back(database: Database, admin: psycopg.Connection) -> None:
    async with database.transaction(1) as connection:
        await connection.execute(text("INSERT INTO scratch VALUES (1)"))
    assert rows(admin) == 1
    with pytest.raises(ZeroDivisionError):
        await insert_and_fail(database)
    assert rows(admin) == 1


async def insert_and_fail(database: Database) -> None:
    async with database.transaction(1) as connection:
        await connection.execute(text("INSERT INTO scratch VALUES (2)"))
        raise ZeroDivisionError


async def test_a_statement_that_takes_too_long_is_ended(url: str, admin: psycopg.Connection) -> None:
    database = Database(url, application_name=NAME, statement_timeout_seconds=0.1)
    with pytest.raises(DeadlineExceeded) as failure:
        await sleep_in(database)
    assert failure.value.reason == "DATABASE_TIMEOUT"
    assert running(admin) == 0
    await database.close()


async def sleep_in(database: Database, seconds: float = 30) -> None:
    async with database.transaction(1) as connection:
        await connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})


@pytest.mark.parametrize(("remaining", "least", "most"), [(2.0, 1_000, 2_000), (60.0, 20_000, 20_000), (-1.0, 1, 1)])
async def test_the_time_limit_is_that_of_the_call_when_it_is_shorter(
    database: Database, remaining: float, least: int, most: int
) -> None:
    deadline = asyncio.get_running_loop().time() + remaining
    token = request_variable.set(RequestInfo("r", "t", "m", "", "p", deadline))
    try:
        assert least <= database._timeout_ms() <= most
    finally:
        request_variable.reset(token)


async def test_the_time_limit_is_set_for_the_transaction_only(database: Database) -> None:
    assert await setting(database, "statement_timeout", 1) == "20s"
    async with database._engine.connect() as connection:
        assert (await connection.execute(text("SELECT current_setting('statement_timeout')"))).scalar_one() == "0"


async def test_pooled_connections_that_were_cut_are_replaced_unseen(
    database: Database, admin: psycopg.Connection
) -> None:
    async with database.transaction(1), database.transaction(1):
        pass
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [NAME])
    for _ in range(3):
        await database.ping()


async def test_a_connection_cut_in_the_middle_is_unavailable_and_nothing_is_kept(
    database: Database, admin: psycopg.Connection
) -> None:
    with pytest.raises(Unavailable) as failure:
        await insert_and_be_cut(database, admin)
    assert failure.value.reason == "DATABASE_UNAVAILABLE"
    assert rows(admin) == 0
    await database.ping()


async def insert_and_be_cut(database: Database, admin: psycopg.Connection) -> None:
    async with database.transaction(1) as connection:
        await connection.execute(text("INSERT INTO scratch VALUES (1)"))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [NAME])
        await connection.execute(text("INSERT INTO scratch VALUES (2)"))


@pytest.mark.parametrize("bad", ["127.0.0.1:1", "no-such-host.invalid:5432"])
async def test_a_database_that_is_not_there_is_unavailable(bad: str) -> None:
    database = Database(f"postgresql+psycopg://a:hunter2@{bad}/hythe", application_name=NAME)
    with pytest.raises(Unavailable) as failure:
        await database.ping()
    assert "hunter2" not in f"{failure.value} {failure.value.__cause__}"
    await database.close()


async def test_a_pool_that_is_used_up_is_unavailable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.database.POOL_WAIT_SECONDS", 0.1)
    database = Database(url, application_name=NAME, pool_size=1)
    async with database.transaction(1):
        with pytest.raises(Unavailable, match="busy"):
            await database.ping()
    await database.ping()
    await database.close()


async def test_errors_of_statements_are_for_whoever_sent_them(database: Database, admin: psycopg.Connection) -> None:
    admin.execute("INSERT INTO scratch VALUES (1)")
    async with database.transaction(1) as holder:
        await holder.execute(text("SELECT * FROM scratch FOR UPDATE"))
        with pytest.raises(DBAPIError) as failure:
            await lock_now(database)
    assert sql_state(failure.value) == "55P03"


async def lock_now(database: Database) -> None:
    async with database.transaction(1) as connection:
        await connection.execute(text("SELECT * FROM scratch FOR UPDATE NOWAIT"))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_cancelled_call_leaves_no_statement_and_no_connection_behind(
    url: str, admin: psycopg.Connection, run: object
) -> None:
    async def main() -> None:
        database = Database(url, application_name=NAME, pool_size=1)
        for _ in range(3):
            task = asyncio.create_task(sleep_in(database))
            await until(lambda: running(admin) == 1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert task.cancelled()
            await until(lambda: running(admin) == 0)
        # The one connection of the pool is free again, or this would wait for it in vain.
        await database.ping()
        await database.close()

    assert callable(run)
    run(main())


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what changes is in another process
            await asyncio.sleep(0.01)

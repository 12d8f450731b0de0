"""Transactions inside a client or a report: the one check of who may see what was imported into it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.auth import Principal
from runtime.database import Database
from runtime.errors import NotFound
from services.status.model import Row
from services.status.store import engagements


@asynccontextmanager
async def in_client(
    database: Database, principal: Principal, client_id: int
) -> AsyncIterator[tuple[AsyncConnection, Row]]:
    """A transaction and the client; raises NotFound when there is none, or none for these eyes."""
    async with database.transaction(principal.tenant_id) as connection:
        client = (
            await engagements.find_client(connection, principal.tenant_id, client_id)
            if principal.may_see_client(client_id)
            else None
        )
        if client is None:
            raise NotFound("CLIENT_NOT_FOUND", f"There is no client {client_id}.", client_id=str(client_id))
        yield connection, client


@asynccontextmanager
async def in_report(
    database: Database, principal: Principal, client_id: int, report_id: int
) -> AsyncIterator[tuple[AsyncConnection, Row]]:
    """A transaction and the names of the report and its client; raises NotFound as in_client does."""
    async with database.transaction(principal.tenant_id) as connection:
        names = (
            await engagements.find_names(connection, principal.tenant_id, client_id, report_id)
            if principal.may_see_client(client_id)
            else None
        )
        if names is None:
            raise no_report(client_id, report_id)
        yield connection, names


def no_report(client_id: int, report_id: int) -> NotFound:
    return NotFound(
        "REPORT_NOT_FOUND",
        f"There is no report {report_id} in client {client_id}.",
        client_id=str(client_id),
        report_id=str(report_id),
    )

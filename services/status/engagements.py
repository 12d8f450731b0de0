"""Reading clients and reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from runtime.auth import Principal
from runtime.database import Database
from services.status.model import Batches, Listing, Row
from services.status.paging import cut
from services.status.store import engagements as store
from services.status.store.access import in_client, no_report


class Engagements:
    """What imports go into, as far as a principal may see it. `streams` is the database for answers of any length."""

    def __init__(self, database: Database, streams: Database) -> None:
        self._database = database
        self._streams = streams

    async def get_client(self, principal: Principal, client_id: int) -> Row:
        async with in_client(self._database, principal, client_id) as (_, client):
            return client

    async def get_report(self, principal: Principal, client_id: int, report_id: int) -> Row:
        async with in_client(self._database, principal, client_id) as (connection, _):
            report = await store.find_report(connection, principal.tenant_id, client_id, report_id)
        if report is None:
            raise no_report(client_id, report_id)
        return report

    async def list_clients(self, principal: Principal, *, after: int, size: int) -> tuple[list[Row], bool]:
        """A page by id, and whether there are more."""
        async with self._database.transaction(principal.tenant_id) as connection:
            found = await store.list_clients(
                connection, principal.tenant_id, client_ids=principal.client_ids, after=after, limit=size + 1
            )
        return cut(found, size)

    async def list_reports(
        self, principal: Principal, client_id: int, *, after: int, size: int
    ) -> tuple[list[Row], bool]:
        """As list_clients, of the reports of one client."""
        async with in_client(self._database, principal, client_id) as (connection, _):
            found = await store.list_reports(connection, principal.tenant_id, client_id, after=after, limit=size + 1)
        return cut(found, size)

    async def page_of_clients(self, principal: Principal, listing: Listing) -> tuple[int, list[Row]]:
        """The number of all clients that fit, and those of the page."""
        async with self._database.transaction(principal.tenant_id) as connection:
            return await store.page_of_clients(connection, principal.tenant_id, principal.client_ids, listing)

    async def page_of_reports(self, principal: Principal, listing: Listing) -> tuple[int, list[Row]]:
        async with self._database.transaction(principal.tenant_id) as connection:
            return await store.page_of_reports(connection, principal.tenant_id, principal.client_ids, listing)

    @asynccontextmanager
    async def all_clients(self, principal: Principal) -> AsyncIterator[Batches]:
        """Batches of all, while the context is open."""
        async with (
            self._streams.transaction(principal.tenant_id) as connection,
            aclosing(store.stream_clients(connection, principal.tenant_id, principal.client_ids)) as batches,
        ):
            yield batches

    @asynccontextmanager
    async def all_reports(self, principal: Principal, client_id: int) -> AsyncIterator[Batches]:
        """As all_clients, of the reports of one client."""
        async with (
            in_client(self._streams, principal, client_id) as (connection, _),
            aclosing(store.stream_reports(connection, principal.tenant_id, client_id)) as batches,
        ):
            yield batches

"""Reading the records of a workspace. Whoever may read all of a tenant may read its workspaces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from runtime.auth import Principal
from runtime.database import Database
from runtime.errors import PermissionDenied
from runtime.workspaces import Workspace
from services.status.model import NO_CLIENT, Batches, Row
from services.status.paging import cut
from services.status.record_query import RecordQuery, RecordSet
from services.status.store import records as store


class Workspaces(Protocol):
    """`runtime.workspaces.RemoteWorkspaces`."""

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Workspace:
        """By id or name, or the tenant's oldest; raises NotFound for one that is not the caller's."""
        ...


@dataclass(frozen=True, slots=True)
class OpenRecords:
    """A page that is still to be read. `total` counts those of all pages; None: it was not asked for."""

    total: int | None
    documents: Batches


class Records:
    """`streams` is the database for answers of any length."""

    def __init__(self, database: Database, streams: Database) -> None:
        self._database = database
        self._streams = streams

    async def list_records(
        self, principal: Principal, of: RecordSet, *, after: tuple[str, str] | None, size: int
    ) -> tuple[list[Row], bool]:
        """A page by data source and key, and whether there are more."""
        check_reader(principal)
        async with self._database.transaction(principal.tenant_id) as connection:
            found = await store.list_records(connection, principal.tenant_id, of, after=after, limit=size + 1)
        return cut(found, size)

    @asynccontextmanager
    async def queried(self, principal: Principal, query: RecordQuery) -> AsyncIterator[OpenRecords]:
        """A page, while the context is open."""
        check_reader(principal)
        tenant_id = principal.tenant_id
        async with self._streams.transaction(tenant_id) as connection:
            total = await store.count_records(connection, tenant_id, query) if query.with_total else None
            async with aclosing(store.stream_documents(connection, tenant_id, query)) as documents:
                yield OpenRecords(total, documents)


def check_reader(principal: Principal) -> None:
    """Raises PermissionDenied for those who may see certain clients only: records belong to none."""
    if not principal.may_see_client(NO_CLIENT):
        raise PermissionDenied(
            "CLIENT_GRANTS", "Your account is limited to certain clients; a workspace is for all of them."
        )

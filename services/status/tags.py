"""Reading the tenant's list of tags."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from runtime.auth import Principal
from runtime.database import Database
from runtime.errors import NotFound
from services.status.model import Batches, Row
from services.status.paging import cut, invalid_token
from services.status.store import tags as store

LONGEST_TAG = 255


class Tags:
    """The tags that imports have brought. `streams` is the database for answers of any length."""

    def __init__(self, database: Database, streams: Database) -> None:
        self._database = database
        self._streams = streams

    async def list(self, principal: Principal, *, after: str, size: int) -> tuple[list[Row], bool]:
        """A page by name, and whether there are more. Raises InvalidArgument when `after` can be no tag."""
        if len(after) > LONGEST_TAG or "\0" in after:
            raise invalid_token()
        async with self._database.transaction(principal.tenant_id) as connection:
            found = await store.list_tags(
                connection, principal.tenant_id, client_ids=principal.client_ids, after=after, limit=size + 1
            )
        return cut(found, size)

    @asynccontextmanager
    async def of_tenant(
        self, principal: Principal, tenant_id: int, *, offset: int, limit: int | None
    ) -> AsyncIterator[Batches]:
        """Batches while the context is open. Raises NotFound for any tenant but the caller's own."""
        if tenant_id != principal.tenant_id:
            raise NotFound("TENANT_NOT_FOUND", f"There is no tenant {tenant_id}.", tenant_id=str(tenant_id))
        async with (
            self._streams.transaction(principal.tenant_id) as connection,
            aclosing(
                store.stream_tags(connection, principal.tenant_id, principal.client_ids, offset=offset, limit=limit)
            ) as batches,
        ):
            yield batches

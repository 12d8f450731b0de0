"""Reading imports: whose they are decides who may see them."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from runtime.auth import Principal, Role
from runtime.database import Database
from runtime.errors import NotFound
from services.status.model import Import, Row, RowError, UndoItem
from services.status.paging import cut
from services.status.store import imports as store
from services.status.store import items


class Imports:
    """A user sees their own imports, an admin all of the tenant; both only those into clients that they may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, tenant_id: int, import_id: UUID) -> Import | None:
        """Whosever it is: for those who have asked once by `get`."""
        async with self._database.transaction(tenant_id) as connection:
            return await store.find_import(connection, tenant_id, import_id)

    async def get(self, principal: Principal, import_id: str) -> Import:
        """Raises NotFound also for an import that is not for these eyes."""
        key = parse_id(import_id)
        found = await self.fetch(principal.tenant_id, key)
        if found is None or not may_see(principal, found):
            raise unknown_import(import_id)
        return found

    async def list_own(self, principal: Principal, *, after: UUID | None, size: int) -> tuple[list[Import], bool]:
        """A page, newest first, and whether there are more."""
        async with self._database.transaction(principal.tenant_id) as connection:
            found = await store.list_own_imports(
                connection,
                principal.tenant_id,
                principal.user_id,
                client_ids=principal.client_ids,
                after=after,
                limit=size + 1,
            )
        return cut(found, size)

    async def list_own_rows(self, principal: Principal, *, after: UUID | None, size: int) -> list[Row]:
        """As list_own without undos, and with no more of each than a list shows."""
        async with self._database.transaction(principal.tenant_id) as connection:
            return await store.list_own_rows(
                connection,
                principal.tenant_id,
                principal.user_id,
                client_ids=principal.client_ids,
                after=after,
                limit=size,
            )

    async def list_tenant(
        self, principal: Principal, *, states: Collection[str], stuck_only: bool, after: UUID | None, size: int
    ) -> tuple[list[Import], bool]:
        """As list_own, whoever triggered them."""
        async with self._database.transaction(principal.tenant_id) as connection:
            found = await store.list_tenant_imports(
                connection,
                principal.tenant_id,
                client_ids=principal.client_ids,
                states=states,
                stuck_only=stuck_only,
                after=after,
                limit=size + 1,
            )
        return cut(found, size)

    async def list_row_errors(
        self, principal: Principal, import_id: str, *, after: int, size: int
    ) -> tuple[Import, list[RowError], bool]:
        """The import, a page of its errors in the order of the file, and whether there are more."""
        found = await self.get(principal, import_id)
        async with self._database.transaction(principal.tenant_id) as connection:
            errors = await items.list_row_errors(
                connection, principal.tenant_id, found.import_id, after=after, limit=size + 1
            )
        return found, *cut(errors, size)

    async def first_row_errors(self, found: Import, size: int) -> list[RowError]:
        """Of an import that was asked for by `get`. They are written at its end, so none is looked for before that."""
        if not (found.is_terminal and found.counters.rejected):
            return []
        async with self._database.transaction(found.tenant_id) as connection:
            return await items.list_row_errors(connection, found.tenant_id, found.import_id, after=0, limit=size)

    async def list_undo_items(
        self, principal: Principal, import_id: str, *, after: int, size: int
    ) -> tuple[list[UndoItem], bool]:
        """A page of what an undo has decided on; of another import there is nothing to list."""
        found = await self.get(principal, import_id)
        async with self._database.transaction(principal.tenant_id) as connection:
            decided = await items.list_undo_items(
                connection, principal.tenant_id, found.import_id, after=after, limit=size + 1
            )
        return cut(decided, size)


def may_see(principal: Principal, found: Import) -> bool:
    is_theirs = found.user_id == principal.user_id or principal.role >= Role.ADMIN
    return is_theirs and principal.may_see_client(found.client_id)


def parse_id(import_id: str) -> UUID:
    try:
        return UUID(import_id)
    except ValueError:
        raise unknown_import(import_id) from None


def unknown_import(import_id: str) -> NotFound:
    # The text is the caller's: no more of it is repeated than an id has.
    return NotFound("IMPORT_NOT_FOUND", f"There is no import {import_id[:36]}.", import_id=import_id[:36])

"""Reading objects: one by its number or key, many by a query in AQL, and what is known of one beside."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialects.assets.aql_tree import Query
from runtime.auth import Principal
from runtime.database import Database
from services.status.asset_places import reached_workspace
from services.status.model import Batches, Row
from services.status.records import Workspaces
from services.status.store import object_types as type_store
from services.status.store import objects as store
from services.status.store.aql import Page, count_objects, find_objects
from services.status.store.asset_access import get_object
from services.status.store.objects import Piece, References, read_pieces
from services.status.store.type_catalog import TypeCatalog, load_catalog


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object, and those by number that it refers to."""

    workspace_id: UUID
    row: Row
    catalog: TypeCatalog
    targets: dict[int, Row]


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page that is still to be read: all there are, the numbers of its types, how many objects it has."""

    workspace_id: UUID
    total: int
    type_ids: list[int]
    size: int
    catalog: TypeCatalog
    pieces: AsyncGenerator[Piece, None]


@dataclass(frozen=True, slots=True)
class OpenHistory:
    """Changes that are still to be read.

    `maker` is who ran the import that has inserted the object, or who made it by hand. They are told of before the
    changes of the first page (`begins`), or behind those of the last one: where there are fewer changes than `ends`,
    unless that is 0.
    """

    workspace_id: UUID
    row: Row
    catalog: TypeCatalog
    maker: Row | None
    begins: bool
    ends: int
    changes: Batches


class Objects:
    """`streams` is the database for answers of any length. All raise NotFound for what is not in this workspace."""

    def __init__(self, database: Database, streams: Database, workspaces: Workspaces) -> None:
        self._database = database
        self._streams = streams
        self._workspaces = workspaces

    async def get(self, principal: Principal, workspace: str, number: str, references: References) -> FoundObject:
        """By its number or its key, with the names of what it refers to."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            row, catalog = await get_object(connection, principal.tenant_id, workspace_id, number)
            targets = await store.read_names(connection, principal.tenant_id, references([row], catalog))
        return FoundObject(workspace_id, row, catalog, targets)

    async def count_references(
        self, principal: Principal, workspace: str, number: str
    ) -> tuple[UUID, Row, TypeCatalog, list[Row]]:
        """The object, and how many refer to it by type and attribute, as in `store.count_references`."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            row, catalog = await get_object(connection, principal.tenant_id, workspace_id, number)
            found = await store.count_references(connection, principal.tenant_id, row["object_id"])
            types = {each["object_type_id"] for each in found if each["object_type_id"] in catalog.types}
            all_types = list(catalog.types.values())
            catalog = await load_catalog(connection, principal.tenant_id, all_types, types | {row["object_type_id"]})
        return workspace_id, row, catalog, [each for each in found if each["object_type_id"] in types]

    async def count(self, principal: Principal, workspace: str, query: Query, now: datetime) -> int:
        """How many a query finds."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            return await count_objects(connection, principal.tenant_id, workspace_id, query, now=now)

    @asynccontextmanager
    async def queried(
        self,
        principal: Principal,
        workspace: str,
        query: Query,
        page: Page,
        now: datetime,
        references: References | None,
    ) -> AsyncIterator[OpenPage]:
        """A page, while the context is open. Without `references` nothing is read of what the objects refer to."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        tenant_id = principal.tenant_id
        async with self._streams.transaction(tenant_id) as connection:
            total, found = await find_objects(
                connection, tenant_id, workspace_id, query, page, now=now, with_documents=False
            )
            types = await type_store.list_types(connection, tenant_id, workspace_id)
            type_ids = sorted({each["object_type_id"] for each in found})
            catalog = await load_catalog(connection, tenant_id, types, type_ids)
            pieces = read_pieces(connection, tenant_id, found, catalog, references)
            async with aclosing(pieces):
                yield OpenPage(workspace_id, total, type_ids, len(found), catalog, pieces)

    @asynccontextmanager
    async def history(
        self, principal: Principal, workspace: str, number: str, *, is_ascending: bool, offset: int, limit: int
    ) -> AsyncIterator[OpenHistory]:
        """What imports and people have done to it, while the context is open."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        tenant_id = principal.tenant_id
        async with self._streams.transaction(tenant_id) as connection:
            row, catalog = await get_object(connection, tenant_id, workspace_id, number)
            maker = await store.find_maker(connection, tenant_id, row)
            changes = store.stream_changes(
                connection, tenant_id, row["object_id"], is_ascending=is_ascending, offset=offset, limit=limit
            )
            async with aclosing(changes):
                begins, ends = is_ascending and not offset, 0 if is_ascending else limit
                yield OpenHistory(workspace_id, row, catalog, maker, begins, ends, changes)

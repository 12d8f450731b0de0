"""Reading object schemas, object types and their attributes."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence

from runtime.auth import Principal
from runtime.database import Database
from services.status.asset_places import reached_workspace
from services.status.model import Row
from services.status.records import Workspaces
from services.status.store import object_types as store
from services.status.store.asset_access import get_schema, get_type
from services.status.store.type_catalog import TypeCatalog, by_number, by_type, load_catalog


class ObjectTypes:
    """All methods raise NotFound for what is not in this workspace, or a workspace that is not the caller's."""

    def __init__(self, database: Database, workspaces: Workspaces) -> None:
        self._database = database
        self._workspaces = workspaces

    async def list_schemas(
        self, principal: Principal, workspace: str, *, query: str, offset: int, limit: int, with_counts: bool
    ) -> tuple[int, list[Row]]:
        """How many there are, and a page. Counting reads all objects that there are."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            total, found = await store.list_schemas(
                connection, principal.tenant_id, workspace_id, query=query, offset=offset, limit=limit
            )
            if with_counts:
                types = await store.list_types(connection, principal.tenant_id, workspace_id)
                wanted = [number for schema in found for number in _numbers(_of_schema(types, schema))]
                counts = await store.count_objects(connection, principal.tenant_id, wanted)
                found = _counted(found, types, counts)
        return total, found

    async def get_schema(self, principal: Principal, workspace: str, number: str) -> Row:
        """With its counts."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            schema = await get_schema(connection, principal.tenant_id, workspace_id, number)
            types = await store.list_types(connection, principal.tenant_id, workspace_id)
            wanted = _numbers(_of_schema(types, schema))
            counts = await store.count_objects(connection, principal.tenant_id, wanted)
        return _counted([schema], types, counts)[0]

    async def list_types(
        self, principal: Principal, workspace: str, number: str, *, with_counts: bool
    ) -> tuple[list[Row], Mapping[int, int]]:
        """Those of a schema by number, and how many objects they have."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            schema = await get_schema(connection, principal.tenant_id, workspace_id, number)
            types = _of_schema(await store.list_types(connection, principal.tenant_id, workspace_id), schema)
            wanted = _numbers(types) if with_counts else []
            return types, await store.count_objects(connection, principal.tenant_id, wanted)

    async def get_type(self, principal: Principal, workspace: str, number: str) -> tuple[Row, int]:
        """And how many objects it has."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            type_, _ = await get_type(connection, principal.tenant_id, workspace_id, number)
            number_there = type_["object_type_id"]
            counts = await store.count_objects(connection, principal.tenant_id, [number_there])
        return type_, counts.get(number_there, 0)

    async def list_schema_attributes(self, principal: Principal, workspace: str, number: str) -> TypeCatalog:
        """Of all types of a schema, each attribute once: with the type that it belongs to."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            schema = await get_schema(connection, principal.tenant_id, workspace_id, number)
            types = await store.list_types(connection, principal.tenant_id, workspace_id)
            own = _numbers(_of_schema(types, schema))
            found = await store.list_attributes(connection, principal.tenant_id, own)
        return TypeCatalog(by_number(types), by_type(found))

    async def list_type_attributes(self, principal: Principal, workspace: str, number: str) -> tuple[Row, TypeCatalog]:
        """The type, and its attributes with those that come down to it."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            type_, types = await get_type(connection, principal.tenant_id, workspace_id, number)
            catalog = await load_catalog(connection, principal.tenant_id, types, [type_["object_type_id"]])
        return type_, catalog

    async def get_icon(self, principal: Principal, workspace: str, number: str) -> tuple[Row, bytes | None]:
        """The object type, and its icon as PNG; None: it has none."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._database.transaction(principal.tenant_id) as connection:
            type_, _ = await get_type(connection, principal.tenant_id, workspace_id, number)
            encoded = await store.find_icon(connection, principal.tenant_id, type_) if type_["icon"] else None
        try:
            return type_, None if encoded is None else b64decode(encoded)
        except NotBase64:
            return type_, None


def in_tree(types: Sequence[Row]) -> list[Row]:
    """Parents before their children, and these by position."""
    children: dict[int | None, list[Row]] = {}
    numbers = set(_numbers(types))
    for each in types:
        parent = each["parent_id"] if each["parent_id"] in numbers else None
        children.setdefault(parent, []).append(each)
    ordered: list[Row] = []
    waiting = _by_position(children.get(None, []))
    while waiting:
        each = waiting.pop()
        ordered.append(each)
        waiting += _by_position(children.get(each["object_type_id"], []))
    return ordered


def _by_position(types: Sequence[Row]) -> list[Row]:
    """The first one last, as they are taken from the end."""
    return sorted(types, key=lambda each: (each["position"], each["object_type_id"]), reverse=True)


def _counted(schemas: Sequence[Row], types: Sequence[Row], counts: Mapping[int, int]) -> list[Row]:
    """The schemas, with how many types and objects they have."""
    own = [_numbers(_of_schema(types, schema)) for schema in schemas]
    return [
        {**schema, "type_count": len(numbers), "object_count": sum(counts.get(number, 0) for number in numbers)}
        for schema, numbers in zip(schemas, own, strict=True)
    ]


def _of_schema(types: Sequence[Row], schema: Row) -> list[Row]:
    return [each for each in types if each["object_schema_id"] == schema["object_schema_id"]]


def _numbers(types: Sequence[Row]) -> list[int]:
    return [each["object_type_id"] for each in types]

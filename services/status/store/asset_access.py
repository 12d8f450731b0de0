"""What the paths of the Assets API name: it is there, and in this workspace, or NotFound is raised."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.errors import NotFound
from services.status.model import Row
from services.status.paging import LARGEST_BIGINT, LARGEST_INTEGER, parse_number
from services.status.store import executions, object_types, objects
from services.status.store.type_catalog import TypeCatalog, by_number, load_catalog


async def get_source(connection: AsyncConnection, tenant_id: int, workspace_id: UUID, import_source_id: UUID) -> Row:
    found = await executions.find_source(connection, tenant_id, workspace_id, import_source_id)
    if found is None:
        raise source_not_found()
    return found


async def get_execution(connection: AsyncConnection, tenant_id: int, source: Row, execution_id: str = "") -> Row:
    """That which was made last, where none is named."""
    key = uuid_of(execution_id)
    found = None
    if key is not None or not execution_id:
        found = await executions.find_execution(connection, tenant_id, source, key)
    if found is None:
        raise NotFound("EXECUTION_NOT_FOUND", "This import source has no such execution.")
    return found


async def get_schema(connection: AsyncConnection, tenant_id: int, workspace_id: UUID, number: str) -> Row:
    key = parse_number(number, LARGEST_INTEGER)
    found = None if key is None else await object_types.find_schema(connection, tenant_id, workspace_id, key)
    if found is None:
        raise NotFound("OBJECT_SCHEMA_NOT_FOUND", "There is no such object schema.")
    return found


async def get_type(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, number: str
) -> tuple[Row, list[Row]]:
    """The type, and all of the workspace."""
    key = parse_number(number, LARGEST_INTEGER)
    types = await object_types.list_types(connection, tenant_id, workspace_id)
    known = by_number(types)
    if key is None or key not in known:
        raise NotFound("OBJECT_TYPE_NOT_FOUND", "There is no such object type.")
    return known[key], types


async def get_object(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, number: str
) -> tuple[Row, TypeCatalog]:
    """By its number, or by its key, which begins with that of its schema; with what it is shown by."""
    key, dash, digits = number.rpartition("-")
    parsed = parse_number(digits, LARGEST_BIGINT)
    found = {} if parsed is None else await objects.read_objects(connection, tenant_id, [parsed])
    types = await object_types.list_types(connection, tenant_id, workspace_id)
    known = by_number(types)
    for row in found.values():
        type_ = known.get(row["object_type_id"])
        if type_ is not None and (not dash or key.casefold() == type_["schema_key"].casefold()):
            return row, await load_catalog(connection, tenant_id, types, [row["object_type_id"]])
    raise NotFound("OBJECT_NOT_FOUND", "There is no such object.")


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def source_not_found() -> NotFound:
    return NotFound("IMPORT_SOURCE_NOT_FOUND", "There is no such import source.")

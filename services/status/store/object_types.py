"""Queries over object schemas, object types and attributes. A workspace has some thousands of them at most."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, and_, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.assets import object_attributes, object_schemas, object_types, objects
from services.status.model import Row
from services.status.store.listing import all_rows, one_row

SCHEMA = ("object_schema_id", "workspace_id", "name", "key", "description", "created_at", "updated_at")
TYPE = (
    *("object_type_id", "object_schema_id", "parent_id", "name", "description", "icon", "external_id", "position"),
    *("is_inherited", "is_abstract", "created_at", "updated_at"),
)
ATTRIBUTE = (
    *("attribute_id", "object_type_id", "name", "description", "type", "options", "is_label", "is_unique"),
    *("minimum_cardinality", "maximum_cardinality", "reference_type_id", "external_id", "position"),
)


async def list_schemas(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, *, query: str, offset: int, limit: int
) -> tuple[int, list[Row]]:
    """How many there are whose name or key has the text in it, and a page of them as they were made."""
    wanted = _in_workspace(tenant_id, workspace_id)
    if query:
        names = (object_schemas.c.name, object_schemas.c.key)
        wanted = and_(wanted, or_(*(each.icontains(query, autoescape=True) for each in names)))
    total = await connection.scalar(select(func.count()).select_from(object_schemas).where(wanted))
    page = (
        select(*(object_schemas.c[name] for name in SCHEMA))
        .where(wanted)
        .order_by(object_schemas.c.object_schema_id)
        .offset(offset)
        .limit(limit)
    )
    return total or 0, await all_rows(connection, page)


async def find_schema(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, object_schema_id: int
) -> Row | None:
    return await one_row(
        connection,
        select(*(object_schemas.c[name] for name in SCHEMA)).where(
            _in_workspace(tenant_id, workspace_id), object_schemas.c.object_schema_id == object_schema_id
        ),
    )


async def list_types(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> list[Row]:
    """All of a workspace by number, with key and statuses of their schema; `has_heirs`: others have its attributes."""
    heir = object_types.alias("heir")
    has_heirs = exists().where(
        heir.c.tenant_id == tenant_id, heir.c.parent_id == object_types.c.object_type_id, heir.c.is_inherited
    )
    return await all_rows(
        connection,
        select(
            *(object_types.c[name] for name in TYPE),
            object_schemas.c.workspace_id,
            object_schemas.c.key.label("schema_key"),
            object_schemas.c.statuses,
            has_heirs.label("has_heirs"),
        )
        .join(
            object_schemas,
            and_(
                object_schemas.c.tenant_id == object_types.c.tenant_id,
                object_schemas.c.object_schema_id == object_types.c.object_schema_id,
            ),
        )
        .where(_in_workspace(tenant_id, workspace_id))
        .order_by(object_types.c.object_type_id),
    )


async def list_attributes(connection: AsyncConnection, tenant_id: int, type_ids: Collection[int]) -> list[Row]:
    """Those that the types have of their own, in the order in which they are shown."""
    return await all_rows(
        connection,
        select(*(object_attributes.c[name] for name in ATTRIBUTE))
        .where(object_attributes.c.tenant_id == tenant_id, _one_of(object_attributes.c.object_type_id, type_ids))
        .order_by(object_attributes.c.object_type_id, object_attributes.c.position, object_attributes.c.attribute_id),
    )


async def count_objects(connection: AsyncConnection, tenant_id: int, type_ids: Collection[int]) -> dict[int, int]:
    """By type; one that is not in it has none. All objects of these types are read for it."""
    counted = (
        select(objects.c.object_type_id, func.count().label("number"))
        .where(
            objects.c.tenant_id == tenant_id,
            _one_of(objects.c.object_type_id, type_ids),
            objects.c.document.is_not(None),
        )
        .group_by(objects.c.object_type_id)
    )
    return {row.object_type_id: row.number for row in await connection.execute(counted)}


async def find_icon(connection: AsyncConnection, tenant_id: int, type_: Row) -> str | None:
    """Its PNG in base64."""
    icon = (
        func.jsonb_array_elements(object_schemas.c.icons)
        .table_valued("value", joins_implicitly=True)
        .render_derived("icon")
    )
    found: str | None = await connection.scalar(
        select(cast(icon.c.value, JSONB)["png48"].astext)
        .select_from(object_schemas, icon)
        .where(
            object_schemas.c.tenant_id == tenant_id,
            object_schemas.c.object_schema_id == type_["object_schema_id"],
            cast(icon.c.value, JSONB)["key"].astext == type_["icon"],
        )
        .limit(1)
    )
    return found


def _in_workspace(tenant_id: int, workspace_id: UUID) -> ColumnElement[bool]:
    return and_(object_schemas.c.tenant_id == tenant_id, object_schemas.c.workspace_id == workspace_id)


def _one_of(column: ColumnElement[int], numbers: Collection[int]) -> ColumnElement[bool]:
    return column == func.any(cast(list(numbers), ARRAY(Integer)))

"""Queries on object schemas, object types and their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.errors import AlreadyExists
from schema.assets import object_attributes, object_schemas, object_types
from services.importer.assets.object_types import (
    NewAttribute,
    NewType,
    ObjectAttribute,
    ObjectSchema,
    ObjectType,
    SchemaChanges,
    SchemaState,
)

SCHEMA_COLUMNS = tuple(
    object_schemas.c[name] for name in ("object_schema_id", "workspace_id", "name", "key", "description")
)
# How the columns of an attribute are called by those who change them.
ATTRIBUTE_COLUMNS = {"minimum": "minimum_cardinality", "maximum": "maximum_cardinality"}


async def lock_schemas(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> None:
    """Whoever makes object types or schemas of a workspace is the only one, to the end of the transaction.

    External ids are unique across all schemas of a workspace, which no index says.
    """
    key = func.hashtextextended(f"object_schemas {workspace_id}", tenant_id)
    await connection.execute(select(func.pg_advisory_xact_lock(key)))


async def all_schemas(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> list[ObjectSchema]:
    """In the order of their ids; without icons and statuses, which are large."""
    query = (
        select(*SCHEMA_COLUMNS)
        .where(object_schemas.c.tenant_id == tenant_id, object_schemas.c.workspace_id == workspace_id)
        .order_by(object_schemas.c.object_schema_id)
    )
    return [ObjectSchema(*row) for row in await connection.execute(query)]


async def add_schema(
    connection: AsyncConnection, tenant_id: int, workspace_id: UUID, name: str, key: str, description: str, *, most: int
) -> ObjectSchema | None:
    """None: the workspace has too many. Raises AlreadyExists for a key that is taken."""
    await lock_schemas(connection, tenant_id, workspace_id)
    count = select(func.count()).where(
        object_schemas.c.tenant_id == tenant_id, object_schemas.c.workspace_id == workspace_id
    )
    if (await connection.scalar(count) or 0) >= most:
        return None
    statement = (
        upsert(object_schemas)
        .values(tenant_id=tenant_id, workspace_id=workspace_id, name=name, key=key, description=description)
        .on_conflict_do_nothing()
        .returning(*SCHEMA_COLUMNS)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise AlreadyExists("OBJECT_SCHEMA_EXISTS", f"There is an object schema with the key {key}.", field="key")
    return ObjectSchema(*row)


async def has_schema(connection: AsyncConnection, tenant_id: int, workspace_id: UUID, object_schema_id: int) -> bool:
    query = select(object_schemas.c.object_schema_id).where(
        object_schemas.c.tenant_id == tenant_id,
        object_schemas.c.workspace_id == workspace_id,
        object_schemas.c.object_schema_id == object_schema_id,
    )
    return await connection.scalar(query) is not None


async def read_state(
    connection: AsyncConnection, tenant_id: int, object_schema_id: int, external_ids: frozenset[str]
) -> SchemaState:
    """What the object schema consists of, and who else in its workspace has one of these external ids."""
    found = (await connection.execute(_schema_query(tenant_id, object_schema_id))).one()
    schema = ObjectSchema(
        found.object_schema_id,
        found.workspace_id,
        found.name,
        found.key,
        found.description,
        tuple(found.icons),
        tuple(found.statuses),
    )
    types = await connection.execute(_types_query(tenant_id, object_schema_id))
    attributes = await connection.execute(_attributes_query(tenant_id, object_schema_id))
    others = (
        object_schemas.c.tenant_id == tenant_id,
        object_schemas.c.workspace_id == schema.workspace_id,
        object_schemas.c.object_schema_id != object_schema_id,
    )
    foreign_types = await connection.execute(
        select(object_types.c.external_id, object_types.c.object_type_id)
        .join(object_schemas, _of_schema())
        .where(*others, object_types.c.external_id.in_(external_ids))
    )
    foreign_attributes = await connection.execute(
        select(object_attributes.c.external_id)
        .join(object_types, _of_type())
        .join(object_schemas, _of_schema())
        .where(*others, object_attributes.c.external_id.in_(external_ids))
    )
    return SchemaState(
        schema,
        tuple(ObjectType(*row) for row in types),
        tuple(map(_attribute, attributes)),
        {row.external_id: row.object_type_id for row in foreign_types},
        frozenset(row.external_id for row in foreign_attributes),
    )


async def apply_changes(
    connection: AsyncConnection, tenant_id: int, object_schema_id: int, changes: SchemaChanges
) -> None:
    """Rows are changed in the order of their ids, as the merges of objects do it."""
    at = object_schemas.c.tenant_id == tenant_id, object_schemas.c.object_schema_id == object_schema_id
    if changes.schema:
        await connection.execute(update(object_schemas).where(*at).values(**changes.schema, updated_at=func.now()))
    for type_id, values in sorted(changes.types.items()):
        await connection.execute(
            update(object_types)
            .where(object_types.c.tenant_id == tenant_id, object_types.c.object_type_id == type_id)
            .values(**values, updated_at=func.now())
        )
    for attribute_id, values in sorted(changes.attributes.items()):
        named = {ATTRIBUTE_COLUMNS.get(name, name): value for name, value in values.items()}
        await connection.execute(
            update(object_attributes)
            .where(object_attributes.c.tenant_id == tenant_id, object_attributes.c.attribute_id == attribute_id)
            .values(**named, updated_at=func.now())
        )
    query = select(object_types.c.external_id, object_types.c.object_type_id).where(
        object_types.c.tenant_id == tenant_id, object_types.c.object_schema_id == object_schema_id
    )
    numbers = {row.external_id: row.object_type_id for row in await connection.execute(query)}
    await _add_types(connection, tenant_id, object_schema_id, changes.new_types, numbers)
    if changes.new_attributes:
        rows = [_attribute_row(tenant_id, each, numbers) for each in changes.new_attributes]
        await connection.execute(insert(object_attributes), rows)


async def _add_types(
    connection: AsyncConnection,
    tenant_id: int,
    object_schema_id: int,
    types: tuple[NewType, ...],
    numbers: dict[str, int],
) -> None:
    """Level by level, for those under others need the ids of these; `numbers` gets them."""
    waiting = list(types)
    while waiting:
        level = [each for each in waiting if not each.parent_external_id or each.parent_external_id in numbers]
        waiting = [each for each in waiting if each not in level]
        rows = [_type_row(tenant_id, object_schema_id, each, numbers) for each in level]
        made = await connection.execute(
            insert(object_types).returning(object_types.c.external_id, object_types.c.object_type_id), rows
        )
        numbers |= {row.external_id: row.object_type_id for row in made}


def _type_row(tenant_id: int, object_schema_id: int, each: NewType, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "object_schema_id": object_schema_id,
        "parent_id": numbers[each.parent_external_id] if each.parent_external_id else None,
        "name": each.name,
        "description": each.description,
        "icon": each.icon,
        "external_id": each.external_id,
        "position": each.position,
        "is_inherited": each.is_inherited,
    }


def _attribute_row(tenant_id: int, each: NewAttribute, numbers: Mapping[str, int]) -> dict[str, Any]:
    reference = numbers[each.reference] if isinstance(each.reference, str) else each.reference
    return {
        "tenant_id": tenant_id,
        "object_type_id": numbers[each.type_external_id],
        "name": each.name,
        "description": each.description,
        "type": each.type,
        "options": list(each.options),
        "is_label": each.is_label,
        "is_unique": each.is_unique,
        "minimum_cardinality": each.minimum,
        "maximum_cardinality": each.maximum,
        "reference_type_id": reference,
        "external_id": each.external_id,
        "position": each.position,
    }


def _schema_query(tenant_id: int, object_schema_id: int) -> Select[Any]:
    return select(*SCHEMA_COLUMNS, object_schemas.c.icons, object_schemas.c.statuses).where(
        object_schemas.c.tenant_id == tenant_id, object_schemas.c.object_schema_id == object_schema_id
    )


def _types_query(tenant_id: int, object_schema_id: int) -> Select[Any]:
    type_ = object_types.c
    return (
        select(
            *(type_.object_type_id, type_.parent_id, type_.name, type_.description, type_.icon, type_.external_id),
            *(type_.position, type_.is_inherited),
        )
        .where(type_.tenant_id == tenant_id, type_.object_schema_id == object_schema_id)
        .order_by(type_.position, type_.object_type_id)
    )


def _attributes_query(tenant_id: int, object_schema_id: int) -> Select[Any]:
    return (
        select(object_attributes)
        .join(object_types, _of_type())
        .where(object_types.c.tenant_id == tenant_id, object_types.c.object_schema_id == object_schema_id)
        .order_by(object_attributes.c.position, object_attributes.c.attribute_id)
    )


def _of_type() -> Any:
    return (object_types.c.tenant_id == object_attributes.c.tenant_id) & (
        object_types.c.object_type_id == object_attributes.c.object_type_id
    )


def _of_schema() -> Any:
    return (object_schemas.c.tenant_id == object_types.c.tenant_id) & (
        object_schemas.c.object_schema_id == object_types.c.object_schema_id
    )


def _attribute(row: Row[Any]) -> ObjectAttribute:
    return ObjectAttribute(
        row.attribute_id,
        row.object_type_id,
        row.name,
        row.description,
        row.type,
        tuple(row.options),
        row.is_label,
        row.is_unique,
        row.minimum_cardinality,
        row.maximum_cardinality,
        row.reference_type_id,
        row.external_id,
        row.position,
    )

"""Queries of the retention: which rows are old enough, and their removal. Only finished imports are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, delete, func, literal, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.assets import import_sources, object_edits, objects
from schema.importer import before_images, import_inputs, imports, row_errors, sightings, undo_items, webhook_deliveries
from schema.records import records
from services.importer.model import Kind, State

# Tables whose rows stay, without a document, when a file removes them: their ids, and their kinds in before-images
# (targets/records/merge.py, targets/objects/merge.py).
EMPTIED = ((records, "record_id", "record"), (objects, "object_id", "object"))


@dataclass(frozen=True, slots=True)
class OldInput:
    """An uploaded object that this import does not need any more; `is_kept`: an import source will read it again."""

    import_id: UUID
    number: int
    object_key: str
    is_kept: bool


def _ended_before(tenant_id: int, age: timedelta) -> ColumnElement[bool]:
    return and_(imports.c.tenant_id == tenant_id, imports.c.ended_at < func.now() - age)


async def old_inputs(
    connection: AsyncConnection, tenant_id: int, age: timedelta, limit: int, key_prefix: str
) -> list[OldInput]:
    """Inputs of imports that ended long ago, unless a younger import of the tenant reads the same object.

    `key_prefix` is what the keys of objects have before those of files.
    """
    younger = (
        select(import_inputs.c.object_key)
        .join(imports, _same_import())
        .where(imports.c.tenant_id == tenant_id, func.coalesce(imports.c.ended_at, func.now()) >= func.now() - age)
    )
    is_kept = (
        select(import_sources.c.import_source_id)
        .where(
            import_sources.c.tenant_id == tenant_id,
            literal(key_prefix) + import_sources.c.file_key == import_inputs.c.object_key,
        )
        .exists()
    )
    query = (
        select(import_inputs.c.import_id, import_inputs.c.number, import_inputs.c.object_key, is_kept)
        .join(imports, _same_import())
        .where(
            _ended_before(tenant_id, age),
            import_inputs.c.purged_at.is_(None),
            import_inputs.c.object_key.not_in(younger),
        )
        .limit(limit)
    )
    return [OldInput(*row) for row in (await connection.execute(query)).all()]


def _same_import() -> ColumnElement[bool]:
    return and_(imports.c.tenant_id == import_inputs.c.tenant_id, imports.c.import_id == import_inputs.c.import_id)


async def mark_purged(connection: AsyncConnection, tenant_id: int, each: OldInput) -> None:
    """Notes that the object is gone."""
    await connection.execute(
        update(import_inputs)
        .where(
            import_inputs.c.tenant_id == tenant_id,
            import_inputs.c.import_id == each.import_id,
            import_inputs.c.number == each.number,
        )
        .values(purged_at=func.now())
    )


async def imports_with_old_errors(connection: AsyncConnection, tenant_id: int, age: timedelta) -> list[UUID]:
    """Imports that ended long ago and still have row errors."""
    query = (
        select(imports.c.import_id)
        .where(
            _ended_before(tenant_id, age),
            select(row_errors.c.import_id)
            .where(row_errors.c.tenant_id == tenant_id, row_errors.c.import_id == imports.c.import_id)
            .exists(),
        )
        .order_by(imports.c.import_id)
    )
    return list((await connection.execute(query)).scalars())


async def delete_errors(connection: AsyncConnection, tenant_id: int, import_ids: Sequence[UUID]) -> None:
    """Row errors of these imports."""
    await connection.execute(
        delete(row_errors).where(row_errors.c.tenant_id == tenant_id, row_errors.c.import_id.in_(import_ids))
    )


async def undos_with_old_items(connection: AsyncConnection, tenant_id: int, age: timedelta) -> list[UUID]:
    """Undos that ended long ago and still have the rows they decided on."""
    query = (
        select(imports.c.import_id)
        .where(
            _ended_before(tenant_id, age),
            imports.c.kind == Kind.UNDO,
            select(undo_items.c.import_id)
            .where(undo_items.c.tenant_id == tenant_id, undo_items.c.import_id == imports.c.import_id)
            .exists(),
        )
        .order_by(imports.c.import_id)
    )
    return list((await connection.execute(query)).scalars())


async def undos_in_old_history(connection: AsyncConnection, tenant_id: int, age: timedelta) -> list[UUID]:
    """Undos that `delete_history` removes. One that did not succeed may have a report and no rows."""
    query = select(imports.c.import_id).where(_ended_before(tenant_id, age), imports.c.kind == Kind.UNDO)
    return list((await connection.execute(query)).scalars())


async def delete_undo_items(connection: AsyncConnection, tenant_id: int, import_ids: Sequence[UUID]) -> None:
    """The rows that these undos decided on."""
    await connection.execute(
        delete(undo_items).where(undo_items.c.tenant_id == tenant_id, undo_items.c.import_id.in_(import_ids))
    )


async def delete_outcomes(connection: AsyncConnection, tenant_id: int, age: timedelta) -> None:
    """What undo would need of imports that are too old to be undone.

    While an undo waits or runs, nothing goes of its client: it was accepted when all of it was there.
    """
    undo = imports.alias("undo")
    is_needed = (
        select(undo.c.import_id)
        .where(
            undo.c.tenant_id == tenant_id,
            undo.c.client_id == imports.c.client_id,
            undo.c.kind == Kind.UNDO,
            undo.c.state.in_([state for state in State if not state.is_terminal]),
        )
        .exists()
    )
    old = select(imports.c.import_id).where(_ended_before(tenant_id, age), ~is_needed)
    for table, id_column, kind in EMPTIED:
        await _delete_emptied(connection, tenant_id, old, table, id_column, kind)
    for table in (sightings, before_images):
        await connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.import_id.in_(old)))


async def _delete_emptied(
    connection: AsyncConnection, tenant_id: int, old: Select[tuple[UUID]], table: Table, id_column: str, kind: str
) -> None:
    """Rows of what was removed whose last before-image goes with the imports in `old`: nothing brings them back."""
    row_id = table.c[id_column]
    image, other = before_images.alias("image"), before_images.alias("other")
    is_kept = (
        select(other.c.import_id)
        .where(
            other.c.tenant_id == tenant_id,
            other.c.kind == kind,
            other.c.row_id == row_id,
            other.c.import_id.not_in(old),
        )
        .exists()
    )
    await connection.execute(
        delete(table).where(
            table.c.tenant_id == tenant_id,
            table.c.document.is_(None),
            row_id.in_(
                select(image.c.row_id).where(
                    image.c.tenant_id == tenant_id, image.c.kind == kind, image.c.import_id.in_(old)
                )
            ),
            ~is_kept,
        )
    )


async def delete_edits(connection: AsyncConnection, tenant_id: int, age: timedelta) -> None:
    """What people have done to objects, and the rows of those that they have removed and no image can bring back."""
    old = and_(object_edits.c.tenant_id == tenant_id, object_edits.c.edited_at < func.now() - age)
    image = (
        select(before_images.c.row_id)
        .where(
            before_images.c.tenant_id == tenant_id,
            before_images.c.kind == "object",
            before_images.c.row_id == objects.c.object_id,
        )
        .exists()
    )
    await connection.execute(
        delete(objects).where(
            objects.c.tenant_id == tenant_id,
            objects.c.document.is_(None),
            objects.c.updated_at < func.now() - age,
            objects.c.object_id.in_(select(object_edits.c.object_id).where(old)),
            ~image,
        )
    )
    await connection.execute(delete(object_edits).where(old))


async def delete_deliveries(connection: AsyncConnection, tenant_id: int, age: timedelta) -> None:
    """The log of deliveries that nobody tries any more."""
    await connection.execute(
        delete(webhook_deliveries).where(
            webhook_deliveries.c.tenant_id == tenant_id,
            webhook_deliveries.c.created_at < func.now() - age,
            webhook_deliveries.c.state != "PENDING",
        )
    )


async def delete_history(connection: AsyncConnection, tenant_id: int, age: timedelta) -> None:
    """Imports themselves, with everything that hangs on them. Imported data stays."""
    await connection.execute(
        delete(imports).where(
            _ended_before(tenant_id, age),
            ~select(import_inputs.c.import_id).where(_same_import(), import_inputs.c.purged_at.is_(None)).exists(),
        )
    )


async def used_objects(connection: AsyncConnection, object_keys: Sequence[str], key_prefix: str) -> set[str]:
    """Those of them that an import of any tenant has as an input, or an import source reads.

    As the dispatcher's role, which sees no more. `key_prefix` is what the keys of objects have before those of files.
    """
    read = select(import_inputs.c.object_key).where(import_inputs.c.object_key.in_(object_keys))
    file_keys = [key.removeprefix(key_prefix) for key in object_keys]
    named = select(literal(key_prefix) + import_sources.c.file_key).where(import_sources.c.file_key.in_(file_keys))
    return set((await connection.execute(union(read, named))).scalars())

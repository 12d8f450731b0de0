"""Queries over single objects: by their numbers, what refers to them, and what was changed of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.assets import object_edits, object_references, objects
from schema.importer import before_images, imports
from services.status.model import Batches, Row
from services.status.store.listing import all_rows, stream_rows
from services.status.store.type_catalog import TypeCatalog

KIND = "object"
"""What before-images of objects are kept under: services/importer/targets/objects/merge.py."""
SHOWN = ("object_id", "object_type_id", "label", "created_at", "updated_at", "document", "import_id")
NAMED = ("object_id", "object_type_id", "label")
MAKER = ("kind", "user_id", "user_email", "import_source_id")
# The same of an edit.
_EDITOR = (
    cast(null(), Text).label("kind"),
    object_edits.c.user_id,
    object_edits.c.user_email,
    cast(null(), UUID(as_uuid=True)).label("import_source_id"),
    object_edits.c.edit_id,
)
# A document may be near 1 MiB.
CHANGES_AT_ONCE = 5

PIECE = 25
"""Objects of a page that are held at once; a document may be near 1 MiB."""

References = Callable[[Sequence[Row], TypeCatalog], list[int]]
"""Numbers of the objects that these refer to, by the attributes of their types."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Objects, and those by number that they refer to, by name alone."""

    rows: Sequence[Row]
    targets: dict[int, Row]


async def read_objects(connection: AsyncConnection, tenant_id: int, object_ids: Collection[int]) -> dict[int, Row]:
    """By number. One that was removed is not among them."""
    found = await all_rows(connection, _these(SHOWN, tenant_id, object_ids))
    return {each["object_id"]: each for each in found}


async def read_names(connection: AsyncConnection, tenant_id: int, object_ids: Collection[int]) -> dict[int, Row]:
    """As `read_objects`, without their documents."""
    found = await all_rows(connection, _these(NAMED, tenant_id, object_ids)) if object_ids else []
    return {each["object_id"]: each for each in found}


async def read_pieces(
    connection: AsyncConnection,
    tenant_id: int,
    found: Sequence[Row],
    catalog: TypeCatalog,
    references: References | None,
) -> AsyncGenerator[Piece, None]:
    """The objects of a page in its order, with documents. One that was removed since it was found is left out.

    Without `references` they are given as they were found, all at once.
    """
    if references is None:
        yield Piece(found, {})
        return
    for start in range(0, len(found), PIECE):
        numbers = [each["object_id"] for each in found[start : start + PIECE]]
        by_number = await read_objects(connection, tenant_id, numbers)
        rows = [by_number[number] for number in numbers if number in by_number]
        yield Piece(rows, await read_names(connection, tenant_id, references(rows, catalog)))


async def count_references(connection: AsyncConnection, tenant_id: int, object_id: int) -> list[Row]:
    """How many objects refer to it, by their type, and by type and attribute; `attribute_id` null: by any."""
    by_type, by_attribute = objects.c.object_type_id, object_references.c.attribute_id
    return await all_rows(
        connection,
        select(
            by_type,
            by_attribute,
            func.count(object_references.c.object_id.distinct()).label("number"),
        )
        .join(
            objects,
            and_(
                objects.c.tenant_id == object_references.c.tenant_id,
                objects.c.object_id == object_references.c.object_id,
            ),
        )
        .where(
            object_references.c.tenant_id == tenant_id,
            object_references.c.target_id == object_id,
            objects.c.document.is_not(None),
        )
        .group_by(func.grouping_sets(tuple_(by_type), tuple_(by_type, by_attribute)))
        .order_by(by_type, by_attribute.asc().nulls_first()),
    )


async def find_maker(connection: AsyncConnection, tenant_id: int, row: Row) -> Row | None:
    """Who has run the import that inserted an object, or has made it by hand, if it is still known."""
    query = select(imports.c.import_id, *(imports.c[name] for name in MAKER)).where(
        imports.c.tenant_id == tenant_id, imports.c.import_id == row["import_id"]
    )
    if row["import_id"] is None:
        query = select(null().label("import_id"), *_EDITOR).where(
            object_edits.c.tenant_id == tenant_id,
            object_edits.c.object_id == row["object_id"],
            object_edits.c.is_creation,
        )
    found = await all_rows(connection, query)
    return found[0] if found else None


def stream_changes(
    connection: AsyncConnection, tenant_id: int, object_id: int, *, is_ascending: bool, offset: int, limit: int
) -> Batches:
    """What it was `before` and `after` each change by an import or a person: its document, or null: it was not there.

    `import_id` is null for those of people, `edit_id` for those of imports. In the order in which they were made.
    """
    made = union_all(_by_imports(tenant_id, object_id), _by_people(tenant_id, object_id)).subquery("made")
    order = (made.c.happened, made.c.merged, made.c.changed_at)
    now = select(objects.c.document).where(objects.c.tenant_id == tenant_id, objects.c.object_id == object_id)
    later = func.lag(made.c.before).over(order_by=[key.desc() for key in order])
    changes = select(made, func.coalesce(later, now.scalar_subquery()).label("after")).subquery("changes")
    keys = (changes.c.happened, changes.c.merged, changes.c.changed_at)
    page = select(changes).order_by(*(key.asc() if is_ascending else key.desc() for key in keys))
    return stream_rows(connection, page.offset(offset).limit(limit), CHANGES_AT_ONCE)


def _by_imports(tenant_id: int, object_id: int) -> Select[Any]:
    """An image that is older than its import was handed on by an undo: it is of the change of another one, then."""
    changed_at = before_images.c.changed_at
    ended_at = func.coalesce(imports.c.ended_at, changed_at)
    return (
        select(
            before_images.c.import_id,
            changed_at,
            # A merge may have waited for others, and its image is as old as its transaction.
            case((changed_at < imports.c.created_at, changed_at), else_=ended_at).label("happened"),
            func.coalesce(imports.c.flip_number, 0).label("merged"),
            before_images.c.image["document"].label("before"),
            *(imports.c[name] for name in MAKER),
            cast(null(), BigInteger).label("edit_id"),
        )
        .outerjoin(
            imports,
            and_(imports.c.tenant_id == before_images.c.tenant_id, imports.c.import_id == before_images.c.import_id),
        )
        .where(
            before_images.c.tenant_id == tenant_id,
            before_images.c.kind == KIND,
            before_images.c.row_id == object_id,
        )
    )


def _by_people(tenant_id: int, object_id: int) -> Select[Any]:
    edited_at = object_edits.c.edited_at
    return select(
        cast(null(), UUID(as_uuid=True)).label("import_id"),
        edited_at,
        edited_at.label("happened"),
        literal(0, BigInteger).label("merged"),
        # As an image has it: a null of JSON, behind which nothing else is looked for.
        func.coalesce(object_edits.c.before, literal_column("'null'::jsonb")).label("before"),
        *_EDITOR,
    ).where(
        object_edits.c.tenant_id == tenant_id,
        object_edits.c.object_id == object_id,
        ~object_edits.c.is_creation,
    )


def _these(names: Sequence[str], tenant_id: int, object_ids: Collection[int]) -> Select[Any]:
    return select(*(objects.c[name] for name in names)).where(
        objects.c.tenant_id == tenant_id,
        objects.c.object_id == func.any(cast(list(object_ids), ARRAY(BigInteger))),
        objects.c.document.is_not(None),
    )

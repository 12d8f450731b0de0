"""Whose turn it is: runs of import sources wait for the end of others.

A source runs once at a time, and a workspace has so many places. Whatever gives a place or frees one holds the lock of
its workspace from before its first change to the commit. So a run that is started either sees that another has ended,
or is seen by that end: none waits for ever. Who holds a source is nothing but the row of its live import that does not
wait; who has a place, such a row that is not open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.assets import import_sources
from schema.importer import imports, outbox
from services.importer.assets.turns import RunnableSource, Turn
from services.importer.model import LIVE, Kind, State
from services.importer.store.outbox import call_dispatcher

WAITING = (State.OPEN, State.QUEUED)
"""The states in which a run can be given its turn."""
SOURCE_COLUMNS = ("import_source_id", "workspace_id", "name", "type", "is_enabled", "plan", "file_key")
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('executions ' || :workspace, :tenant))")


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a run leaves when it ends: its source, and a place of its workspace if it had one."""

    workspace_id: UUID
    has_place: bool


def source_query(tenant_id: int, import_source_id: UUID) -> Select[Any]:
    return select(*(import_sources.c[name] for name in SOURCE_COLUMNS)).where(
        import_sources.c.tenant_id == tenant_id, import_sources.c.import_source_id == import_source_id
    )


def source_of(row: Row[Any]) -> RunnableSource:
    return RunnableSource(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def lock_workspace(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> None:
    """To the end of the transaction."""
    await connection.execute(LOCK, {"workspace": str(workspace_id), "tenant": tenant_id})


async def leave(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> Leaving | None:
    """Before an import ends: what it leaves, with its workspace locked; None: it is no run of a source.

    To be called before the row of the import is changed: a change that waits for the lock would hold up whoever has it.
    """
    query = select(imports.c.workspace_id, imports.c.waits, imports.c.state).where(
        imports.c.import_source_id.is_not(None),
        imports.c.kind == Kind.IMPORT,
        imports.c.state.in_(LIVE),
        _at(tenant_id, import_id),
    )
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        return None
    await lock_workspace(connection, tenant_id, found.workspace_id)
    return Leaving(found.workspace_id, has_place=not found.waits and found.state != State.OPEN)


async def pass_on(connection: AsyncConnection, tenant_id: int, left: Leaving) -> None:
    """After the end of an import: what it has left goes to runs that wait."""
    await open_next(connection, tenant_id, left.workspace_id)
    if left.has_place:
        await give_place(connection, tenant_id, left.workspace_id)


async def turn_of(connection: AsyncConnection, tenant_id: int, workspace_id: UUID, import_source_id: UUID) -> Turn:
    """The caller holds the lock of the workspace."""
    mine = imports.c.import_source_id == import_source_id
    query = select(
        func.count().filter(mine),
        func.count().filter(_has_place()),
        func.count().filter(mine, imports.c.waits),
    ).where(_are_runs(tenant_id, workspace_id))
    of_source, running, waiting = (await connection.execute(query)).one()
    return Turn(is_busy=of_source > 0, running=running, waiting=waiting)


async def places_taken(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> int:
    """The caller holds the lock of the workspace."""
    query = select(func.count()).where(_are_runs(tenant_id, workspace_id), _has_place())
    return int(await connection.scalar(query) or 0)


async def open_next(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> int:
    """Gives free sources to the open runs that wait for them; answers to how many.

    The caller holds the lock of the workspace. They take no place of it until their data is complete.
    """
    first = _next(tenant_id, workspace_id, State.OPEN).cte("first")
    given = await connection.execute(
        update(imports)
        .where(imports.c.tenant_id == tenant_id, imports.c.import_id.in_(select(first.c.import_id)))
        .values(waits=False, updated_at=func.now())
    )
    return given.rowcount


async def give_place(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> bool:
    """Gives a place to the complete run that waits longest and whose source is free; False: there is no such run.

    The caller holds the lock of the workspace, and knows of a free place. A run on which somebody has a command at this
    moment is passed over, for the sweeper to find (services/importer/assets/openings.py).
    """
    longest = _next(tenant_id, workspace_id, State.QUEUED).order_by(imports.c.import_id).limit(1)
    import_id: UUID | None = await connection.scalar(longest)
    if import_id is None:
        return False
    at = _at(tenant_id, import_id)
    await connection.execute(update(imports).where(at).values(waits=False, updated_at=func.now()))
    await queue(connection, tenant_id, import_id)
    return True


async def queue(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> None:
    """Tells the dispatcher of an import that is QUEUED and that it has not known."""
    row = select(imports.c.tenant_id, imports.c.import_id, imports.c.lane, imports.c.traceparent).where(
        _at(tenant_id, import_id)
    )
    names = ["tenant_id", "import_id", "lane", "traceparent"]
    await connection.execute(insert(outbox).from_select(names, row).on_conflict_do_nothing())
    await call_dispatcher(connection)


def _are_runs(tenant_id: int, workspace_id: UUID) -> ColumnElement[bool]:
    """All of the workspace that have not ended."""
    return and_(
        imports.c.tenant_id == tenant_id,
        imports.c.workspace_id == workspace_id,
        imports.c.import_source_id.is_not(None),
        imports.c.kind == Kind.IMPORT,
        imports.c.state.in_(LIVE),
    )


def _has_place() -> ColumnElement[bool]:
    """Of those. While it is open a run holds its source only, so that silent clients keep nobody from running."""
    return and_(~imports.c.waits, imports.c.state != State.OPEN)


def _next(tenant_id: int, workspace_id: UUID, state: State) -> Select[tuple[UUID]]:
    """Runs in this state that wait, of sources that no run holds, each the first that waits for its source; locked."""
    other = imports.alias("other")
    is_in_front = and_(other.c.waits, other.c.state.in_(WAITING), other.c.import_id < imports.c.import_id)
    has_other = (
        select(other.c.import_id)
        .where(
            other.c.tenant_id == tenant_id,
            other.c.import_source_id == imports.c.import_source_id,
            other.c.kind == Kind.IMPORT,
            other.c.state.in_(LIVE),
            or_(~other.c.waits, is_in_front),
        )
        .exists()
    )
    return (
        select(imports.c.import_id)
        .where(_are_runs(tenant_id, workspace_id), imports.c.waits, imports.c.state == state, ~has_other)
        .with_for_update(of=imports, key_share=True, skip_locked=True)
    )


def _at(tenant_id: int, import_id: UUID) -> ColumnElement[bool]:
    return and_(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)

"""Whose turn it is: runs of import sources wait for the end of others.

A source runs once at a time, and a workspace has so many places. Whatever gives a place or frees one holds the lock of
its workspace from before its first change to the commit. So a run that is started either sees that another has ended,
or is seen by that end: none waits for ever. The places are nothing but rows of live imports that do not wait.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.importer import imports, outbox
from services.importer.assets.runs import Turn
from services.importer.model import Kind, State
from services.importer.store.outbox import call_dispatcher

LIVE = tuple(state for state in State if not state.is_terminal)
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('executions ' || :workspace, :tenant))")


async def lock_workspace(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> None:
    """To the end of the transaction."""
    await connection.execute(LOCK, {"workspace": str(workspace_id), "tenant": tenant_id})


async def hold_place(connection: AsyncConnection, tenant_id: int, import_id: UUID) -> UUID | None:
    """Before an import ends: the workspace in which it frees a place, locked; None: it has none.

    To be called before the row of the import is changed: a change that waits for the lock would hold up whoever has it.
    """
    query = select(imports.c.workspace_id).where(_has_place(), _at(tenant_id, import_id))
    workspace_id: UUID | None = await connection.scalar(query)
    if workspace_id is not None:
        await lock_workspace(connection, tenant_id, workspace_id)
    return workspace_id


async def turn_of(connection: AsyncConnection, tenant_id: int, workspace_id: UUID, import_source_id: UUID) -> Turn:
    """The caller holds the lock of the workspace."""
    mine = imports.c.import_source_id == import_source_id
    query = select(
        func.count().filter(mine),
        func.count().filter(~imports.c.waits),
        func.count().filter(mine, imports.c.waits),
    ).where(_are_runs(tenant_id, workspace_id))
    of_source, running, waiting = (await connection.execute(query)).one()
    return Turn(is_busy=of_source > 0, running=running, waiting=waiting)


async def places_taken(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> int:
    """The caller holds the lock of the workspace."""
    query = select(func.count()).where(_are_runs(tenant_id, workspace_id), ~imports.c.waits)
    return int(await connection.scalar(query) or 0)


async def pass_on(connection: AsyncConnection, tenant_id: int, workspace_id: UUID) -> bool:
    """Gives a place to the run that waits longest and whose source has none; False: there is no such run.

    The caller holds the lock of the workspace, and knows of a free place. A run on which somebody has a command at this
    moment is passed over, for the sweeper to find (services/importer/assets/openings.py).
    """
    other = imports.alias("other")
    has_other = (
        select(other.c.import_id)
        .where(
            other.c.tenant_id == tenant_id,
            other.c.import_source_id == imports.c.import_source_id,
            other.c.kind == Kind.IMPORT,
            ~other.c.waits,
            other.c.state.in_(LIVE),
        )
        .exists()
    )
    longest = (
        select(imports.c.import_id, imports.c.state)
        .where(
            imports.c.tenant_id == tenant_id,
            imports.c.workspace_id == workspace_id,
            imports.c.kind == Kind.IMPORT,
            imports.c.waits,
            imports.c.state.in_((State.OPEN, State.QUEUED)),
            ~has_other,
        )
        .order_by(imports.c.import_id)
        .limit(1)
        .with_for_update(of=imports, key_share=True, skip_locked=True)
    )
    found = (await connection.execute(longest)).one_or_none()
    if found is None:
        return False
    at = _at(tenant_id, found.import_id)
    await connection.execute(update(imports).where(at).values(waits=False, updated_at=func.now()))
    if found.state == State.QUEUED:
        await queue(connection, tenant_id, found.import_id)
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
    return and_(
        imports.c.import_source_id.is_not(None),
        imports.c.kind == Kind.IMPORT,
        ~imports.c.waits,
        imports.c.state.in_(LIVE),
    )


def _at(tenant_id: int, import_id: UUID) -> ColumnElement[bool]:
    return and_(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)

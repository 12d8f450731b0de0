"""Queries of the edits of objects: one transaction each, under the lock of the workspace that merges take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.errors import Unavailable
from services.importer.assets.object_edits import Editor, ObjectChange, Row
from services.importer.engine.statements import Statements
from services.importer.targets.objects.merge import OWNER_KEY

WAIT_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
LOCK = text(f"SELECT pg_try_advisory_xact_lock({OWNER_KEY})")
SHOWN = "t.object_id, t.object_type_id, t.key, t.label, t.document, t.created_at, t.updated_at"


class SqlObjectSession:
    """The `ObjectSession` of a transaction. `now` is the time of the edit."""

    def __init__(self, connection: AsyncConnection, tenant_id: int, workspace_id: UUID, now: datetime) -> None:
        parameters = {"tenant": tenant_id, "workspace": str(workspace_id), "now": now}
        self._sql = Statements(connection, {}, parameters)

    async def types(self) -> list[Row]:
        return await self._rows(
            """
            SELECT t.*, s.workspace_id, s.name AS schema_name, s.key AS schema_key, s.statuses,
                   EXISTS (SELECT FROM object_types h WHERE h.tenant_id = t.tenant_id
                           AND h.parent_id = t.object_type_id AND h.is_inherited) AS has_heirs
            FROM object_types t
            JOIN object_schemas s ON s.tenant_id = t.tenant_id AND s.object_schema_id = t.object_schema_id
            WHERE t.tenant_id = :tenant AND s.workspace_id = CAST(:workspace AS uuid)
            ORDER BY t.object_type_id
            """
        )

    async def attributes(self, type_ids: Collection[int]) -> list[Row]:
        return await self._rows(
            "SELECT a.* FROM object_attributes a WHERE a.tenant_id = :tenant AND a.object_type_id = ANY(:types) "
            "ORDER BY a.position, a.attribute_id",
            types=list(type_ids),
        )

    async def objects(self, object_ids: Collection[int]) -> dict[int, Row]:
        found = await self._rows(
            f"SELECT {SHOWN} FROM objects t "  # noqa: S608  (constants of this module)
            "WHERE t.tenant_id = :tenant AND t.object_id = ANY(:ids) AND t.document IS NOT NULL",
            ids=list(object_ids),
        )
        return {row["object_id"]: row for row in found}

    async def names(self, object_ids: Collection[int]) -> dict[int, Row]:
        found = await self._rows(
            "SELECT t.object_id, t.object_type_id, t.label FROM objects t "
            "WHERE t.tenant_id = :tenant AND t.object_id = ANY(:ids) AND t.document IS NOT NULL",
            ids=list(object_ids),
        )
        return {row["object_id"]: row for row in found}

    async def texts(self, object_id: int, attribute_ids: Sequence[int]) -> list[str | None]:
        found = await self._sql.run(
            "SELECT t.document->>a.id::text FROM objects t, unnest(CAST(:ids AS int[])) WITH ORDINALITY a(id, place) "
            "WHERE t.tenant_id = :tenant AND t.object_id = :object_id ORDER BY a.place",
            object_id=object_id,
            ids=list(attribute_ids),
        )
        return list(found.scalars())

    async def taken(
        self, object_id: int, attribute_id: int, type_ids: Collection[int], values: Sequence[str]
    ) -> str | None:
        value = f"t.document->'{int(attribute_id)}'"
        found = await self._sql.run(
            f"""
            SELECT v.value
            FROM objects t
            CROSS JOIN LATERAL jsonb_array_elements_text(
                CASE WHEN jsonb_typeof({value}) = 'array' THEN {value} ELSE jsonb_build_array({value}) END) v(value)
            WHERE t.tenant_id = :tenant AND t.object_type_id = ANY(:types) AND t.document IS NOT NULL
              AND t.object_id <> :object_id AND v.value = ANY(:values)
            LIMIT 1
            """,  # noqa: S608  (a number)
            object_id=object_id,
            types=list(type_ids),
            values=list(values),
        )
        return found.scalar_one_or_none()

    async def known_by(self, type_id: int, key: str) -> tuple[int, bool] | None:
        found = await self._sql.run(
            "SELECT t.object_id, t.document IS NOT NULL AS is_there FROM objects t "
            "WHERE t.tenant_id = :tenant AND t.object_type_id = :type_id AND t.key = :key",
            type_id=type_id,
            key=key,
        )
        row = found.one_or_none()
        return None if row is None else (row.object_id, row.is_there)

    async def insert(self, type_id: int, change: ObjectChange, editor: Editor) -> int:
        made = await self._sql.run(
            """
            INSERT INTO objects (tenant_id, object_type_id, key, label, document, created_at, updated_at)
            VALUES (:tenant, :type_id, :key, :label, CAST(:members AS jsonb), :now, :now) RETURNING object_id
            """,
            type_id=type_id,
            key=change.key.text if change.key else None,
            label=change.label or "",
            members=change.members,
        )
        object_id = int(made.scalar_one())
        await self._sql.run(
            """
            INSERT INTO object_edits (tenant_id, object_id, before, is_creation, user_id, user_email, edited_at)
            VALUES (:tenant, :object_id, NULL, true, :user_id, :user_email, :now)
            """,
            object_id=object_id,
            user_id=editor.user_id,
            user_email=editor.email,
        )
        await self._refer(object_id, change)
        return object_id

    async def change(self, object_id: int, change: ObjectChange, editor: Editor) -> bool:
        changed = await self._write(
            object_id,
            "COALESCE(t.document, '{{}}') - CAST(:emptied AS text[]) || CAST(:members AS jsonb)",
            "label = COALESCE(CAST(:label AS text), t.label), "
            "key = CASE WHEN :has_key THEN CAST(:key AS text) ELSE t.key END",
            editor,
            emptied=[str(each) for each in change.attribute_ids],
            members=change.members,
            label=change.label,
            has_key=change.key is not None,
            key=change.key.text if change.key else None,
        )
        if changed:
            await self._refer(object_id, change)
        return changed

    async def revive(self, object_id: int, change: ObjectChange, editor: Editor) -> bool:
        """It is a person's from now on: what its source has or has not is nothing to it."""
        revived = await self._write(
            object_id,
            "CAST(:members AS jsonb)",
            "label = COALESCE(CAST(:label AS text), ''), missed = 0, source_id = NULL",
            editor,
            members=change.members,
            label=change.label,
        )
        if revived:
            await self._refer(object_id, change)
        return revived

    async def remove(self, object_id: int, editor: Editor) -> None:
        await self._write(object_id, "NULL::jsonb", "missed = 0", editor)
        await self._sql.run(
            "DELETE FROM object_references WHERE tenant_id = :tenant AND object_id = :object_id", object_id=object_id
        )

    async def forget_key(self, object_id: int) -> None:
        await self._sql.run(
            "UPDATE objects SET key = NULL WHERE tenant_id = :tenant AND object_id = :object_id", object_id=object_id
        )

    async def size(self, object_id: int) -> int:
        return await self._sql.count(
            "SELECT COALESCE(sum(length(document::text)), 0) FROM objects "
            "WHERE tenant_id = :tenant AND object_id = :object_id",
            object_id=object_id,
        )

    async def _write(self, object_id: int, document: str, columns: str, editor: Editor, **more: Any) -> bool:
        """Keeps what the object was, unless it stays that."""
        done = await self._sql.run(
            f"""
            WITH old AS (SELECT t.object_id, t.document AS before, {document} AS after, t.label
                         FROM objects t WHERE t.tenant_id = :tenant AND t.object_id = :object_id),
                 changed AS (UPDATE objects t SET document = o.after, updated_at = :now, {columns}
                             FROM old o
                             WHERE t.tenant_id = :tenant AND t.object_id = :object_id
                               AND o.before IS DISTINCT FROM o.after
                             RETURNING t.object_id)
            INSERT INTO object_edits (tenant_id, object_id, before, is_creation, user_id, user_email, edited_at)
            SELECT :tenant, o.object_id, o.before, false, :user_id, :user_email, :now
            FROM old o JOIN changed c ON c.object_id = o.object_id
            """,  # noqa: S608  (constants of this class)
            object_id=object_id,
            user_id=editor.user_id,
            user_email=editor.email,
            **more,
        )
        return done.rowcount > 0

    async def _refer(self, object_id: int, change: ObjectChange) -> None:
        """The rows of references of the attributes that are changed."""
        await self._sql.run(
            "DELETE FROM object_references WHERE tenant_id = :tenant AND object_id = :object_id "
            "AND attribute_id = ANY(:attributes)",
            object_id=object_id,
            attributes=list(change.attribute_ids),
        )
        attributes, targets = zip(*change.targets, strict=True) if change.targets else ((), ())
        await self._sql.run(
            "INSERT INTO object_references (tenant_id, object_id, attribute_id, target_id) "
            "SELECT :tenant, :object_id, r.attribute_id, r.target_id "
            "FROM unnest(CAST(:attributes AS int[]), CAST(:targets AS bigint[])) r(attribute_id, target_id)",
            object_id=object_id,
            attributes=list(attributes),
            targets=list(targets),
        )

    async def _rows(self, query: str, **more: Any) -> list[Row]:
        return [dict(row) for row in (await self._sql.run(query, **more)).mappings()]


class SqlObjectStore:
    """The `ObjectStore` of edits."""

    def __init__(self, database: Database, wait_seconds: float = WAIT_SECONDS) -> None:
        self._database = database
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def session(self, tenant_id: int, workspace_id: UUID) -> AsyncIterator[SqlObjectSession]:
        """Raises Unavailable while a merge has the workspace for longer than a call may wait.

        The lock is asked for again and again, each time in another transaction: waiting in one would take a connection
        of the pool, and so from other tenants, for as long as a merge lasts.
        """
        deadline, pause = asyncio.get_running_loop().time() + self._wait_seconds, FIRST_PAUSE
        parameters: Mapping[str, Any] = {"tenant": tenant_id, "workspace": str(workspace_id)}
        while True:
            async with self._database.transaction(tenant_id) as connection:
                if await connection.scalar(LOCK, parameters):
                    now = await connection.scalar(text("SELECT clock_timestamp()"))
                    yield SqlObjectSession(connection, tenant_id, workspace_id, now)
                    return
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(
                    "WORKSPACE_BUSY", "A run is being merged into the workspace; try again when it has ended."
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

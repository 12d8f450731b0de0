"""Queries on parser actions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.auth import Principal
from runtime.database import Database
from schema.parser_actions import parser_action_settings, parser_actions, writeups
from services.importer.imports import NO_CLIENT
from services.importer.model import ActionCode
from services.importer.parser_actions import Change, Effect, NewAction, ParserAction, Selection
from services.importer.store.writeups import raise_version, writeup_of
from services.importer.writeups import Writeup

KEPT_CHANGES = 50

# By arrays of equal length: one row of each. The newest change stands first in the log.
SAVE = text(
    f"""
    UPDATE parser_actions a
    SET action = n.action, severity = n.severity, writeup_id = n.writeup_id, updated_at = now(),
        log_trail = jsonb_path_query_array(
            jsonb_build_array(jsonb_build_object(
                'user_id', CAST(:user_id AS integer), 'user_email', CAST(:user_email AS text), 'at', now(),
                'action', n.action, 'severity', n.severity, 'writeup_id', n.writeup_id)) || a.log_trail,
            '$[0 to {KEPT_CHANGES - 1}]')
    FROM unnest(CAST(:action_ids AS text[]), CAST(:actions AS text[]), CAST(:severities AS smallint[]),
                CAST(:writeup_ids AS integer[])) AS n (action_id, action, severity, writeup_id)
    WHERE a.tenant_id = :tenant_id AND a.source = :source AND a.action_id = n.action_id
    """  # noqa: S608  (a number of ours)
)


class SqlParserActionStore:
    """The `ParserActionStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_enabled(self, tenant_id: int) -> bool:
        query = select(parser_action_settings.c.is_enabled).where(parser_action_settings.c.tenant_id == tenant_id)
        async with self._database.transaction(tenant_id) as connection:
            return await connection.scalar(query) is not False

    async def find(self, tenant_id: int, source: str, action_id: str) -> ParserAction | None:
        query = select(parser_actions).where(*_of(tenant_id, source), parser_actions.c.action_id == action_id)
        async with self._database.transaction(tenant_id) as connection:
            found = await _read(connection, tenant_id, query)
        return found[0] if found else None

    async def select(self, tenant_id: int, selection: Selection) -> tuple[list[ParserAction], int]:
        chosen = list(_of(tenant_id, selection.source))
        if selection.action is not None:
            chosen.append(parser_actions.c.action == selection.action)
        if selection.query:
            chosen.append(parser_actions.c.title.icontains(selection.query, autoescape=True))
        query = (
            select(parser_actions)
            .where(*chosen, parser_actions.c.action_id > selection.after)
            .order_by(parser_actions.c.action_id)
            .offset(selection.skip)
            .limit(selection.limit)
        )
        async with self._database.transaction(tenant_id) as connection:
            count = await connection.scalar(select(func.count()).where(*chosen))
            return await _read(connection, tenant_id, query), count or 0

    @asynccontextmanager
    async def session(self, tenant_id: int) -> AsyncIterator[SqlParserActionSession]:
        async with self._database.transaction(tenant_id) as connection:
            yield SqlParserActionSession(connection, tenant_id)


class SqlParserActionSession:
    """The `ParserActionSession` of one transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: int) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def lock(self, source: str, action_ids: Collection[str]) -> dict[str, Effect]:
        columns = parser_actions.c
        query = (
            select(columns.action_id, columns.action, columns.severity, columns.writeup_id)
            .where(*_of(self._tenant_id, source), columns.action_id.in_(list(action_ids)))
            # In one order, so that two that change the same actions do not wait for each other.
            .order_by(columns.action_id)
            .with_for_update()
        )
        rows = await self._connection.execute(query)
        return {row.action_id: Effect(ActionCode(row.action), row.severity, row.writeup_id) for row in rows}

    async def undeleted(self, writeup_ids: Collection[int]) -> set[int]:
        query = (
            select(writeups.c.writeup_id)
            .where(
                writeups.c.tenant_id == self._tenant_id,
                writeups.c.writeup_id.in_(list(writeup_ids)),
                ~writeups.c.is_deleted,
            )
            .order_by(writeups.c.writeup_id)
            .with_for_update(read=True)
        )
        return set((await self._connection.execute(query)).scalars())

    async def add(self, new: NewAction, by: Principal) -> bool:
        # As the merge of what a file teaches does (targets/parser_actions): what it has counted as new, is.
        await self._connection.execute(select(func.pg_advisory_xact_lock(self._tenant_id, NO_CLIENT)))
        row = (
            upsert(parser_actions)
            .values(
                tenant_id=self._tenant_id,
                source=new.source,
                action_id=new.action_id,
                action=new.effect.action,
                severity=new.effect.severity,
                original_severity=new.effect.severity,
                title=new.title,
                description=new.description,
                writeup_id=new.effect.writeup_id,
            )
            .on_conflict_do_nothing()
            .returning(parser_actions.c.action_id)
        )
        if await self._connection.scalar(row) is None:
            return False
        await self.save(new.source, {new.action_id: new.effect}, by)
        return True

    async def save(self, source: str, effects: Mapping[str, Effect], by: Principal) -> None:
        values = {
            "tenant_id": self._tenant_id,
            "source": source,
            "user_id": by.user_id,
            "user_email": by.email,
            "action_ids": list(effects),
            "actions": [effect.action.value for effect in effects.values()],
            "severities": [effect.severity for effect in effects.values()],
            "writeup_ids": [effect.writeup_id for effect in effects.values()],
        }
        await self._connection.execute(SAVE, values)

    async def enable(self, *, enabled: bool) -> None:
        await raise_version(self._connection, self._tenant_id, is_enabled=enabled)

    async def note_change(self) -> None:
        await raise_version(self._connection, self._tenant_id)


def _of(tenant_id: int, source: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return parser_actions.c.tenant_id == tenant_id, parser_actions.c.source == source


async def _read(connection: AsyncConnection, tenant_id: int, query: Select[Any]) -> list[ParserAction]:
    """The actions with their writeups, each of which is read once however many link to it."""
    rows = (await connection.execute(query)).all()
    linked = {row.writeup_id for row in rows if row.writeup_id is not None}
    found: dict[int, Writeup] = {}
    if linked:
        of_tenant = select(writeups).where(writeups.c.tenant_id == tenant_id, writeups.c.writeup_id.in_(linked))
        found = {row.writeup_id: writeup_of(row) for row in await connection.execute(of_tenant)}
    return [_action_of(row, found.get(row.writeup_id)) for row in rows]


def _action_of(row: Row[*tuple[Any, ...]], writeup: Writeup | None) -> ParserAction:
    return ParserAction(
        source=row.source,
        action_id=row.action_id,
        effect=Effect(ActionCode(row.action), row.severity, row.writeup_id),
        original_severity=row.original_severity,
        title=row.title,
        description=row.description,
        writeup=writeup,
        changes=tuple(
            Change(
                user_id=each["user_id"],
                user_email=each["user_email"],
                changed_at=datetime.fromisoformat(each["at"]),
                effect=Effect(ActionCode(each["action"]), each["severity"], each["writeup_id"]),
            )
            for each in row.log_trail
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

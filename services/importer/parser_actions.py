"""Parser actions: what a tenant wants done with the findings of a scanner when they are imported.

They are applied at the merge (targets/findings/actions.py); files teach new ones (targets/parser_actions/).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from runtime.auth import Principal, note_object
from runtime.errors import AlreadyExists, InvalidArgument, NotFound
from runtime.texts import checked_text
from services.importer.imports import NO_CLIENT, Imports, Trigger
from services.importer.model import ActionCode, TargetName
from services.importer.snapshot import Snapshot
from services.importer.sources import Source, Sources
from services.importer.writeups import Writeup, require_whole_tenant, writeup_not_found

log = structlog.get_logger(__name__)

MAX_ID = 128
MAX_TITLE = 1_024
MAX_DESCRIPTION = 4_000
MAX_QUERY = 255
MAX_UPDATES = 10_000
MAX_PAGE_SIZE = 1_000
MAX_SKIP = 2**31 - 1
SEVERITIES = range(5)


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action does. `severity` is 0 Critical to 4 Informational; `writeup_id` is there for a link only."""

    action: ActionCode
    severity: int
    writeup_id: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of an action's log."""

    user_id: int
    user_email: str
    changed_at: datetime
    effect: Effect


@dataclass(frozen=True, slots=True)
class ParserAction:
    """`changes` are the last ones, newest first; `writeup` may be a deleted one."""

    source: str
    action_id: str
    effect: Effect
    original_severity: int
    title: str
    description: str
    writeup: Writeup | None
    changes: tuple[Change, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewAction:
    source: str
    action_id: str
    effect: Effect
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Update:
    """None: as it is."""

    action_id: str
    action: ActionCode | None = None
    severity: int | None = None
    writeup_id: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which actions of a source, in the order of their ids: from behind `after`, without the first `skip` of those."""

    source: str
    action: ActionCode | None = None
    query: str = ""
    after: str = ""
    skip: int = 0
    limit: int = 100


class ParserActionSession(Protocol):
    """One transaction that changes a tenant's actions."""

    async def lock(self, source: str, action_ids: Collection[str]) -> dict[str, Effect]:
        """The actions that there are."""
        ...

    async def undeleted(self, writeup_ids: Collection[int]) -> set[int]:
        """Those of these writeups that can be linked to, until the session ends."""
        ...

    async def add(self, new: NewAction, by: Principal) -> bool:
        """False: there is one with this id."""
        ...

    async def save(self, source: str, effects: Mapping[str, Effect], by: Principal) -> None:
        """By id; each change goes into the action's log."""
        ...

    async def enable(self, *, enabled: bool) -> None: ...

    async def note_change(self) -> None:
        """The same file may come out differently from now on."""
        ...


class ParserActionStore(Protocol):
    """The actions of each tenant."""

    async def is_enabled(self, tenant_id: int) -> bool: ...

    async def find(self, tenant_id: int, source: str, action_id: str) -> ParserAction | None: ...

    async def select(self, tenant_id: int, selection: Selection) -> tuple[list[ParserAction], int]:
        """And how many there are, whatever the page."""
        ...

    def session(self, tenant_id: int) -> AbstractAsyncContextManager[ParserActionSession]: ...


class ParserActions:
    """Commands on parser actions, and reading them.

    Whoever is limited to certain clients may read only: an action is for imports into every client.
    """

    def __init__(self, store: ParserActionStore, imports: Imports, sources: Sources) -> None:
        self._store = store
        self._imports = imports
        self._sources = sources

    def parsers(self) -> tuple[Source, ...]:
        """The sources that have actions: those of findings."""
        return tuple(source for source in self._sources.all() if source.report_formats)

    async def is_enabled(self, principal: Principal) -> bool:
        return await self._store.is_enabled(principal.tenant_id)

    async def enable(self, principal: Principal, *, enabled: bool) -> None:
        """The tenant's switch; an import says by itself whether it wants actions."""
        require_whole_tenant(principal)
        async with self._store.session(principal.tenant_id) as session:
            await session.enable(enabled=enabled)
        log.info("parser actions switched", enabled=enabled)

    async def list(self, principal: Principal, selection: Selection) -> tuple[list[ParserAction], int]:
        """A page, and how many there are in all."""
        checked = replace(
            selection,
            source=self._source(selection.source),
            query=checked_text("query", selection.query, max_length=MAX_QUERY),
            after=checked_text("page_token", selection.after, max_length=MAX_ID),
        )
        return await self._store.select(principal.tenant_id, checked)

    async def get(self, principal: Principal, source: str, action_id: str) -> ParserAction:
        known = self._source(source)
        found = await self._store.find(principal.tenant_id, known, checked_id(action_id))
        if found is None:
            raise action_not_found(known, action_id)
        return found

    async def create(self, principal: Principal, new: NewAction) -> None:
        require_whole_tenant(principal)
        checked = replace(
            new,
            source=self._source(new.source),
            action_id=checked_id(new.action_id),
            effect=checked_effect(new.effect),
            title=checked_text("title", new.title, max_length=MAX_TITLE, required=True),
            description=checked_text("description", new.description, max_length=MAX_DESCRIPTION),
        )
        async with self._store.session(principal.tenant_id) as session:
            await _require_writeups(session, [checked.effect])
            if not await session.add(checked, principal):
                raise AlreadyExists(
                    "PARSER_ACTION_EXISTS",
                    f"There is an action {checked.action_id} of {checked.source} already.",
                    action_id=checked.action_id,
                )
            await session.note_change()
        note_object(source=checked.source, action_id=checked.action_id)

    async def update(self, principal: Principal, source: str, updates: Sequence[Update]) -> int:
        """Changes all of them or none; answers how many were not so already. Of one id given twice the last counts."""
        require_whole_tenant(principal)
        known = self._source(source)
        if len(updates) > MAX_UPDATES:
            raise InvalidArgument(
                "TOO_MANY_UPDATES", f"At most {MAX_UPDATES} actions are changed at once.", limit=str(MAX_UPDATES)
            )
        wanted = {checked_id(update.action_id): update for update in updates}
        async with self._store.session(principal.tenant_id) as session:
            found = await session.lock(known, wanted)
            for action_id in wanted:
                if action_id not in found:
                    raise action_not_found(known, action_id)
            changed = {
                action_id: effect
                for action_id, update in wanted.items()
                if (effect := changed_effect(found[action_id], update)) != found[action_id]
            }
            await _require_writeups(session, changed.values())
            if changed:
                await session.save(known, changed, principal)
                await session.note_change()
        note_object(source=known)
        return len(changed)

    async def learn(
        self, principal: Principal, source: str, key: str, file_name: str = "", request_id: str = ""
    ) -> Snapshot:
        """Queues the reading of an uploaded file for the findings that its scanner knows."""
        require_whole_tenant(principal)
        trigger = Trigger(
            client_id=NO_CLIENT,
            report_id=None,
            source=source,
            key=key,
            file_name=file_name,
            request_id=request_id,
            target=TargetName.PARSER_ACTIONS,
        )
        return await self._imports.create(principal, trigger)

    def _source(self, source: str) -> str:
        return self._sources.check(source, for_report=True)


def changed_effect(now: Effect, update: Update) -> Effect:
    """What an action does after an update. A writeup is kept for a link only."""
    return checked_effect(
        Effect(
            action=update.action or now.action,
            severity=now.severity if update.severity is None else update.severity,
            writeup_id=update.writeup_id or now.writeup_id,
        )
    )


def checked_effect(effect: Effect) -> Effect:
    if effect.severity not in SEVERITIES:
        raise InvalidArgument("INVALID_SEVERITY", "There is no such severity.", field="severity")
    if effect.action is not ActionCode.LINK:
        return replace(effect, writeup_id=None)
    if not effect.writeup_id:
        raise InvalidArgument("WRITEUP_REQUIRED", "A link needs the writeup that it links to.", field="writeupID")
    return effect


async def _require_writeups(session: ParserActionSession, effects: Collection[Effect]) -> None:
    wanted = {effect.writeup_id for effect in effects if effect.writeup_id is not None}
    if wanted:
        for missing in sorted(wanted - await session.undeleted(wanted)):
            raise writeup_not_found(missing)


def checked_id(action_id: str) -> str:
    return checked_text("id", action_id, max_length=MAX_ID, required=True)


def checked_page(limit: int, skip: int = 0, *, default: int = 100) -> tuple[int, int]:
    """1 to 1,000 actions, from number `skip` on; 0 means `default`."""
    if not 0 <= limit <= MAX_PAGE_SIZE or not 0 <= skip <= MAX_SKIP:
        raise InvalidArgument(
            "INVALID_PAGE_SIZE",
            f"A page has 1 to {MAX_PAGE_SIZE} items, and begins at 0 or later.",
            field="limit",
            limit=str(MAX_PAGE_SIZE),
        )
    return limit or default, skip


def action_not_found(source: str, action_id: str) -> NotFound:
    return NotFound(
        "PARSER_ACTION_NOT_FOUND",
        f"There is no action {action_id[:MAX_ID]} of {source}.",
        action_id=action_id[:MAX_ID],
    )

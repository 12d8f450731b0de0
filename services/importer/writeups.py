"""Writeups: texts that findings are replaced by when a parser action links them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from runtime.auth import Principal, note_object
from runtime.errors import InvalidArgument, NotFound, PermissionDenied
from runtime.texts import checked_text

MAX_TITLE = 1_024
MAX_TEXT = 100_000
MAX_NAME = 255
MAX_FIELDS = 100
SEVERITIES = range(5)


@dataclass(frozen=True, slots=True)
class WriteupText:
    """What a person writes. `severity` is 0 Critical to 4 Informational; `fields` are by label."""

    title: str
    severity: int
    description: str = ""
    recommendations: str = ""
    references: str = ""
    source: str = "Custom"
    fields: Mapping[str, str] = field(default_factory=dict)
    abbreviation: str = ""
    repository_id: str = ""


@dataclass(frozen=True, slots=True)
class Writeup:
    writeup_id: int
    text: WriteupText
    is_deleted: bool
    created_at: datetime
    updated_at: datetime


class WriteupStore(Protocol):
    """The writeups of each tenant. Each change also counts as one of the tenant's parser actions."""

    async def add(self, tenant_id: int, text: WriteupText) -> Writeup: ...

    async def find(self, tenant_id: int, writeup_id: int) -> Writeup | None:
        """Also a deleted one."""
        ...

    async def list(self, tenant_id: int, *, after: int, limit: int) -> list[Writeup]:
        """Those that are not deleted, by id, from behind `after`."""
        ...

    async def change(self, tenant_id: int, writeup_id: int, text: WriteupText) -> Writeup | None:
        """None: there is none, or it is deleted."""
        ...

    async def delete(self, tenant_id: int, writeup_id: int) -> bool:
        """False: there is none, or it is deleted already."""
        ...


class Writeups:
    """Commands on writeups. Whoever is limited to certain clients may read only, as with parser actions."""

    def __init__(self, store: WriteupStore) -> None:
        self._store = store

    async def create(self, principal: Principal, text: WriteupText) -> Writeup:
        require_whole_tenant(principal)
        made = await self._store.add(principal.tenant_id, checked(text))
        note_object(writeup_id=made.writeup_id)
        return made

    async def get(self, principal: Principal, writeup_id: int) -> Writeup:
        found = await self._store.find(principal.tenant_id, writeup_id)
        if found is None:
            raise writeup_not_found(writeup_id)
        return found

    async def list(self, principal: Principal, *, after: int, limit: int) -> list[Writeup]:
        """By id, from behind the writeup `after`."""
        return await self._store.list(principal.tenant_id, after=after, limit=limit)

    async def update(self, principal: Principal, writeup_id: int, text: WriteupText) -> Writeup:
        require_whole_tenant(principal)
        changed = await self._store.change(principal.tenant_id, writeup_id, checked(text))
        if changed is None:
            raise writeup_not_found(writeup_id)
        return changed

    async def delete(self, principal: Principal, writeup_id: int) -> None:
        require_whole_tenant(principal)
        if not await self._store.delete(principal.tenant_id, writeup_id):
            raise writeup_not_found(writeup_id)


def checked(text: WriteupText) -> WriteupText:
    if text.severity not in SEVERITIES:
        raise InvalidArgument("INVALID_SEVERITY", "There is no such severity.", field="severity")
    if len(text.fields) > MAX_FIELDS:
        raise InvalidArgument(
            "TOO_MANY_FIELDS", f"A writeup has {MAX_FIELDS} fields at most.", field="fields", limit=str(MAX_FIELDS)
        )
    return replace(
        text,
        title=checked_text("title", text.title, max_length=MAX_TITLE, required=True),
        description=checked_text("description", text.description, max_length=MAX_TEXT),
        recommendations=checked_text("recommendations", text.recommendations, max_length=MAX_TEXT),
        references=checked_text("references", text.references, max_length=MAX_TEXT),
        source=checked_text("source", text.source, max_length=MAX_NAME) or "Custom",
        fields={
            checked_text("fields", label, max_length=MAX_NAME, required=True): checked_text(
                "fields", value, max_length=MAX_TEXT
            )
            for label, value in text.fields.items()
        },
        abbreviation=checked_text("writeupAbbreviation", text.abbreviation, max_length=MAX_NAME),
        repository_id=checked_text("repositoryId", text.repository_id, max_length=MAX_NAME),
    )


def require_whole_tenant(principal: Principal) -> None:
    if principal.client_ids is not None:
        raise PermissionDenied(
            "CLIENT_GRANTS", "Your account is limited to certain clients; parser actions are for all of them."
        )


def writeup_not_found(writeup_id: int) -> NotFound:
    return NotFound("WRITEUP_NOT_FOUND", f"There is no writeup {writeup_id}.", writeup_id=str(writeup_id))

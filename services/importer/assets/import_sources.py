"""Commands on import sources: what is imported into an object schema, where it comes from, and how it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from dialects.assets.problems import invalid_mapping
from dialects.assets.source_rules import check_secrets, check_settings
from dialects.assets.source_settings import (
    FILE_TYPES,
    SECRETS,
    TYPES,
    Secrets,
    SourceType,
    destination,
    invalid_settings,
    read_secrets,
    read_settings,
    show_settings,
    write_secrets,
)
from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition, InvalidArgument, NotFound
from runtime.sealing import Sealer, Unsealable
from runtime.texts import checked_text
from services.importer.assets.mapping_changes import replan
from services.importer.assets.mappings import Rules
from services.importer.assets.places import Place, Workspaces, reached, reached_workspace, source_not_found
from services.importer.assets.shared_types import refuse_enabling
from services.importer.assets.sources import ImportSource, NewSource, SourceSession, SourceStore
from services.importer.targets.objects.stored_plan import stored_plan

log = structlog.get_logger(__name__)

MAX_NAME = 255
MAX_DESCRIPTION = 4_000
MAX_FORMAT = 100
MAX_CONCATENATOR = 20
MAX_SOURCES = 500
"""Of a workspace."""
EMPTY_VALUES, UNKNOWN_VALUES = ("IGNORE", "REMOVE"), ("IGNORE", "ADD")
# What a mapping takes over from its source.
PLANNED = frozenset({"settings", "concatenator", "empty_values", "unknown_values", "date_format", "date_time_format"})


@dataclass(frozen=True, slots=True)
class SourceValues:
    """What somebody says of a source; None: nothing. `settings` may have secrets in it, and null for what is to go."""

    name: str | None = None
    description: str | None = None
    is_enabled: bool | None = None
    settings: Mapping[str, Any] | None = None
    file_key: str | None = None
    concatenator: str | None = None
    empty_values: str | None = None
    unknown_values: str | None = None
    date_format: str | None = None
    date_time_format: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that is to be made."""

    type: str
    object_schema_id: int
    values: SourceValues


class ImportSources:
    """Whoever is limited to certain clients has no part in workspaces; a container token reaches its own source."""

    def __init__(self, store: SourceStore, workspaces: Workspaces, sealer: Sealer, rules: Rules) -> None:
        self._store = store
        self._workspaces = workspaces
        self._sealer = sealer
        self._rules = rules

    async def get(self, principal: Principal, place: Place) -> ImportSource:
        workspace_id, number = await reached(self._workspaces, principal, place)
        found = await self._store.find(principal.tenant_id, workspace_id, number)
        if found is None:
            raise source_not_found()
        return found

    async def list(
        self, principal: Principal, workspace: str, object_schema_id: int | None = None
    ) -> list[ImportSource]:
        """In the order in which they were made."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        found = await self._store.all(principal.tenant_id, workspace_id, object_schema_id)
        return [each for each in found if principal.may_reach_source(each.import_source_id)]

    async def create(self, principal: Principal, workspace: str, wanted: Wanted) -> ImportSource:
        """InvalidArgument for what it cannot be; NotFound for an object schema or file that is not there."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        type_ = source_type(wanted.type)
        if not await self._store.has_schema(principal.tenant_id, workspace_id, wanted.object_schema_id):
            raise schema_not_found(wanted.object_schema_id)
        values = await self._checked(principal, type_, wanted.values)
        values["name"] = checked_text("name", wanted.values.name or "", max_length=MAX_NAME, required=True)
        public, secrets = merged_settings(type_, {}, Secrets(), wanted.values.settings or {})
        values |= {"type": type_, "settings": public, "secret": self._sealed(secrets)}
        number = uuid7()
        new = NewSource(number, workspace_id, wanted.object_schema_id, principal.user_id, values)
        if not await self._store.add(principal.tenant_id, new, most=MAX_SOURCES):
            raise FailedPrecondition(
                "TOO_MANY_IMPORT_SOURCES", f"A workspace has {MAX_SOURCES} sources at most.", limit=str(MAX_SOURCES)
            )
        note_object(import_source_id=number, workspace_id=workspace_id)
        log.info("import source made", import_source_id=str(number), type=type_)
        return await self.get(principal, Place(str(workspace_id), str(number)))

    async def update(
        self, principal: Principal, place: Place, said: SourceValues, fixed: tuple[str, int] = ("", 0)
    ) -> ImportSource:
        """What is not said stays as it is. Settings are merged (RFC 7396); secrets too, unless the destination changes.

        Of a run that has begun nothing changes. `fixed` are type and object schema, if they are said, which stay.
        """
        workspace_id, number = await reached(self._workspaces, principal, place)
        async with self._store.changing(principal.tenant_id, workspace_id, number) as session:
            if session is None:
                raise source_not_found()
            refuse_other(session.source, *fixed)
            was_enabled = session.source.is_enabled
            values = await self._checked(principal, session.source.type, said)
            if said.name is not None:
                values["name"] = checked_text("name", said.name, max_length=MAX_NAME, required=True)
            if said.settings is not None:
                values |= self._changed_settings(session, said.settings)
            if values:
                await session.update(values)
            if session.source.document is not None and values.keys() & PLANNED:
                replanned = await replan(session, self._rules.read_rule)
                if problem := await asyncio.to_thread(self._rules.check, session.source.type, replanned):
                    raise invalid_mapping([problem])
            plan = stored_plan(session.source.plan)
            if session.source.is_enabled and not was_enabled and plan is not None:
                await refuse_enabling(session, plan)
        return await self.get(principal, Place(str(workspace_id), str(number)))

    async def delete(self, principal: Principal, place: Place) -> UUID:
        """Objects and executions stay. FailedPrecondition IN_PROGRESS until all its runs have ended. Answers its id."""
        workspace_id, number = await reached(self._workspaces, principal, place)
        async with self._store.changing(principal.tenant_id, workspace_id, number) as session:
            if session is None:
                raise source_not_found()
            if session.source.running is not None or await session.has_waiting():
                raise FailedPrecondition("IN_PROGRESS", "The import source is running.")
            await session.delete()
        log.info("import source deleted", import_source_id=str(number))
        return number

    async def _checked(self, principal: Principal, type_: SourceType, said: SourceValues) -> dict[str, Any]:
        """Columns for all that is said but the name and the settings."""
        values: dict[str, Any] = {}
        for column, text, most in (
            ("description", said.description, MAX_DESCRIPTION),
            ("date_format", said.date_format, MAX_FORMAT),
            ("date_time_format", said.date_time_format, MAX_FORMAT),
        ):
            if text is not None:
                values[column] = checked_text(column, text, max_length=most)
        for column, word, known in (
            ("empty_values", said.empty_values, EMPTY_VALUES),
            ("unknown_values", said.unknown_values, UNKNOWN_VALUES),
        ):
            if word is not None:
                values[column] = one_of(column, word, known)
        if said.concatenator is not None:
            # White space is what many want between two values.
            checked_text("concatenator", said.concatenator, max_length=MAX_CONCATENATOR)
            values["concatenator"] = said.concatenator[:MAX_CONCATENATOR]
        if said.is_enabled is not None:
            values["is_enabled"] = said.is_enabled
        if said.file_key is not None:
            values["file_key"] = await self._checked_file(principal, type_, said.file_key)
        return values

    async def _checked_file(self, principal: Principal, type_: SourceType, key: str) -> str | None:
        wanted = checked_text("file_key", key, max_length=1_024)
        if wanted and type_ not in FILE_TYPES:
            raise InvalidArgument("INVALID_SETTINGS", f"A source of type {type_} reads no file.", field="file_key")
        if wanted and not await self._store.has_file(principal.tenant_id, wanted):
            raise NotFound("UNKNOWN_KEY", "No file was uploaded under this key.", field="file_key")
        return wanted or None

    def _changed_settings(self, session: SourceSession, said: Mapping[str, Any]) -> dict[str, Any]:
        source = session.source
        try:
            known = read_secrets(self._sealer.unseal(session.sealed_secret)) if session.sealed_secret else Secrets()
        except Unsealable:
            # Its key is gone. What it was cannot be kept, so whoever says it anew is not stopped by it.
            log.warning("a secret cannot be unsealed", import_source_id=str(source.import_source_id))
            known = Secrets()
        public, secrets = merged_settings(source.type, source.settings, known, said)
        return {"settings": public, "secret": self._sealed(secrets)}

    def _sealed(self, secrets: Secrets) -> bytes | None:
        text = write_secrets(secrets)
        return self._sealer.seal(text) if text else None


def merged_settings(
    type_: SourceType, public: Mapping[str, Any], secrets: Secrets, said: Mapping[str, Any]
) -> tuple[dict[str, Any], Secrets]:
    """What holds when this is said of what there was. Raises InvalidArgument INVALID_SETTINGS or SECRETS_REQUIRED.

    Secrets are for the place that they were given for: whoever moves a source must know them.
    """
    said_public, said_secrets = split_secrets(type_, said)
    settings = read_settings(type_, merge_patch(public, said_public))
    check_settings(settings)
    try:
        merged = msgspec.convert(merge_patch(msgspec.to_builtins(secrets), said_secrets), Secrets)
    except msgspec.ValidationError:
        raise invalid_settings("settings", "A secret must be a text, and those of a reader texts by name.") from None
    check_secrets(merged)
    if public and secrets != Secrets():
        moved = destination(settings) != destination(read_settings(type_, public))
        unsaid = {name for name, value in msgspec.to_builtins(secrets).items() if value} - said_secrets.keys()
        if moved and unsaid:
            raise InvalidArgument(
                "SECRETS_REQUIRED",
                "Credentials must be given again when they are to be used for another destination.",
                field="settings",
            )
    return show_settings(settings), merged


def split_secrets(type_: SourceType, said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings as they may be shown, and secrets by the members of `Secrets`; null: it goes."""
    public: dict[str, Any] = {name: dict(each) if isinstance(each, dict) else each for name, each in said.items()}
    secrets: dict[str, Any] = {}
    for path, member in SECRETS[type_].items():
        holder: Any = public
        for step in path[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and path[-1] in holder:
            secrets[member] = holder.pop(path[-1])
    return public, secrets


def merge_patch(stored: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396: members replace those of their names, null takes them away."""
    merged = dict(stored)
    for name, value in said.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            inner = merged.get(name)
            merged[name] = merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def refuse_other(source: ImportSource, type_: str, object_schema_id: int) -> None:
    for field, said, stands in (
        ("type", type_, source.type),
        ("objectSchemaId", object_schema_id, source.object_schema_id),
    ):
        if said and said != stands:
            raise InvalidArgument("FIELD_IMMUTABLE", f"The {field} of an import source does not change.", field=field)


def source_type(text: str) -> SourceType:
    for known in TYPES:
        if known == text:
            return known
    words = ", ".join(TYPES)
    raise InvalidArgument("UNKNOWN_SOURCE_TYPE", f"type must be one of: {words}.", field="type", known=words)


def one_of(field: str, word: str, known: tuple[str, ...]) -> str:
    if word.upper() not in known:
        words = ", ".join(known)
        raise InvalidArgument("INVALID_VALUE", f"{field} must be one of: {words}.", field=field, known=words)
    return word.upper()


def schema_not_found(object_schema_id: int) -> NotFound:
    return NotFound(
        "OBJECT_SCHEMA_NOT_FOUND", f"There is no object schema {object_schema_id}.", field="object_schema_id"
    )

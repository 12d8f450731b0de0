"""Record schemas: what a workspace asks of its sync files beside their syntax (targets/records/schemas.py)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from runtime.auth import Principal, note_object
from runtime.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from runtime.texts import checked_text
from services.importer.targets.records.published import with_published
from services.importer.targets.records.schemas import COLUMN_TYPES, RecordSchema, SchemaColumn

log = structlog.get_logger(__name__)

MAX_NAME = 255
MAX_COLUMNS = 2_000
MAX_VALUES = 1_000
"""Of one column."""
MAX_SCHEMA_BYTES = 64 * 1024
"""As JSON. Every import of the workspace takes all of its schemas along."""
MAX_SCHEMAS = 100
"""Of one workspace's own."""
MAX_PAGE_SIZE = 50
# A code stands in row 03, before a colon, and is the name of a field (the vendor's data model).
CODE = re.compile(r"(?!_)[^|:$.\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class StoredSchema:
    """A schema as it holds in a workspace. Times None: it is a published one."""

    schema: RecordSchema
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def is_published(self) -> bool:
        return self.created_at is None


class Workspace(Protocol):
    """What is needed of a workspace."""

    @property
    def workspace_id(self) -> UUID: ...


class Workspaces(Protocol):
    """The part of `runtime.workspaces.RemoteWorkspaces` that is used here."""

    async def find(self, principal: Principal, workspace: str = "", bucket_id: str = "") -> Workspace: ...


class RecordSchemaStore(Protocol):
    """What workspaces have put there of their own."""

    async def all(self, tenant_id: int, workspace_id: UUID) -> list[StoredSchema]: ...

    async def put(
        self, tenant_id: int, workspace_id: UUID, schema: RecordSchema, *, user_id: int, most: int
    ) -> StoredSchema | None:
        """None: it would be a new one, and the workspace has as many as it may."""
        ...

    async def remove(self, tenant_id: int, workspace_id: UUID, entity_type: str, data_source: str) -> bool:
        """False: there is none."""
        ...


class RecordSchemas:
    """Commands on schemas, and reading them.

    Whoever is limited to certain clients may read only: a workspace is all of its tenant's.
    """

    def __init__(self, store: RecordSchemaStore, workspaces: Workspaces) -> None:
        self._store = store
        self._workspaces = workspaces

    async def page(
        self, principal: Principal, workspace: str, *, page_size: int = 0, page_token: str = ""
    ) -> tuple[list[StoredSchema], str]:
        """A page of what holds in a workspace, in the order of the pairs, and the token of the next page."""
        if not 0 <= page_size <= MAX_PAGE_SIZE:
            raise InvalidArgument("INVALID_PAGE_SIZE", f"A page has 1 to {MAX_PAGE_SIZE} schemas.", field="page_size")
        after = _pair_after(page_token)
        found = [each for each in await self._in_force(principal, workspace) if each.schema.pair > after]
        page = found[: page_size or MAX_PAGE_SIZE]
        token = "\t".join(page[-1].schema.pair) if len(page) < len(found) else ""
        return page, token

    async def get(self, principal: Principal, workspace: str, entity_type: str, data_source: str) -> StoredSchema:
        for each in await self._in_force(principal, workspace):
            if each.schema.pair == (entity_type, data_source):
                return each
        raise schema_not_found(entity_type, data_source)

    async def put(self, principal: Principal, workspace: str, schema: RecordSchema) -> StoredSchema:
        """It replaces the workspace's own or the published one, as a whole."""
        _require_whole_tenant(principal)
        wanted = checked(schema)
        found = await self._workspaces.find(principal, workspace)
        stored = await self._store.put(
            principal.tenant_id, found.workspace_id, wanted, user_id=principal.user_id, most=MAX_SCHEMAS
        )
        if stored is None:
            raise FailedPrecondition(
                "TOO_MANY_SCHEMAS", f"A workspace has {MAX_SCHEMAS} schemas at most.", limit=str(MAX_SCHEMAS)
            )
        note_object(workspace_id=found.workspace_id, entity_type=wanted.entity_type, data_source=wanted.data_source)
        log.info("record schema put", workspace_id=str(found.workspace_id), columns=len(wanted.columns))
        return stored

    async def delete(self, principal: Principal, workspace: str, entity_type: str, data_source: str) -> None:
        """What is published of the pair, if anything is, holds again."""
        _require_whole_tenant(principal)
        found = await self._workspaces.find(principal, workspace)
        if not await self._store.remove(principal.tenant_id, found.workspace_id, entity_type, data_source):
            raise schema_not_found(entity_type, data_source)
        note_object(workspace_id=found.workspace_id, entity_type=entity_type, data_source=data_source)

    async def _in_force(self, principal: Principal, workspace: str) -> list[StoredSchema]:
        found = await self._workspaces.find(principal, workspace)
        own = {each.schema.pair: each for each in await self._store.all(principal.tenant_id, found.workspace_id)}
        known = with_published(each.schema for each in own.values())
        return [own.get(each.pair) or StoredSchema(each) for each in sorted(known, key=lambda schema: schema.pair)]


def checked(schema: RecordSchema) -> RecordSchema:
    """The same, without white space around names; InvalidArgument for one that no file could be held to."""
    if not 1 <= len(schema.columns) <= MAX_COLUMNS:
        raise InvalidArgument(
            "INVALID_SCHEMA", f"A schema has 1 to {MAX_COLUMNS} columns.", field="columns", limit=str(MAX_COLUMNS)
        )
    wanted = RecordSchema(
        checked_text("entity_type", schema.entity_type, max_length=MAX_NAME, required=True),
        checked_text("data_source", schema.data_source, max_length=MAX_NAME, required=True),
        tuple(map(_checked_column, schema.columns)),
    )
    if "\t" in "".join(wanted.pair):
        raise InvalidArgument(
            "INVALID_SCHEMA", "Neither entity type nor data source may have a tab.", field="entity_type"
        )
    code, count = Counter(column.code for column in wanted.columns).most_common(1)[0]
    if count > 1:
        raise InvalidArgument("INVALID_SCHEMA", f"There are two columns {code}.", field="columns", code=code)
    if len(msgspec.json.encode(wanted)) > MAX_SCHEMA_BYTES:
        raise InvalidArgument(
            "INVALID_SCHEMA", f"A schema may have {MAX_SCHEMA_BYTES} bytes at most.", limit=str(MAX_SCHEMA_BYTES)
        )
    return wanted


def _checked_column(column: SchemaColumn) -> SchemaColumn:
    code = checked_text("code", column.code, max_length=MAX_NAME, required=True)
    if not CODE.fullmatch(code):
        raise InvalidArgument("INVALID_SCHEMA", f"{code!r} cannot be the code of a column.", field="code")
    type_ = column.type or "string"
    if type_ not in COLUMN_TYPES:
        known = ", ".join(COLUMN_TYPES)
        raise InvalidArgument(
            "INVALID_SCHEMA", f"The type of {code} must be one of: {known}.", field="type", known=known
        )
    if column.values and type_ != "string":
        raise InvalidArgument("INVALID_SCHEMA", f"Only a string has a vocabulary; {code} is {type_}.", field="values")
    if len(column.values) > MAX_VALUES:
        raise InvalidArgument(
            "INVALID_SCHEMA", f"{code} may have {MAX_VALUES} values at most.", field="values", limit=str(MAX_VALUES)
        )
    kept: dict[str, str] = {}
    for value in column.values:
        text = checked_text("values", value, max_length=MAX_NAME, required=True)
        # Which case it is written in does not matter.
        kept.setdefault(text.casefold(), text)
    return SchemaColumn(code, type_, column.presence, tuple(kept.values()))


def _pair_after(page_token: str) -> tuple[str, str]:
    entity_type, tab, data_source = checked_text("page_token", page_token, max_length=2 * MAX_NAME + 1).partition("\t")
    if page_token and not tab:
        raise InvalidArgument("INVALID_PAGE_TOKEN", "page_token is not one that this list gave.", field="page_token")
    return entity_type, data_source


def _require_whole_tenant(principal: Principal) -> None:
    if principal.client_ids is not None:
        raise PermissionDenied(
            "CLIENT_GRANTS", "Your account is limited to certain clients; a workspace is for all of them."
        )


def schema_not_found(entity_type: str, data_source: str) -> NotFound:
    return NotFound(
        "SCHEMA_NOT_FOUND",
        f"The workspace has no schema of its own for {entity_type[:MAX_NAME]} of {data_source[:MAX_NAME]}.",
        entity_type=entity_type[:MAX_NAME],
        data_source=data_source[:MAX_NAME],
    )

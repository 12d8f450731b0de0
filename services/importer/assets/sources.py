"""Import sources as they are stored, what changes of them, and the store that keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from dialects.assets.source_settings import SourceType
from services.importer.assets.object_types import ObjectSchema, SchemaChanges, SchemaState
from services.importer.targets.objects.identities import ForeignIdentity, ForeignLabel

EmptyValues = Literal["IGNORE", "REMOVE"]
UnknownValues = Literal["IGNORE", "ADD"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of a source that fires next."""

    schedule_id: UUID
    frequency: str
    start_at: datetime
    next_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a source."""

    import_id: UUID
    state: str
    is_scheduled: bool


@dataclass(frozen=True, slots=True)
class ImportSource:
    """`settings` are those of its type, without secrets. `running` is the run that has not ended and does not wait."""

    import_source_id: UUID
    workspace_id: UUID
    object_schema_id: int
    name: str
    description: str
    type: SourceType
    is_enabled: bool
    settings: Mapping[str, Any]
    has_secret: bool
    file_key: str | None
    concatenator: str
    empty_values: EmptyValues
    unknown_values: UnknownValues
    date_format: str
    date_time_format: str
    document: Mapping[str, Any] | None
    plan: Mapping[str, Any] | None
    user_id: int
    token_created_at: datetime | None
    created_at: datetime
    updated_at: datetime
    running: Run | None = None
    latest: Run | None = None
    schedule: Schedule | None = None

    @property
    def has_mapping(self) -> bool:
        return self.plan is not None


@dataclass(frozen=True, slots=True)
class NewSource:
    """The values of a source that is made, by the names of its columns."""

    import_source_id: UUID
    workspace_id: UUID
    object_schema_id: int
    user_id: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MappingChange:
    """How a change of a mapping ended: OK, or ERROR with the reason."""

    resource_id: UUID
    result: str
    message: str
    created_at: datetime


class SourceSession(Protocol):
    """A transaction that holds the source, the object schemas of its workspace, and nothing that a run holds."""

    @property
    def source(self) -> ImportSource: ...

    @property
    def sealed_secret(self) -> bytes | None: ...

    async def state(self, external_ids: frozenset[str]) -> SchemaState:
        """What its object schema consists of, and what else in the workspace has one of these external ids."""
        ...

    async def apply(self, changes: SchemaChanges) -> None: ...

    async def update(self, values: Mapping[str, Any]) -> None:
        """Columns of the source."""
        ...

    async def add_change(self, resource_id: UUID, result: str, message: str) -> None: ...

    async def foreign_identities(self, type_ids: frozenset[int]) -> Sequence[ForeignIdentity]:
        """How other enabled sources tell the objects of these types apart, in the order of their ids."""
        ...

    async def foreign_labels(self) -> Sequence[ForeignLabel]:
        """The labels that other enabled sources of the object schema tell objects apart by."""
        ...

    async def has_waiting(self) -> bool:
        """Whether a run of it waits for its turn."""
        ...

    async def delete(self) -> None: ...


class SourceStore(Protocol):
    """Import sources and object schemas of a tenant."""

    async def schemas(self, tenant_id: int, workspace_id: UUID) -> list[ObjectSchema]:
        """In the order of their ids; without icons."""
        ...

    async def add_schema(
        self, tenant_id: int, workspace_id: UUID, name: str, key: str, description: str, *, most: int
    ) -> ObjectSchema | None:
        """None: there are too many. Raises AlreadyExists for a key that is taken."""
        ...

    async def has_schema(self, tenant_id: int, workspace_id: UUID, object_schema_id: int) -> bool: ...

    async def has_file(self, tenant_id: int, key: str) -> bool: ...

    async def add(self, tenant_id: int, new: NewSource, *, most: int) -> bool:
        """False: the workspace has too many."""
        ...

    async def find(self, tenant_id: int, workspace_id: UUID, import_source_id: UUID) -> ImportSource | None: ...

    async def all(self, tenant_id: int, workspace_id: UUID, object_schema_id: int | None = None) -> list[ImportSource]:
        """In the order of their ids; without their documents."""
        ...

    def changing(
        self, tenant_id: int, workspace_id: UUID, import_source_id: UUID
    ) -> AbstractAsyncContextManager[SourceSession | None]:
        """None: there is no such source."""
        ...

    async def change(self, tenant_id: int, import_source_id: UUID, resource_id: UUID) -> MappingChange | None: ...

    async def note_token(self, tenant_id: int, import_source_id: UUID, at: datetime | None) -> None: ...

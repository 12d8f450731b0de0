"""Commands on the schema and mapping of an import source: put, added to, shown, tried on a sample."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from dialects.assets.mapping_documents import read_document
from dialects.assets.mapping_rules import check_rules
from dialects.assets.problems import Problem, invalid_mapping
from runtime.auth import Principal, note_object
from runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PayloadTooLarge,
    ResourceExhausted,
)
from runtime.objects import ObjectInfo, ObjectMissing
from services.importer.assets.mapping_changes import change_mapping
from services.importer.assets.places import Place, Workspaces, reached, source_not_found, uuid_of
from services.importer.assets.sources import ImportSource, MappingChange, SourceStore
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.rules import AttributeRule

log = structlog.get_logger(__name__)

MOST_SAMPLE_BYTES = 1024 * 1024
MOST_SHOWN, USUALLY_SHOWN = 100, 10
PREVIEWS_AT_ONCE = 2
"""Of this process; one of a tenant."""


class Readable(Protocol):
    """The bytes of an object, blocking."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Rules(Protocol):
    """How mappings are carried out: `mapping_rules.FormatRules`, or what a test puts in its place."""

    def read_rule(self, mapping: Mapping[str, Any]) -> AttributeRule | Problem:
        """The rule in the mapping of an attribute."""
        ...

    def check(self, type_: str, plan: ObjectPlan) -> Problem | None:
        """What would stop every run of it."""
        ...

    async def preview(self, type_: str, plan: ObjectPlan, sample: bytes, limit: int) -> dict[str, Any]:
        """What it makes of the first records. Raises InvalidArgument PREVIEW_TOO_COSTLY."""
        ...


class Files(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    def object_key(self, key: str) -> str: ...

    async def head(self, object_key: str) -> ObjectInfo:
        """Raises ObjectMissing."""
        ...

    def open(self, object_key: str, etag: str) -> Readable:
        """Blocking."""
        ...


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of a mapping that has been made. `resource_id` is set where somebody wants to ask for it later."""

    source: ImportSource
    resource_id: UUID | None


class Mappings:
    """A change is one transaction: all of it holds or nothing."""

    def __init__(self, store: SourceStore, workspaces: Workspaces, rules: Rules, files: Files) -> None:
        self._store = store
        self._workspaces = workspaces
        self._rules = rules
        self._files = files
        self._previewing: set[int] = set()

    async def put(
        self, principal: Principal, place: Place, payload: Mapping[str, Any], *, is_noted: bool = False
    ) -> Changed:
        """The first one. Raises AlreadyExists MAPPING_EXISTS, and InvalidArgument INVALID_MAPPING with all reasons."""
        return await self._change(principal, place, payload, is_first=True, is_noted=is_noted)

    async def patch(
        self, principal: Principal, place: Place, payload: Mapping[str, Any], *, is_noted: bool = False
    ) -> Changed:
        """Adds to the one that is there. Raises InvalidArgument NO_MAPPING where there is none."""
        return await self._change(principal, place, payload, is_first=False, is_noted=is_noted)

    async def document(self, principal: Principal, place: Place) -> Mapping[str, Any]:
        """Schema and mapping as they hold. Raises InvalidArgument NO_MAPPING."""
        found = await self._source(principal, place)
        if found.document is None:
            raise missing_mapping()
        return found.document

    async def change(self, principal: Principal, place: Place, resource_id: str) -> MappingChange:
        """How a change ended. NotFound for one that there was not, or that is long ago."""
        source, number = await self._source(principal, place), uuid_of(resource_id)
        found = None
        if number is not None:
            found = await self._store.change(principal.tenant_id, source.import_source_id, number)
        if found is None:
            raise NotFound("MAPPING_CHANGE_NOT_FOUND", "There is no such change of the mapping.")
        return found

    async def preview(
        self, principal: Principal, place: Place, sample: bytes, limit: int = 0
    ) -> tuple[ObjectPlan, dict[str, Any]]:
        """What the mapping makes of the first records of a sample; an empty one: of the source's own file.

        Nothing is kept. A small sample and a few rules can make a lot, so a bounded process of its own reads it, of
        which there are two at most, and one of a tenant. Raises ResourceExhausted TOO_MANY_PREVIEWS beyond.
        """
        source = await self._source(principal, place)
        if source.plan is None:
            raise missing_mapping()
        if len(sample) > MOST_SAMPLE_BYTES:
            raise sample_too_large()
        if not 0 <= limit <= MOST_SHOWN:
            raise InvalidArgument("INVALID_LIMIT", f"limit must be 1 to {MOST_SHOWN}.", field="limit")
        plan = msgspec.convert(source.plan, ObjectPlan)
        with self._place_of(principal.tenant_id):
            sample = sample or await self._beginning(source)
            made = await self._rules.preview(source.type, plan, sample, limit or USUALLY_SHOWN)
        return plan, made

    @contextlib.contextmanager
    def _place_of(self, tenant_id: int) -> Iterator[None]:
        """Whoever waited would keep others waiting, each for as long as a preview may take."""
        if tenant_id in self._previewing:
            raise ResourceExhausted("TOO_MANY_PREVIEWS", "Another preview is being made for you; try again after it.")
        if len(self._previewing) >= PREVIEWS_AT_ONCE:
            raise ResourceExhausted("TOO_MANY_PREVIEWS", "Too many previews are being made; try again in a moment.")
        self._previewing.add(tenant_id)
        try:
            yield
        finally:
            self._previewing.discard(tenant_id)

    async def _beginning(self, source: ImportSource) -> bytes:
        """Of the file of a source. Of a table, whole lines."""
        if source.file_key is None:
            raise InvalidArgument("SAMPLE_MISSING", "The request has no sample, and the import source no file.")
        object_key = self._files.object_key(source.file_key)
        try:
            info = await self._files.head(object_key)
            sample = await asyncio.to_thread(read_beginning, self._files.open(object_key, info.etag))
        except ObjectMissing:
            raise FailedPrecondition("FILE_NOT_UPLOADED", "The file of the import source is not there.") from None
        has_lines = source.type == "csv" and source.settings.get("encoding") != "UTF-16"
        if info.size > len(sample) and has_lines:
            return sample[: sample.rfind(b"\n") + 1] or sample
        return sample

    async def _source(self, principal: Principal, place: Place) -> ImportSource:
        workspace_id, number = await reached(self._workspaces, principal, place)
        found = await self._store.find(principal.tenant_id, workspace_id, number)
        if found is None:
            raise source_not_found()
        return found

    async def _change(
        self, principal: Principal, place: Place, payload: Mapping[str, Any], *, is_first: bool, is_noted: bool
    ) -> Changed:
        workspace_id, number = await reached(self._workspaces, principal, place)
        # In threads, for a large one takes seconds.
        document = await asyncio.to_thread(read_document, payload, is_partial=not is_first)
        if problems := await asyncio.to_thread(check_rules, document):
            raise invalid_mapping(problems)
        resource_id = uuid7() if is_noted else None
        async with self._store.changing(principal.tenant_id, workspace_id, number) as session:
            if session is None:
                raise source_not_found()
            if is_first and session.source.has_mapping:
                raise AlreadyExists("MAPPING_EXISTS", "The import source has a mapping; PATCH adds to it.")
            if not is_first and not session.source.has_mapping:
                raise missing_mapping()
            plan = await change_mapping(session, document, self._rules.read_rule)
            if problem := await asyncio.to_thread(self._rules.check, session.source.type, plan):
                raise invalid_mapping([problem])
            if resource_id is not None:
                await session.add_change(resource_id, "OK", "")
            source = session.source
        note_object(import_source_id=number)
        log.info("mapping changed", import_source_id=str(number), object_types=len(plan.types), first=is_first)
        return Changed(source, resource_id)


def read_beginning(reader: Readable) -> bytes:
    """As much as a sample may have. Raises ObjectMissing."""
    found = bytearray()
    with contextlib.closing(reader):
        while len(found) < MOST_SAMPLE_BYTES and (part := reader.read(MOST_SAMPLE_BYTES - len(found))):
            found += part
    return bytes(found)


def missing_mapping() -> InvalidArgument:
    """Its public status is 400."""
    return InvalidArgument("NO_MAPPING", "The import source has no mapping yet.")


def sample_too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        "SAMPLE_TOO_LARGE", f"A sample may have {MOST_SAMPLE_BYTES} bytes at most.", limit=str(MOST_SAMPLE_BYTES)
    )

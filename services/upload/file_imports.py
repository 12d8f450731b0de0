"""Importing a file that comes with the request: land it, have its import created, wait for its end where asked to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from runtime.auth import Principal, note_object
from runtime.errors import InvalidArgument, NotFound
from services.upload.landing import LandedFile, Landings

MAX_REQUEST_ID = 255
SLUG = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file goes. `report_id` None: it brings client assets."""

    client_id: int
    report_id: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Options:
    """What the form says beside the file."""

    asset_tags: tuple[str, ...] = ()
    finding_tags: tuple[str, ...] = ()
    use_parser_actions: bool = False


ReadOptions = Callable[[Mapping[str, str]], Options]


@dataclass(frozen=True, slots=True)
class ImportCommand:
    """What the import service is told."""

    target: Target
    key: str
    file_name: str
    options: Options
    request_id: str


@dataclass(frozen=True, slots=True)
class LearnCommand:
    """The same for a file that only teaches parser actions."""

    source: str
    key: str
    file_name: str
    request_id: str


class Started(Protocol):
    """An import, of which only this matters here."""

    @property
    def import_id(self) -> str: ...

    @property
    def key(self) -> str: ...


ImportT = TypeVar("ImportT", bound=Started)


class Importer(Protocol[ImportT]):
    """The import service, and the status service beside it; both act for the caller."""

    async def create(self, command: ImportCommand) -> ImportT: ...

    async def learn(self, command: LearnCommand) -> ImportT: ...

    async def wait(self, imported: ImportT, seconds: float) -> ImportT: ...


class Renewal(Protocol):
    """What keeps the caller's credential good while a long body arrives: `runtime.renewal.Renewal`."""

    def through(self, items: AsyncIterator[bytes]) -> AsyncIterator[bytes]: ...


class FileImports(Generic[ImportT]):
    """Imports of files that are sent through this service."""

    def __init__(
        self, landings: Landings, importer: Importer[ImportT], renewal: Renewal, *, wait_seconds: float
    ) -> None:
        self._landings = landings
        self._importer = importer
        self._renewal = renewal
        self._wait_seconds = wait_seconds

    async def start(
        self,
        principal: Principal,
        target: Target,
        content_type: str,
        chunks: AsyncIterator[bytes],
        *,
        read_options: ReadOptions,
        request_id: str = "",
    ) -> ImportT:
        """The queued import of a multipart body. What can be refused without the body is refused before it is read."""
        refuse_early(principal, target)
        return await self._import(
            principal,
            content_type,
            chunks,
            lambda landed: self._importer.create(command_of(target, landed, read_options(landed.fields), request_id)),
        )

    async def learn(
        self,
        principal: Principal,
        source: str,
        content_type: str,
        chunks: AsyncIterator[bytes],
        *,
        request_id: str = "",
    ) -> ImportT:
        """The queued import of a multipart body from which parser actions are learned."""
        refuse_unknown_source(source)
        return await self._import(
            principal,
            content_type,
            chunks,
            lambda landed: self._importer.learn(
                LearnCommand(source, landed.key, landed.file_name, request_id or landed.key[:MAX_REQUEST_ID])
            ),
        )

    async def _import(
        self,
        principal: Principal,
        content_type: str,
        chunks: AsyncIterator[bytes],
        order: Callable[[LandedFile], Awaitable[ImportT]],
    ) -> ImportT:
        body = self._renewal.through(chunks)
        async with self._landings.land(principal, content_type, body) as landed:
            imported = await order(landed)
        note_object(key=imported.key, import_id=imported.import_id)
        if imported.key != landed.key:
            # A repeated request: its first import has the same bytes under another key.
            await self._landings.discard(principal.tenant_id, landed.key)
        return imported

    async def wait(self, imported: ImportT) -> ImportT:
        """The import when it has ended, or as it is after the longest wait."""
        return await self._importer.wait(imported, self._wait_seconds)


def refuse_early(principal: Principal, target: Target) -> None:
    refuse_unknown_source(target.source)
    if not principal.may_see_client(target.client_id):
        raise NotFound("CLIENT_NOT_FOUND", f"There is no client {target.client_id}.", client_id=str(target.client_id))
    if target.report_id is not None and target.report_id <= 0:
        raise NotFound("REPORT_NOT_FOUND", f"There is no report {target.report_id}.", report_id=str(target.report_id))


def refuse_unknown_source(source: str) -> None:
    """What cannot be one; which ones there are the import service knows."""
    if not SLUG.fullmatch(source):
        raise InvalidArgument("UNKNOWN_SOURCE", "There is no such source.")


def command_of(target: Target, landed: LandedFile, options: Options, request_id: str) -> ImportCommand:
    # The channel repeats a call that was not answered; the key, which nobody else has, then finds the first import.
    return ImportCommand(target, landed.key, landed.file_name, options, request_id or landed.key[:MAX_REQUEST_ID])

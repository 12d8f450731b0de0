"""Triggering, cancelling and requeueing imports."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from runtime.auth import Principal, Role, current_request, note_object
from runtime.errors import AlreadyExists, FailedPrecondition, NotFound, PayloadTooLarge, Unavailable
from runtime.objects import ObjectInfo, ObjectMissing
from runtime.texts import checked_text
from services.importer.media_types import media_type
from services.importer.metrics import IMPORTS_CANCELLED, IMPORTS_CREATED
from services.importer.model import Lane, State
from services.importer.ports import Earlier, Facts, ImportSession, ImportStore, Locked, Lookup, Objects
from services.importer.snapshot import NewImport, Snapshot
from services.importer.sources import Sources
from services.importer.tags import normal_tags

log = structlog.get_logger(__name__)

TARGET = "findings"
MAX_TEXT = 255
MAX_KEY_LENGTH = 1_024


@dataclass(frozen=True, slots=True)
class Trigger:
    """The command to import an uploaded file. `report_id` None: it brings client assets."""

    client_id: int
    report_id: int | None
    source: str
    key: str
    file_name: str = ""
    asset_tags: tuple[str, ...] = ()
    finding_tags: tuple[str, ...] = ()
    use_parser_actions: bool = False
    request_id: str = ""

    def digest(self) -> bytes:
        """Equal for equal requests. The key is not in it: a repeated upload of the same bytes has another."""
        said = (
            self.client_id,
            self.report_id,
            self.source,
            self.file_name,
            self.asset_tags,
            self.finding_tags,
            self.use_parser_actions,
        )
        return hashlib.sha256(json.dumps(said).encode()).digest()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """In bytes: the largest file where the tenant has no limit of its own, the largest of the small lane."""

    max_file_bytes: int
    small_file_bytes: int


class Imports:
    """The commands on imports. Reading them is the status service's."""

    def __init__(self, store: ImportStore, objects: Objects, sources: Sources, thresholds: Thresholds) -> None:
        self._store = store
        self._objects = objects
        self._sources = sources
        self._thresholds = thresholds

    async def create(self, principal: Principal, trigger: Trigger) -> Snapshot:
        """The queued import. A trigger with a request id answers the first import again when it is repeated."""
        trigger = self._checked(trigger)
        require_grant(principal, trigger.client_id)
        facts = await self._facts(principal, trigger)
        if facts.earlier is not None:
            return await self._replay(principal, trigger, facts.earlier)
        client_name, report_name, file_name = require_target(trigger, facts)
        info = await self._uploaded(trigger.key)
        limit = facts.max_file_bytes or self._thresholds.max_file_bytes
        if info.size > limit:
            raise PayloadTooLarge("FILE_TOO_LARGE", f"A file may have {limit} bytes at most.", limit=str(limit))
        new = self._new_import(principal, trigger, trigger.file_name or file_name, info)
        created_at = await self._store.insert(principal.tenant_id, new)
        if created_at is None:
            raced = await self._facts(principal, trigger)
            return await self._replay(principal, trigger, require_earlier(raced))
        IMPORTS_CREATED.labels(source=new.source, lane=new.lane).inc()
        note_object(import_id=new.import_id)
        log.info("import queued", import_id=str(new.import_id), lane=new.lane, size_bytes=new.file_size)
        return Snapshot(
            tenant_id=principal.tenant_id,
            import_id=new.import_id,
            client_id=new.client_id,
            client_name=client_name,
            report_id=new.report_id,
            report_name=report_name,
            source=new.source,
            key=new.key,
            file_name=new.file_name,
            file_type=new.file_type,
            file_size=new.file_size,
            state=State.QUEUED,
            user_id=new.user_id,
            user_email=new.user_email,
            asset_tags=new.asset_tags,
            finding_tags=new.finding_tags,
            use_parser_actions=new.use_parser_actions,
            created_at=created_at,
            updated_at=created_at,
        )

    async def cancel(self, principal: Principal, import_id: str) -> Snapshot:
        """Ends an import that does not run; asks the worker of one that does. One's own, or an administrator any."""
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            refuse_finished(locked)
            if locked.state is State.RUNNING:
                await session.request_cancel(number, principal.user_id)
            else:
                await session.end_cancelled(number, f"cancelled by {principal.email}")
            IMPORTS_CANCELLED.inc()
            return await session.read(number)

    async def requeue(self, principal: Principal, import_id: str) -> Snapshot:
        """Sends an import to the workers again, now: a queued one, or a running one whose worker is gone."""
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            refuse_finished(locked)
            if locked.state not in {State.QUEUED, State.RUNNING}:
                raise FailedPrecondition("IMPORT_NOT_QUEUED", f"The import is {locked.state}, not queued.")
            if locked.state is State.RUNNING and locked.has_live_lease:
                raise FailedPrecondition("IMPORT_RUNNING", "A worker is running this import.")
            await session.dispatch_now(number, locked)
            return await session.read(number)

    def _checked(self, trigger: Trigger) -> Trigger:
        return replace(
            trigger,
            source=self._sources.check(trigger.source, for_report=trigger.report_id is not None),
            file_name=checked_text("file_name", trigger.file_name, max_length=MAX_TEXT),
            asset_tags=normal_tags(trigger.asset_tags),
            finding_tags=normal_tags(trigger.finding_tags),
            request_id=checked_text("request_id", trigger.request_id, max_length=MAX_TEXT),
        )

    async def _facts(self, principal: Principal, trigger: Trigger) -> Facts:
        if len(trigger.key) > MAX_KEY_LENGTH or "\0" in trigger.key:
            raise unknown_key()
        lookup = Lookup(trigger.client_id, trigger.report_id, trigger.key, principal.user_id, trigger.request_id)
        return await self._store.facts(principal.tenant_id, lookup)

    async def _replay(self, principal: Principal, trigger: Trigger, earlier: Earlier) -> Snapshot:
        same = earlier.request_digest == trigger.digest()
        if same and earlier.key != trigger.key:
            info = await self._uploaded(trigger.key)
            same = (info.size, info.etag) == (earlier.size, earlier.etag)
        if not same:
            raise AlreadyExists(
                "IDEMPOTENCY_MISMATCH",
                "This request id has been used for another request.",
                import_id=str(earlier.import_id),
            )
        note_object(import_id=earlier.import_id)
        return await self._store.read(principal.tenant_id, earlier.import_id)

    async def _uploaded(self, key: str) -> ObjectInfo:
        """An empty object is a file like any other: its import fails, with a reason."""
        try:
            return await self._objects.head(self._objects.object_key(key))
        except ObjectMissing:
            raise FailedPrecondition("FILE_NOT_UPLOADED", "The file has not been uploaded yet.", key=key) from None

    def _new_import(self, principal: Principal, trigger: Trigger, file_name: str, info: ObjectInfo) -> NewImport:
        return NewImport(
            import_id=uuid7(),
            client_id=trigger.client_id,
            report_id=trigger.report_id,
            target=TARGET,
            source=trigger.source,
            key=trigger.key,
            file_name=file_name,
            file_type=media_type(file_name),
            file_size=info.size,
            object_key=self._objects.object_key(trigger.key),
            etag=info.etag,
            lane=Lane.SMALL if info.size <= self._thresholds.small_file_bytes else Lane.LARGE,
            asset_tags=trigger.asset_tags,
            finding_tags=trigger.finding_tags,
            use_parser_actions=trigger.use_parser_actions,
            user_id=principal.user_id,
            user_email=principal.email,
            request_id=trigger.request_id or None,
            request_digest=trigger.digest() if trigger.request_id else None,
            traceparent=current_request().traceparent,
        )


def require_grant(principal: Principal, client_id: int) -> None:
    if not principal.may_see_client(client_id):
        raise client_not_found(client_id)


def require_target(trigger: Trigger, facts: Facts) -> tuple[str, str, str]:
    """The names of client, report and file; NotFound for the first that is not this tenant's."""
    if facts.client_name is None:
        raise client_not_found(trigger.client_id)
    if trigger.report_id is not None and facts.report_name is None:
        raise NotFound(
            "REPORT_NOT_FOUND",
            f"There is no report {trigger.report_id} of client {trigger.client_id}.",
            report_id=str(trigger.report_id),
        )
    if facts.file_name is None:
        raise unknown_key()
    return facts.client_name, facts.report_name or "", facts.file_name


def require_earlier(facts: Facts) -> Earlier:
    if facts.earlier is None:
        # Its import has been removed again between two statements: the caller may simply repeat the call.
        raise Unavailable("TRIGGER_RACED", "Another request with this id is in progress. Try again.")
    return facts.earlier


async def lock_visible(session: ImportSession, principal: Principal, import_id: str) -> tuple[UUID, Locked]:
    """The import, locked, where this principal may command it; NotFound otherwise."""
    try:
        number = UUID(import_id)
    except ValueError:
        raise import_not_found() from None
    locked = await session.lock(number)
    if locked is None or not principal.may_see_client(locked.client_id):
        raise import_not_found()
    if locked.user_id != principal.user_id and principal.role < Role.ADMIN:
        raise import_not_found()
    return number, locked


def refuse_finished(locked: Locked) -> None:
    if locked.state.is_terminal:
        raise FailedPrecondition("IMPORT_FINISHED", f"The import is already {locked.state}.")


def client_not_found(client_id: int) -> NotFound:
    return NotFound("CLIENT_NOT_FOUND", f"There is no client {client_id}.", client_id=str(client_id))


def import_not_found() -> NotFound:
    return NotFound("IMPORT_NOT_FOUND", "There is no such import.")


def unknown_key() -> NotFound:
    return NotFound("UNKNOWN_KEY", "There is no upload with this key.")

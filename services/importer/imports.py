"""Triggering imports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from runtime.auth import Principal, current_request, note_object
from runtime.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PayloadTooLarge, Unavailable
from runtime.objects import ObjectInfo, ObjectMissing
from runtime.texts import checked_text
from services.importer.media_types import media_type
from services.importer.metrics import IMPORTS_CREATED
from services.importer.model import Lane, State, TargetName
from services.importer.options import checked, request_digest
from services.importer.policy import Options
from services.importer.ports import Earlier, Facts, ImportStore, Lookup, Objects
from services.importer.snapshot import NewImport, Snapshot
from services.importer.sources import Sources
from services.importer.tags import normal_tags

log = structlog.get_logger(__name__)

NO_CLIENT = 0
MAX_TEXT = 255
MAX_KEY_LENGTH = 1_024
ALREADY_RUNNING = "IMPORT_ALREADY_RUNNING"


@dataclass(frozen=True, slots=True)
class Trigger:
    """The command to import an uploaded file. `report_id` None: it brings client assets.

    What belongs to no client (`target` is not findings) goes into NO_CLIENT; who asks for that has been looked at.
    """

    client_id: int
    report_id: int | None
    source: str
    key: str
    file_name: str = ""
    asset_tags: tuple[str, ...] = ()
    finding_tags: tuple[str, ...] = ()
    use_parser_actions: bool = False
    request_id: str = ""
    options: Options = field(default_factory=Options)
    target: TargetName = TargetName.FINDINGS
    workspace_id: UUID | None = None
    """Of records only; what a client says of the import with it."""
    action_id: str | None = None
    description: str | None = None

    @property
    def reads_findings(self) -> bool:
        return self.report_id is not None or self.target is TargetName.PARSER_ACTIONS

    def digest(self) -> bytes:
        """Equal for equal requests. The key is not in it: a repeated upload of the same bytes has another."""
        return request_digest(
            self.client_id,
            self.report_id,
            self.source,
            self.file_name,
            self.asset_tags,
            self.finding_tags,
            self.use_parser_actions,
            # Digests of earlier releases know no other target.
            *([] if self.target is TargetName.FINDINGS else [self.target]),
            *([] if self.workspace_id is None else [str(self.workspace_id)]),
            options=self.options,
        )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """First in bytes: the largest file where the tenant has no limit of its own, the largest of the small lane."""

    max_file_bytes: int
    small_file_bytes: int
    unused_life: timedelta = timedelta(hours=24)
    """How long an upload that no import reads may be triggered; the reaper removes it a while later."""

    def lane_of(self, size: int) -> Lane:
        return Lane.SMALL if size <= self.small_file_bytes else Lane.LARGE


class Imports:
    """The trigger. What is done with an import afterwards is in commands.py and repeats.py."""

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
        info = await uploaded(self._objects, trigger.key)
        refuse_too_large(info.size, facts, self._thresholds)
        refuse_other_size(info.size, facts.declared_size)
        if facts.file_age >= self._thresholds.unused_life:
            await refuse_expired(self._store, self._objects, principal.tenant_id, trigger.key)
        options = with_declared_sha256(trigger.options, facts.file_sha256)
        new = self._new_import(principal, trigger, trigger.file_name or file_name, info, options)
        created_at = await self._store.insert(principal.tenant_id, new)
        if created_at is None:
            raced = await self._facts(principal, trigger)
            if raced.earlier is None and trigger.target is TargetName.RECORDS:
                raise already_running()
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
            options=new.options,
            workspace_id=new.workspace_id,
            action_id=new.action_id,
            description=new.description,
        )

    def _checked(self, trigger: Trigger) -> Trigger:
        return replace(
            trigger,
            source=self._source(trigger),
            file_name=checked_text("file_name", trigger.file_name, max_length=MAX_TEXT),
            asset_tags=normal_tags(trigger.asset_tags),
            finding_tags=normal_tags(trigger.finding_tags),
            request_id=checked_text("request_id", trigger.request_id, max_length=MAX_TEXT),
            options=checked(trigger.options),
        )

    def _source(self, trigger: Trigger) -> str:
        if trigger.target is TargetName.RECORDS:
            return self._sources.check_records(trigger.source)
        return self._sources.check(trigger.source, for_report=trigger.reads_findings)

    async def _facts(self, principal: Principal, trigger: Trigger) -> Facts:
        if len(trigger.key) > MAX_KEY_LENGTH or "\0" in trigger.key:
            raise unknown_key()
        lookup = Lookup(trigger.client_id, trigger.report_id, trigger.key, principal.user_id, trigger.request_id)
        return await self._store.facts(principal.tenant_id, lookup)

    async def _replay(self, principal: Principal, trigger: Trigger, earlier: Earlier) -> Snapshot:
        same = earlier.request_digest == trigger.digest()
        if same and earlier.key != trigger.key:
            info = await uploaded(self._objects, trigger.key)
            same = (info.size, info.etag) == (earlier.size, earlier.etag)
        if not same:
            raise another_request(earlier)
        note_object(import_id=earlier.import_id)
        return await self._store.read(principal.tenant_id, earlier.import_id)

    def _new_import(
        self, principal: Principal, trigger: Trigger, file_name: str, info: ObjectInfo, options: Options
    ) -> NewImport:
        return NewImport(
            import_id=uuid7(),
            client_id=trigger.client_id,
            report_id=trigger.report_id,
            target=trigger.target,
            source=trigger.source,
            key=trigger.key,
            file_name=file_name,
            file_type=media_type(file_name),
            file_size=info.size,
            object_key=self._objects.object_key(trigger.key),
            etag=info.etag,
            lane=self._thresholds.lane_of(info.size),
            asset_tags=trigger.asset_tags,
            finding_tags=trigger.finding_tags,
            use_parser_actions=trigger.use_parser_actions,
            user_id=principal.user_id,
            user_email=principal.email,
            request_id=trigger.request_id or None,
            request_digest=trigger.digest() if trigger.request_id else None,
            traceparent=current_request().traceparent,
            options=options,
            workspace_id=trigger.workspace_id,
            action_id=trigger.action_id,
            description=trigger.description,
        )


async def uploaded(objects: Objects, key: str) -> ObjectInfo:
    """An empty object is a file like any other: its import fails, with a reason."""
    try:
        return await objects.head(objects.object_key(key))
    except ObjectMissing:
        raise FailedPrecondition("FILE_NOT_UPLOADED", "The file has not been uploaded yet.", key=key) from None


async def refuse_expired(store: ImportStore, objects: Objects, tenant_id: int, key: str) -> None:
    """An upload whose time is over is kept only while an import reads it."""
    if not await store.is_read(tenant_id, objects.object_key(key)):
        raise FailedPrecondition("UPLOAD_EXPIRED", "The file was uploaded too long ago. Upload it again.", key=key)


def require_grant(principal: Principal, client_id: int) -> None:
    if not principal.may_see_client(client_id):
        raise client_not_found(client_id)


def require_target(trigger: Trigger, facts: Facts) -> tuple[str, str, str]:
    """The names of client, report and file; NotFound for the first that is not this tenant's."""
    if facts.client_name is None and trigger.target is TargetName.FINDINGS:
        raise client_not_found(trigger.client_id)
    if trigger.report_id is not None and facts.report_name is None:
        raise NotFound(
            "REPORT_NOT_FOUND",
            f"There is no report {trigger.report_id} of client {trigger.client_id}.",
            report_id=str(trigger.report_id),
        )
    if facts.file_name is None:
        raise unknown_key()
    return facts.client_name or "", facts.report_name or "", facts.file_name


def require_earlier(facts: Facts) -> Earlier:
    if facts.earlier is None:
        # Its import has been removed again between two statements: the caller may simply repeat the call.
        raise Unavailable("TRIGGER_RACED", "Another request with this id is in progress. Try again.")
    return facts.earlier


def another_request(earlier: Earlier) -> AlreadyExists:
    return AlreadyExists(
        "IDEMPOTENCY_MISMATCH",
        "This request id has been used for another request.",
        import_id=str(earlier.import_id),
    )


def already_running() -> FailedPrecondition:
    return FailedPrecondition(ALREADY_RUNNING, "An import of this file has not ended yet.")


def refuse_too_large(size: int, facts: Facts, thresholds: Thresholds) -> None:
    """By the tenant's own limit, or the installation's."""
    limit = facts.max_file_bytes or thresholds.max_file_bytes
    if size > limit:
        raise PayloadTooLarge("FILE_TOO_LARGE", f"A file may have {limit} bytes at most.", limit=str(limit))


def refuse_other_size(size: int, declared: int) -> None:
    if declared and size != declared:
        raise FailedPrecondition(
            "SIZE_MISMATCH",
            f"The file has {size} bytes instead of {declared}.",
            size=str(size),
            declared_size=str(declared),
        )


def with_declared_sha256(options: Options, declared: bytes | None) -> Options:
    """The checksum of the trigger, or else the one that the upload was declared with. They must not differ."""
    if declared is None or options.expected_sha256 == declared:
        return options
    if options.expected_sha256 is not None:
        raise InvalidArgument(
            "CHECKSUM_CONFLICT", "The upload was declared with another SHA-256 than this one.", field="sha256"
        )
    return msgspec.structs.replace(options, expected_sha256=declared)


def client_not_found(client_id: int) -> NotFound:
    return NotFound("CLIENT_NOT_FOUND", f"There is no client {client_id}.", client_id=str(client_id))


def unknown_key() -> NotFound:
    return NotFound("UNKNOWN_KEY", "There is no upload with this key.")

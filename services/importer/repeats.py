"""What is made from an earlier import: a retry that continues it, a re-run of its file, the undo of what it brought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from runtime.auth import Principal, current_request, note_object
from runtime.errors import FailedPrecondition, ResourceExhausted, Unavailable
from runtime.objects import ObjectMissing
from runtime.texts import checked_text
from services.importer.access import lock_visible
from services.importer.assets.turns import Terms, source_running, take_turn
from services.importer.imports import (
    MAX_TEXT,
    Thresholds,
    already_running,
    another_request,
    refuse_too_large,
    require_earlier,
    with_declared_sha256,
)
from services.importer.metrics import COMMANDS, IMPORTS_CREATED
from services.importer.model import Kind, Lane, Origin, State, TargetName
from services.importer.options import checked, request_digest
from services.importer.policy import Options
from services.importer.ports import Earlier, ImportSession, ImportStore, Locked, Lookup, Objects, StoredInput
from services.importer.snapshot import NewImport, Snapshot

log = structlog.get_logger(__name__)

Choice = Callable[[Options], Options]
"""The options of a re-run, from those of the first time."""


class Repeats:
    """Commands that make an import from another. One's own, or an administrator any.

    Retries and undos belong to the owner of the import that they are made from: whoever may give the command may
    follow them, also one that another gave. A re-run is its caller's, as a trigger is.
    """

    def __init__(
        self,
        store: ImportStore,
        objects: Objects,
        thresholds: Thresholds,
        outcomes_kept: timedelta,
        max_running_executions: int,
    ) -> None:
        self._store = store
        self._objects = objects
        self._thresholds = thresholds
        self._outcomes_kept = outcomes_kept
        self._terms = Terms(max_running_executions)

    async def retry(self, principal: Principal, import_id: str) -> Snapshot:
        """Makes an import that waits for its next attempt go on now; continues one that failed by a new one."""
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            if locked.state is State.QUEUED and locked.attempt:
                if locked.is_waiting:
                    await session.dispatch_now(number, locked)
                COMMANDS.labels("retry").inc()
                return await session.read(number)
            found = await session.retry_of(number)
            if found is None:
                if locked.state is not State.FAILED or not locked.is_resumable:
                    raise FailedPrecondition(
                        "IMPORT_NOT_RETRYABLE", f"There is nothing to continue in this import: it is {locked.state}."
                    )
                new = made_from(await session.read(number), locked, Origin.RETRY)
                await self._take_turn(session, new)
                found = await add(session, new)
            note_object(new_import_id=found)
            return await session.read(found)

    async def rerun(
        self, principal: Principal, import_id: str, choose: Choice = lambda first: first, request_id: str = ""
    ) -> Snapshot:
        """Imports the stored file again. It is no dry run unless `choose` says so, and never skips a known file."""
        request_id = checked_text("request_id", request_id, max_length=MAX_TEXT)
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            refuse_without_file(locked)
            first = await session.read(number)
            refuse_incomplete(first)
            inputs = await session.inputs(number)
        chosen = choose(msgspec.structs.replace(first.options, dry_run=False))
        options = checked(msgspec.structs.replace(chosen, force=True))
        digest = request_digest(Origin.RERUN, str(number), options=options) if request_id else None
        lookup = Lookup(first.client_id, first.report_id, first.key, principal.user_id, request_id)
        facts = await self._store.facts(principal.tenant_id, lookup)
        if facts.earlier is not None:
            return await self._replay(principal, facts.earlier, digest)
        refuse_too_large(first.file_size, facts, self._thresholds)
        await self._require_unchanged(inputs)
        new = replace(
            made_from(first, locked, Origin.RERUN),
            options=with_declared_sha256(options, facts.file_sha256),
            lane=self._thresholds.lane_of(first.file_size),
            user_id=principal.user_id,
            user_email=principal.email,
            request_id=request_id or None,
            request_digest=digest,
        )
        try:
            async with self._store.session(principal.tenant_id) as session:
                await session.lock(number)
                require_kept(await session.inputs(number))
                await self._take_turn(session, new)
                if await session.add(new):
                    note_queued(new)
                    return await session.read(new.import_id)
        except (FailedPrecondition, ResourceExhausted):
            # What is in the way may be this request itself, sent twice at once.
            raced = await self._store.facts(principal.tenant_id, lookup)
            if raced.earlier is None:
                raise
            return await self._replay(principal, raced.earlier, digest)
        raced = await self._store.facts(principal.tenant_id, lookup)
        if raced.earlier is None and new.import_source_id is not None:
            raise source_running()
        if raced.earlier is None and new.workspace_id is not None:
            raise already_running()
        return await self._replay(principal, require_earlier(raced), digest)

    async def _take_turn(self, session: ImportSession, new: NewImport) -> None:
        """A run of an import source begins by the rule of any start; it is refused where it would have to wait."""
        if new.import_source_id is not None:
            await take_turn(session, new.import_source_id, self._terms)

    async def _replay(self, principal: Principal, earlier: Earlier, digest: bytes | None) -> Snapshot:
        """The import that this user has made with the same request id before."""
        if earlier.request_digest != digest:
            raise another_request(earlier)
        note_object(new_import_id=earlier.import_id)
        return await self._store.read(principal.tenant_id, earlier.import_id)

    async def undo(self, principal: Principal, import_id: str, *, dry_run: bool = False) -> Snapshot:
        """Queues the undo of what an import brought; answers the one that is under way if there is one."""
        async with self._store.session(principal.tenant_id) as session:
            number, locked = await lock_visible(session, principal, import_id)
            note_object(import_id=number)
            found = await session.undo_of(number, dry_run=dry_run)
            if found is None:
                first = await session.read(number)
                self._refuse_undo(first, locked)
                found = await add(session, undoing(first, locked, dry_run=dry_run))
            note_object(new_import_id=found)
            return await session.read(found)

    def _refuse_undo(self, first: Snapshot, locked: Locked) -> None:
        if first.undone_at is not None:
            raise FailedPrecondition(
                "IMPORT_UNDONE", "The import has been taken back already.", undone_by=str(first.undone_by or "")
            )
        reason = why_not_undoable(first)
        if locked.target == TargetName.PARSER_ACTIONS:
            reason = "Parser actions that were learned stay: they change nothing until somebody says so."
        if reason:
            raise FailedPrecondition("IMPORT_NOT_UNDOABLE", reason)
        if locked.ended_for is None or locked.ended_for >= self._outcomes_kept:
            days = str(self._outcomes_kept.days)
            raise FailedPrecondition(
                "UNDO_EXPIRED", f"What an undo needs is kept for {days} days after an import.", days=days
            )

    async def _require_unchanged(self, inputs: tuple[StoredInput, ...]) -> None:
        """Every object is still there, and still the one that the first import has read."""
        require_kept(inputs)
        for each in inputs:
            try:
                info = await self._objects.head(each.object_key)
            except ObjectMissing:
                raise file_purged() from None
            if info.etag != each.etag:
                raise FailedPrecondition("FILE_CHANGED", "Another file is in the place of the imported one.")


async def add(session: ImportSession, new: NewImport) -> UUID:
    """Its id, where nobody else's like it is in the way."""
    if not await session.add(new):
        if new.import_source_id is not None:
            raise source_running()
        # Only where the lock on the first import did not keep two commands apart.
        raise Unavailable("TRIGGER_RACED", "Another request like this is in progress. Try again.")
    note_queued(new)
    return new.import_id


def note_queued(new: NewImport) -> None:
    """In the metrics, the audit log and the log."""
    COMMANDS.labels(new.origin).inc()
    if new.kind is Kind.IMPORT:
        IMPORTS_CREATED.labels(source=new.source, lane=new.lane).inc()
    note_object(new_import_id=new.import_id)
    log.info(
        "import queued",
        import_id=str(new.import_id),
        origin=new.origin,
        origin_import_id=str(new.origin_import_id),
        lane=new.lane,
        size_bytes=new.file_size,
    )


def made_from(first: Snapshot, locked: Locked, origin: Origin) -> NewImport:
    """An import of the same file into the same place in the same way."""
    return NewImport(
        import_id=uuid7(),
        client_id=first.client_id,
        report_id=first.report_id,
        target=locked.target,
        source=first.source,
        key=first.key,
        file_name=first.file_name,
        file_type=first.file_type,
        file_size=first.file_size,
        object_key="",
        etag="",
        lane=locked.lane,
        asset_tags=first.asset_tags,
        finding_tags=first.finding_tags,
        use_parser_actions=first.use_parser_actions,
        user_id=first.user_id,
        user_email=first.user_email,
        request_id=None,
        request_digest=None,
        traceparent=current_request().traceparent,
        options=first.options,
        origin=origin,
        origin_import_id=first.import_id,
        workspace_id=first.workspace_id,
        entity_type=first.entity_type,
        data_source=first.data_source,
        action_id=first.action_id,
        description=first.description,
        import_source_id=first.import_source_id,
    )


def undoing(first: Snapshot, locked: Locked, *, dry_run: bool) -> NewImport:
    """It reads no file, so it is small whatever it takes back."""
    return replace(
        made_from(first, locked, Origin.UNDO),
        kind=Kind.UNDO,
        file_size=0,
        lane=Lane.SMALL,
        asset_tags=(),
        finding_tags=(),
        use_parser_actions=False,
        options=Options(dry_run=dry_run),
    )


def why_not_undoable(first: Snapshot) -> str:
    """Why there is nothing to take back; empty where there is."""
    if first.kind is Kind.UNDO:
        return "An undo cannot be undone; re-run the import that it took back."
    if first.state is not State.SUCCEEDED:
        return f"The import is {first.state}, so it has brought nothing."
    if first.options.dry_run:
        return "The import was a dry run, so it has brought nothing."
    if first.duplicate_of is not None:
        return f"The file had been imported before, by {first.duplicate_of}, so this import has brought nothing."
    return ""


def refuse_without_file(locked: Locked) -> None:
    if locked.kind is Kind.UNDO:
        raise FailedPrecondition("IMPORT_WITHOUT_FILE", "An undo has no file that could be imported.")
    if not locked.state.is_terminal:
        raise FailedPrecondition("IMPORT_NOT_FINISHED", f"The import is {locked.state}; wait for its end.")


def refuse_incomplete(first: Snapshot) -> None:
    """A run that ended while its data was being sent: taken for all of its source, the rest would be missing."""
    if first.open_until is not None:
        raise FailedPrecondition(
            "DATA_INCOMPLETE", "The import ended before all of its data had been sent. Start another one."
        )


def require_kept(inputs: tuple[StoredInput, ...]) -> None:
    if not inputs or any(each.is_purged for each in inputs):
        raise file_purged()


def file_purged() -> FailedPrecondition:
    return FailedPrecondition("FILE_PURGED", "The file is not kept any more. Upload it again.")

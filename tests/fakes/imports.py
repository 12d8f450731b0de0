"""The tables of imports, clients and reports in memory."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.importer.assets.turns import RunnableSource, Turn
from services.importer.model import Kind, Origin, State
from services.importer.ports import Earlier, Facts, Limits, Locked, Lookup, NewClient, NewReport, StoredInput
from services.importer.snapshot import NewImport, Snapshot

READING_PERCENT = 90


@dataclass
class Row:
    """What the tables know of one import beside its snapshot."""

    new: NewImport
    inputs: tuple[StoredInput, ...]
    has_live_lease: bool = False
    not_before: datetime | None = None
    is_in_outbox: bool = True
    dispatched: int = 0
    """How often a command has made it due."""
    requests: list[tuple[str, int]] = field(default_factory=list)
    """Actions that the worker was asked for, and by whom; the first counts, but a cancel takes its place."""


class FakeImportStore:
    """`services.importer.ports.ImportStore` and its session; one session at a time, as behind a lock."""

    def __init__(self) -> None:
        self.files: dict[tuple[int, str], str] = {}
        self.checksums: dict[str, bytes] = {}
        """SHA-256 that an upload was declared with, by key."""
        self.sizes: dict[str, int] = {}
        """The same for sizes."""
        self.ages: dict[str, timedelta] = {}
        self.clients: dict[tuple[int, int], str] = {}
        self.reports: dict[tuple[int, int, int], str] = {}
        self.limits: dict[int, int] = {}
        self.imports: dict[tuple[int, UUID], Snapshot] = {}
        self.rows: dict[UUID, Row] = {}
        self.sources: dict[UUID, RunnableSource] = {}
        self.turn = Turn(is_busy=False, running=0, waiting=0)
        """How things stand for whatever run of a source is to begin."""
        self.hide_earlier_once = False

    async def facts(self, tenant_id: int, lookup: Lookup) -> Facts:
        earlier = self._earlier(tenant_id, lookup)
        if self.hide_earlier_once:
            self.hide_earlier_once, earlier = False, None
        return Facts(
            file_name=self.files.get((tenant_id, lookup.key)),
            client_name=self.clients.get((tenant_id, lookup.client_id)),
            report_name=self.reports.get((tenant_id, lookup.client_id, lookup.report_id or 0)),
            max_file_bytes=self.limits.get(tenant_id),
            earlier=earlier,
            file_sha256=self.checksums.get(lookup.key),
            declared_size=self.sizes.get(lookup.key, 0),
            file_age=self.ages.get(lookup.key, timedelta()),
        )

    async def is_read(self, tenant_id: int, object_key: str) -> bool:
        return any(
            each.object_key == object_key and not each.is_purged
            for tenant, import_id in self.imports
            if tenant == tenant_id
            for each in self.rows[import_id].inputs
        )

    def _earlier(self, tenant_id: int, lookup: Lookup) -> Earlier | None:
        if not lookup.request_id:
            return None
        for tenant, import_id in self.imports:
            new = self.rows[import_id].new
            if (tenant, new.user_id, new.request_id) == (tenant_id, lookup.user_id, lookup.request_id):
                return Earlier(import_id, new.request_digest or b"", new.key, new.etag, new.file_size)
        return None

    async def insert(self, tenant_id: int, new: NewImport) -> datetime | None:
        lookup = Lookup(new.client_id, new.report_id, new.key, new.user_id, new.request_id or "")
        if self._earlier(tenant_id, lookup):
            return None
        return self.put(tenant_id, new, (StoredInput(new.object_key, new.etag, is_purged=False),))

    def put(self, tenant_id: int, new: NewImport, inputs: tuple[StoredInput, ...]) -> datetime:
        now = datetime.now(UTC)
        self.rows[new.import_id] = Row(new, inputs)
        self.imports[tenant_id, new.import_id] = Snapshot(
            tenant_id=tenant_id,
            import_id=new.import_id,
            client_id=new.client_id,
            client_name=self.clients.get((tenant_id, new.client_id), ""),
            report_id=new.report_id,
            report_name=self.reports.get((tenant_id, new.client_id, new.report_id or 0), ""),
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
            created_at=now,
            updated_at=now,
            options=new.options,
            kind=new.kind,
            origin=new.origin,
            origin_import_id=new.origin_import_id,
        )
        return now

    def change(self, tenant_id: int, import_id: UUID, **members: Any) -> None:
        """Moves an import as its workers would. One that ends has ended now, unless told otherwise."""
        state = members.get("state")
        if state is not None and state.is_terminal:
            members.setdefault("ended_at", datetime.now(UTC))
        self.imports[tenant_id, import_id] = replace(self.imports[tenant_id, import_id], **members)

    async def read(self, tenant_id: int, import_id: UUID) -> Snapshot:
        return self.imports[tenant_id, import_id]

    @asynccontextmanager
    async def session(self, tenant_id: int) -> AsyncIterator[FakeImportSession]:
        yield FakeImportSession(self, tenant_id)


class FakeImportSession:
    """`services.importer.ports.ImportSession`."""

    def __init__(self, store: FakeImportStore, tenant_id: int) -> None:
        self._store = store
        self._tenant_id = tenant_id

    async def lock_source(self, import_source_id: UUID) -> RunnableSource | None:
        return self._store.sources.get(import_source_id)

    async def turn(self, source: RunnableSource) -> Turn:
        return self._store.turn

    async def lock(self, import_id: UUID) -> Locked | None:
        found = self._store.imports.get((self._tenant_id, import_id))
        if found is None:
            return None
        row, now = self._store.rows[import_id], datetime.now(UTC)
        return Locked(
            state=found.state,
            kind=found.kind,
            lane=row.new.lane,
            target=row.new.target,
            client_id=found.client_id,
            user_id=found.user_id,
            traceparent=row.new.traceparent,
            has_live_lease=row.has_live_lease,
            attempt=found.attempt,
            is_waiting=row.not_before is not None and row.not_before > now,
            is_merging=found.state is State.RUNNING and found.percent > READING_PERCENT,
            is_resumable=found.resumable_until is not None and found.resumable_until > now,
            ended_for=now - found.ended_at if found.ended_at else None,
            requested=self._requested(import_id),
        )

    def _requested(self, import_id: UUID) -> str | None:
        found = self._store.imports[self._tenant_id, import_id]
        return "cancel" if found.cancel_requested else "pause" if found.pause_requested else None

    def _change(self, import_id: UUID, **members: Any) -> None:
        self._store.change(self._tenant_id, import_id, **members)

    async def end_cancelled(self, import_id: UUID, message: str) -> None:
        self._change(
            import_id,
            state=State.CANCELLED,
            error_code="CANCELLED",
            error_message=message,
            phase="cancelled",
            cancel_requested=False,
            pause_requested=False,
        )
        self._store.rows[import_id].is_in_outbox = False

    async def request_cancel(self, import_id: UUID, user_id: int) -> None:
        self._change(import_id, cancel_requested=True, pause_requested=False)
        self._store.rows[import_id].requests.append(("cancel", user_id))

    async def request_pause(self, import_id: UUID, user_id: int) -> None:
        if self._requested(import_id) is None:
            self._change(import_id, pause_requested=True)
            self._store.rows[import_id].requests.append(("pause", user_id))

    async def withdraw_pause(self, import_id: UUID) -> None:
        self._change(import_id, pause_requested=False)

    async def pause(self, import_id: UUID) -> None:
        self._change(import_id, state=State.PAUSED, phase="paused", pause_requested=False)
        self._store.rows[import_id].is_in_outbox = False

    async def resume(self, import_id: UUID, locked: Locked) -> None:
        self._change(import_id, state=State.QUEUED, phase="queued")
        await self.dispatch_now(import_id, locked)

    async def dispatch_now(self, import_id: UUID, locked: Locked) -> None:
        row = self._store.rows[import_id]
        row.not_before, row.is_in_outbox = None, True
        row.dispatched += 1

    async def inputs(self, import_id: UUID) -> tuple[StoredInput, ...]:
        return self._store.rows[import_id].inputs

    async def retry_of(self, import_id: UUID) -> UUID | None:
        return self._made_from(import_id, Origin.RETRY, has_succeeded=True)

    async def undo_of(self, import_id: UUID, *, dry_run: bool) -> UUID | None:
        return self._made_from(import_id, Origin.UNDO, dry_run=dry_run)

    def _made_from(
        self, import_id: UUID, origin: Origin, *, dry_run: bool | None = None, has_succeeded: bool = False
    ) -> UUID | None:
        """The first that lives, or has succeeded where that counts."""
        for (tenant_id, number), found in self._store.imports.items():
            is_one = (tenant_id, found.origin, found.origin_import_id) == (self._tenant_id, origin, import_id)
            stands = not found.state.is_terminal or (has_succeeded and found.state is State.SUCCEEDED)
            if is_one and stands and dry_run in {None, found.options.dry_run}:
                return number
        return None

    async def add(self, new: NewImport) -> bool:
        if self._is_taken(new):
            return False
        origin = new.origin_import_id
        inputs = self._store.rows[origin].inputs if origin and new.kind is Kind.IMPORT else ()
        self._store.put(self._tenant_id, new, tuple(replace(each, is_purged=False) for each in inputs))
        return True

    def _is_taken(self, new: NewImport) -> bool:
        """The three unique indexes."""
        lookup = Lookup(new.client_id, new.report_id, new.key, new.user_id, new.request_id or "")
        if self._store._earlier(self._tenant_id, lookup):
            return True
        if new.origin_import_id is None:
            return False
        match new.origin:
            case Origin.RETRY:
                return self._made_from(new.origin_import_id, Origin.RETRY, has_succeeded=True) is not None
            case Origin.UNDO if not new.options.dry_run:
                found = self._made_from(new.origin_import_id, Origin.UNDO, dry_run=False, has_succeeded=True)
                return found is not None
            case _:
                return False

    async def read(self, import_id: UUID) -> Snapshot:
        return self._store.imports[self._tenant_id, import_id]


class FakeEngagementStore:
    """`services.importer.ports.EngagementStore`."""

    def __init__(self) -> None:
        self.clients: dict[tuple[int, int], NewClient] = {}
        self.reports: dict[tuple[int, int], NewReport] = {}
        self.limits_set: dict[int, Limits] = {}
        self._ids = itertools.count(1000)

    async def add_client(self, tenant_id: int, client: NewClient) -> int:
        number = next(self._ids)
        self.clients[tenant_id, number] = client
        return number

    async def add_report(self, tenant_id: int, report: NewReport) -> int | None:
        if (tenant_id, report.client_id) not in self.clients:
            return None
        number = next(self._ids)
        self.reports[tenant_id, number] = report
        return number

    async def limits(self, tenant_id: int) -> Limits:
        return self.limits_set.get(tenant_id, Limits(None, None))

    async def set_limits(self, tenant_id: int, limits: Limits) -> None:
        self.limits_set[tenant_id] = limits

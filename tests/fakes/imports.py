"""The tables of imports, clients and reports in memory."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from services.importer.model import Lane, State
from services.importer.ports import Earlier, Facts, Limits, Locked, Lookup, NewClient, NewReport
from services.importer.snapshot import NewImport, Snapshot


class FakeImportStore:
    """`services.importer.ports.ImportStore` and its session, for one tenant at a time."""

    def __init__(self) -> None:
        self.files: dict[tuple[int, str], str] = {}
        self.clients: dict[tuple[int, int], str] = {}
        self.reports: dict[tuple[int, int, int], str] = {}
        self.limits: dict[int, int] = {}
        self.imports: dict[tuple[int, UUID], Snapshot] = {}
        self.new: dict[UUID, NewImport] = {}
        self.live_leases: set[UUID] = set()
        self.cancel_requests: list[tuple[UUID, int]] = []
        self.dispatched: list[UUID] = []
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
        )

    def _earlier(self, tenant_id: int, lookup: Lookup) -> Earlier | None:
        for tenant, import_id in self.imports:
            new = self.new.get(import_id)
            if new and (tenant, new.user_id, new.request_id) == (tenant_id, lookup.user_id, lookup.request_id):
                return Earlier(import_id, new.request_digest or b"", new.key, new.etag, new.file_size)
        return None

    async def insert(self, tenant_id: int, new: NewImport) -> datetime | None:
        lookup = Lookup(new.client_id, new.report_id, new.key, new.user_id, new.request_id or "")
        if new.request_id and self._earlier(tenant_id, lookup):
            return None
        now = datetime.now(UTC)
        self.new[new.import_id] = new
        self.imports[tenant_id, new.import_id] = Snapshot(
            tenant_id=tenant_id,
            import_id=new.import_id,
            client_id=new.client_id,
            client_name=self.clients[tenant_id, new.client_id],
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
        )
        return now

    def set_state(self, tenant_id: int, import_id: UUID, state: State) -> None:
        self.imports[tenant_id, import_id] = replace(self.imports[tenant_id, import_id], state=state)

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

    async def lock(self, import_id: UUID) -> Locked | None:
        found = self._store.imports.get((self._tenant_id, import_id))
        if found is None:
            return None
        leased = import_id in self._store.live_leases
        return Locked(found.state, Lane.SMALL, found.client_id, found.user_id, "", leased)

    async def end_cancelled(self, import_id: UUID, message: str) -> None:
        at = self._tenant_id, import_id
        self._store.imports[at] = replace(
            self._store.imports[at], state=State.CANCELLED, error_code="CANCELLED", error_message=message
        )

    async def request_cancel(self, import_id: UUID, user_id: int) -> None:
        self._store.cancel_requests.append((import_id, user_id))
        at = self._tenant_id, import_id
        self._store.imports[at] = replace(self._store.imports[at], cancel_requested=True)

    async def dispatch_now(self, import_id: UUID, locked: Locked) -> None:
        self._store.dispatched.append(import_id)

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

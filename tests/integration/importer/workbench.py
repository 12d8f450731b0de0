"""A worker's view of a database of its own: seeded imports, and the steps of the engine one by one."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import forkserver
from typing import Any
from uuid import UUID

import psutil
import psycopg
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from runtime.database import Database
from runtime.objects import ObjectStore
from services.importer.engine import claims
from services.importer.engine.attempt import Attempt, Ending
from services.importer.engine.claims import Claim
from services.importer.engine.flip import flip
from services.importer.engine.frames import Rejected
from services.importer.engine.limits import Limits
from services.importer.engine.progress import Progress
from services.importer.engine.report import report_key
from services.importer.engine.runner import Gate
from services.importer.engine.staging import Checkpoint, Staging
from services.importer.engine.target import Tally, Target
from services.importer.targets.findings.target import FindingsTarget
from services.importer.targets.objects.target import ObjectsTarget
from services.importer.targets.parser_actions.target import ParserActionsTarget
from services.importer.targets.records.target import RecordsTarget

TENANT = 1
TARGETS: dict[str, Target] = {
    target.name: target for target in (FindingsTarget(), ParserActionsTarget(), RecordsTarget(), ObjectsTarget())
}
LEASE = timedelta(seconds=60)


@dataclass
class Engine:
    """One client with one report, and imports into it."""

    worker: Database
    admin: psycopg.AsyncConnection[dict[str, Any]]
    client_id: int
    report_id: int

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Past row-level security."""
        return await (await self.admin.execute(query.encode(), parameters)).fetchall()

    async def value(self, query: str, *parameters: object) -> Any:
        (row,) = await self.rows(query, *parameters)
        return next(iter(row.values()))

    async def queued(
        self,
        *,
        tenant: int = TENANT,
        lane: str = "small",
        asset_tags: Sequence[str] = (),
        finding_tags: Sequence[str] = (),
        size: int = 10,
        force: bool = True,
        **columns: Any,
    ) -> UUID:
        """An import as its trigger leaves it; `columns` are others of its row. Forced, for most tests repeat files."""
        import_id = UUID(str(uuid7()))
        await self.admin.execute(
            "INSERT INTO imports (tenant_id, import_id, client_id, report_id, target, source, key, file_name, "
            "file_type, file_size, lane, state, user_id, user_email, asset_tags, finding_tags) "
            "VALUES (%s, %s, %s, %s, 'findings', 'nessus', 'k', 'f', "
            "'text/xml', %s, %s, 'QUEUED', 1, 'u', %s, %s)",
            (tenant, import_id, self.client_id, self.report_id, size, lane, list(asset_tags), list(finding_tags)),
        )
        columns["force"] = force
        changes = ", ".join(f"{column} = %s" for column in columns)
        values = [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]
        await self.admin.execute(f"UPDATE imports SET {changes} WHERE import_id = %s".encode(), (*values, import_id))
        await self.admin.execute(
            "INSERT INTO import_inputs (tenant_id, import_id, number, object_key, etag, size) "
            "VALUES (%s, %s, 0, 'k', 'e', %s)",
            (tenant, import_id, size),
        )
        for table in ("import_claims", "import_progress"):
            await self.admin.execute(
                f"INSERT INTO {table} (tenant_id, import_id) VALUES (%s, %s)".encode(), (tenant, import_id)
            )
        await self.admin.execute(
            "INSERT INTO outbox (tenant_id, import_id, lane) VALUES (%s, %s, %s)", (tenant, import_id, lane)
        )
        return import_id

    async def source(self, tenant: int = TENANT, *, file_key: str | None = None) -> UUID:
        """An import source of CSV."""
        source_id, workspace_id = UUID(str(uuid7())), UUID(int=1)
        (schema,) = await self.rows(
            "INSERT INTO object_schemas (tenant_id, workspace_id, name, key) VALUES (%s, %s, 'Hosts', %s) "
            "RETURNING object_schema_id",
            *(tenant, workspace_id, str(source_id)),
        )
        await self.admin.execute(
            "INSERT INTO import_sources (tenant_id, import_source_id, workspace_id, object_schema_id, name, type, "
            "file_key, user_id) VALUES (%s, %s, %s, %s, 'Hosts', 'csv', %s, 1)",
            (tenant, source_id, workspace_id, schema["object_schema_id"], file_key),
        )
        return source_id

    async def claimed(self, import_id: UUID, owner: str = "test") -> Claim:
        async with self.worker.transaction(TENANT) as connection:
            claim = await claims.claim(connection, TENANT, import_id, owner, LEASE)
        assert isinstance(claim, Claim)
        return claim

    async def staged(
        self, claim: Claim, items: Sequence[Iterable[Any]], rejected: Sequence[Rejected] = (), empty: int = 0
    ) -> tuple[Staging, Checkpoint]:
        """The items in staging, complete."""
        target, tally = TARGETS[claim.target], Tally()
        stager = target.stager(claim.job, tally)
        for ordinal, records in enumerate(items, start=1):
            tally.staged += stager.add(ordinal, records)
        for each in rejected:
            stager.reject(each)
        tally.read, tally.rejected = len(items) + len(rejected) + empty, len(rejected)
        tally.bytes = claim.size
        staging = Staging(TENANT, claim.job.import_id, target.templates)
        checkpoint = Checkpoint(tally.read, is_complete=True, format="test", family="test", tally=tally)
        async with self.worker.transaction(TENANT) as connection:
            await claims.hold(connection, claim)
            await staging.prepare(connection)
            await staging.write(connection, stager.take(), rejected)
            await staging.save(connection, claim.attempt, checkpoint)
            await staging.analyze(connection)
        return staging, checkpoint

    async def imported(self, items: Sequence[Iterable[Any]], rejected: Sequence[Rejected] = (), **tags: Any) -> UUID:
        """The items, through staging and the flip."""
        claim = await self.claimed(await self.queued(**tags))
        staging, checkpoint = await self.staged(claim, items, rejected)
        target = TARGETS[claim.target]
        await flip(self.worker, target, claim, staging, checkpoint, Progress(1, target.merge_steps))
        return claim.job.import_id

    async def outcome(self, import_id: UUID) -> dict[str, int]:
        """The counters that add up to read, those above zero."""
        (row,) = await self.rows("SELECT * FROM import_progress WHERE import_id = %s", import_id)
        names = ("inserted", "updated", "unchanged", "deleted", "skipped", "rejected")
        assert row["read"] == sum(row[name] for name in names)
        return {name: row[name] for name in names if row[name]}


@dataclass
class Bench:
    """An engine with an object store, and attempts at imports of files in it."""

    engine: Engine
    objects: ObjectStore
    limits: Limits = dataclasses.field(default_factory=Limits)
    gate: Gate | None = None

    async def triggered(
        self, data: bytes, source: str = "nessus", lane: str = "small", file: str = "", **columns: Any
    ) -> UUID:
        """An import of these bytes; of one file when `file` names it."""
        import_id = await self.engine.queued(size=len(data), lane=lane, **columns)
        key = self.objects.object_key(f"{file or import_id}/file")
        await self.objects.put(key, data, "application/octet-stream")
        info = await self.objects.head(key)
        await self.engine.admin.execute(
            "UPDATE import_inputs SET object_key = %s, etag = %s WHERE import_id = %s", (key, info.etag, import_id)
        )
        await self.engine.admin.execute("UPDATE imports SET source = %s WHERE import_id = %s", (source, import_id))
        return import_id

    async def attempt(self, import_id: UUID, draining: asyncio.Event | None = None, **limits: Any) -> Ending:
        return await self.prepared(await self.engine.claimed(import_id), draining, **limits).run()

    async def ask(self, import_id: UUID, action: str) -> None:
        """As somebody who has the import cancelled or paused."""
        await self.engine.admin.execute(
            "INSERT INTO import_requests (action, tenant_id, import_id, requested_by) VALUES (%s, %s, %s, 1) "
            "ON CONFLICT (tenant_id, import_id) DO UPDATE SET action = excluded.action",
            (action, TENANT, import_id),
        )

    def prepared(self, claim: Claim, draining: asyncio.Event | None = None, **limits: Any) -> Attempt:
        return Attempt(
            self.engine.worker,
            self.objects,
            TARGETS[claim.target],
            claim,
            dataclasses.replace(self.limits, **limits),
            draining or asyncio.Event(),
            _no_beat,
            self.gate,
        )

    async def row(self, import_id: UUID) -> dict[str, Any]:
        (row,) = await self.engine.rows("SELECT * FROM imports WHERE import_id = %s", import_id)
        return row

    async def report_of(self, import_id: UUID) -> list[list[str]]:
        """The lines of the report of rejected items, without their heading."""
        key = self.objects.object_key(report_key(TENANT, import_id))
        with self.objects.open(key, (await self.objects.head(key)).etag) as report:
            text = report.read(1 << 24).decode()
        return list(csv.reader(text.splitlines()))[1:]

    async def assert_nothing_left(self) -> None:
        staged = "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging' AND tablename ~ '[0-9a-f]{32}'"
        assert await self.engine.value(staged) == 0
        assert await self.engine.value("SELECT count(*) FROM staging.checkpoints") == 0
        assert await self.engine.value("SELECT count(*) FROM import_leases") == 0
        assert parser_children() == []

    async def assert_nothing_imported(self) -> None:
        for table in ("findings", "assets", "affected_assets", "evidence", "records"):
            assert await self.engine.value(f"SELECT count(*) FROM {table}") == 0
        await self.assert_nothing_left()


def parser_children() -> list[psutil.Process]:
    """Those that the fork server has made and that still live."""
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return [each for each in psutil.Process(server).children() if each.status() != psutil.STATUS_ZOMBIE]


async def _no_beat() -> None:
    return None

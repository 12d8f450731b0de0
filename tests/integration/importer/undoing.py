"""Undos of imports in a database of the test's own, and what the target holds before and after."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from runtime.reports import undo_report_key
from services.importer.engine import undo
from services.importer.engine.failures import Cancelled, Drained, FencedOut
from services.importer.engine.progress import Progress
from services.importer.engine.undo import Undoing
from services.importer.targets.findings.records import AffectedAsset, Asset, Evidence, Finding, Port, Severity
from tests.fakes.objects import FakeObjectStore
from tests.integration.importer.workbench import TARGETS, TENANT, Engine

OBJECT_REFERENCES = "object_references"
TABLES = (
    "findings", "assets", "asset_keys", "affected_assets", "evidence", "tags", "records", "objects", OBJECT_REFERENCES,
    "sightings", "before_images",
)  # fmt: skip
Dump = dict[str, list[str]]
Items = Sequence[Iterable[Any]]


@dataclass(frozen=True)
class Result:
    """What an undo has told: kind, action, reason -> count; its rows; its report."""

    undo_id: UUID
    counts: Mapping[tuple[str, str, str], int]
    items: Sequence[dict[str, Any]]
    report: Sequence[dict[str, str]]

    def named(self, action: str) -> list[tuple[str, str, str]]:
        """Kind, name and reason of the items of an action."""
        return sorted((row["kind"], row["name"], row["reason"]) for row in self.items if row["action"] == action)

    def total(self, action: str) -> int:
        return sum(count for (_, each, _), count in self.counts.items() if each == action)


class NoSignals:
    def __init__(self) -> None:
        self.reason: Cancelled | Drained | FencedOut | None = None

    def check(self) -> None:
        if self.reason is not None:
            raise self.reason


@dataclass
class Undoer:
    """Queues undos as the command does, and runs them."""

    engine: Engine
    objects: Any = field(default_factory=FakeObjectStore)

    async def queued(self, import_id: UUID, *, dry_run: bool = False) -> UUID:
        undo_id = UUID(str(uuid7()))
        await self.engine.admin.execute(
            "INSERT INTO imports (tenant_id, import_id, client_id, report_id, target, source, key, file_name, "
            "file_type, file_size, lane, state, user_id, user_email, kind, origin, origin_import_id, dry_run, "
            "workspace_id) "
            "SELECT tenant_id, %s, client_id, report_id, target, source, key, file_name, file_type, 0, 'small', "
            "'QUEUED', user_id, user_email, 'undo', 'undo', import_id, %s, workspace_id FROM imports "
            "WHERE import_id = %s",
            (undo_id, dry_run, import_id),
        )
        for table in ("import_claims", "import_progress"):
            await self.engine.admin.execute(
                f"INSERT INTO {table} (tenant_id, import_id) VALUES (%s, %s)".encode(), (TENANT, undo_id)
            )
        await self.engine.admin.execute(
            "INSERT INTO outbox (tenant_id, import_id, lane) VALUES (%s, %s, 'small')", (TENANT, undo_id)
        )
        return undo_id

    async def prepared(self, undo_id: UUID, signals: NoSignals | None = None) -> Undoing:
        claim = await self.engine.claimed(undo_id)
        seen = Progress(claim.size, undo.STEPS)
        return Undoing(self.engine.worker, self.objects, TARGETS[claim.target], claim, seen, signals or NoSignals())

    async def undo(self, import_id: UUID, *, dry_run: bool = False) -> Result:
        undo_id = await self.queued(import_id, dry_run=dry_run)
        await (await self.prepared(undo_id)).run()
        return await self.result(undo_id)

    async def result(self, undo_id: UUID) -> Result:
        (row,) = await self.engine.rows("SELECT * FROM import_progress WHERE import_id = %s", undo_id)
        counts = {(each["kind"], each["action"], each["reason"]): each["count"] for each in row["undo"]}
        items = await self.engine.rows("SELECT * FROM undo_items WHERE import_id = %s ORDER BY number", undo_id)
        return Result(undo_id, counts, items, await self.report(undo_id))

    async def report(self, undo_id: UUID) -> list[dict[str, str]]:
        key = self.objects.object_key(undo_report_key(TENANT, undo_id))
        info = await self.objects.head(key)
        with self.objects.open(key, info.etag) as reader:
            text = b"".join(iter(lambda: reader.read(1 << 20), b"")).decode()
        return list(csv.DictReader(text.splitlines()))


async def dump(engine: Engine, tenant: int = TENANT) -> Dump:
    """Every column of every row of the target and of what undo needs, in one order."""
    found = {}
    for table in TABLES:
        rows = await engine.rows(f"SELECT to_jsonb(t)::text AS row FROM {table} t WHERE tenant_id = %s", tenant)
        found[table] = sorted(row["row"] for row in rows)
    return found


NOTHING: Dump = {table: [] for table in TABLES}


async def assert_whole(engine: Engine) -> None:
    """What holds in every state: nothing refers to what is gone, and nothing is left of an undone import."""
    for child, column, parent, key in (
        ("affected_assets", "finding_id", "findings", "finding_id"),
        ("affected_assets", "asset_id", "assets", "asset_id"),
        ("evidence", "affected_id", "affected_assets", "affected_id"),
        ("asset_keys", "asset_id", "assets", "asset_id"),
    ):
        orphans = f"SELECT * FROM {child} c WHERE NOT EXISTS (SELECT FROM {parent} p WHERE p.{key} = c.{column})"
        assert await engine.rows(orphans) == [], orphans
    undone = "(SELECT import_id FROM imports WHERE undone_at IS NOT NULL)"
    # References are made of the objects and name no import.
    for table in set(TABLES) - {OBJECT_REFERENCES}:
        assert await engine.rows(f"SELECT * FROM {table} WHERE import_id IN {undone}") == [], table
    twice = "SELECT * FROM sightings s JOIN before_images b USING (tenant_id, kind, row_id, import_id)"
    assert await engine.rows(twice) == []


def finding(key: str = "10", **more: Any) -> Finding:
    return Finding(key=key, number=int(key), title=more.pop("title", f"Title {key}"), severity=Severity.HIGH, **more)


def asset(ref: str, **more: Any) -> Asset:
    return Asset(ref=ref, name=more.pop("name", ref), **more)


def item(
    key: str, host: str, port: int = 80, proof: str = "seen", finding_tags: Sequence[str] = (), **more: Any
) -> list[Any]:
    """A finding on a host, with proof; `more` is about the host."""
    evidence = (Evidence("output", proof, len(proof)),)
    return [
        finding(key, tags=tuple(finding_tags)),
        asset(host, **more),
        AffectedAsset(finding=key, asset=host, port=port, protocol="tcp", evidence=evidence),
    ]


@dataclass(frozen=True)
class Scan:
    """One import that a generator has made up."""

    items: Sequence[Sequence[Any]]
    asset_tags: Sequence[str]
    finding_tags: Sequence[str]

    async def imported(self, engine: Engine) -> UUID:
        return await engine.imported(self.items, asset_tags=self.asset_tags, finding_tags=self.finding_tags)


def scan(random: Random, *, is_plain: bool = False) -> Scan:
    """Overlaps with others of the same generator in findings, hosts, places, proof, addresses and tags.

    A plain one says the same of a host and of a finding as all others do, and has no tags.
    """
    items = []
    for _ in range(random.randint(1, 6)):
        host = f"host{random.randint(1, 4)}"
        items.append(
            item(
                str(random.randint(10, 13)),
                host,
                port=0 if is_plain else random.choice((0, 80, 443)),
                proof=random.choice(("one", "two")),
                **({} if is_plain else _details(random)),
            )
        )
    tags = [] if is_plain else [f"t{n}" for n in range(3)]
    return Scan(items, _some(random, tags), _some(random, tags))


def _details(random: Random) -> dict[str, Any]:
    return {
        "hostname": random.choice(("", "", "web", "db")),
        "ips": tuple(_some(random, [f"10.0.0.{n}" for n in range(1, 5)])),
        "mac": random.choice(("", "00:11")),
        "operating_systems": tuple(_some(random, ["Linux", "BSD"])),
        "ports": tuple(Port(number, "tcp") for number in _some(random, [22, 25])),
        "finding_tags": _some(random, ["t1", "f1", "f2"]),
        "tags": tuple(_some(random, ["t2", "f2"])),
    }


def _some(random: Random, values: Sequence[Any]) -> list[Any]:
    return [value for value in values if random.random() < 0.4]

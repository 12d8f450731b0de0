"""A table of objects with references, from the queue to complete, beside a bare COPY and upsert of what it leaves.

Then the same file once more, which must rewrite nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx
import msgspec
import psycopg
from uuid_utils.compat import uuid7

from bench.live import Live
from bench.options import Options, say, write_file
from bench.rows import Row
from bench.sampling import CpuTime, memory, sampled
from deploy.local.gateway import OBJECT_PREFIX
from services.importer.targets.objects.plan import AttributePlan, ObjectPlan, Reference, TypePlan
from services.importer.targets.objects.rules import AttributeRule

OBJECTS = 1_000_000
SITES, MODELS = 1_000, 50
# Of the rate of the bare work on the same rows, and objects a second.
BAR, SPEED = 0.5, 10_000
POLL_SECONDS = 0.05
TENANT = 1

ATTRIBUTES = {
    "Name": "text", "Serial": "text", "Address": "ipaddress", "Cores": "integer", "Load": "double",
    "Installed": "date", "Active": "boolean", "Comment": "textarea",
}  # fmt: skip
REFERENCES = {"Site": SITES, "Model": MODELS}


def measure(live: Live, options: Options) -> list[Row]:
    count = options.sized(OBJECTS)
    path = options.folder / "objects.csv"
    size = write_file(path, table(count))
    inventory = Inventory(live)
    worker, postgres = CpuTime(live.process("worker")), CpuTime(live.process("postgres"))
    peak = memory(live, "worker")
    with sampled(peak.sample, worker.sample, postgres.sample):
        first, told = inventory.imported(path)
    before = inventory.versions()
    again, told_again = inventory.imported(path)
    rewritten = inventory.versions() != before
    path.unlink()
    objects_alone, floor = inventory.copy_and_upsert()
    say(f"objects: {first:.1f} s, {told}; again {again:.1f} s, {told_again}; bare {floor:.1f} s")
    return [
        Row(
            f"{size / 1e6:,.0f} MB CSV, {count:,} objects with two references each: from the queue to complete",
            f"{first:.2f} s ({count / first:,.0f} objects/s)",
            f"bare COPY + upsert of objects and references {floor:.2f} s (of objects alone {objects_alone:.2f} s)",
            f"{floor / first:.2f}x",
            f">= {BAR}x and {SPEED:,}/s",
            floor / first >= BAR and count / first >= SPEED and told["inserted"] == count,
        ),
        Row(
            "the same file again, all unchanged",
            f"{again:.2f} s ({count / again:,.0f} objects/s)",
            bar="no object is rewritten",
            holds=not rewritten and told_again["unchanged"] == count,
        ),
        Row(
            "CPU: worker, parser child, PostgreSQL; worker and children, peak RSS",
            f"{worker.root_seconds:.1f} s, {worker.seconds - worker.root_seconds:.1f} s, {postgres.seconds:.1f} s; "
            f"{peak.peak / 1e6:.0f} MB",
        ),
    ]


def table(count: int) -> Iterator[bytes]:
    """So many hosts."""
    yield (",".join((*ATTRIBUTES, *REFERENCES)) + "\n").encode()
    rows: list[str] = []
    for number in range(count):
        comment = "" if number % 3 else '"moved, twice"'
        rows.append(
            f"host{number:07}.example.com,SN-{number * 7919 % 10_000_019:08},192.0.2.{number % 256},{number % 96 + 1},"
            f"{number % 1000 / 10},20{number % 25:02}-{number % 12 + 1:02}-{number % 28 + 1:02},"
            f"{'true' if number % 5 else 'false'},{comment},Site {number * 31 % SITES},Model {number * 17 % MODELS}\n"
        )
        if len(rows) == 1_000:  # noqa: PLR2004  (a piece)
            yield "".join(rows).encode()
            rows.clear()
    yield "".join(rows).encode()


class Inventory:
    """A workspace of its own with an object schema, the objects that are referred to, and an import source."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._source_id = UUID(str(uuid7()))
        self._workspace_id = UUID(str(uuid7()))
        self._schema_id = live.sql(
            "INSERT INTO object_schemas (tenant_id, workspace_id, name, key) VALUES (%s, %s, 'Bench', 'BE') "
            "RETURNING object_schema_id",
            *(TENANT, self._workspace_id),
        )[0][0]
        places = {name: self._place(name, count) for name, count in REFERENCES.items()}
        self._type_id = self._type("Host")
        attributes = [self._attribute(self._type_id, name, type_) for name, type_ in ATTRIBUTES.items()]
        attributes += [self._reference(name, target) for name, target in places.items()]
        name_id = attributes[0].attribute_id
        host = TypePlan(self._type_id, "Host", tuple(attributes), (name_id,), label_attribute=name_id)
        self._plan = json.dumps(msgspec.to_builtins(ObjectPlan(types=(host,))))

    def _type(self, name: str) -> int:
        query = (
            "INSERT INTO object_types (tenant_id, object_schema_id, name) VALUES (%s, %s, %s) RETURNING object_type_id"
        )
        return int(self._live.sql(query, TENANT, self._schema_id, name)[0][0])

    def _attribute(self, type_id: int, name: str, type_: str, reference: Reference | None = None) -> AttributePlan:
        attribute_id = self._live.sql(
            "INSERT INTO object_attributes (tenant_id, object_type_id, name, type, reference_type_id) "
            "VALUES (%s, %s, %s, %s, %s) RETURNING attribute_id",
            *(TENANT, type_id, name, type_, reference and reference.target_type_id),
        )[0][0]
        rule = AttributeRule(locators=(name,))
        return AttributePlan(attribute_id, name, type_, rule, reference=reference)  # type: ignore[arg-type]  # a literal

    def _place(self, name: str, count: int) -> int:
        """A type that is referred to, with its objects."""
        type_id = self._type(name)
        attribute = self._attribute(type_id, "Name", "text").attribute_id
        self._live.sql(
            "INSERT INTO objects (tenant_id, object_type_id, key, label, document) "
            "SELECT %s, %s, jsonb_build_array(v)::text, v, jsonb_build_object(%s::text, v) "
            "FROM (SELECT %s || ' ' || n AS v FROM generate_series(0, %s) n) s",
            *(TENANT, type_id, attribute, name, count - 1),
        )
        return type_id

    def _reference(self, name: str, target: int) -> AttributePlan:
        query = Reference(f"Name = ${{{name}}}", (name,), target)
        return self._attribute(self._type_id, name, "referenced_object", query)

    def imported(self, path: Path) -> tuple[float, dict[str, Any]]:
        """Seconds from the queue to the end, and the counters."""
        import_id, size = UUID(str(uuid7())), path.stat().st_size
        reserved = self._live.post("/api/v2/presigned-url", {"name": path.name})
        with path.open("rb") as data:
            put = httpx.put(reserved["url"], content=data, headers={"content-length": str(size)}, timeout=900)
        etag = put.raise_for_status().headers["etag"].strip('"')
        with psycopg.connect(self._live.database_url) as connection:
            connection.execute(
                "INSERT INTO imports (tenant_id, import_id, client_id, target, source, key, file_name, file_type, "
                "file_size, lane, state, user_id, user_email, workspace_id, import_source_id, plan) "
                "VALUES (%s, %s, 0, 'objects', 'objects-csv', %s, %s, 'text/csv', %s, 'large', 'QUEUED', 1, 'bench', "
                "%s, %s, %s)",
                (TENANT, import_id, reserved["key"], path.name, size, self._workspace_id, self._source_id, self._plan),
            )
            connection.execute(
                "INSERT INTO import_inputs (tenant_id, import_id, number, object_key, etag, size) "
                "VALUES (%s, %s, 0, %s, %s, %s)",
                (TENANT, import_id, f"{OBJECT_PREFIX}/{reserved['key']}", etag, size),
            )
            for name in ("import_claims", "import_progress"):
                connection.execute(
                    f"INSERT INTO {name} (tenant_id, import_id) VALUES (%s, %s)".encode(),  # noqa: S608  (two names)
                    (TENANT, import_id),
                )
            connection.execute(
                b"INSERT INTO outbox (tenant_id, import_id, lane) VALUES (%s, %s, 'large')", (TENANT, import_id)
            )
            connection.execute(b"SELECT pg_notify('hythe_outbox', '')")
        return self._wait(import_id, perf_counter())

    def _wait(self, import_id: UUID, began: float) -> tuple[float, dict[str, Any]]:
        query = (
            b"SELECT i.state, i.error_code, i.error_message, p.inserted, p.updated, p.unchanged, p.cautions "
            b"FROM imports i JOIN import_progress p USING (tenant_id, import_id) WHERE i.import_id = %s"
        )
        with psycopg.connect(self._live.database_url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
            while True:
                found = connection.execute(query, (import_id,)).fetchone()
                if found is not None and found["state"] == "SUCCEEDED":
                    return perf_counter() - began, found
                if found is not None and found["state"] in {"FAILED", "CANCELLED"}:
                    raise SystemExit(f"the import failed: {found['error_code']}: {found['error_message']}")
                time.sleep(POLL_SECONDS)

    def versions(self) -> Any:
        """Which transaction wrote each object, where it stands, and when it was changed, of all together."""
        query = (
            "SELECT count(*), sum(hashtextextended(xmin::text || ctid::text || updated_at::text, 0)) "
            "FROM objects WHERE object_type_id = %s"
        )
        return self._live.sql(query, self._type_id)

    def copy_and_upsert(self) -> tuple[float, float]:
        """Seconds for the same objects, and with their references, into tables with the same indexes."""
        seconds = []
        of_type = f"SELECT object_id FROM objects WHERE object_type_id = {self._type_id}"  # noqa: S608  (an id)
        for name, conflict in (
            (
                "objects",
                "(tenant_id, object_type_id, key) DO UPDATE SET document = excluded.document, label = excluded.label",
            ),
            ("object_references", "(tenant_id, object_id, attribute_id, target_id) DO NOTHING"),
        ):
            rows = f"SELECT * FROM {name} WHERE object_id IN ({of_type})"  # noqa: S608
            seconds.append(_copy_and_upsert(self._live, name, rows, conflict))
        return seconds[0], sum(seconds)


def _copy_and_upsert(live: Live, name: str, rows: str, conflict: str) -> float:
    """Encoded beforehand, into an UNLOGGED table, and from there into one with the indexes of the real one."""
    with psycopg.connect(live.database_url) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY ({rows}) TO STDOUT (FORMAT BINARY)".encode()) as out:
            pieces = [bytes(piece) for piece in out]
        cursor.execute(f"CREATE UNLOGGED TABLE bench_staged (LIKE {name})".encode())
        cursor.execute(f"CREATE TABLE bench_rows (LIKE {name} INCLUDING DEFAULTS INCLUDING INDEXES)".encode())
        connection.commit()
        began = perf_counter()
        with cursor.copy(b"COPY bench_staged FROM STDIN (FORMAT BINARY)") as copy:
            for piece in pieces:
                copy.write(piece)
        upsert = f"INSERT INTO bench_rows SELECT * FROM bench_staged ON CONFLICT {conflict}"  # noqa: S608  (ours)
        cursor.execute(upsert.encode())
        connection.commit()
        seconds = perf_counter() - began
        cursor.execute(b"DROP TABLE bench_staged, bench_rows")
        connection.commit()
    return seconds

"""A sync file, from trigger to complete, beside a bare COPY and upsert of its rows; then the same file once more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import psycopg

from bench.live import Live
from bench.options import Options, say, write_file
from bench.rows import Row
from bench.sampling import CpuTime, memory, sampled
from bench.sync_files import cc5
from deploy.local.bootstrap import BUCKET, WORKSPACE

# The larger file has about a gigabyte.
ROWS, FULL_ROWS = 200_000, 5_000_000
# Of the rate of the bare work on the same rows.
BAR = 0.5
# Whatever the size of the file.
BAR_MEMORY = 300e6
POLL_SECONDS = 0.02
PIECE_BYTES = 1 << 20
COUNTED = "inserted, updated, unchanged, deleted, skipped, rejected"


def measure(live: Live, options: Options) -> list[Row]:
    count = FULL_ROWS if options.full else options.sized(ROWS)
    path = options.folder / "records.cc5txt"
    size = write_file(path, _own_file(count))
    worker, postgres = CpuTime(live.process("worker")), CpuTime(live.process("postgres"))
    peak = memory(live, "worker")
    gateway = memory(live, "gateway")
    with sampled(peak.sample, gateway.sample, worker.sample, postgres.sample):
        sending, first, told = _import(live, path)
    _, again, _ = _import(live, path)
    path.unlink()
    bare = CpuTime(live.process("postgres"))
    began = time.process_time()
    with sampled(bare.sample):
        floor = _copy_and_upsert(live, options.folder / "records.copy")
    bare_cpu = bare.seconds + time.process_time() - began
    say(f"records: {first:.1f} s, {told}; the same rows again {again:.1f} s; bare {floor:.1f} s")
    children = worker.seconds - worker.root_seconds
    cpu = worker.seconds + postgres.seconds
    return [
        Row(
            f"{size / 1e6:,.0f} MB cc5, {count:,} rows, into an empty workspace: trigger to complete",
            f"{first:.2f} s ({count / first:,.0f} rows/s)",
            f"bare COPY + upsert {floor:.2f} s ({count / floor:,.0f} rows/s)",
            f"{floor / first:.2f}x",
            f">= {BAR}x",
            floor / first >= BAR,
        ),
        Row("the same rows in another upload, all unchanged", f"{again:.2f} s ({count / again:,.0f} rows/s)"),
        Row(
            "worker and children, peak RSS",
            f"{peak.peak / 1e6:.0f} MB",
            bar=f"<= {BAR_MEMORY / 1e6:.0f} MB",
            holds=peak.peak <= BAR_MEMORY,
        ),
        Row(
            "CPU: worker, parser child, PostgreSQL",
            f"{worker.root_seconds:.1f} s, {children:.1f} s, {postgres.seconds:.1f} s",
            f"bare: PostgreSQL and its client {bare_cpu:.1f} s",
            f"{bare_cpu / cpu:.2f}x",
        ),
        Row(
            "its upload through the gateway; gateway, peak RSS",
            f"{sending:.2f} s ({size / 1e6 / sending:,.0f} MB/s); {gateway.peak / 1e6:.0f} MB",
        ),
    ]


def _own_file(count: int) -> Iterator[bytes]:
    """The rows of bench.sync_files for the workspace of this stack."""
    pieces = cc5(count)
    yield next(pieces).replace(b"|ws-demo|bk-demo|", f"|{WORKSPACE}|{BUCKET}|".encode())
    yield from pieces


def _import(live: Live, path: Path) -> tuple[float, float, dict[str, Any]]:
    """Seconds of the upload, seconds from the trigger to its end, and the counters."""
    reserved = live.post("/appfile/file/path", {"FileName": path.name, "EntityType": "wks_family_member"})["Data"]
    began = perf_counter()
    with path.open("rb") as data:
        headers = {"content-length": str(path.stat().st_size), "content-type": "application/octet-stream"}
        httpx.put(reserved["Url"], content=data, headers=headers, timeout=900).raise_for_status()
    sent = perf_counter()
    live.post("/appfile/file/import", {"FileType": "cc5", "FileId": reserved["FileId"]})
    query = f"""
        SELECT i.state, i.error_code, i.error_message, {COUNTED}
        FROM imports i JOIN import_progress USING (tenant_id, import_id) WHERE i.key LIKE %s || '/%%'
    """  # noqa: S608  (names of ours)
    with psycopg.connect(live.database_url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
        while True:
            found = connection.execute(query.encode(), (reserved["FileId"],)).fetchone()
            if found is not None and found["state"] == "SUCCEEDED":
                return sent - began, perf_counter() - sent, {name: found[name] for name in COUNTED.split(", ")}
            if found is not None and found["state"] in {"FAILED", "CANCELLED"}:
                raise SystemExit(f"the import failed: {found['error_code']}: {found['error_message']}")
            time.sleep(POLL_SECONDS)


def _copy_and_upsert(live: Live, encoded: Path) -> float:
    """The same records, `encoded` beforehand, into an UNLOGGED table, and from there into one with the same indexes."""
    with psycopg.connect(live.database_url) as connection, connection.cursor() as cursor:
        with encoded.open("wb") as file, cursor.copy(b"COPY records TO STDOUT (FORMAT BINARY)") as out:
            for piece in out:
                file.write(piece)
        cursor.execute(b"CREATE UNLOGGED TABLE bench_staged (LIKE records)")
        cursor.execute(b"CREATE TABLE bench_records (LIKE records INCLUDING DEFAULTS INCLUDING INDEXES)")
        connection.commit()
        began = perf_counter()
        with encoded.open("rb") as file, cursor.copy(b"COPY bench_staged FROM STDIN (FORMAT BINARY)") as copy:
            while piece := file.read(PIECE_BYTES):
                copy.write(piece)
        cursor.execute(
            b"INSERT INTO bench_records SELECT * FROM bench_staged "
            b"ON CONFLICT (tenant_id, workspace_id, entity_type, data_source, key) "
            b"DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at"
        )
        connection.commit()
        seconds = perf_counter() - began
        cursor.execute(b"DROP TABLE bench_staged, bench_records")
        connection.commit()
    encoded.unlink()
    return seconds

"""The same work done bare: what a figure is held against, measured in the same run on the same machine."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from xml.parsers import expat

import psycopg

from bench.live import Live

HEADER_BYTES = 19
TRAILER_BYTES = 2
BLOCK_ROWS = 1_000


def expat_seconds(path: Path) -> float:
    """One pass of expat over the file, without a handler."""
    with path.open("rb") as file:
        began = perf_counter()
        expat.ParserCreate().ParseFile(file)
        return perf_counter() - began


def copy_seconds(live: Live, table: str, rows: int) -> float:
    """A binary COPY of so many rows of a table, encoded beforehand, into an empty UNLOGGED one like it."""
    with psycopg.connect(live.database_url) as connection, connection.cursor() as cursor:
        query = f"COPY (SELECT * FROM {table} LIMIT {BLOCK_ROWS}) TO STDOUT (FORMAT BINARY)"  # noqa: S608  (our own names)
        with cursor.copy(query.encode()) as out:
            data = b"".join(bytes(piece) for piece in out)
        found = cursor.rowcount
        header, block = data[:HEADER_BYTES], data[HEADER_BYTES:-TRAILER_BYTES]
        cursor.execute(f"CREATE UNLOGGED TABLE bench_bare (LIKE {table})".encode())
        connection.commit()
        began = perf_counter()
        with cursor.copy(b"COPY bench_bare FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(header)
            for _ in range(max(1, round(rows / found))):
                copy.write(block)
            copy.write(data[-TRAILER_BYTES:])
        connection.commit()
        seconds = perf_counter() - began
        cursor.execute(b"DROP TABLE bench_bare")
        return seconds

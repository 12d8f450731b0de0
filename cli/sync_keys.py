"""Which keys of a sync file come several times.

All keys of a file of any size have to be compared, so they go to a temporary database on disk, which sorts them there:
memory stays at what it may cache. They are compared as an import compares them, whole and not by a short digest, so
that nothing is told that is not so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from cli.errors import CliError, ExitCode
from services.importer.targets.records.rows import bounded

CACHE_KIBIBYTES = 16 * 1024
HELD = 10_000
"""Keys that wait to be written together."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A key of several rows 10 and 90: as the import compares it, lines of its first and last row, number of rows."""

    key: str
    first: int
    last: int
    rows: int


@dataclass(slots=True)
class Repeats:
    """How many keys come several times, how many rows are skipped for a later one of their key, and the first keys."""

    keys: int = 0
    skipped: int = 0
    shown: list[Repeat] = field(default_factory=list)


class KeyLog:
    """Takes the key of each row, and tells at the end which came several times."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._held: list[tuple[str, int]] = []
        self._database = database
        for statement in (
            f"PRAGMA cache_size = -{CACHE_KIBIBYTES}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE keys (key TEXT NOT NULL, line INTEGER NOT NULL)",
            "BEGIN",
        ):
            self._database.execute(statement)

    def add(self, key: str, line: int) -> None:
        """`key` as in `Upsert`, `line` counts from 1."""
        self._held.append((bounded(key), line))
        if len(self._held) >= HELD:
            self._write()

    def repeats(self, shown: int) -> Repeats:
        """Those that come first in the file are shown, `shown` of them."""
        self._write()
        found = Repeats()
        query = """
            SELECT key, min(line) AS first, max(line) AS last, count(*) AS rows FROM keys
            GROUP BY key HAVING count(*) > 1 ORDER BY first, key
        """
        for row in self._database.execute(query):
            repeat = Repeat(*row)
            found.keys += 1
            found.skipped += repeat.rows - 1
            if len(found.shown) < shown:
                found.shown.append(repeat)
        return found

    def _write(self) -> None:
        self._database.executemany("INSERT INTO keys VALUES (?, ?)", self._held)
        self._held.clear()


@contextmanager
def key_log() -> Iterator[KeyLog]:
    """A log whose database has no name: it is gone with the block, or with the process. CliError for a full disk."""
    try:
        with closing(sqlite3.connect("", isolation_level=None)) as database:
            yield KeyLog(database)
    except sqlite3.OperationalError as error:
        message = f"The keys cannot be compared: {error}. They need room for temporary files (SQLITE_TMPDIR, TMPDIR)."
        raise CliError(message, ExitCode.FAILED) from None

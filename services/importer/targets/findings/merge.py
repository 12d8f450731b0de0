"""The merge of a findings import: definitions, assets, instances, proof, in set-based SQL inside the flip.

Each step leaves a small temporary table (`merge_…`) that says which staged row became which target row; the next steps
join those. Temporary tables of some size are analysed as soon as they are filled, because the planner knows nothing of
a table that is seconds old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import staging
from services.importer.engine.target import Job

# Above this many staged rows every join is a hash join, whatever the (absent) statistics of the target tables make the
# planner believe. Below it, index look-ups keep a small import into a large report fast.
SMALL_IMPORT_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge: its connection, its job, and where its staged rows are."""

    connection: AsyncConnection
    job: Job
    staged: Mapping[Table, str]
    family: str

    async def run(self, statement: str, **more: Any) -> CursorResult[Any]:
        """Runs a statement; `{findings}`, `{assets}`, `{affected}`, `{evidence}` are this import's staging tables.

        `:tenant`, `:import_id`, `:client`, `:report` and `:family` are given.
        """
        names = {table.name: self.staged[table] for table in TEMPLATES}
        parameters = {
            "tenant": self.job.tenant_id,
            "import_id": self.job.import_id,
            "client": self.job.client_id,
            "report": self.job.report_id,
            "family": self.family,
            **more,
        }
        clause = text(statement.format(**names))
        used = {name: parameters[name] for name in clause._bindparams}  # noqa: SLF001  (text() refuses none, psycopg refuses more)
        return await self.connection.execute(clause, used)

    async def table(self, name: str, query: str, **more: Any) -> int:
        """Makes a temporary table of this transaction; answers its rows. One of some size is analysed."""
        result = await self.run(f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {query}", **more)
        if result.rowcount > SMALL_IMPORT_ROWS:
            await self.run(f"ANALYZE {name}")
        return result.rowcount

    async def count(self, query: str, **more: Any) -> int:
        """One number."""
        return int((await self.run(query, **more)).scalar_one())


TEMPLATES = (staging.findings, staging.assets, staging.affected, staging.evidence)


async def begin(merge: Merge) -> None:
    """One merge at a time per client, in commit order; and a planner that is told what it cannot know."""
    await merge.run("SELECT pg_advisory_xact_lock(:tenant, :client)")
    await merge.run("SET LOCAL work_mem = '128MB'")
    await merge.run("SET LOCAL jit = off")
    rows = await merge.count("SELECT (SELECT count(*) FROM {affected}) + (SELECT count(*) FROM {assets})")
    if rows > SMALL_IMPORT_ROWS:
        await merge.run("SET LOCAL enable_nestloop = off")

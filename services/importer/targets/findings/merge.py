"""The merge of a findings import: definitions, assets, instances, proof, in set-based SQL inside the flip.

Each step leaves a small temporary table (`merge_…`) that says which staged row became which target row; the next steps
join those. Temporary tables of some size are analysed as soon as they are filled, because the planner knows nothing of
a table that is seconds old.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import staging
from services.importer.engine.statements import Statements
from services.importer.engine.target import Job

# Above this many staged rows every join is a hash join, whatever the (absent) statistics of the target tables make the
# planner believe. Below it, index look-ups keep a small import into a large report fast.
SMALL_IMPORT_ROWS = 2_000


class Merge(Statements):
    """One merge. `{findings}`, `{assets}`, `{affected}`, `{evidence}` are this import's staging tables.

    `:tenant`, `:import_id`, `:client`, `:report`, `:family` and `:source` are given.
    """

    def __init__(self, connection: AsyncConnection, job: Job, staged: Mapping[Table, str], family: str) -> None:
        parameters = {
            "tenant": job.tenant_id,
            "import_id": job.import_id,
            "client": job.client_id,
            "report": job.report_id,
            "family": family,
            "source": job.source,
        }
        super().__init__(connection, {table.name: staged[table] for table in TEMPLATES}, parameters)
        self.job = job


TEMPLATES = (staging.findings, staging.assets, staging.affected, staging.evidence)


async def lock(connection: AsyncConnection, job: Job) -> None:
    """One flip or undo at a time per client, to the end of the transaction."""
    query = text("SELECT pg_advisory_xact_lock(:tenant, :client)")
    await connection.execute(query, {"tenant": job.tenant_id, "client": job.client_id})


async def begin(merge: Merge) -> None:
    """A planner that is told what it cannot know."""
    await merge.run("SET LOCAL work_mem = '128MB'")
    await merge.run("SET LOCAL jit = off")
    rows = await merge.count("SELECT (SELECT count(*) FROM {affected}) + (SELECT count(*) FROM {assets})")
    if rows > SMALL_IMPORT_ROWS:
        await merge.run("SET LOCAL enable_nestloop = off")

"""Rows of deleted records: kept as long as an undo could bring the record back, and no longer."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from runtime.database import Database as Pool
from services.importer.retention_store import delete_outcomes
from tests.integration.importer.ledger import Ledger, drop, put
from tests.integration.importer.workbench import TENANT, Engine
from tests.integration.serving import connected
from tests.stack import Database

AGE = timedelta(days=30)


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger.of(engine)


async def ended(ledger: Ledger, import_id: UUID, days: int) -> None:
    query = "UPDATE imports SET ended_at = now() - make_interval(days => %s) WHERE import_id = %s"
    await ledger.engine.admin.execute(query, (days, import_id))


async def swept(importer: Pool) -> None:
    async with importer.transaction(TENANT) as connection:
        await delete_outcomes(connection, TENANT, AGE)


async def keys(ledger: Ledger) -> list[str]:
    rows = await ledger.engine.rows("SELECT key FROM records ORDER BY key")
    return [row["key"] for row in rows]


async def test_the_row_of_a_deleted_record_goes_with_what_an_undo_would_need(
    ledger: Ledger, database: Database
) -> None:
    await ended(ledger, await ledger.imported(put("F1"), put("F2"), put("F3")), days=90)
    await ended(ledger, await ledger.imported(drop("F1")), days=31)
    young = await ledger.imported(drop("F2"))
    await ended(ledger, young, days=29)
    async with connected(database, "hythe_importer") as importer:
        await swept(importer)
        assert await keys(ledger) == ['["F2"]', '["F3"]']
        await ended(ledger, young, days=31)
        await swept(importer)
    assert await keys(ledger) == ['["F3"]']
    assert await ledger.engine.value("SELECT count(*) FROM before_images") == 0


async def test_a_record_that_came_back_stays(ledger: Ledger, database: Database) -> None:
    await ended(ledger, await ledger.imported(put("F1", n=1)), days=90)
    await ended(ledger, await ledger.imported(drop("F1")), days=60)
    await ended(ledger, await ledger.imported(put("F1", n=2)), days=50)
    async with connected(database, "hythe_importer") as importer:
        await swept(importer)
    assert (await ledger.documents())["F1"]["n"] == 2


async def test_a_row_that_a_young_import_has_an_image_of_stays(ledger: Ledger, database: Database) -> None:
    await ended(ledger, await ledger.imported(put("F1", n=1)), days=90)
    await ended(ledger, await ledger.imported(drop("F1")), days=60)
    back = await ledger.imported(put("F1", n=2))
    await ended(ledger, back, days=5)
    gone = await ledger.imported(drop("F1"))
    await ended(ledger, gone, days=40)
    async with connected(database, "hythe_importer") as importer:
        await swept(importer)
    # The young import brought it back, and its undo must find the row.
    assert await keys(ledger) == ['["F1"]']

"""Rows of removed objects: kept as long as an undo could bring the object back, and no longer."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from runtime.database import Database as Pool
from services.importer.retention_store import delete_outcomes
from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.workbench import TENANT, Engine
from tests.integration.serving import connected
from tests.stack import Database


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def host(depot: Depot) -> Type:
    type_ = await depot.type("Host")
    depot.plan = ObjectPlan(types=(type_.plan(missing="REMOVE"),))
    return type_


async def ended(depot: Depot, import_id: UUID, days: int) -> None:
    query = "UPDATE imports SET ended_at = now() - make_interval(days => %s) WHERE import_id = %s"
    await depot.engine.admin.execute(query, (days, import_id))


async def labels_after_sweep(depot: Depot, importer: Pool) -> list[str]:
    async with importer.transaction(TENANT) as connection:
        await delete_outcomes(connection, TENANT, timedelta(days=30))
    return [row["label"] for row in await depot.engine.rows("SELECT label FROM objects ORDER BY 1")]


async def test_the_row_of_a_removed_object_goes_with_what_an_undo_would_need(
    depot: Depot, host: Type, database: Database
) -> None:
    await ended(depot, await depot.imported(*(host.row(Name=name) for name in "abc")), days=90)
    await ended(depot, await depot.imported(*(host.row(Name=name) for name in "bc")), days=31)
    young = await depot.imported(host.row(Name="c"))
    await ended(depot, young, days=29)
    async with connected(database, "hythe_importer") as importer:
        assert await labels_after_sweep(depot, importer) == ["b", "c"]
        await ended(depot, young, days=31)
        assert await labels_after_sweep(depot, importer) == ["c"]
    assert await depot.engine.value("SELECT count(*) FROM before_images") == 0
    # What comes back is another object.
    again = await depot.imported(host.row(Name="b"), host.row(Name="c"))
    assert await depot.engine.outcome(again) == {"inserted": 1, "unchanged": 1}

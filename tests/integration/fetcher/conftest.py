"""A fetcher over a database of the test's own, whose sources are of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.fetcher import reader_process
from services.importer.engine import heartbeat, last_word, slot
from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.fetcher.quay import Quay
from tests.integration.importer.conftest import bench, engine
from tests.integration.importer.depot import Depot
from tests.integration.importer.workbench import Bench
from tests.integration.serving import connected
from tests.stack import Database as TestDatabase

__all__ = ["bench", "engine"]


@pytest.fixture
async def quay(bench: Bench, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quay]:
    monkeypatch.setattr(slot, "FETCH_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(reader_process, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(last_word, "WRITE_AGAIN_SECONDS", 0.02)
    depot = await Depot.of(bench.engine)
    host = await depot.type("Host", Cores="integer")
    depot.plan = ObjectPlan(types=(host.plan(),))
    async with connected(database, "hythe_fetcher") as pool:
        yield Quay(bench, pool, depot, host)

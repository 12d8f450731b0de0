from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.fakes.people import IMPORTER, calling
from tests.unit.importer.bench import TRIGGER, Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with calling(IMPORTER):
        yield Bench()


@pytest.fixture
async def queued(bench: Bench) -> UUID:
    return (await bench.imports.create(IMPORTER, TRIGGER)).import_id

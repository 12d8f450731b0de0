"""All failpoints, each with a process that dies there and with one that outsleeps its lease there.

Afterwards the rows are right, there is one end and one event of it, and nothing is left over: the checker says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.failpoints import POINTS
from tests.chaos.run import Run, baseline, running
from tests.chaos.sweep import SCAN, cases, scenario_of, swept
from tests.stack import LiveStack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def run(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with running(stack, tmp_path_factory.mktemp("sweep"), seed=1, tenants=2) as run:
        for name in ("upload", "importer", "worker", "fetcher"):
            run.fleet.start(name)
        run.fleet.wait_ready()
        baseline(run)
        run.learn([SCAN])
        yield run


def test_the_sweep_knows_how_to_come_by_every_point() -> None:
    assert len(POINTS) >= 25
    assert all(scenario_of(point) for point in POINTS)


@pytest.mark.parametrize(("point", "action", "nth"), cases(), ids=str)
def test_an_import_survives(run: Run, point: str, action: str, nth: int) -> None:
    assert swept(run, point, action, nth) == []

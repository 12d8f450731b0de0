"""Kill -9 of any part, in the middle of a 100 MB import and again in its flip.

`make chaos` runs it; `make test` has a short selection.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.fetching import cancelled_while_fetched, fetched_through
from tests.chaos.killing import Moment, Size, assert_exactly, in_the_flip, kill_at, while_staging
from tests.e2e.rest import Rest, rest
from tests.scans import write_nessus
from tests.stack import LiveStack

HUNDRED_MEGABYTES = Size(hosts=1_500, plugins=40, output_characters=1_300)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    size = HUNDRED_MEGABYTES
    path = tmp_path_factory.mktemp("chaos") / "big.nessus"
    return write_nessus(path, size.hosts, size.plugins, output_characters=size.output_characters)


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[Rest]:
    made = rest(stack)
    yield made
    made.http.close()


@pytest.mark.parametrize("moment", [while_staging, in_the_flip], ids=["staging", "flip"])
@pytest.mark.parametrize(
    "process", ["worker", "postgres", "nats", "s3", "importer", "status", "upload", "identity", "gateway"]
)
def test_an_import_survives_the_death_of_any_part(
    stack: LiveStack, caller: Rest, big_file: Path, process: str, moment: Moment
) -> None:
    with big_file.open("rb") as data:
        key = caller.upload(data, **{"content-length": str(big_file.stat().st_size)})
    import_id = caller.trigger(key)
    kill_at(stack, process, import_id, moment)
    row = caller.wait(import_id, seconds=300)
    assert row["status"] == "IMPORT COMPLETE", row
    assert_exactly(stack, caller, HUNDRED_MEGABYTES)


def test_an_import_survives_deaths_in_both_halves(stack: LiveStack, caller: Rest, big_file: Path) -> None:
    with big_file.open("rb") as data:
        key = caller.upload(data, **{"content-length": str(big_file.stat().st_size)})
    import_id = caller.trigger(key)
    kill_at(stack, "worker", import_id, while_staging)
    kill_at(stack, "worker", import_id, in_the_flip)
    assert caller.wait(import_id, seconds=300)["status"] == "IMPORT COMPLETE"
    assert_exactly(stack, caller, HUNDRED_MEGABYTES)


@pytest.mark.parametrize("process", ["fetcher", "postgres", "nats", "s3", "importer"])
def test_a_fetch_survives_the_death_of_any_part(stack: LiveStack, process: str) -> None:
    fetched_through(stack, lambda: stack.kill(process))


def test_a_fetch_is_cancelled_in_the_middle(stack: LiveStack) -> None:
    cancelled_while_fetched(stack)

"""The short selection of tests/chaos that every run of the tests does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.killing import Moment, Size, assert_exactly, in_the_flip, kill_at, while_staging
from tests.e2e.rest import Rest
from tests.scans import write_nessus
from tests.stack import LiveStack

SIZE = Size(hosts=1_500, plugins=40, output_characters=1_300)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kills") / "scan.nessus"
    return write_nessus(path, SIZE.hosts, SIZE.plugins, output_characters=SIZE.output_characters)


@pytest.mark.parametrize(
    ("process", "moment"),
    [
        ("worker", while_staging),
        ("worker", in_the_flip),
        ("postgres", while_staging),
        ("postgres", in_the_flip),
        ("nats", while_staging),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_an_import_survives_a_death(stack: LiveStack, caller: Rest, file: Path, process: str, moment: Moment) -> None:
    import_id = caller.trigger(caller.upload(file.read_bytes()))
    kill_at(stack, process, import_id, moment)
    assert caller.wait(import_id, seconds=150)["status"] == "IMPORT COMPLETE"
    assert_exactly(stack, caller, SIZE)

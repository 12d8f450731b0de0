from __future__ import annotations

from services.importer.engine.progress import Progress
from services.importer.engine.target import Tally


def test_an_import_is_at_90_percent_when_its_file_is_read_and_at_99_with_its_last_step() -> None:
    seen = Progress(size=200, merge_steps=2)
    seen.tally = Tally(bytes=100)
    assert seen.percent == 45
    percents = []
    for _ in range(4):
        seen.merging("a step")
        percents.append(seen.percent)
    assert percents == [93, 96, 99, 99]


def test_what_has_no_file_gets_on_with_its_steps() -> None:
    seen = Progress(size=0, merge_steps=2)
    assert seen.percent == 0
    percents = []
    for _ in range(3):
        seen.merging("a step")
        percents.append(seen.percent)
    assert percents == [33, 66, 99]

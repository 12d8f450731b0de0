"""Undos of imports of records: what is left is what the other files alone would have brought, in whatever order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests.integration.importer.ledger import COLUMNS, Ledger, drop, put
from tests.integration.importer.undoing import NOTHING, dump
from tests.integration.importer.workbench import Engine

# More of them when something about undo has changed: HYTHE_TEST_SEEDS=100 finds what these do not.
SEEDS = range(int(os.environ.get("HYTHE_TEST_SEEDS", "3")))
KEEP = {"empty": "keep"}


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger.of(engine)


async def test_an_undo_gives_back_every_row_as_it_was(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="Garcia", size=4), put("F2", name="Okafor"), put("F3"), put("F4"))
    await ledger.imported(drop("F4"))
    before = await dump(ledger.engine)
    import_id = await ledger.imported(put("F1", name="Lee"), drop("F2"), put("F3"), put("F4", name="back"), put("F5"))
    assert await ledger.engine.outcome(import_id) == {"inserted": 2, "updated": 1, "unchanged": 1, "deleted": 1}
    result = await ledger.undo(import_id)
    assert result.counts == {("record", "restored", ""): 3, ("record", "removed", ""): 1}
    assert await dump(ledger.engine) == before


async def test_a_dry_undo_changes_nothing_and_says_the_same(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="Garcia"), put("F2"))
    import_id = await ledger.imported(put("F1", name="Lee"), drop("F2"), put("F3"))
    before = await dump(ledger.engine)
    trial = await ledger.undo(import_id, dry_run=True)
    assert await dump(ledger.engine) == before
    real = await ledger.undo(import_id)
    assert trial.counts == real.counts
    assert real.named("removed") == [("record", 'wks_family ["F3"]', "")]


async def test_what_a_later_file_says_stays_and_the_rest_is_taken_back(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="Garcia", size=4, comment="old"))
    undone = await ledger.imported(put("F1", name="Lee", size=5, comment="new"))
    await ledger.imported(put("F1", size=5), columns=["entityId", "size"])
    result = await ledger.undo(undone)
    assert result.counts == {("record", "kept", "SEEN_LATER"): 1}
    assert await ledger.documents() == {"F1": {"entityId": "F1", "name": "Garcia", "size": 5, "comment": "old"}}


async def test_a_record_that_a_later_file_has_too_keeps_what_that_one_says(ledger: Ledger) -> None:
    undone = await ledger.imported(put("F1", name="Garcia", size=4))
    later = await ledger.imported(put("F1", comment="later"), columns=["entityId", "comment"])
    await ledger.undo(undone)
    assert await ledger.documents() == {"F1": {"entityId": "F1", "comment": "later"}}
    await ledger.undo(later)
    assert await dump(ledger.engine) == NOTHING


async def test_nothing_comes_back_from_before_a_later_deletion(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="Garcia", comment="old"))
    undone = await ledger.imported(put("F1", name="Lee", comment="new"))
    await ledger.imported(drop("F1"))
    await ledger.imported(put("F1", size=1), columns=["entityId", "size"])
    await ledger.undo(undone)
    assert await ledger.documents() == {"F1": {"entityId": "F1", "size": 1}}


@dataclass(frozen=True)
class File:
    """One that a generator has made up."""

    rows: Sequence[Sequence[Any]]
    columns: Sequence[str]
    keeps: bool

    async def imported(self, ledger: Ledger) -> UUID:
        policy = KEEP if self.keeps else {}
        return await ledger.imported(*self.rows, columns=list(self.columns), policy=policy)


def made_up(random: Random) -> File:
    """Overlaps with others of the same generator in keys, columns and values. It says nothing that it does not mean."""
    columns = [code for code in COLUMNS[1:] if random.random() < 0.6]
    rows = []
    for entity in random.sample(range(5), random.randint(1, 4)):
        if random.random() < 0.25:
            rows.append(drop(f"F{entity}"))
            continue
        said = {code: random.randint(1, 2) for code in columns if random.random() < 0.8}
        rows.append(put(f"F{entity}", **said))
    return File(rows, ["entityId", *columns], keeps=False)


async def emptied(engine: Engine) -> None:
    await engine.admin.execute(b"TRUNCATE records, sightings, before_images, imports CASCADE")


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_some_undos_there_is_what_the_other_files_alone_would_have_brought(
    ledger: Ledger, seed: int
) -> None:
    random = Random(seed)
    for _ in range(6):
        await emptied(ledger.engine)
        files = [made_up(random) for _ in range(4)]
        imports = [await each.imported(ledger) for each in files]
        undone = random.sample(range(4), random.randint(1, 3))
        for each in undone:
            await ledger.undo(imports[each])
        left = await ledger.documents()
        await emptied(ledger.engine)
        for number, file in enumerate(files):
            if number not in undone:
                await file.imported(ledger)
        assert left == await ledger.documents(), (seed, undone, files)


@pytest.mark.parametrize("seed", SEEDS)
async def test_three_overlapping_files_undone_in_any_order_end_in_nothing(ledger: Ledger, seed: int) -> None:
    random = Random(seed)
    files = [made_up(random) for _ in range(3)]
    for order in permutations(range(3)):
        imports = [await each.imported(ledger) for each in files]
        for each in order:
            await ledger.undo(imports[each])
        assert await dump(ledger.engine) == NOTHING, order


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_undo_of_the_last_import_gives_back_exactly_what_was_before_it(ledger: Ledger, seed: int) -> None:
    random = Random(seed)
    for _ in range(8):
        before = await dump(ledger.engine)
        await ledger.undo(await made_up(random).imported(ledger))
        assert await dump(ledger.engine) == before
        await made_up(random).imported(ledger)

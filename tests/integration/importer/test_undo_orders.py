"""Undos of made-up imports that overlap, in any order: what is left depends on which imports stand, and nothing else.

What need not be: that the rest looks as if the undone import had never been there. A row that a later import saw stays
as it is, with the title, the tags and the addresses that the undone one gave it; taking those out of a row that
somebody relies on would be a change that nobody asked for. What is there, though, is what the standing imports name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import pairwise, permutations
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests.integration.importer.undoing import NOTHING, TABLES, Scan, Undoer, assert_whole, dump, scan
from tests.integration.importer.workbench import Engine

# More of them when something about undo has changed: HYTHE_TEST_SEEDS=100 finds what these do not.
SEEDS = range(int(os.environ.get("HYTHE_TEST_SEEDS", "2")))
TIMES = ("created_at", "updated_at", "changed_at")


@pytest.fixture
def undoer(engine: Engine) -> Undoer:
    return Undoer(engine)


async def emptied(engine: Engine) -> None:
    await engine.admin.execute(f"TRUNCATE {', '.join(TABLES)}, imports CASCADE".encode())


class Names:
    """What the rows and imports of one run are called in every run, as their ids and times differ."""

    def __init__(self, import_ids: Sequence[UUID]) -> None:
        self._imports = {str(import_id): n for n, import_id in enumerate(import_ids)}
        self._rows: dict[tuple[str, int], str] = {}

    async def learn(self, engine: Engine) -> None:
        """Of all rows, while they are there. Ids are given in the order of the file, so their order is the name."""
        for kind, table, column, key in (
            ("finding", "findings", "finding_id", "key"),
            ("asset", "assets", "asset_id", "row_number() OVER (ORDER BY asset_id)"),
            ("affected_asset", "affected_assets", "affected_id", "concat_ws(' ', finding_id, asset_id, place)"),
            ("evidence", "evidence", "evidence_id", "concat_ws(' ', affected_id, digest)"),
        ):
            for row in await engine.rows(f"SELECT {column} AS id, {key} AS key FROM {table} ORDER BY 1"):
                self._rows[kind, row["id"]] = self._without_ids(kind, str(row["key"]))

    def _without_ids(self, kind: str, key: str) -> str:
        if kind == "affected_asset":
            finding_id, asset_id, place = key.split()
            return f"{self._rows['finding', int(finding_id)]} {self._rows['asset', int(asset_id)]} {place}"
        if kind == "evidence":
            affected_id, digest = key.split()
            return f"{self._rows['affected_asset', int(affected_id)]} {digest}"
        return key

    def of(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row in names."""
        named = {name: value for name, value in row.items() if name not in TIMES}
        if "import_id" in named:
            named["import_id"] = self._imports.get(named["import_id"])
        if "row_id" in named:
            named["row_id"] = self._rows[named["kind"], named["row_id"]]
        if isinstance(named.get("image"), dict):
            # Whose the row was then is not restored.
            named["image"] = {**self.of(named["image"]), "import_id": None}
        for kind in ("finding", "asset", "affected", "evidence"):
            if f"{kind}_id" in named:
                of_kind = "affected_asset" if kind == "affected" else kind
                named[f"{kind}_id"] = self._rows[of_kind, named[f"{kind}_id"]]
        return named


async def state(engine: Engine, names: Names) -> dict[str, list[str]]:
    return {
        table: sorted(json.dumps(names.of(json.loads(row)), sort_keys=True) for row in rows)
        for table, rows in (await dump(engine)).items()
    }


@pytest.mark.parametrize("seed", SEEDS)
async def test_three_overlapping_imports_undone_in_all_orders_agree_on_the_way_and_end_in_nothing(
    engine: Engine, undoer: Undoer, seed: int
) -> None:
    random = Random(seed)
    scans = [scan(random) for _ in range(3)]
    found: dict[frozenset[int], dict[str, list[str]]] = {}
    for order in permutations(range(3)):
        await emptied(engine)
        import_ids = [await each.imported(engine) for each in scans]
        names = Names(import_ids)
        await names.learn(engine)
        for count, each in enumerate(order, start=1):
            await undoer.undo(import_ids[each])
            await assert_whole(engine)
            left = await state(engine, names)
            undone = frozenset(order[:count])
            assert found.setdefault(undone, left) == left, (order, undone)
        assert await dump(engine) == NOTHING


@pytest.mark.parametrize("seed", SEEDS)
async def test_imports_and_undos_in_any_sequence_end_in_nothing(engine: Engine, undoer: Undoer, seed: int) -> None:
    """Each undo of the import that came last gives back exactly what was before it."""
    random = Random(seed)
    standing: list[UUID] = []
    imported = 0
    while standing or imported < 6:
        if imported < 6 and (not standing or random.random() < 0.6):
            before = await dump(engine)
            import_id = await scan(random).imported(engine)
            if random.random() < 0.2:
                await undoer.undo(import_id)
                assert await dump(engine) == before
            else:
                standing.append(import_id)
            imported += 1
        else:
            await undoer.undo(standing.pop(random.randrange(len(standing))))
        await assert_whole(engine)
    assert await dump(engine) == NOTHING


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_some_undos_there_is_what_the_other_imports_alone_would_have_brought(
    engine: Engine, undoer: Undoer, seed: int
) -> None:
    random = Random(seed)
    scans = [scan(random, is_plain=True) for _ in range(4)]
    import_ids = [await each.imported(engine) for each in scans]
    undone = random.sample(range(4), 2)
    for each in undone:
        await undoer.undo(import_ids[each])
    left = await content(engine)
    await emptied(engine)
    for each in sorted({*range(4)} - {*undone}):
        await scans[each].imported(engine)
    assert left == await content(engine)
    assert left != []


async def content(engine: Engine) -> list[tuple[Any, ...]]:
    """Everything that people see, without ids and times."""
    rows = await engine.rows(
        "SELECT f.key, f.title, f.severity, f.tags AS finding_tags, a.name, a.hostname, a.ips, a.ports, a.tags, "
        "i.place, e.digest, e.code, (SELECT array_agg(k.kind || k.value ORDER BY 1) FROM asset_keys k "
        "                            WHERE k.asset_id = a.asset_id) AS keys "
        "FROM findings f FULL JOIN affected_assets i USING (finding_id) FULL JOIN assets a USING (asset_id) "
        "FULL JOIN evidence e USING (affected_id)"
    )
    return sorted(tuple(str(value) for value in row.values()) for row in rows)


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_edit_of_a_person_is_ever_lost(engine: Engine, undoer: Undoer, seed: int) -> None:
    """Each edit sets something that no import sets, so it must be there at the end, whatever came before or after."""
    random = Random(seed)
    standing: list[UUID] = []
    edited: set[int] = set()
    for _ in range(5):
        standing.append(await scan(random).imported(engine))
        ids = [row["finding_id"] for row in await engine.rows("SELECT finding_id FROM findings ORDER BY 1")]
        if ids and random.random() < 0.7:
            edited.add(chosen := random.choice(ids))
            await engine.admin.execute(
                "UPDATE findings SET visibility = 'draft', updated_at = now() WHERE finding_id = %s", (chosen,)
            )
        if random.random() < 0.4:
            await undoer.undo(standing.pop(random.randrange(len(standing))))
    random.shuffle(standing)
    for import_id in standing:
        await undoer.undo(import_id)
        await assert_whole(engine)
    left = await engine.rows("SELECT finding_id, visibility, import_id FROM findings ORDER BY 1")
    assert left == [{"finding_id": each, "visibility": "draft", "import_id": None} for each in sorted(edited)]
    for table in ("assets", "asset_keys", "affected_assets", "evidence", "sightings", "before_images"):
        assert await engine.value(f"SELECT count(*) FROM {table}") == 0, table


def test_the_generator_overlaps_as_it_should() -> None:
    """Otherwise the tests above would show little."""
    scans: list[Scan] = [scan(Random(seed)) for seed in range(30)]
    named = [{(each[0].key, each[1].ref) for each in one.items} for one in scans]
    overlaps = sum(bool(a & b) for a, b in pairwise(named))
    assert overlaps > 8
    assert any(one.finding_tags for one in scans)
    assert any(each[1].ips for one in scans for each in one.items)

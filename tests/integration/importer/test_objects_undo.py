"""Undos of runs: an object that a later run has seen, changed or referred to stays; the order of undos is nothing."""

from __future__ import annotations

import os
from itertools import permutations
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.importer.depot import Depot, Row, Type
from tests.integration.importer.undoing import NOTHING, dump
from tests.integration.importer.workbench import Engine

SEEDS = range(int(os.environ.get("HYTHE_TEST_SEEDS", "3")))


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def host(depot: Depot) -> Type:
    type_ = await depot.type("Host", Cores="integer", Peer={"to": "itself", "most": -1})
    depot.plan = ObjectPlan(types=(type_.plan(),))
    return type_


def removing(depot: Depot, host: Type, runs: int = 1) -> ObjectPlan:
    return ObjectPlan(types=(host.plan(missing="REMOVE", missing_runs=runs),))


async def test_an_undo_gives_back_every_row_as_it_was(depot: Depot, host: Type) -> None:
    await depot.imported(*(host.row(Name=name, Cores=1, Peer=["a"]) for name in "abcd"))
    await depot.imported(*(host.row(Name=name, Cores=1, Peer=["a"]) for name in "abc"), plan=removing(depot, host))
    before = await dump(depot.engine)
    import_id = await depot.imported(
        host.row("Peer", Name="a", Cores=2), host.row(Name="b", Cores=1, Peer=["a"]), host.row(Name="d", Peer=["b"]),
        host.row(Name="e", Peer=["d"]), plan=removing(depot, host),
    )  # fmt: skip
    assert await depot.engine.outcome(import_id) == {"inserted": 2, "updated": 1, "unchanged": 1}
    assert await depot.counters(import_id, host) == {
        "entries": 4, "created": 2, "updated": 1, "identical": 1, "missing_deleted": 1, "updated_references": 3,
    }  # fmt: skip
    await depot.assert_references()
    result = await depot.undo(import_id)
    assert result.counts == {("object", "restored", ""): 3, ("object", "removed", ""): 1}
    assert await dump(depot.engine) == before


async def test_a_dry_undo_changes_nothing_and_says_the_same(depot: Depot, host: Type) -> None:
    await depot.imported(host.row(Name="a", Cores=1), host.row(Name="b"))
    import_id = await depot.imported(host.row(Name="a", Cores=2), host.row(Name="c"), plan=removing(depot, host))
    before = await dump(depot.engine)
    trial = await depot.undo(import_id, dry_run=True)
    assert await dump(depot.engine) == before
    real = await depot.undo(import_id)
    assert trial.counts == real.counts
    assert real.named("removed") == [("object", "c", "")]


async def test_what_a_later_run_or_a_person_has_is_kept(depot: Depot, host: Type) -> None:
    import_id = await depot.imported(*(host.row(Name=name) for name in ("seen", "changed", "edited", "free")))
    await depot.imported(host.row(Name="seen"), host.row(Name="changed", Cores=2))
    await depot.engine.admin.execute("UPDATE objects SET updated_at = now() WHERE label = 'edited'")
    result = await depot.undo(import_id)
    assert result.counts == {
        ("object", "kept", "SEEN_LATER"): 1,
        ("object", "kept", "CHANGED_LATER"): 1,
        ("object", "kept", "EDITED"): 1,
        ("object", "removed", ""): 1,
    }
    assert sorted(await depot.documents()) == ["changed", "edited", "seen"]


async def test_what_a_later_run_refers_to_is_kept_until_that_is_undone(depot: Depot, host: Type) -> None:
    brought = await depot.imported(host.row(Name="a"), host.row(Name="b"))
    referring = await depot.imported(host.row(Name="c", Peer=["a"]), import_source_id=uuid4())
    result = await depot.undo(brought)
    assert result.counts == {("object", "kept", "SEEN_LATER"): 1, ("object", "removed", ""): 1}
    assert await depot.documents() == {"a": {"Name": "a"}, "c": {"Name": "c", "Peer": ["a"]}}
    await depot.undo(referring)
    assert await dump(depot.engine) == NOTHING


async def test_a_run_that_is_undone_has_missed_nothing(depot: Depot, host: Type) -> None:
    plan = removing(depot, host, runs=2)
    await depot.imported(host.row(Name="a"), host.row(Name="b"), plan=plan)
    missing = await depot.imported(host.row(Name="a"), plan=plan)
    await depot.undo(missing)
    await depot.imported(host.row(Name="a"), plan=plan)
    assert sorted(await depot.documents()) == ["a", "b"]
    last = await depot.imported(host.row(Name="a"), plan=plan)
    assert sorted(await depot.documents()) == ["a"]
    # Undone, it was missed by one run, so the next that misses it removes it.
    await depot.undo(last)
    assert sorted(await depot.documents()) == ["a", "b"]
    await depot.imported(host.row(Name="a"), plan=plan)
    assert sorted(await depot.documents()) == ["a"]


async def test_a_restored_object_is_found_by_the_identifiers_of_now(depot: Depot) -> None:
    host = await depot.type("Host", Serial="text")
    by_name, by_serial = ObjectPlan(types=(host.plan(),)), ObjectPlan(types=(host.plan(by=("Serial",)),))
    await depot.imported(host.row(Name="a", Serial="1"), plan=by_name)
    undone = await depot.imported(host.row(Name="a", Serial="2"), plan=by_name)
    # Another object, which this run tells apart by the serial.
    await depot.imported(host.row(Name="b", Serial="3", by=("Serial",)), plan=by_serial)
    await depot.undo(undone)
    again = await depot.imported(host.row(Name="a", Serial="1", by=("Serial",)), plan=by_serial)
    assert await depot.engine.outcome(again) == {"unchanged": 1}


@pytest.fixture
async def unique(depot: Depot) -> Type:
    type_ = await depot.type("Host", Serial={"type": "text", "unique": True}, Peer={"to": "itself", "most": -1})
    depot.plan = ObjectPlan(types=(type_.plan(),))
    return type_


async def test_a_unique_value_that_a_later_run_has_given_to_another_comes_back_when_that_is_undone(
    depot: Depot, unique: Type
) -> None:
    row = unique.row
    await depot.imported(row(Name="a", Serial="1"))
    before = await dump(depot.engine)
    undone = await depot.imported(row(Name="a", Serial="2", Peer=["c"]), row(Name="c"))
    later = await depot.imported(row(Name="b", Serial="1"), import_source_id=uuid4())
    then = await depot.documents()
    trial = await depot.undo(undone, dry_run=True)
    assert trial.named("kept") == [("object", "a", "VALUE_TAKEN"), ("object", "c", "IN_USE")]
    assert {each["by_import_id"] for each in trial.items} == {later}
    assert (await depot.undo(undone)).counts == trial.counts
    assert await depot.documents() == then
    await depot.undo(later)
    assert await dump(depot.engine) == before


async def test_what_is_kept_has_what_another_wanted_back(depot: Depot, unique: Type) -> None:
    row = unique.row
    await depot.imported(*(row(Name=name, Serial=name) for name in "abcd"))
    # Each has what the next one had, and only the first and the last are in the way of somebody.
    undone = await depot.imported(*(row(Name=name, Serial=chr(ord(name) + 1)) for name in "abcd"))
    await depot.imported(row(Name="x", Serial="a"), import_source_id=uuid4())
    then = await depot.documents()
    assert (await depot.undo(undone)).counts == {("object", "kept", "VALUE_TAKEN"): 4}
    assert await depot.documents() == then


async def test_values_that_a_run_has_exchanged_are_given_back(depot: Depot, unique: Type) -> None:
    await depot.imported(unique.row(Name="a", Serial="1"), unique.row(Name="b", Serial="2"))
    before = await depot.documents()
    undone = await depot.imported(unique.row(Name="a", Serial="2"), unique.row(Name="b", Serial="1"))
    assert (await depot.undo(undone)).counts == {("object", "restored", ""): 2}
    assert await depot.documents() == before


async def test_an_object_is_not_restored_to_the_new_identifiers_of_another(depot: Depot) -> None:
    host = await depot.type("Host", Serial="text")
    by_name, by_serial = ObjectPlan(types=(host.plan(),)), ObjectPlan(types=(host.plan(by=("Serial",)),))
    await depot.imported(host.row(Name="a", Serial="1"), plan=by_name)
    undone = await depot.imported(host.row(Name="a", Serial="2"), plan=by_name)
    later = await depot.imported(host.row(Name="b", Serial="1", by=("Serial",)), plan=by_serial)
    assert (await depot.undo(undone)).named("kept") == [("object", "a", "VALUE_TAKEN")]
    await depot.undo(later)
    again = await depot.imported(host.row(Name="a", Serial="1", by=("Serial",)), plan=by_serial)
    assert await depot.engine.outcome(again) == {"unchanged": 1}


async def test_another_tenants_objects_are_no_business_of_an_undo(depot: Depot, host: Type) -> None:
    import_id = await depot.imported(host.row(Name="a"), host.row(Name="b"))
    await depot.engine.admin.execute("UPDATE objects SET tenant_id = 2 WHERE label = 'b'")
    await depot.undo(import_id)
    rows = await depot.engine.rows("SELECT label, tenant_id FROM objects")
    assert rows == [{"label": "b", "tenant_id": 2}]


def made_up(random: Random, host: Type) -> list[Row]:
    """Overlaps with others of the same generator in names and references; of an object it says what all say."""
    rows = []
    for name in random.sample("abcdef", random.randint(1, 5)):
        said: dict[str, Any] = {"Peer": sorted(random.sample("abcdef", random.randint(0, 2)))} if name < "c" else {}
        rows.append(host.row(Name=name, Cores=ord(name), **said))
    return rows


async def emptied(engine: Engine) -> None:
    await engine.admin.execute(b"TRUNCATE objects, object_references, sightings, before_images, imports CASCADE")


async def names(depot: Depot) -> dict[str, Any]:
    """What is there, and the references between what is there."""
    return {
        name: sorted(each for each in document.get("Peer", ()) if each is not None)
        for name, document in (await depot.documents()).items()
    }


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_order_of_undos_makes_no_difference(depot: Depot, host: Type, seed: int) -> None:
    random = Random(seed)
    runs = [made_up(random, host) for _ in range(4)]
    plans = [random.choice((depot.plan, removing(depot, host))) for _ in runs]
    sources = [random.choice((depot.source_id, UUID(int=7))) for _ in runs]
    undone = random.sample(range(len(runs)), 3)
    ends = []
    for order in permutations(undone):
        await emptied(depot.engine)
        made = [
            await depot.imported(*rows, plan=plan, import_source_id=source)
            for rows, plan, source in zip(runs, plans, sources, strict=True)
        ]
        for each in order:
            await depot.undo(made[each])
            await depot.assert_references()
        ends.append(await names(depot))
        for each in set(range(len(runs))) - set(undone):
            await depot.undo(made[each])
        assert await dump(depot.engine) == NOTHING
    assert all(end == ends[0] for end in ends)


async def assert_unique(depot: Depot, host: Type) -> None:
    """No two objects that are there have a serial or a name, and the key of each says its name."""
    documents = [
        row["document"] for row in await depot.engine.rows("SELECT document FROM objects WHERE document IS NOT NULL")
    ]
    for attribute in map(str, (host.id_of("Serial"), host.id_of("Name"))):
        values = [each[attribute] for each in documents if attribute in each]
        assert len(set(values)) == len(values)
    name = str(host.id_of("Name"))
    assert await depot.engine.rows(
        "SELECT * FROM objects WHERE document IS NOT NULL AND key IS DISTINCT FROM '[\"' || (document->>%s) || '\"]'",
        name,
    ) == []  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_unique_is_so_after_every_undo(depot: Depot, unique: Type, seed: int) -> None:
    random = Random(seed)
    plans = (depot.plan, removing(depot, unique))
    runs = [
        await depot.imported(
            *(
                unique.row(
                    Name=name, Serial=random.choice("123456"), Peer=random.sample("abcdef", random.randint(0, 2))
                )
                for name in random.sample("abcdef", random.randint(1, 5))
            ),
            plan=random.choice(plans),
            import_source_id=UUID(int=random.randint(1, 2)),
        )
        for _ in range(6)
    ]
    for each in random.sample(runs, len(runs)):
        await depot.undo(each)
        await depot.assert_references()
        await assert_unique(depot, unique)

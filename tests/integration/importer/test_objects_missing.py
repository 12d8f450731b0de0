from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from services.importer.engine.frames import Rejected
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import Skipped, SkipReason
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.workbench import Engine


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def host(depot: Depot) -> Type:
    return await depot.type("Host", State="text", Peer={"to": "itself"})


def treat(depot: Depot, host: Type, missing: Any, runs: int = 1, **more: Any) -> None:
    values = ((host.id_of("State"), '"gone"'),) if missing == "UPDATE" else ()
    plan = host.plan(missing=missing, missing_runs=runs, missing_values=values, **more)
    depot.plan = ObjectPlan(types=(plan,))


async def run(depot: Depot, host: Type, *names: str, **columns: Any) -> dict[str, int]:
    """Counters of a run that has these objects."""
    import_id = await depot.imported(*(host.row(Name=name) for name in names), **columns)
    return await depot.counters(import_id, host)


async def states(depot: Depot) -> dict[str, Any]:
    return {name: document.get("State") for name, document in (await depot.documents()).items()}


async def test_missing_objects_are_left_alone_unless_the_mapping_says_otherwise(depot: Depot, host: Type) -> None:
    treat(depot, host, "IGNORE")
    await run(depot, host, "a", "b")
    before = await depot.versions()
    assert await run(depot, host, "a") == {"entries": 1, "identical": 1}
    assert await depot.versions() == before


async def test_a_missing_object_is_removed_at_once(depot: Depot, host: Type) -> None:
    treat(depot, host, "REMOVE")
    await depot.imported(host.row(Name="a"), host.row(Name="b", Peer="a"))
    assert await run(depot, host, "a") == {"entries": 1, "identical": 1, "missing_deleted": 1}
    assert list(await depot.documents()) == ["a"]
    assert await depot.engine.value("SELECT count(*) FROM object_references") == 0
    # It is new to people when it comes back, and it is the same row.
    assert await run(depot, host, "a", "b") == {"entries": 2, "identical": 1, "created": 1}
    assert await depot.engine.value("SELECT count(*) FROM objects") == 2


async def test_a_missing_object_is_removed_after_so_many_runs_in_a_row(depot: Depot, host: Type) -> None:
    treat(depot, host, "REMOVE", runs=3)
    await run(depot, host, "a", "b")
    for _ in range(2):
        assert "missing_deleted" not in await run(depot, host, "a")
    await run(depot, host, "a", "b")
    for removed in (None, None, 1):
        assert (await run(depot, host, "a")).get("missing_deleted") == removed
    assert list(await depot.documents()) == ["a"]


async def test_a_missing_object_gets_the_values_of_the_mapping(depot: Depot, host: Type) -> None:
    treat(depot, host, "UPDATE", runs=2)
    await run(depot, host, "a", "b")
    assert "missing_updated" not in await run(depot, host, "a")
    assert (await run(depot, host, "a"))["missing_updated"] == 1
    assert await states(depot) == {"a": None, "b": "gone"}
    before = await depot.versions()
    assert await run(depot, host, "a") == {"entries": 1, "identical": 1}
    assert await depot.versions() == before


async def test_only_objects_of_this_source_and_of_mapped_types_are_missed(depot: Depot, host: Type) -> None:
    disk = await depot.type("Disk")
    treat(depot, host, "REMOVE")
    await run(depot, host, "other", import_source_id=uuid4())
    await depot.imported(disk.row(Name="d"), plan=ObjectPlan(types=(disk.plan(),)))
    await run(depot, host, "mine")
    assert (await run(depot, host, "new"))["missing_deleted"] == 1
    assert sorted(await depot.documents()) == ["d", "new", "other"]


async def test_a_dry_run_removes_nothing(depot: Depot, host: Type) -> None:
    treat(depot, host, "REMOVE")
    await run(depot, host, "a", "b")
    assert (await run(depot, host, "a", dry_run=True))["missing_deleted"] == 1
    assert sorted(await depot.documents()) == ["a", "b"]


@pytest.mark.parametrize(
    ("rejected", "is_judged"),
    [("BAD_VALUE", False), ("LABEL_EMPTY", False), ("IDENTIFIER_EMPTY", True)],
)
async def test_nothing_is_missing_where_an_item_could_have_been_it(
    depot: Depot, host: Type, rejected: str, is_judged: bool
) -> None:
    treat(depot, host, "REMOVE")
    await run(depot, host, "a", "b")
    error = Rejected(2, "line 3", "Name", rejected, "?", "", types=(host.type_id,))
    import_id = await depot.engine.imported([host.row(Name="a")], rejected=[error], **depot.columns())
    assert ("b" in await depot.documents()) is not is_judged
    assert ("MISSING_NOT_JUDGED" in await depot.cautions(import_id)) is not is_judged


async def test_a_filtered_object_is_missing(depot: Depot, host: Type) -> None:
    treat(depot, host, "REMOVE")
    await run(depot, host, "a", "b")
    filtered = [Skipped(host.type_id, SkipReason.FILTERED)]
    import_id = await depot.imported(host.row(Name="a"), filtered)
    assert await depot.engine.outcome(import_id) == {"unchanged": 1, "skipped": 1}
    assert await depot.counters(import_id, host) == {
        "entries": 2, "identical": 1, "filtered": 1, "missing_deleted": 1,
    }  # fmt: skip


async def test_an_object_that_is_rejected_is_not_missing(depot: Depot) -> None:
    host = await depot.type("Host", Serial={"type": "text", "unique": True})
    depot.plan = ObjectPlan(types=(host.plan(missing="REMOVE"),))
    await depot.imported(*(host.row(Name=name, Serial=name) for name in "abc"))
    await depot.imported(host.row(Name="a", Serial="a"), host.row(Name="b", Serial="a"))
    assert sorted(await depot.documents()) == ["a", "b"]


async def test_what_a_younger_run_has_brought_is_not_missing_in_the_data_of_an_older_one(
    depot: Depot, host: Type
) -> None:
    treat(depot, host, "REMOVE")
    first = await depot.imported(host.row(Name="a"))
    again = {"origin": "rerun", "origin_import_id": first}
    assert "missing_deleted" in await run(depot, host, "b", **again)
    younger = await depot.imported(host.row(Name="a"), host.row(Name="c"))
    for origin in (first, await depot.imported(host.row(Name="a"), **again)):
        old = await depot.imported(host.row(Name="a"), origin="retry", origin_import_id=origin)
        assert await depot.cautions(old) == {"MISSING_NOT_JUDGED": 1}
        assert sorted(await depot.documents()) == ["a", "c"]
    # The re-runs of older data are no younger than what the younger run had read.
    last = await depot.imported(host.row(Name="c"), origin="rerun", origin_import_id=younger)
    assert list(await depot.documents()) == ["c"]
    await depot.undo(younger)
    assert "missing_deleted" not in await run(depot, host, "a", **again)
    await depot.undo(last)
    assert (await run(depot, host, **again))["missing_deleted"]

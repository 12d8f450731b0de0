from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.workbench import Engine


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def host(depot: Depot) -> Type:
    type_ = await depot.type("Host", Cores="integer", Comment="text", Tags={"type": "text", "most": -1})
    depot.plan = ObjectPlan(types=(type_.plan(),))
    return type_


async def test_new_objects_are_inserted(depot: Depot, host: Type) -> None:
    import_id = await depot.imported(host.row(Name="web1", Cores=4), host.row(Name="web2", Tags=["new", "blue"]))
    assert await depot.engine.outcome(import_id) == {"inserted": 2}
    assert await depot.documents() == {
        "web1": {"Name": "web1", "Cores": 4},
        "web2": {"Name": "web2", "Tags": ["new", "blue"]},
    }
    (row,) = await depot.engine.rows("SELECT * FROM objects WHERE label = 'web1'")
    assert (row["key"], row["import_id"], row["source_id"]) == ('["web1"]', import_id, depot.source_id)
    assert await depot.counters(import_id, host) == {"entries": 2, "created": 2}


async def test_an_object_gets_what_the_source_says_and_loses_what_it_empties(depot: Depot, host: Type) -> None:
    await depot.imported(host.row(Name="web1", Cores=4, Comment="old", Tags=["a"]))
    import_id = await depot.imported(host.row("Comment", Name="web1", Cores=8))
    assert await depot.engine.outcome(import_id) == {"updated": 1}
    assert await depot.documents() == {"web1": {"Name": "web1", "Cores": 8, "Tags": ["a"]}}
    assert await depot.counters(import_id, host) == {"entries": 1, "updated": 1}


async def test_the_same_again_rewrites_nothing(depot: Depot, host: Type) -> None:
    rows = [host.row("Comment", Name=f"web{n}", Cores=n, Tags=["a", "b"]) for n in range(5)]
    await depot.imported(*rows)
    before = await depot.versions()
    import_id = await depot.imported(*rows)
    assert await depot.engine.outcome(import_id) == {"unchanged": 5}
    assert await depot.versions() == before
    assert await depot.counters(import_id, host) == {"entries": 5, "identical": 5}
    assert await depot.engine.value("SELECT count(*) FROM sightings WHERE import_id = %s", import_id) == 5


async def test_a_dry_run_says_what_would_be_and_writes_nothing(depot: Depot, host: Type) -> None:
    await depot.imported(host.row(Name="web1", Cores=4))
    before = await depot.versions()
    import_id = await depot.imported(host.row(Name="web1", Cores=5), host.row(Name="web2"), dry_run=True)
    assert await depot.engine.outcome(import_id) == {"inserted": 1, "updated": 1}
    assert await depot.counters(import_id, host) == {"entries": 2, "created": 1, "updated": 1}
    assert await depot.versions() == before


async def test_of_an_object_that_comes_again_the_last_counts_whole(depot: Depot, host: Type) -> None:
    import_id = await depot.imported(
        host.row(Name="web1", Cores=4, Comment="first"), host.row(Name="web2"), host.row(Name="web1", Cores=8)
    )
    assert await depot.engine.outcome(import_id) == {"inserted": 2, "skipped": 1}
    assert (await depot.documents())["web1"] == {"Name": "web1", "Cores": 8}
    assert await depot.counters(import_id, host) == {"entries": 3, "created": 2, "duplicates": 1}


async def test_an_item_of_several_objects_has_the_strongest_outcome(depot: Depot, host: Type) -> None:
    disk = await depot.type("Disk", Size="integer")
    depot.plan = ObjectPlan(types=(host.plan(), disk.plan()))
    await depot.imported(host.row(Name="web1"), disk.row(Name="d1", Size=1))
    import_id = await depot.imported(
        host.row(Name="web1") + disk.row(Name="d1", Size=2, number=1),
        host.row(Name="web1") + disk.row(Name="d2", number=1),
        host.row(Name="web1") + disk.row(Name="d2", number=1),
    )
    assert await depot.engine.outcome(import_id) == {"inserted": 1, "updated": 1, "skipped": 1}
    assert await depot.counters(import_id, host) == {"entries": 3, "identical": 1, "duplicates": 2}
    assert await depot.counters(import_id, disk) == {"entries": 3, "created": 1, "updated": 1, "duplicates": 1}


async def test_an_object_without_a_label_is_called_by_its_identifier(depot: Depot, host: Type) -> None:
    depot.plan = ObjectPlan(types=(host.plan(label=None),))
    await depot.imported(host.row(Name="web1", label="none"))
    assert list(await depot.documents()) == ["web1"]
    depot.plan = ObjectPlan(types=(host.plan(label="Comment"),))
    changed = await depot.imported(host.row(Name="web1", Comment="The first", label="Comment"))
    assert await depot.engine.outcome(changed) == {"updated": 1}
    # A mapping that does not say how to call it leaves it at that.
    depot.plan = ObjectPlan(types=(host.plan(label=None),))
    again = await depot.imported(host.row(Name="web1", label="none"))
    assert await depot.engine.outcome(again) == {"unchanged": 1}
    assert list(await depot.documents()) == ["The first"]


async def test_another_tenants_objects_of_the_same_name_are_not_touched(depot: Depot, host: Type) -> None:
    await depot.imported(host.row(Name="web1", Cores=1))
    await depot.engine.admin.execute("UPDATE objects SET tenant_id = 2")
    import_id = await depot.imported(host.row(Name="web1", Cores=2))
    assert await depot.engine.outcome(import_id) == {"inserted": 1}
    rows = await depot.engine.rows("SELECT tenant_id, document FROM objects ORDER BY 1")
    assert [row["document"][str(host.id_of("Cores"))] for row in rows] == [2, 1]


async def test_runs_of_the_same_objects_at_once_leave_what_one_of_them_says(depot: Depot, host: Type) -> None:
    async with asyncio.timeout(60):
        imports = await asyncio.gather(
            *(
                depot.imported(*(host.row(Name=f"web{n}", Cores=by) for n in range(300)), import_source_id=uuid4())
                for by in range(5)
            )
        )
    found = await depot.documents()
    assert len(found) == 300
    assert len({document["Cores"] for document in found.values()}) == 1
    outcomes = [await depot.engine.outcome(import_id) for import_id in imports]
    assert sorted(outcomes, key=str) == [{"inserted": 300}, *[{"updated": 300}] * 4]


async def test_many_objects_merge_like_few(depot: Depot, host: Type) -> None:
    await depot.imported(*(host.row(Name=f"web{n}", Cores=n) for n in range(4_000)))
    import_id = await depot.imported(
        *(host.row(Name=f"web{n}", Cores=n) for n in range(1_000)),
        *(host.row(Name=f"web{n}", Cores=-n) for n in range(1_000, 2_500)),
        *(host.row(Name=f"web{n}", Cores=n) for n in range(4_000, 5_000)),
        host.row(Name="web4000", Cores=0),
    )
    assert await depot.engine.outcome(import_id) == {
        "inserted": 1_000, "updated": 1_500, "unchanged": 1_000, "skipped": 1,
    }  # fmt: skip
    assert len(await depot.documents()) == 5_000


async def test_options_are_added_where_the_mapping_says_so(depot: Depot) -> None:
    host = await depot.type("Host", State={"type": "select", "options": ["up"]}, Tier={"type": "select", "most": -1})
    options = "SELECT options FROM object_attributes WHERE attribute_id = %s"
    rows = [host.row(Name="a", State="down", Tier=["gold", "tin"]), host.row(Name="b", State="up", Tier=["tin"])]
    depot.plan = ObjectPlan(types=(host.plan(),))
    await depot.imported(*rows)
    assert await depot.engine.value(options, host.id_of("State")) == ["up"]
    depot.plan = ObjectPlan(types=(host.plan(unknown_values="ADD"),))
    await depot.imported(*rows, host.row(Name="c", State="lost"))
    assert await depot.engine.value(options, host.id_of("State")) == ["up", "down", "lost"]
    assert await depot.engine.value(options, host.id_of("Tier")) == ["gold", "tin"]


async def test_new_identifiers_give_objects_new_keys(depot: Depot) -> None:
    host = await depot.type("Host", Serial="integer", Active="boolean")
    depot.plan = ObjectPlan(types=(host.plan(),))
    await depot.imported(
        host.row(Name="a", Serial=2, Active=True), host.row(Name="b", Serial=1, Active=True), host.row(Name="c")
    )
    by = ("Serial", "Active")
    depot.plan = ObjectPlan(types=(host.plan(by=by),))
    import_id = await depot.imported(
        host.row(by=by, Name="new name", Serial=2, Active="true"), host.row(by=by, Name="c", Serial=3, Active="false")
    )
    assert await depot.engine.outcome(import_id) == {"inserted": 1, "updated": 1}
    keys = await depot.engine.rows("SELECT label, key FROM objects ORDER BY object_id")
    assert [(row["label"], row["key"]) for row in keys] == [
        ("new name", '["2","true"]'), ("b", '["1","true"]'), ("c", None), ("c", '["3","false"]'),
    ]  # fmt: skip
    (stored,) = await depot.engine.rows("SELECT identifiers FROM object_types")
    assert stored["identifiers"] == sorted(map(host.id_of, by))


async def test_of_objects_that_new_identifiers_do_not_tell_apart_the_oldest_keeps_the_key(depot: Depot) -> None:
    host = await depot.type("Host", Serial="text")
    depot.plan = ObjectPlan(types=(host.plan(by=("Name", "Serial")),))
    by = ("Name", "Serial")
    await depot.imported(host.row(by=by, Name="a", Serial="1"), host.row(by=by, Name="a", Serial="2"))
    depot.plan = ObjectPlan(types=(host.plan(),))
    import_id = await depot.imported(host.row(Name="a", Serial="3"))
    assert await depot.engine.outcome(import_id) == {"updated": 1}
    assert await depot.cautions(import_id) == {"IDENTIFIER_NOT_UNIQUE": 1}
    rows = await depot.engine.rows("SELECT key, document FROM objects ORDER BY object_id")
    serial = str(host.id_of("Serial"))
    assert [(row["key"], row["document"][serial]) for row in rows] == [('["a"]', "3"), (None, "2")]

from __future__ import annotations

from typing import Any

import pytest

from services.importer.targets.objects import unique
from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.workbench import Engine


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def host(depot: Depot) -> Type:
    type_ = await depot.type(
        "Host", Serial={"type": "text", "unique": True}, Addresses={"type": "text", "unique": True, "most": -1}
    )
    depot.plan = ObjectPlan(types=(type_.plan(),))
    return type_


async def serials(depot: Depot) -> dict[str, Any]:
    return {name: document.get("Serial") for name, document in (await depot.documents()).items()}


async def test_a_new_object_with_a_value_that_another_has_is_rejected(depot: Depot, host: Type) -> None:
    await depot.imported(host.row(Name="a", Serial="1"))
    import_id = await depot.imported(
        host.row(Name="b", Serial="1", line=2), host.row(Name="c", Serial="2"), host.row(Name="a", Serial="1")
    )
    assert await depot.engine.outcome(import_id) == {"rejected": 1, "inserted": 1, "unchanged": 1}
    assert await depot.counters(import_id, host) == {"entries": 3, "errors": 1, "created": 1, "identical": 1}
    assert await serials(depot) == {"a": "1", "c": "2"}
    (error,) = await depot.engine.rows("SELECT * FROM row_errors")
    assert (error["import_id"], error["record_number"], error["position"]) == (import_id, 1, "line 2")
    assert (error["field"], error["code"], error["value"]) == ("Serial", "VALUE_NOT_UNIQUE", "1")


async def test_of_several_new_ones_the_first_has_the_value(depot: Depot, host: Type) -> None:
    import_id = await depot.imported(*(host.row(Name=name, Serial="1") for name in "abc"))
    assert await depot.engine.outcome(import_id) == {"inserted": 1, "rejected": 2}
    assert await serials(depot) == {"a": "1"}


async def test_an_object_that_is_there_stays_as_it_was(depot: Depot, host: Type) -> None:
    await depot.imported(host.row(Name="a", Serial="1"), host.row(Name="b", Serial="2"))
    before = await depot.versions()
    import_id = await depot.imported(host.row(Name="b", Serial="1"))
    assert await depot.engine.outcome(import_id) == {"rejected": 1}
    assert await depot.versions() == before


async def test_values_may_be_swapped_and_handed_on(depot: Depot, host: Type) -> None:
    await depot.imported(*(host.row(Name=name, Serial=name) for name in "abc"))
    import_id = await depot.imported(
        host.row(Name="a", Serial="b"), host.row(Name="b", Serial="a"), host.row(Name="c", Serial="d"),
        host.row(Name="d", Serial="c"),
    )  # fmt: skip
    assert await depot.engine.outcome(import_id) == {"updated": 3, "inserted": 1}
    assert await serials(depot) == {"a": "b", "b": "a", "c": "d", "d": "c"}


@pytest.mark.parametrize("length", [3, 30])
async def test_who_is_rejected_keeps_what_others_wanted(depot: Depot, host: Type, length: int) -> None:
    await depot.imported(*(host.row(Name=f"h{n}", Serial=f"s{n}") for n in range(length)))
    # Each takes the next one's value; the last one's is wanted by nobody else, and the one it wants is not free.
    import_id = await depot.imported(*(host.row(Name=f"h{n}", Serial=f"s{n + 1}") for n in range(length - 1)))
    assert await depot.engine.outcome(import_id) == {"rejected": length - 1}
    assert await serials(depot) == {f"h{n}": f"s{n}" for n in range(length)}
    assert length < unique.ROUNDS or length > 2 * unique.ROUNDS


async def test_each_of_several_values_counts(depot: Depot, host: Type) -> None:
    await depot.imported(host.row(Name="a", Addresses=["1", "2", "2"]))
    import_id = await depot.imported(host.row(Name="b", Addresses=["3", "2"]), host.row(Name="c", Addresses=["4"]))
    assert await depot.engine.outcome(import_id) == {"rejected": 1, "inserted": 1}


async def test_objects_of_types_below_have_their_values_too(depot: Depot, host: Type) -> None:
    server = await depot.type("Server", parent=host)
    depot.plan = ObjectPlan(types=(host.plan(), server.plan()))
    await depot.imported(host.row(Name="a", Serial="1"))
    import_id = await depot.imported(server.row(Name="a", Serial="1"))
    assert await depot.engine.outcome(import_id) == {"rejected": 1}


async def test_an_item_is_rejected_only_where_nothing_else_has_come_of_it(depot: Depot, host: Type) -> None:
    disk = await depot.type("Disk")
    depot.plan = ObjectPlan(types=(host.plan(), disk.plan()))
    await depot.imported(host.row(Name="a", Serial="1"))
    import_id = await depot.imported(host.row(Name="b", Serial="1") + disk.row(Name="d", number=1))
    assert await depot.engine.outcome(import_id) == {"inserted": 1}
    assert await depot.cautions(import_id) == {"VALUE_NOT_UNIQUE": 1}
    assert await depot.engine.rows("SELECT * FROM row_errors") == []


async def test_nothing_refers_to_a_rejected_object(depot: Depot, host: Type) -> None:
    disk = await depot.type("Disk", Host={"to": host})
    depot.plan = ObjectPlan(types=(host.plan(), disk.plan()))
    await depot.imported(host.row(Name="a", Serial="1"))
    import_id = await depot.imported(host.row(Name="b", Serial="1"), disk.row(Name="d", Host="b"))
    assert await depot.cautions(import_id) == {"REFERENCE_NOT_FOUND": 1}


async def test_a_dry_run_tells_of_them(depot: Depot, host: Type) -> None:
    import_id = await depot.imported(host.row(Name="a", Serial="1"), host.row(Name="b", Serial="1"), dry_run=True)
    assert await depot.engine.outcome(import_id) == {"inserted": 1, "rejected": 1}
    assert await depot.engine.value("SELECT count(*) FROM row_errors") == 1
    assert await depot.documents() == {}

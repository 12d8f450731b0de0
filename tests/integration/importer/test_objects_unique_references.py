"""References that each object may have only once."""

from __future__ import annotations

import pytest

from services.importer.engine.failures import ImportFailure
from services.importer.targets.objects import unique
from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.workbench import Engine


@pytest.fixture
async def depot(engine: Engine) -> Depot:
    return await Depot.of(engine)


@pytest.fixture
async def desk(depot: Depot) -> Type:
    return await depot.type("Desk", Serial={"type": "text", "unique": True})


@pytest.fixture
async def person(depot: Depot, desk: Type) -> Type:
    type_ = await depot.type("Person", Badge={"type": "text", "unique": True}, Desk={"to": desk, "unique": True})
    depot.plan = ObjectPlan(types=(desk.plan(), type_.plan()))
    await depot.imported(*(desk.row(Name=f"D{n}") for n in range(4)))
    return type_


async def desks(depot: Depot, person: Type) -> dict[str, str | None]:
    return {name: document.get("Desk") for name, document in (await depot.documents(person)).items()}


async def test_who_refers_to_what_another_refers_to_is_rejected(depot: Depot, person: Type) -> None:
    await depot.imported(person.row(Name="a", Desk="D0"))
    import_id = await depot.imported(
        person.row(Name="b", Desk="D0", line=7), person.row(Name="c", Desk="D1"), person.row(Name="d", Desk="d1"),
        person.row(Name="a", Desk="D0"),
    )  # fmt: skip
    assert await depot.engine.outcome(import_id) == {"rejected": 2, "inserted": 1, "unchanged": 1}
    assert await desks(depot, person) == {"a": "D0", "c": "D1"}
    errors = await depot.engine.rows("SELECT position, field, code, value FROM row_errors ORDER BY record_number")
    assert [tuple(each.values()) for each in errors] == [
        ("line 7", "Desk", "VALUE_NOT_UNIQUE", "D0"), ("", "Desk", "VALUE_NOT_UNIQUE", "D1"),
    ]  # fmt: skip
    assert await depot.messages(import_id, person) == [["VALUE_NOT_UNIQUE", f"Desk: {unique.NOT_UNIQUE}"]]
    await depot.assert_references()


async def test_references_may_be_swapped_and_handed_on(depot: Depot, person: Type) -> None:
    await depot.imported(*(person.row(Name=name, Desk=f"D{at}") for at, name in enumerate("abc")))
    import_id = await depot.imported(
        person.row(Name="a", Desk="D1"), person.row(Name="b", Desk="D0"), person.row(Name="c", Desk="D3"),
        person.row(Name="d", Desk="D2"),
    )  # fmt: skip
    assert await depot.engine.outcome(import_id) == {"updated": 3, "inserted": 1}
    assert await desks(depot, person) == {"a": "D1", "b": "D0", "c": "D3", "d": "D2"}
    await depot.assert_references()


async def test_what_is_rejected_for_a_value_keeps_its_reference(depot: Depot, person: Type) -> None:
    await depot.imported(person.row(Name="a", Badge="1", Desk="D0"), person.row(Name="b", Badge="2", Desk="D1"))
    # b may not have the badge of a, so it stays at its desk, and a may not go there.
    import_id = await depot.imported(
        person.row(Name="b", Badge="1", Desk="D2"), person.row(Name="a", Badge="1", Desk="D1")
    )
    assert await depot.engine.outcome(import_id) == {"rejected": 2}
    assert await desks(depot, person) == {"a": "D0", "b": "D1"}
    import_id = await depot.imported(
        person.row(Name="b", Badge="2", Desk="D2"), person.row(Name="a", Badge="1", Desk="D1")
    )
    assert await depot.engine.outcome(import_id) == {"updated": 2}


async def test_nothing_refers_to_what_was_rejected_for_a_reference(depot: Depot, desk: Type, person: Type) -> None:
    dog = await depot.type("Dog", Owner={"to": person})
    depot.plan = ObjectPlan(types=(desk.plan(), person.plan(), dog.plan()))
    await depot.imported(person.row(Name="a", Desk="D0"))
    import_id = await depot.imported(person.row(Name="b", Desk="D0"), dog.row(Name="Rex", Owner="b"))
    assert await depot.engine.outcome(import_id) == {"rejected": 1, "inserted": 1}
    assert await depot.cautions(import_id) == {"REFERENCE_NOT_FOUND": 1}
    assert (await depot.documents(dog)) == {"Rex": {"Name": "Rex"}}
    await depot.assert_references()


async def chain(depot: Depot, length: int) -> tuple[Type, list[list[object]]]:
    """A type of which each is led by another, and rows of which the first wants a leader who is taken."""
    link = await depot.type("Link", Leader={"to": "itself", "unique": True})
    depot.plan = ObjectPlan(types=(link.plan(),))
    await depot.imported(link.row(Name="root"), link.row(Name="first", Leader="root"))
    rows = [link.row(Name="n0", Leader="root")]
    rows += [link.row(Name=f"n{n}", Leader=f"n{n - 1}") for n in range(1, length)]
    return link, rows


async def test_it_is_asked_again_until_nothing_more_is_rejected(depot: Depot) -> None:
    link, rows = await chain(depot, 5)
    import_id = await depot.imported(*rows)
    # n1 has no leader then, and is made without one.
    assert await depot.engine.outcome(import_id) == {"rejected": 1, "inserted": 4}
    assert (await depot.documents(link))["n1"] == {"Name": "n1"}
    assert (await depot.documents(link))["n4"]["Leader"] == "n3"
    await depot.assert_references()


async def test_a_run_that_does_not_settle_fails(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    _, rows = await chain(depot, 2)
    monkeypatch.setattr(unique, "ROUNDS", 1)
    with pytest.raises(ImportFailure) as failed:
        await depot.imported(*rows)
    assert failed.value.code == "REFERENCES_CONTESTED"
    assert sorted(await depot.documents()) == ["first", "root"]

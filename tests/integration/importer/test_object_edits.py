"""Objects edited by people, over the tables that runs and undos write: what each leaves of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from dialects.assets.object_bodies import ObjectBody
from runtime.database import Database as Pool
from runtime.errors import InvalidArgument, NotFound, ServiceError, Unavailable
from runtime.workspaces import Workspace
from services.importer.assets.object_edits import EditedObject, ObjectEdits
from services.importer.retention_store import delete_edits
from services.importer.store.assets_objects import SqlObjectStore
from services.importer.targets.objects import merge
from services.importer.targets.objects.plan import ObjectPlan
from tests.fakes.people import COLLEAGUE, IMPORTER, STRANGER, calling
from tests.fakes.workspaces import FakeWorkspaces
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.office import eventually
from tests.integration.importer.workbench import TENANT, Engine
from tests.integration.serving import connected
from tests.stack import Database


@dataclass
class Desk:
    """People who edit objects of a depot; values are given by the names of attributes."""

    depot: Depot
    host: Type
    pool: Pool
    edits: ObjectEdits

    def body(self, type_id: int = 0, **values: Any) -> ObjectBody:
        said = {self.host.id_of(name): each if isinstance(each, tuple) else (each,) for name, each in values.items()}
        return ObjectBody(type_id, said)

    async def create(self, **values: Any) -> EditedObject:
        return await self.edits.create(IMPORTER, "", self.body(self.host.type_id, **values))

    async def update(self, label: str, /, **values: Any) -> EditedObject:
        return await self.edits.update(IMPORTER, "", str(await self.number(label)), self.body(**values))

    async def delete(self, label: str) -> None:
        await self.edits.delete(IMPORTER, "", f"hw-{await self.number(label)}")

    async def number(self, label: str) -> int:
        found = await self.depot.engine.value(
            "SELECT object_id FROM objects WHERE label = %s AND document IS NOT NULL", label
        )
        return int(found)

    async def row(self, label: str) -> dict[str, Any]:
        (row,) = await self.depot.engine.rows("SELECT * FROM objects WHERE label = %s", label)
        return row

    async def kept(self) -> list[tuple[Any, bool]]:
        """What edits have kept, the oldest first: a document by names, and whether it was made then."""
        rows = await self.depot.engine.rows("SELECT before, is_creation FROM object_edits ORDER BY edit_id")
        names = self.depot.names
        named = [row["before"] and {names[int(key)]: value for key, value in row["before"].items()} for row in rows]
        return [(each, row["is_creation"]) for each, row in zip(named, rows, strict=True)]

    async def refused(self, call: Any) -> tuple[str, dict[str, str]]:
        with pytest.raises(ServiceError) as raised:
            await call
        return raised.value.reason, raised.value.metadata


@pytest.fixture(autouse=True)
def served() -> Iterator[None]:
    with calling(IMPORTER):
        yield


@pytest.fixture
async def desk(engine: Engine, database: Database) -> AsyncIterator[Desk]:
    depot = await Depot.of(engine)
    host = await depot.type(
        "Host", Cores="integer", Tags={"type": "select", "most": -1, "options": ["a", "b"]},
        Serial={"type": "text", "unique": True}, Peer={"to": "itself", "most": -1},
        Twin={"to": "itself", "unique": True},
    )  # fmt: skip
    await engine.admin.execute(
        "UPDATE object_attributes SET is_label = true WHERE attribute_id = %s", (host.id_of("Name"),)
    )
    depot.plan = ObjectPlan(types=(host.plan(),))
    workspaces = FakeWorkspaces({TENANT: [Workspace(depot.workspace_id, "home", "home")], 2: []})
    async with connected(database, "hythe_importer") as pool:
        yield Desk(depot, host, pool, ObjectEdits(SqlObjectStore(pool, wait_seconds=0.2), workspaces))


async def test_an_object_is_made_changed_and_removed(desk: Desk) -> None:
    await desk.create(Name="a", Cores=" 4 ", Tags=("b", "a", "b"))
    made = await desk.create(Name="b", Peer=(f"HW-{await desk.number('a')}",), Serial="s-1")
    assert made.row["label"] == "b"
    assert (await desk.row("b"))["source_id"] is None
    own = str(made.row["object_id"])
    await desk.update("b", Peer=(own, f"hw-{await desk.number('a')}"), Serial=(), Cores="7")
    assert await desk.depot.documents() == {
        "a": {"Name": "a", "Cores": 4, "Tags": ["b", "a"]},
        "b": {"Name": "b", "Cores": 7, "Peer": ["b", "a"]},
    }
    await desk.depot.assert_references()
    await desk.delete("a")
    await desk.update("b", Cores="8")
    assert list(await desk.depot.documents()) == ["b"]
    kept = await desk.kept()
    assert [each for each, _ in kept][2:4] == [{"Name": "b", "Serial": "s-1", "Peer": [await desk.number("b") - 1]},
                                               {"Name": "a", "Cores": 4, "Tags": ["b", "a"]}]  # fmt: skip
    assert [is_creation for _, is_creation in kept] == [True, True, False, False, False]


async def test_an_edit_that_changes_nothing_leaves_no_trace(desk: Desk) -> None:
    await desk.create(Name="a", Cores="4")
    before = await desk.row("a")
    await desk.update("a", Cores="4.0")
    assert await desk.row("a") == before
    assert len(await desk.kept()) == 1


async def test_what_no_run_could_bring_is_refused(desk: Desk) -> None:
    await desk.create(Name="taken", Serial="s-1")
    await desk.create(Name="a")
    twin = str(await desk.number("taken"))
    await desk.create(Name="first", Twin=twin)
    before = await desk.row("a")
    for values, code, name in (
        ({"Cores": "many"}, "TYPE_MISMATCH", "Cores"),
        ({"Cores": ("1", "2")}, "TOO_MANY_VALUES", "Cores"),
        ({"Tags": "c"}, "UNKNOWN_OPTION", "Tags"),
        ({"Serial": "s-1"}, "VALUE_NOT_UNIQUE", "Serial"),
        ({"Twin": twin}, "VALUE_NOT_UNIQUE", "Twin"),
        ({"Peer": "HW-999999"}, "REFERENCE_NOT_FOUND", "Peer"),
        ({"Peer": "nobody"}, "REFERENCE_NOT_FOUND", "Peer"),
        ({"Name": ()}, "LABEL_EMPTY", "Name"),
    ):
        for call in (desk.update("a", **values), desk.create(**{"Name": "new", **values})):
            reason, said = await desk.refused(call)
            assert reason == "INVALID_OBJECT"
            assert said["field"] == f"rlabs-insight-attribute-{desk.host.id_of(name)}"
            assert f'"code": "{code}"' in said["data_validation_errors"]
    assert await desk.row("a") == before
    assert sorted(await desk.depot.documents()) == ["a", "first", "taken"]


async def test_a_new_object_has_what_is_required(desk: Desk) -> None:
    query = "UPDATE object_attributes SET minimum_cardinality = 1 WHERE attribute_id = ANY(%s)"
    await desk.depot.engine.admin.execute(query, ([desk.host.id_of("Cores"), desk.host.id_of("Peer")],))
    reason, said = await desk.refused(desk.create(Name="a"))
    assert (reason, said["data_validation_errors"].count("REQUIRED_VALUE_MISSING")) == ("INVALID_OBJECT", 2)
    assert await desk.depot.documents() == {}


async def test_a_run_merges_over_an_edit_as_over_any_object(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    await depot.imported(host.row(Name="a", Cores=1, Tags=["a"]))
    await desk.update("a", Cores="2", Tags="b")
    import_id = await depot.imported(host.row(Name="a", Cores=3))
    assert await depot.engine.outcome(import_id) == {"updated": 1}
    assert await depot.documents() == {"a": {"Name": "a", "Cores": 3, "Tags": ["b"]}}
    await depot.undo(import_id)
    assert await depot.documents() == {"a": {"Name": "a", "Cores": 2, "Tags": ["b"]}}


async def test_an_undo_keeps_what_people_have_edited_made_or_removed(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    first = await depot.imported(*(host.row(Name=name, Cores=1) for name in ("edited", "gone", "free")))
    second = await depot.imported(*(host.row(Name=name, Cores=2) for name in ("edited", "gone", "free")))
    await desk.update("edited", Cores="3")
    await desk.delete("gone")
    await desk.create(Name="made")
    kept = {("object", "kept", "EDITED"): 2}
    assert (await depot.undo(second)).counts == kept | {("object", "restored", ""): 1}
    assert (await depot.undo(first)).counts == kept | {("object", "removed", ""): 1}
    assert await depot.documents() == {"edited": {"Name": "edited", "Cores": 3}, "made": {"Name": "made"}}


async def test_an_undo_keeps_what_an_edited_object_refers_to(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    import_id = await depot.imported(
        host.row(Name="a", Peer=["b"]), host.row(Name="b"), host.row(Name="c"), host.row(Name="d", Peer=["c"])
    )
    await desk.create(Name="mine", Peer=str(await desk.number("a")))
    result = await depot.undo(import_id)
    assert result.counts == {("object", "kept", "IN_USE"): 2, ("object", "removed", ""): 2}
    assert sorted(await depot.documents()) == ["a", "b", "mine"]
    await depot.assert_references()


async def test_an_object_is_known_to_runs_by_what_a_person_has_given_it(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    # Before any source has said what tells hosts apart.
    await desk.create(Name="early", Cores="1")
    assert (await desk.row("early"))["key"] is None
    import_id = await depot.imported(host.row(Name="early", Cores=2), host.row(Name="a"))
    assert await depot.engine.outcome(import_id) == {"inserted": 1, "updated": 1}
    await desk.create(Name="b")
    await desk.update("a", Name="renamed")
    import_id = await depot.imported(host.row(Name="b", Cores=3), host.row(Name="renamed"), host.row(Name="a"))
    assert await depot.engine.outcome(import_id) == {"inserted": 1, "updated": 1, "unchanged": 1}
    reason, said = await desk.refused(desk.create(Name="renamed"))
    assert (reason, said["field"]) == ("OBJECT_EXISTS", f"rlabs-insight-attribute-{host.id_of('Name')}")
    assert (await desk.refused(desk.update("a", Name="renamed")))[0] == "OBJECT_EXISTS"
    assert sorted(await depot.documents()) == ["a", "b", "early", "renamed"]


async def test_a_removed_object_comes_back_by_its_identifiers(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    await depot.imported(host.row(Name="a", Cores=1), host.row(Name="b", Peer=["a"]))
    number = await desk.number("a")
    await desk.delete("a")
    import_id = await depot.imported(host.row(Name="a", Cores=2))
    assert await depot.engine.outcome(import_id) == {"inserted": 1}
    await desk.delete("a")
    made = await desk.create(Name="a", Tags="b")
    assert made.row["object_id"] == number
    assert await depot.documents() == {"a": {"Name": "a", "Tags": ["b"]}, "b": {"Name": "b", "Peer": ["a"]}}
    await depot.assert_references()
    # It is a person's now: its source does not have it, and does not remove it.
    await depot.imported(host.row(Name="b"), plan=ObjectPlan(types=(host.plan(missing="REMOVE"),)))
    assert sorted(await depot.documents()) == ["a", "b"]


async def test_what_takes_the_identifiers_of_a_removed_object_is_meant_by_runs(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    await depot.imported(host.row(Name="old"), host.row(Name="a"))
    await desk.delete("old")
    number = await desk.number("a")
    await desk.update("a", Name="old")
    await depot.imported(host.row(Name="old", Cores=5))
    assert await desk.number("old") == number
    assert await depot.documents() == {"old": {"Name": "old", "Cores": 5}}


@pytest.mark.parametrize("is_there", [True, False])
async def test_an_undo_gives_nothing_back_that_would_have_the_identifiers_of_another(
    desk: Desk, is_there: bool
) -> None:
    depot, host = desk.depot, desk.host
    first = await depot.imported(host.row(Name="old", Cores=1), host.row(Name="a"))
    removing = await depot.imported(host.row(Name="a"), plan=ObjectPlan(types=(host.plan(missing="REMOVE"),)))
    number = await desk.number("a")
    await desk.update("a", Name="old")
    if not is_there:
        await desk.delete("old")
    result = await depot.undo(removing)
    if is_there:
        assert result.named("kept") == [("object", "old", "VALUE_TAKEN")]
        assert await depot.documents() == {"old": {"Name": "old"}}
    else:
        assert result.counts == {("object", "restored", ""): 1}
    again = await depot.imported(host.row(Name="old", Cores=5))
    assert await depot.engine.outcome(again) == {"updated": 1}
    assert (await desk.number("old") == number) is is_there
    assert await depot.documents() == {"old": {"Name": "old", "Cores": 5}}
    await depot.undo(again)
    await depot.undo(first)
    assert sorted(await depot.documents()) == (["old"] if is_there else [])


async def test_an_undo_gives_no_value_back_that_a_person_has_given_to_another(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    await depot.imported(host.row(Name="a", Serial="1"))
    undone = await depot.imported(host.row(Name="a", Serial="2", Peer=["c"]), host.row(Name="b"), host.row(Name="c"))
    await desk.create(Name="mine", Serial="1")
    result = await depot.undo(undone)
    assert result.named("kept") == [("object", "a", "VALUE_TAKEN"), ("object", "c", "IN_USE")]
    assert await depot.documents() == {
        "a": {"Name": "a", "Serial": "2", "Peer": ["c"]}, "c": {"Name": "c"}, "mine": {"Name": "mine", "Serial": "1"},
    }  # fmt: skip
    await depot.assert_references()


async def test_an_object_is_made_where_the_row_of_a_removed_one_has_just_gone(desk: Desk) -> None:
    await desk.depot.imported(desk.host.row(Name="a"))
    await desk.delete("a")
    removed = await desk.row("a")
    async with desk.depot.engine.admin.transaction():
        # As the retention does, which has not the workspace's lock.
        await desk.depot.engine.admin.execute("DELETE FROM objects WHERE label = 'a'")
        making = asyncio.create_task(desk.create(Name="a", Cores="1"))
        await eventually(partial(has_waiting, desk))
    made = (await making).row
    assert (made["key"], made["object_id"] != removed["object_id"]) == (removed["key"], True)
    assert await desk.depot.documents() == {"a": {"Name": "a", "Cores": 1}}


async def has_waiting(desk: Desk) -> bool:
    return bool(await desk.depot.engine.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_an_edited_object_belongs_to_its_source_as_before(desk: Desk) -> None:
    depot, host = desk.depot, desk.host
    await depot.imported(host.row(Name="a"), host.row(Name="b"))
    await desk.update("b", Cores="1")
    await desk.create(Name="mine")
    await depot.imported(host.row(Name="a"), plan=ObjectPlan(types=(host.plan(missing="REMOVE"),)))
    assert sorted(await depot.documents()) == ["a", "mine"]


async def test_an_edit_waits_for_a_merge_and_not_for_ever(desk: Desk) -> None:
    await desk.create(Name="a")
    engine = desk.depot.engine
    run = await engine.claimed(await engine.queued(**desk.depot.columns()))
    async with engine.worker.transaction(TENANT) as connection:
        await merge.lock(connection, run.job)
        with pytest.raises(Unavailable, match="merged into the workspace"):
            await desk.update("a", Cores="1")
    await desk.update("a", Cores="1")
    assert (await desk.depot.documents())["a"]["Cores"] == 1


async def test_others_have_no_such_object(desk: Desk) -> None:
    made = await desk.create(Name="a")
    number = str(made.row["object_id"])
    await desk.edits.update(COLLEAGUE, "", number, desk.body(Cores="1"))
    with pytest.raises(NotFound):
        await desk.edits.delete(STRANGER, "", number)
    elsewhere = await Depot.of(desk.depot.engine)
    other = ObjectEdits(
        SqlObjectStore(desk.pool), FakeWorkspaces({TENANT: [Workspace(elsewhere.workspace_id, "o", "o")]})
    )
    for call in (other.delete(IMPORTER, "", number), other.update(IMPORTER, "", number, desk.body(Cores="2"))):
        assert (await desk.refused(call))[0] == "OBJECT_NOT_FOUND"
    assert (await desk.refused(other.create(IMPORTER, "", desk.body(desk.host.type_id))))[0] == "OBJECT_TYPE_NOT_FOUND"
    for wrong in ("0", "XX-" + number, "HW-", "-" + number, "9" * 30, "HW-1x"):
        assert (await desk.refused(desk.edits.delete(IMPORTER, "", wrong)))[0] == "OBJECT_NOT_FOUND"
    with pytest.raises(InvalidArgument, match="does not change its object type"):
        await desk.edits.update(IMPORTER, "", number, desk.body(desk.host.type_id + 1))
    assert await desk.depot.documents() == {"a": {"Name": "a", "Cores": 1}}


async def test_edits_are_kept_as_long_as_history_is(desk: Desk) -> None:
    for name in ("old", "young", "there"):
        await desk.create(Name=name)
    await desk.delete("old")
    await desk.delete("young")
    aged = "UPDATE {} SET {} = now() - interval '31 days' WHERE {}"
    for table, column, which in (
        ("object_edits", "edited_at", "object_id IN (SELECT object_id FROM objects WHERE label <> 'young')"),
        ("objects", "updated_at", "label = 'old'"),
    ):
        await desk.depot.engine.admin.execute(aged.format(table, column, which).encode())
    async with desk.pool.transaction(TENANT) as connection:
        await delete_edits(connection, TENANT, timedelta(days=30))
    rows = await desk.depot.engine.rows("SELECT label FROM objects ORDER BY 1")
    assert [row["label"] for row in rows] == ["there", "young"]
    assert len(await desk.kept()) == 2

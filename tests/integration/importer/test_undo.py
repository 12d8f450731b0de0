from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from services.importer.engine import undo_items
from services.importer.targets.findings.records import Port
from services.importer.targets.findings.undo import ORPHANED
from tests.integration.importer.undoing import (
    NOTHING,
    TABLES,
    Undoer,
    assert_whole,
    asset,
    dump,
    finding,
    item,
)
from tests.integration.importer.workbench import Engine


@pytest.fixture
def undoer(engine: Engine) -> Undoer:
    return Undoer(engine)


async def state_of(engine: Engine, import_id: UUID) -> dict[str, Any]:
    (row,) = await engine.rows("SELECT * FROM imports WHERE import_id = %s", import_id)
    return row


async def test_an_import_into_nothing_is_undone_to_nothing(engine: Engine, undoer: Undoer) -> None:
    done = await engine.imported([item("10", "a"), item("10", "b"), item("11", "a")], asset_tags=["x"])
    result = await undoer.undo(done)
    assert await dump(engine) == NOTHING
    assert result.counts == {
        ("finding", "removed", ""): 2,
        ("asset", "removed", ""): 2,
        ("affected_asset", "removed", ""): 3,
        ("evidence", "removed", ""): 3,
    }
    assert await engine.outcome(result.undo_id) == {"deleted": 10}
    undone = await state_of(engine, done)
    assert (undone["state"], undone["undone_by"]) == ("SUCCEEDED", result.undo_id)
    assert undone["undone_at"] is not None
    undo = await state_of(engine, result.undo_id)
    assert (undo["state"], undo["kind"], undo["flip_number"]) == ("SUCCEEDED", "undo", None)


async def test_an_import_over_others_is_undone_to_the_byte(engine: Engine, undoer: Undoer) -> None:
    await engine.imported([item("10", "a"), item("11", "b", ips=("10.0.0.1",))], asset_tags=["x"], finding_tags=["y"])
    await engine.imported([item("10", "a"), item("12", "c")], asset_tags=["x"])
    before = await dump(engine)
    last = await engine.imported(
        [
            item("10", "a", proof="more"),
            item("11", "b", port=443, ips=("10.0.0.1", "10.0.0.2"), mac="00:11", ports=(Port(22, "tcp"),)),
            item("13", "d"),
            [asset("10.0.0.1", name="another-name", ips=("10.0.0.1",))],
        ],
        asset_tags=["x", "z"],
        finding_tags=["z"],
    )
    assert await dump(engine) != before
    result = await undoer.undo(last)
    assert await dump(engine) == before
    assert result.counts[("finding", "restored", "")] == 2
    assert result.counts[("asset", "restored", "")] == 2
    assert result.total("kept") == 0
    assert await engine.outcome(result.undo_id) == {
        "deleted": result.total("removed"),
        "updated": result.total("restored"),
    }


async def test_what_a_later_import_saw_is_kept_and_becomes_its_own(engine: Engine, undoer: Undoer) -> None:
    first = await engine.imported([item("10", "a"), item("11", "b")])
    second = await engine.imported([item("10", "a")])
    result = await undoer.undo(first)
    assert result.named("kept") == [
        ("affected_asset", "Title 10 on a 80/tcp", "SEEN_LATER"),
        ("asset", "a", "SEEN_LATER"),
        ("evidence", "output of Title 10 on a 80/tcp", "SEEN_LATER"),
        ("finding", "Title 10", "SEEN_LATER"),
    ]
    assert {row["by_import_id"] for row in result.items if row["action"] == "kept"} == {second}
    assert await engine.value("SELECT count(*) FROM findings") == 1
    assert await engine.value("SELECT count(*) FROM sightings") == 0
    await assert_whole(engine)
    await undoer.undo(second)
    assert await dump(engine) == NOTHING


async def test_what_a_later_import_changed_is_kept_and_undone_with_it(engine: Engine, undoer: Undoer) -> None:
    first = await engine.imported([item("10", "a")], finding_tags=["x"], asset_tags=["x"])
    second = await engine.imported([item("10", "a")], finding_tags=["y"], asset_tags=["y"])
    result = await undoer.undo(first)
    assert [each for each in result.named("kept") if each[2] == "CHANGED_LATER"] == [
        ("asset", "a", "CHANGED_LATER"),
        ("finding", "Title 10", "CHANGED_LATER"),
    ]
    assert await engine.value("SELECT tags FROM findings") == ["x", "y"]
    await undoer.undo(second)
    assert await dump(engine) == NOTHING


async def test_two_changes_of_a_row_are_taken_back_in_either_order(engine: Engine, undoer: Undoer) -> None:
    await engine.imported([item("10", "a")])
    before = await dump(engine)
    for is_first_first in (True, False):
        first = await engine.imported([item("10", "a", ips=("10.0.0.1",))], finding_tags=["x"])
        second = await engine.imported([item("10", "a", ips=("10.0.0.2",))], finding_tags=["y"])
        for import_id in (first, second) if is_first_first else (second, first):
            await undoer.undo(import_id)
        assert await dump(engine) == before


async def test_a_row_that_a_person_has_edited_is_kept_and_named_and_stays_theirs(
    engine: Engine, undoer: Undoer
) -> None:
    first = await engine.imported([item("10", "a")])
    await engine.admin.execute("UPDATE findings SET title = 'Edited', updated_at = now()")
    second = await engine.imported([item("10", "a")])
    await undoer.undo(first)
    result = await undoer.undo(second)
    assert result.named("kept") == [("finding", "Edited", "EDITED")]
    assert await engine.rows("SELECT title, import_id FROM findings") == [{"title": "Edited", "import_id": None}]
    for table in TABLES:
        assert await engine.value(f"SELECT count(*) FROM {table}") == (1 if table == "findings" else 0), table


@pytest.mark.parametrize("is_first_first", [True, False])
async def test_an_edit_between_two_imports_outlives_both(engine: Engine, undoer: Undoer, is_first_first: bool) -> None:
    """The second import's image has the edit, the first one's has not."""
    first = await engine.imported([item("10", "a")], finding_tags=["x"])
    await engine.admin.execute("UPDATE findings SET title = 'Edited', updated_at = now()")
    second = await engine.imported([item("10", "a")], finding_tags=["y"])
    for import_id in (first, second) if is_first_first else (second, first):
        await undoer.undo(import_id)
    (row,) = await engine.rows("SELECT title, tags, import_id FROM findings")
    assert row == {"title": "Edited", "tags": ["x"], "import_id": None}
    assert await engine.value("SELECT count(*) FROM assets") == 0


@pytest.mark.parametrize("is_first_first", [True, False])
async def test_an_edit_between_two_changes_outlives_both(engine: Engine, undoer: Undoer, is_first_first: bool) -> None:
    base = await engine.imported([item("10", "a")])
    first = await engine.imported([item("10", "a")], finding_tags=["x"])
    await engine.admin.execute("UPDATE findings SET severity = 4, updated_at = now()")
    second = await engine.imported([item("10", "a")], finding_tags=["y"])
    for import_id in (first, second) if is_first_first else (second, first):
        await undoer.undo(import_id)
    assert await engine.rows("SELECT severity, tags FROM findings") == [{"severity": 4, "tags": ["x"]}]
    result = await undoer.undo(base)
    assert result.named("kept") == [("finding", "Title 10", "EDITED")]


async def test_a_row_that_a_person_has_edited_since_is_not_restored(engine: Engine, undoer: Undoer) -> None:
    await engine.imported([item("10", "a")])
    second = await engine.imported([item("10", "a")], finding_tags=["x"])
    await engine.admin.execute("UPDATE findings SET title = 'Edited', updated_at = now()")
    result = await undoer.undo(second)
    assert result.named("kept") == [("finding", "Edited", "EDITED")]
    assert await engine.rows("SELECT title, tags FROM findings") == [{"title": "Edited", "tags": ["x"]}]


async def test_what_an_edited_row_hangs_on_is_kept(engine: Engine, undoer: Undoer) -> None:
    done = await engine.imported([item("10", "a", ips=("10.0.0.1",)), item("11", "b")])
    edit = "UPDATE affected_assets t SET status = 'Closed', updated_at = now() FROM findings f "
    await engine.admin.execute(f"{edit} WHERE f.finding_id = t.finding_id AND f.key = '10'".encode())
    result = await undoer.undo(done)
    assert result.named("kept") == [
        ("affected_asset", "Title 10 on a 80/tcp", "EDITED"),
        ("asset", "a", "IN_USE"),
        ("finding", "Title 10", "IN_USE"),
    ]
    await assert_whole(engine)
    # What the asset is known by stays with it, or the next scan would make another one of the same name.
    assert sorted(row["value"] for row in await engine.rows("SELECT value FROM asset_keys")) == ["10.0.0.1", "a"]
    again = await engine.imported([item("10", "a", ips=("10.0.0.1",))])
    assert await engine.value("SELECT count(*) FROM assets") == 1
    await undoer.undo(again)
    assert await engine.value("SELECT count(*) FROM assets") == 1
    await assert_whole(engine)


async def test_a_name_that_an_import_has_given_to_a_known_asset_goes_with_it(engine: Engine, undoer: Undoer) -> None:
    await engine.imported([[asset("1", name="one", ips=("10.0.0.1",))]])
    before = await dump(engine)
    alias = [[asset("1", name="alias", ips=("10.0.0.1",))]]
    second = await engine.imported(alias)
    third = await engine.imported(alias)
    await undoer.undo(second)
    assert await engine.value("SELECT import_id FROM asset_keys WHERE value = 'alias'") == third
    await undoer.undo(third)
    assert await dump(engine) == before


async def test_a_tag_goes_when_nobody_has_it(engine: Engine, undoer: Undoer) -> None:
    await engine.admin.execute("INSERT INTO tags (tenant_id, tag) VALUES (1, 'persons')")
    first = await engine.imported([item("10", "a")], finding_tags=["seen", "both", "alone", "persons"])
    await engine.admin.execute("UPDATE findings SET tags = array_remove(tags, 'alone')")
    second = await engine.imported([item("10", "a")], finding_tags=["both"])
    await undoer.undo(first)
    kept = {row["tag"]: row["import_id"] for row in await engine.rows("SELECT tag, import_id FROM tags")}
    assert kept == {"persons": None, "both": second, "seen": ORPHANED}
    await undoer.undo(second)
    assert [row["tag"] for row in await engine.rows("SELECT tag FROM tags")] == ["persons"]


async def test_a_tag_of_the_file_goes_with_the_last_row_that_has_it(engine: Engine, undoer: Undoer) -> None:
    tagged = [finding("10", tags=("sast",)), asset("a", tags=("dmz",))]
    first = await engine.imported([tagged])
    second = await engine.imported([tagged, [finding("11", tags=("sast", "dast"))]])
    await undoer.undo(first)
    kept = {row["tag"]: row["import_id"] for row in await engine.rows("SELECT tag, import_id FROM tags")}
    assert kept == {"sast": ORPHANED, "dmz": ORPHANED, "dast": second}
    await undoer.undo(second)
    assert await dump(engine) == NOTHING


async def test_an_undo_takes_back_only_the_tags_that_its_import_brought(engine: Engine, undoer: Undoer) -> None:
    await engine.imported([[finding("10", tags=("old",)), asset("a")]], asset_tags=["dmz"])
    before = await dump(engine)
    second = await engine.imported([[finding("10", tags=("new",)), asset("a", tags=("new",))]], finding_tags=["old"])
    assert await engine.value("SELECT tags FROM findings") == ["new", "old"]
    await undoer.undo(second)
    assert await dump(engine) == before


@pytest.mark.parametrize("is_small", [True, False])
async def test_a_dry_undo_says_what_the_real_one_does_and_changes_nothing(
    engine: Engine, undoer: Undoer, is_small: bool
) -> None:
    base = await engine.imported([item("10", "a"), item("20", "z")], finding_tags=["t"])
    extra = [] if is_small else [item(str(30 + n % 50), f"h{n}", port=n) for n in range(2_500)]
    done = await engine.imported(
        [item("10", "a", ips=("10.0.0.9",)), item("11", "b"), item("12", "c"), *extra], finding_tags=["x"]
    )
    await engine.imported([item("11", "b", mac="00:11")])
    await engine.admin.execute("UPDATE findings SET title = 'Edited', updated_at = now() WHERE key = '12'")
    before = await dump(engine)
    dry = await undoer.undo(done, dry_run=True)
    assert await dump(engine) == before
    assert (await state_of(engine, done))["undone_at"] is None
    assert await engine.value("SELECT count(*) FROM imports WHERE flip_number IS NOT NULL") == 3

    real = await undoer.undo(done)
    assert real.counts == dry.counts
    assert real.report == dry.report
    told = ("number", "kind", "row_id", "name", "action", "reason", "by_import_id")
    assert [[row[name] for name in told] for row in real.items] == [[row[name] for name in told] for row in dry.items]
    assert {reason for (_, _, reason) in real.counts} == {"", "SEEN_LATER", "CHANGED_LATER", "EDITED"}
    assert await engine.outcome(real.undo_id) == await engine.outcome(dry.undo_id)
    await assert_whole(engine)
    await undoer.undo(base)


async def test_the_report_has_every_row_and_the_items_the_first_of_each_action(
    engine: Engine, undoer: Undoer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo_items, "KEPT_ITEMS", 3)
    done = await engine.imported([item(str(10 + n), f"h{n}") for n in range(4)])
    await engine.imported([[finding(str(10 + n)) for n in range(2)] + [asset(f"h{n}") for n in range(2)]])
    result = await undoer.undo(done)
    assert len(result.report) == 16
    assert len({tuple(row.values()) for row in result.report}) == 16
    assert [row["number"] for row in result.items] == [1, 2, 3, 4, 5, 6]
    assert [row["action"] for row in result.items] == ["kept"] * 3 + ["removed"] * 3
    assert [row["action"] for row in result.report] == ["kept"] * 4 + ["removed"] * 12
    assert [row["kind"] for row in result.items] == ["finding", "finding", "asset", "finding", "finding", "asset"]


async def test_no_name_in_the_report_is_run_by_a_spreadsheet_or_is_endless(engine: Engine, undoer: Undoer) -> None:
    done = await engine.imported([[finding("10", title="=cmd()")], [asset("1", name="é" * 1_000_000)]])
    result = await undoer.undo(done)
    assert {row["kind"]: row["name"] for row in result.report} == {"finding": "'=cmd()", "asset": "é" * 255}


async def test_an_import_of_client_assets_is_undone(engine: Engine, undoer: Undoer) -> None:
    base = await engine.imported([item("10", "a")])
    before = await dump(engine)
    report_id, engine.report_id = engine.report_id, None  # type: ignore[assignment]
    done = await engine.imported([[asset("a", ips=("10.0.0.1",))], [asset("b")]])
    await undoer.undo(done)
    engine.report_id = report_id
    assert await dump(engine) == before
    await undoer.undo(base)
    assert await dump(engine) == NOTHING


async def test_an_asset_that_another_report_of_the_client_has_is_kept(engine: Engine, undoer: Undoer) -> None:
    first = await engine.imported([item("10", "a")])
    other = await engine.value(
        "INSERT INTO reports (tenant_id, client_id, name) VALUES (1, %s, 'r2') RETURNING report_id", engine.client_id
    )
    second = await dataclasses.replace(engine, report_id=other).imported([item("10", "a")])
    result = await undoer.undo(first)
    assert result.named("kept") == [("asset", "a", "SEEN_LATER")]
    await assert_whole(engine)
    await undoer.undo(second)
    assert await dump(engine) == NOTHING


async def test_rows_of_another_tenant_with_the_same_ids_are_untouched(engine: Engine, undoer: Undoer) -> None:
    await engine.imported([item("10", "a"), item("12", "c")])
    done = await engine.imported([item("10", "a"), item("11", "b")], asset_tags=["x"], finding_tags=["y"])
    for table in (*TABLES, "imports"):
        columns = [
            row["column_name"]
            for row in await engine.rows(
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name = %s AND column_name <> 'tenant_id'",
                table,
            )
        ]
        names = ", ".join(f'"{column}"' for column in columns)
        await engine.admin.execute(
            f"INSERT INTO {table} (tenant_id, {names}) OVERRIDING SYSTEM VALUE SELECT 2, {names} FROM {table}".encode()
        )
    theirs = await dump(engine, tenant=2)
    await undoer.undo(done)
    assert await dump(engine, tenant=2) == theirs
    assert await engine.value("SELECT count(*) FROM imports WHERE tenant_id = 2 AND undone_at IS NOT NULL") == 0

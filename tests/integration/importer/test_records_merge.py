from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.integration.importer.ledger import COLUMNS, FAMILY, SOURCE, Documents, Ledger, drop, put
from tests.integration.importer.workbench import Engine

KEEP = {"empty": "keep"}


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger.of(engine)


async def test_new_rows_are_inserted(ledger: Ledger) -> None:
    import_id = await ledger.imported(put("F1", name="Garcia", size=4), put("F2", name="Okafor", tags=["new"]))
    assert await ledger.engine.outcome(import_id) == {"inserted": 2}
    assert await ledger.documents() == {
        "F1": {"entityId": "F1", "name": "Garcia", "size": 4},
        "F2": {"entityId": "F2", "name": "Okafor", "tags": ["new"]},
    }
    (row,) = await ledger.engine.rows("SELECT * FROM records WHERE key = '[\"F1\"]'")
    assert (row["entity_type"], row["data_source"], row["import_id"]) == (FAMILY, SOURCE, import_id)


async def test_a_row_changes_what_it_says_and_clears_what_it_leaves_empty(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="Garcia", size=4, comment="old", other="kept"))
    import_id = await ledger.imported(put("F1", name="Garcia-Lee", size=4))
    assert await ledger.engine.outcome(import_id) == {"updated": 1}
    # A column that the file does not have is none of its business.
    assert await ledger.documents() == {"F1": {"entityId": "F1", "name": "Garcia-Lee", "size": 4, "other": "kept"}}


async def test_empty_values_that_are_kept_leave_what_is_there(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="Garcia", comment="old"))
    import_id = await ledger.imported(put("F1", name="Lee"), policy=KEEP)
    assert await ledger.engine.outcome(import_id) == {"updated": 1}
    assert await ledger.documents() == {"F1": {"entityId": "F1", "name": "Lee", "comment": "old"}}


async def test_the_same_rows_again_rewrite_nothing(ledger: Ledger) -> None:
    rows = [put("F1", name="Garcia", size=4.0), put("F2", name="Okafor", address={"zip": "94103"})]
    await ledger.imported(*rows)
    before = await ledger.versions()
    import_id = await ledger.imported(*rows)
    assert await ledger.engine.outcome(import_id) == {"unchanged": 2}
    assert await ledger.versions() == before
    assert await ledger.engine.value("SELECT count(*) FROM sightings WHERE import_id = %s", import_id) == 2
    assert await ledger.engine.value("SELECT count(*) FROM before_images") == 0


async def test_only_the_rows_that_differ_are_rewritten(ledger: Ledger) -> None:
    await ledger.imported(*(put(f"F{number}", n=number) for number in range(20)))
    before = await ledger.versions()
    import_id = await ledger.imported(*(put(f"F{number}", n=number if number % 4 else -1) for number in range(22)))
    assert await ledger.engine.outcome(import_id) == {"inserted": 2, "updated": 5, "unchanged": 15}
    after = await ledger.versions()
    assert sum(after[key] == version for key, version in before.items()) == 15


async def test_deleted_records_are_gone_and_come_back_as_new_ones(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="Garcia", comment="old"), put("F2", name="Okafor"))
    deletion = await ledger.imported(drop("F1"))
    assert await ledger.engine.outcome(deletion) == {"deleted": 1}
    assert set(await ledger.documents()) == {"F2"}
    assert await ledger.engine.value("SELECT count(*) FROM records WHERE document IS NULL") == 1
    again = await ledger.imported(put("F1", name="Lee"), policy=KEEP)
    assert await ledger.engine.outcome(again) == {"inserted": 1}
    # Nothing of the deleted record shines through, whatever is done with empty values.
    assert (await ledger.documents())["F1"] == {"entityId": "F1", "name": "Lee"}


async def test_deleting_what_is_not_there_changes_nothing_and_is_told(ledger: Ledger) -> None:
    await ledger.imported(put("F1"), put("F2"))
    await ledger.imported(drop("F1"))
    import_id = await ledger.imported(drop("F1"), drop("F3"), drop("F2"))
    assert await ledger.engine.outcome(import_id) == {"unchanged": 2, "deleted": 1}
    assert (await ledger.cautions(import_id))["RECORD_NOT_FOUND"][1] == 1
    assert await ledger.documents() == {}


async def test_the_last_row_of_a_key_counts_and_the_others_are_told(ledger: Ledger) -> None:
    import_id = await ledger.imported(
        put("F1", name="first", line=5),
        put("F2", name="only", line=6),
        put("F1", name="second", line=7),
        put("F3", name="twice", line=8),
        put("F1", name="third", line=9),
        put("F3", name="again", line=10),
    )
    assert await ledger.engine.outcome(import_id) == {"inserted": 3, "skipped": 3}
    found = await ledger.documents()
    assert {key: document["name"] for key, document in found.items()} == {"F1": "third", "F2": "only", "F3": "again"}
    message, count = (await ledger.cautions(import_id))["DUPLICATE_KEY_IN_FILE"]
    assert (count, "line 7" in message) == (3, True)


async def test_rows_of_one_key_apply_one_after_the_other(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="old", comment="old", size=1))
    await ledger.imported(put("F1", comment="new"), put("F1", name="new"), policy=KEEP)
    assert (await ledger.documents())["F1"] == {"entityId": "F1", "name": "new", "comment": "new", "size": 1}
    # Every row says something of every column of its file, and nothing of others.
    import_id = await ledger.imported(
        put("F1", name="set", size=2), put("F1"), put("F1", name="set again"), columns=["entityId", "name", "size"]
    )
    assert await ledger.engine.outcome(import_id) == {"updated": 1, "skipped": 2}
    assert (await ledger.documents())["F1"] == {"entityId": "F1", "name": "set again", "comment": "new"}


@pytest.mark.parametrize("policy", [{}, KEEP], ids=["clear", "keep"])
async def test_a_row_behind_a_deletion_begins_anew(ledger: Ledger, policy: dict[str, str]) -> None:
    await ledger.imported(put("F1", name="old", comment="old"))
    import_id = await ledger.imported(put("F1", name="between"), drop("F1"), put("F1", size=3), policy=policy)
    assert await ledger.engine.outcome(import_id) == {"updated": 1, "skipped": 2}
    assert await ledger.documents() == {"F1": {"entityId": "F1", "size": 3}}


@pytest.mark.parametrize("policy", [{}, KEEP], ids=["clear", "keep"])
@pytest.mark.parametrize("seed", range(4))
async def test_any_rows_of_a_file_do_what_they_would_do_one_by_one(
    ledger: Ledger, policy: dict[str, str], seed: int
) -> None:
    random = Random(seed)
    expected: Documents = {}
    for _ in range(5):
        columns = ["entityId", *(code for code in COLUMNS[1:] if random.random() < 0.6)]
        rows = []
        for _ in range(random.randint(1, 12)):
            entity = f"F{random.randrange(4)}"
            if random.random() < 0.2:
                rows.append(drop(entity))
                expected.pop(entity, None)
                continue
            said = {code: random.randint(1, 2) for code in columns[1:] if random.random() < 0.5}
            rows.append(put(entity, **said))
            cleared = () if policy else columns
            kept = {code: value for code, value in expected.get(entity, {}).items() if code not in cleared}
            expected[entity] = {**kept, "entityId": entity, **said}
        await ledger.imported(*rows, columns=columns, policy=policy)
        assert await ledger.documents() == expected


async def test_a_deletion_behind_a_row_deletes(ledger: Ledger) -> None:
    await ledger.imported(put("F1", name="old"))
    import_id = await ledger.imported(put("F1", name="new"), drop("F1"), put("F2"), drop("F2"))
    assert await ledger.engine.outcome(import_id) == {"deleted": 1, "unchanged": 1, "skipped": 2}
    assert await ledger.documents() == {}
    assert await ledger.engine.value("SELECT count(*) FROM records") == 1


async def test_workspaces_entity_types_and_data_sources_have_keys_of_their_own(ledger: Ledger) -> None:
    other = Ledger.of(ledger.engine)
    await ledger.imported(put("F1", of="mine"))
    for place, columns in (
        (other, {}),
        (ledger, {"entity_type": "wks_billing"}),
        (ledger, {"data_source": "cc-family-income"}),
    ):
        import_id = await place.imported(put("F1", of="another"), drop("F9"), **columns)
        assert await ledger.engine.outcome(import_id) == {"inserted": 1, "unchanged": 1}
    assert await ledger.engine.value("SELECT count(*) FROM records WHERE document->>'of' = 'mine'") == 1
    assert await ledger.engine.value("SELECT count(*) FROM records") == 4


async def test_a_key_that_is_too_long_for_an_index_is_a_key_all_the_same(ledger: Ledger) -> None:
    long = "\N{GREEK SMALL LETTER ALPHA}" * 100_000
    await ledger.imported(put(long, n=1), put(long + "x", n=2))
    import_id = await ledger.imported(put(long, n=1), drop(long + "x"))
    assert await ledger.engine.outcome(import_id) == {"unchanged": 1, "deleted": 1}


async def test_another_tenants_records_of_the_same_name_are_not_touched(ledger: Ledger) -> None:
    await ledger.imported(put("F1", n=1))
    await ledger.engine.admin.execute("UPDATE records SET tenant_id = 2")
    import_id = await ledger.imported(put("F1", n=2), drop("F1"))
    assert await ledger.engine.outcome(import_id) == {"unchanged": 1, "skipped": 1}
    assert await ledger.engine.value("SELECT document->>'n' FROM records WHERE tenant_id = 2") == "1"


async def test_imports_of_the_same_keys_at_once_leave_what_one_of_them_says(ledger: Ledger) -> None:
    async with asyncio.timeout(60):
        imports = await asyncio.gather(
            *(ledger.imported(*(put(f"F{key}", by=number) for key in range(300))) for number in range(6))
        )
    found = await ledger.documents()
    assert len(found) == 300
    assert len({document["by"] for document in found.values()}) == 1
    outcomes = [await ledger.engine.outcome(import_id) for import_id in imports]
    assert sorted(outcomes, key=str) == [{"inserted": 300}, *[{"updated": 300}] * 5]


async def test_the_rows_of_a_large_file_merge_like_those_of_a_small_one(ledger: Ledger) -> None:
    await ledger.imported(*(put(f"F{key}", n=key) for key in range(4_000)))
    import_id = await ledger.imported(
        *(put(f"F{key}", n=key) for key in range(1_000)),
        *(put(f"F{key}", n=-key) for key in range(1_000, 2_500)),
        *(drop(f"F{key}") for key in range(2_500, 3_500)),
        *(put(f"F{key}", n=key) for key in range(4_000, 5_000)),
    )
    assert await ledger.engine.outcome(import_id) == {
        "inserted": 1_000, "updated": 1_500, "unchanged": 1_000, "deleted": 1_000,
    }  # fmt: skip
    assert len(await ledger.documents()) == 4_000

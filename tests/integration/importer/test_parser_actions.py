from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from services.importer.engine.attempt import Ending
from services.importer.targets.findings.records import Caution, Finding, Severity
from services.importer.targets.parser_actions import target as learning
from tests.integration.importer.test_findings_merge import asset, counts, item, target_rows
from tests.integration.importer.undoing import NOTHING, Undoer, dump
from tests.integration.importer.workbench import Bench, Engine
from tests.scans import nessus

CRITICAL, LOW, NO_SEVERITY = Severity.CRITICAL, Severity.LOW, Severity.INFORMATIONAL
BY_ACTIONS: dict[str, Any] = {"use_parser_actions": True}


async def act(engine: Engine, action_id: str, action: str, *, tenant: int = 1, **columns: Any) -> None:
    """An action of nessus, as made by hand unless `key` is said."""
    values = {
        "tenant_id": tenant, "source": "nessus", "action_id": action_id, "action": action, "severity": 4,
        "original_severity": 4, "title": "t", **columns,
    }  # fmt: skip
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    await engine.admin.execute(
        f"INSERT INTO parser_actions ({names}) VALUES ({places})".encode(), tuple(values.values())
    )


async def writeup(engine: Engine, *, deleted: bool = False) -> int:
    return int(
        await engine.value(
            'INSERT INTO writeups (tenant_id, title, severity, description, recommendations, "references", fields, '
            "is_deleted) VALUES (1, 'Ours', 0, 'our words', 'our advice', 'our links', '{\"Effort\": \"low\"}', %s) "
            "RETURNING writeup_id",
            deleted,
        )
    )


async def told(engine: Engine, import_id: UUID) -> dict[str, int]:
    """What it says of actions, those above zero."""
    (row,) = await engine.rows("SELECT * FROM import_progress WHERE import_id = %s", import_id)
    return {name: row[name] for name in ("ignored", "forced", "linked", "learned") if row[name]}


async def cautions(engine: Engine, import_id: UUID) -> dict[str, int]:
    (row,) = await engine.rows("SELECT cautions FROM import_progress WHERE import_id = %s", import_id)
    return {each["code"]: each["count"] for each in row["cautions"]}


async def titles(engine: Engine) -> dict[str, str]:
    return {row["key"]: row["title"] for row in await engine.rows("SELECT key, title FROM findings")}


async def learned(engine: Engine, *items: Sequence[Any], **columns: Any) -> UUID:
    return await engine.imported(items, target="parser_actions", client_id=0, report_id=None, **columns)


# -------------------------------------------------------------------------------------------------------- applying


async def test_an_ignored_finding_is_left_out_with_its_places_and_proof_and_its_items_are_skipped(
    engine: Engine,
) -> None:
    await act(engine, "10", "IGNORE")
    done = await engine.imported([item("10", "a", port=81), item("11", "a"), item("10", "b")], **BY_ACTIONS)
    assert await titles(engine) == {"11": "Title 11"}
    assert await counts(engine) == {"findings": 1, "assets": 2, "asset_keys": 2, "affected_assets": 1, "evidence": 1}
    # The asset was scanned; of the port only the ignored finding knew.
    assert await engine.value("SELECT ports FROM assets WHERE name = 'a'") == {
        "80/tcp": {"number": 80, "protocol": "tcp", "service": "", "version": ""}
    }
    assert await told(engine, done) == {"ignored": 1}
    assert await cautions(engine, done) == {}
    # Two assets are new, so these items are inserted all the same.
    assert await engine.outcome(done) == {"inserted": 3}


async def test_an_item_that_is_nothing_but_ignored_counts_as_skipped(engine: Engine) -> None:
    await act(engine, "10", "IGNORE")
    place = item("10", "a")[2]
    done = await engine.imported([[asset("a")], item("10", "a")[:1], [place], [place]], **BY_ACTIONS)
    assert await engine.outcome(done) == {"inserted": 1, "skipped": 3}
    assert (await counts(engine))["findings"] == 0


async def test_a_forced_severity_counts_for_every_definition_of_the_finding(engine: Engine) -> None:
    await act(engine, "10", "DEFAULT", severity=LOW)
    items = [[Finding("10", 10, "a", CRITICAL)], [Finding("10", 10, "b", NO_SEVERITY)], item("11", "a")]
    done = await engine.imported(items, **BY_ACTIONS)
    assert await engine.value("SELECT severity FROM findings WHERE key = '10'") == LOW
    assert await engine.value("SELECT severity FROM findings WHERE key = '11'") == Severity.HIGH
    assert await told(engine, done) == {"forced": 1}
    assert await engine.outcome(done) == {"inserted": 2, "skipped": 1}


async def test_a_linked_finding_has_the_words_of_the_writeup_and_what_the_scan_has_measured(engine: Engine) -> None:
    await act(engine, "10", "LINK", writeup_id=await writeup(engine))
    found = Finding(
        "10", 10, "Theirs", LOW, "their words", "their advice", "their links", "Nessus",
        cves=("CVE-2026-1",), cwes=(79,), fields={"Family": "General"}, tags=("theirs",),
    )  # fmt: skip
    done = await engine.imported([[found], item("10", "a")[1:]], **BY_ACTIONS)
    (row,) = await engine.rows("SELECT * FROM findings")
    assert {name: row[name] for name in ("key", "flaw_id", "title", "severity", "source", "fields")} == {
        "key": "10", "flaw_id": 10, "title": "Ours", "severity": 0, "source": "Nessus", "fields": {"Effort": "low"},
    }  # fmt: skip
    assert (row["description"], row["recommendations"], row["references"]) == ("our words", "our advice", "our links")
    assert (row["cves"], row["cwes"], row["tags"]) == (["CVE-2026-1"], [79], ["theirs"])
    assert await told(engine, done) == {"linked": 1}
    assert (await counts(engine))["affected_assets"] == 1


async def test_a_link_to_a_deleted_writeup_lets_the_finding_pass_and_says_so(engine: Engine) -> None:
    await act(engine, "10", "LINK", writeup_id=await writeup(engine, deleted=True))
    done = await engine.imported([item("10", "a")], **BY_ACTIONS)
    assert await titles(engine) == {"10": "Title 10"}
    assert await told(engine, done) == {}
    assert await cautions(engine, done) == {"WRITEUP_DELETED": 1}


@pytest.mark.parametrize("wanted", [True, False])
async def test_nothing_is_applied_unless_import_and_tenant_both_say_so(engine: Engine, wanted: bool) -> None:
    await act(engine, "10", "IGNORE")
    await engine.admin.execute(
        "INSERT INTO parser_action_settings (tenant_id, is_enabled) VALUES (1, %s)", (not wanted,)
    )
    done = await engine.imported([item("10", "a")], use_parser_actions=wanted)
    assert await titles(engine) == {"10": "Title 10"}
    assert await told(engine, done) == {}
    assert await cautions(engine, done) == ({"PARSER_ACTIONS_OFF": 1} if wanted else {})


async def test_actions_of_other_sources_and_tenants_do_not_count(engine: Engine) -> None:
    await act(engine, "10", "IGNORE", source="qualys")
    await act(engine, "10", "IGNORE", tenant=2)
    done = await engine.imported([item("10", "a")], **BY_ACTIONS)
    assert await titles(engine) == {"10": "Title 10"}
    assert await told(engine, done) == {}


async def test_the_most_exact_action_counts(engine: Engine) -> None:
    # By number both would be ignored; one has an action of its own key, one was learned under another number's place.
    await act(engine, "7", "IGNORE")
    await act(engine, "oid-1", "DEFAULT", severity=LOW)
    await act(engine, "taught", "PASS_THROUGH", key="oid-2")
    definitions = [Finding(f"oid-{n}", 7, f"Title {n}", CRITICAL) for n in (1, 2, 3)]
    done = await engine.imported([[each] for each in definitions], **BY_ACTIONS)
    rows = await engine.rows("SELECT key, severity FROM findings ORDER BY key")
    assert [(row["key"], row["severity"]) for row in rows] == [("oid-1", LOW), ("oid-2", CRITICAL)]
    assert await told(engine, done) == {"ignored": 1, "forced": 1}


async def test_an_action_that_a_file_has_taught_is_for_that_finding_only(engine: Engine) -> None:
    await act(engine, "7", "IGNORE", key="one")
    await engine.imported([[Finding("one", 7, "One", LOW)], [Finding("two", 7, "Two", LOW)]], **BY_ACTIONS)
    assert await titles(engine) == {"two": "Two"}


async def test_a_finding_that_the_report_has_stays_as_it_is_with_and_without_actions(engine: Engine) -> None:
    await engine.imported([item("10", "a"), item("11", "a")])
    before = await target_rows(engine)
    await act(engine, "10", "IGNORE")
    await act(engine, "11", "DEFAULT", severity=CRITICAL)
    with_actions = await engine.imported([item("10", "a"), item("11", "a")], **BY_ACTIONS)
    assert await target_rows(engine) == before
    assert await engine.outcome(with_actions) == {"unchanged": 2}
    await act(engine, "12", "DEFAULT", severity=CRITICAL)
    await engine.imported([item("12", "a")], **BY_ACTIONS)
    without = await engine.imported([item("12", "a"), item("12", "b")])
    assert await engine.value("SELECT severity FROM findings WHERE key = '12'") == CRITICAL
    assert await engine.outcome(without) == {"unchanged": 1, "inserted": 1}


async def test_an_import_with_actions_is_undone_like_any_other(engine: Engine) -> None:
    await act(engine, "10", "IGNORE")
    await act(engine, "11", "LINK", writeup_id=await writeup(engine))
    done = await engine.imported([item("10", "a"), item("11", "a"), item("12", "b")], **BY_ACTIONS)
    result = await Undoer(engine).undo(done)
    assert await dump(engine) == NOTHING
    assert result.counts["finding", "removed", ""] == 2


async def test_a_dry_run_says_what_actions_would_do_and_changes_nothing(engine: Engine) -> None:
    await act(engine, "10", "IGNORE")
    await act(engine, "11", "DEFAULT", severity=LOW)
    done = await engine.imported([item("10", "a"), item("11", "a")], dry_run=True, **BY_ACTIONS)
    assert await told(engine, done) == {"ignored": 1, "forced": 1}
    assert set((await counts(engine)).values()) == {0}


# ------------------------------------------------------------------------------------------------- the same file twice


async def test_the_same_file_is_merged_again_when_the_actions_have_changed(bench: Bench) -> None:
    engine, data = bench.engine, nessus(hosts=1, plugins=2, first_plugin=10)
    await act(engine, "10", "IGNORE")

    async def run() -> dict[str, Any]:
        import_id = await bench.triggered(data, file="same", force=False, **BY_ACTIONS)
        assert await bench.attempt(import_id) is Ending.SUCCEEDED
        return await bench.row(import_id)

    first = await run()
    assert (first["parser_actions_version"], first["duplicate_of"]) == (0, None)
    assert (await run())["duplicate_of"] == first["import_id"]
    await engine.admin.execute("UPDATE parser_actions SET action = 'PASS_THROUGH'")
    await engine.admin.execute("INSERT INTO parser_action_settings (tenant_id, version) VALUES (1, 1)")
    third = await run()
    assert (third["parser_actions_version"], third["duplicate_of"]) == (1, None)
    assert set(await titles(engine)) == {"10", "11"}
    # Without actions their state does not matter.
    plain = [await bench.triggered(data, file="same", force=False) for _ in range(2)]
    for each in plain:
        assert await bench.attempt(each) is Ending.SUCCEEDED
    assert (await bench.row(plain[1]))["duplicate_of"] == plain[0]


# ------------------------------------------------------------------------------------------------------------ learning


async def actions(engine: Engine) -> list[tuple[Any, ...]]:
    rows = await engine.rows("SELECT * FROM parser_actions ORDER BY key")
    names = ("action_id", "key", "action", "severity", "original_severity", "title")
    return [tuple(row[name] for name in names) for row in rows]


async def test_a_file_teaches_what_is_new_and_brings_nothing_into_any_report(engine: Engine) -> None:
    long = Finding("12", 12, "Long", LOW, description="x" * 5_000)
    done = await learned(engine, item("10", "a"), item("11", "b"), item("10", "b"), [long], [asset("c")])
    assert await actions(engine) == [
        ("10", "10", "PASS_THROUGH", 1, 1, "Title 10"),
        ("11", "11", "PASS_THROUGH", 1, 1, "Title 11"),
        ("12", "12", "PASS_THROUGH", 3, 3, "Long"),
    ]
    assert await engine.value("SELECT length(description) FROM parser_actions WHERE key = '12'") == 4_000
    assert await told(engine, done) == {"learned": 3}
    assert await engine.outcome(done) == {"inserted": 3, "skipped": 2}
    assert set((await counts(engine)).values()) == {0}


async def test_known_actions_are_left_alone(engine: Engine) -> None:
    await act(engine, "10", "IGNORE", title="By hand")
    await act(engine, "oid-1", "DEFAULT", title="By hand, by key")
    await learned(engine, item("11", "a"))
    before = await actions(engine)
    again = await learned(
        engine, item("10", "a"), [Finding("oid-1", 9, "One", LOW)], [Finding("11", 11, "Renamed", CRITICAL)]
    )
    assert await actions(engine) == before
    assert await engine.outcome(again) == {"unchanged": 3}
    assert await told(engine, again) == {}


async def test_two_findings_with_one_number_get_an_action_each(engine: Engine) -> None:
    await learned(engine, [Finding("one", 7, "One", LOW)], [Finding("two", 7, "Two", LOW)])
    assert [row[:2] for row in await actions(engine)] == [("7", "one"), ("two", "two")]
    await engine.admin.execute("UPDATE parser_actions SET action = 'IGNORE' WHERE action_id = '7'")
    await engine.imported([[Finding("one", 7, "One", LOW)], [Finding("two", 7, "Two", LOW)]], **BY_ACTIONS)
    assert await titles(engine) == {"two": "Two"}


async def test_there_is_a_limit_to_what_files_can_teach(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MAX_ACTIONS", 2)
    done = await learned(engine, item("10", "a"), item("11", "a"), item("12", "a"))
    assert [row[0] for row in await actions(engine)] == ["10", "11"]
    assert await told(engine, done) == {"learned": 2}
    assert await cautions(engine, done) == {"TOO_MANY_PARSER_ACTIONS": 1}


async def test_cautions_of_the_format_are_told_while_learning(engine: Engine) -> None:
    done = await learned(engine, [*item("10", "a"), Caution("CUT", "Something was cut.")])
    assert await cautions(engine, done) == {"CUT": 1}


async def test_a_dry_run_learns_nothing_and_says_what_it_would(engine: Engine) -> None:
    done = await learned(engine, item("10", "a"), dry_run=True)
    assert await actions(engine) == []
    assert await told(engine, done) == {"learned": 1}


async def test_a_real_file_is_read_by_the_parser_child_as_one_of_findings(bench: Bench) -> None:
    columns: dict[str, Any] = {"target": "parser_actions", "client_id": 0, "report_id": None}
    import_id = await bench.triggered(nessus(hosts=3, plugins=4), **columns)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await told(bench.engine, import_id) == {"learned": 4}
    await bench.assert_nothing_imported()
    again = await bench.triggered(nessus(hosts=1, plugins=5), **columns)
    assert await bench.attempt(again) is Ending.SUCCEEDED
    assert await told(bench.engine, again) == {"learned": 1}


async def test_a_broken_file_teaches_nothing(bench: Bench) -> None:
    data = nessus(hosts=3, plugins=4)
    import_id = await bench.triggered(data[: len(data) // 2], target="parser_actions", client_id=0, report_id=None)
    assert await bench.attempt(import_id) is Ending.FAILED
    assert await actions(bench.engine) == []
    await bench.assert_nothing_imported()

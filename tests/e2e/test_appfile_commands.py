"""Imports of sync files as the engine lets them be done: once, dry, forced, within limits, taken back, two at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.appfile import AppFile, appfile
from tests.stack import LiveStack
from tests.sync_files import family


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


def counts(file: dict[str, Any]) -> tuple[int, int, int, int]:
    """Inserted, updated, unchanged, deleted."""
    progress = file["Progress"]
    found = (progress[f"Rows{word}"] for word in ("Inserted", "Updated", "Unchanged", "Deleted"))
    inserted, updated, unchanged, deleted = map(int, found)
    return inserted, updated, unchanged, deleted


def bad(number: int) -> str:
    return family(f"bad{number}", size="many")


def test_a_file_is_imported_once_and_again_by_force(caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family(1), family(2)))
    caller.start(file_id)
    first = caller.wait(file_id)
    assert counts(first) == (2, 0, 0, 0)
    caller.start(file_id)
    assert caller.wait(file_id)["ImportId"] == first["ImportId"]
    again = caller.forced(file_id)
    assert again["ImportId"] != first["ImportId"]
    assert counts(again) == (0, 0, 2, 0)


def test_the_same_bytes_under_another_id_are_news(caller: AppFile) -> None:
    """They say what is so from now on, whatever came in between."""
    content = caller.file(family(1), family(2))
    caller.imported(content)
    caller.imported(caller.file(family(1, "Lee")))
    assert counts(caller.imported(content)) == (0, 1, 1, 0)
    assert caller.records()["F1"]["name"] == "Garcia"


def test_a_request_that_is_repeated_with_its_key_starts_one_import(caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family(1)))
    body = {"FileType": "cc5", "FileId": file_id}
    for _ in range(2):
        caller.data("POST", "/appfile/file/import", body, **{"Idempotency-Key": file_id})
    assert caller.wait(file_id)["Status"] == "Imported"


def test_a_dry_run_counts_everything_and_keeps_nothing(caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family(1), bad(1)))
    caller.start(file_id, DryRun=True)
    dry = caller.wait(file_id)
    assert (dry["Status"], dry["DryRun"]) == ("ImportedWithErrors", True)
    assert (counts(dry), dry["Progress"]["RowsFailed"]) == ((1, 0, 0, 0), 1)
    assert caller.records() == {}
    caller.start(file_id)
    real = caller.wait(file_id)
    while real["ImportId"] == dry["ImportId"]:
        real = caller.wait(file_id)
    assert (real["DryRun"], counts(real)) == (False, (1, 0, 0, 0))
    assert set(caller.records()) == {"F1"}


@pytest.mark.parametrize(
    ("options", "errors", "succeeds"),
    [
        ({}, 3, True),
        ({"OnError": "continue"}, 3, True),
        ({"OnError": "abort"}, 1, False),
        ({"OnError": "abort"}, 0, True),
        ({"OnError": "allOrNothing"}, 1, False),
        ({"OnError": "abortAbove", "MaxErrors": 2}, 2, True),
        ({"OnError": "abortAbove", "MaxErrors": 2}, 3, False),
        ({"onError": "ABORT_ABOVE", "maxErrorPercent": 50}, 3, True),
        ({"onError": "ABORT_ABOVE", "maxErrorPercent": 10}, 3, False),
    ],
)
def test_a_policy_says_how_many_bad_rows_end_an_import(
    caller: AppFile, options: dict[str, Any], errors: int, succeeds: bool
) -> None:
    rows = [*(family(number) for number in range(6)), *(bad(number) for number in range(errors))]
    file = caller.imported(caller.file(*rows), **options)
    if succeeds:
        assert file["Status"] == ("ImportedWithErrors" if errors else "Imported")
        assert len(caller.records()) == 6
    else:
        assert (file["Status"], file["Error"]["ErrorCode"]) == ("Failed", "TooManyErrors")
        assert caller.records() == {}
        assert file["RowErrors"]


def test_options_that_make_no_sense_are_refused(caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family(1)))
    body = {"FileType": "cc5", "FileId": file_id}
    for wrong in (
        {"OnError": "abortAbove"},
        {"OnError": "sometimes"},
        {"MaxErrors": 3},
        {"OnError": "abortAbove", "MaxErrorPercent": 101},
        {"Sha256": "abc"},
        {"Empty": "perhaps"},
        {"DryRun": "perhaps"},
        {"ExpectedRecords": -1},
    ):
        assert caller.refused("POST", "/appfile/file/import", {**body, **wrong})[0] == 400, wrong
    assert caller.status(file_id)["Status"] == "Uploaded"


def test_a_promise_about_the_file_is_held_against_it(caller: AppFile) -> None:
    content = caller.file(family(1), family(2))
    right, wrong = hashlib.sha256(content.encode()).hexdigest(), "0" * 64
    refused = caller.imported(content, Sha256=wrong)
    assert (refused["Status"], refused["Error"]["ErrorCode"]) == ("Failed", "ChecksumMismatch")
    refused = caller.imported(content, ExpectedRecords=3)
    assert (refused["Status"], refused["Error"]["ErrorCode"]) == ("Failed", "CountMismatch")
    assert caller.records() == {}
    assert caller.imported(content, Sha256=right, ExpectedRecords=2)["Status"] == "Imported"


def test_a_footer_may_be_waived(caller: AppFile) -> None:
    file = caller.imported(caller.file(family(1), family(2), footer="99|3"), RequireFooter=False)
    assert file["Status"] == "Imported"
    assert any("FooterCountMismatch" in log["Message"] for log in file["Logs"] if log["Level"] == "Warning")
    file = caller.imported(caller.file(family(3), footer=""), RequireFooter=False)
    assert file["Status"] == "Imported"
    assert set(caller.records()) == {"F1", "F2", "F3"}


def test_an_empty_value_clears_unless_it_is_to_be_kept(caller: AppFile) -> None:
    caller.imported(caller.file(family(1), family(2)))
    kept = caller.imported(caller.file(family(1, "Lee", status="", size="")), Empty="keep")
    assert counts(kept) == (0, 1, 0, 0)
    assert {name: caller.records()["F1"].get(name) for name in ("name", "status", "familySize")} == {
        "name": "Lee",
        "status": "new",
        "familySize": 3,
    }
    cleared = caller.imported(caller.file(family(2, "Lee", status="", size="")))
    assert counts(cleared) == (0, 1, 0, 0)
    assert caller.records()["F2"].get("familySize") is None


def test_rows_apply_in_the_order_of_the_file(caller: AppFile) -> None:
    rows = (family(1, "first"), "90|F1", family(2, "first"), family(2, "second"), family(3), "90|F3", family(1, "last"))
    file = caller.imported(caller.file(*rows))
    found = caller.records()
    assert {key: each["name"] for key, each in found.items()} == {"F1": "last", "F2": "second"}
    assert any("DuplicateKeyInFile" in log["Message"] for log in file["Logs"])
    assert counts(caller.imported(caller.file("90|F1", "90|F2"))) == (0, 0, 0, 2)
    assert caller.records() == {}


def test_an_undo_takes_back_what_a_file_has_done_field_by_field(caller: AppFile) -> None:
    caller.imported(caller.file(family(1), family(2), family(3)))
    second = caller.upload(caller.file(family(1, "Lee", "active"), "90|F2", family(4)))
    caller.start(second)
    assert counts(caller.wait(second)) == (1, 1, 0, 1)
    before = caller.records()

    caller.undone(second, DryRun=True)
    assert caller.records() == before
    assert caller.status(second)["UndoneAt"] is None

    caller.undone(second)
    found = caller.records()
    assert set(found) == {"F1", "F2", "F3"}
    assert (found["F1"]["name"], found["F1"]["status"]) == ("Garcia", "new")
    file = caller.status(second)
    assert file["UndoneAt"]
    assert caller.refused("POST", f"/appfile/file/{second}/undo") == (409, "FileNotImported")

    # What was taken back may be imported again, without force.
    undone = file["ImportId"]
    caller.start(second)
    again = caller.wait(second)
    while again["ImportId"] == undone:
        again = caller.wait(second)
    assert counts(again) == (1, 1, 0, 1)
    assert caller.records().keys() == before.keys()


def test_an_undo_keeps_what_a_later_file_has_changed(caller: AppFile) -> None:
    first = caller.upload(caller.file(family(1), family(2)))
    caller.start(first)
    caller.wait(first)
    caller.imported(caller.file(family(1, "Okafor")))
    caller.undone(first)
    assert {key: each["name"] for key, each in caller.records().items()} == {"F1": "Okafor"}


def test_a_finished_import_is_not_cancelled(caller: AppFile) -> None:
    file_id = caller.upload(caller.file(family(1)))
    caller.start(file_id)
    caller.wait(file_id)
    assert caller.refused("POST", f"/appfile/file/{file_id}/cancel") == (409, "ImportFinished")


def test_two_imports_of_the_same_keys_at_once_leave_one_of_both(caller: AppFile) -> None:
    """Each key has the values of one file, and that of the later flip everywhere."""
    count = 2_000
    contents = [caller.file(*(family(number, name) for number in range(count))) for name in ("left", "right")]
    files = [caller.upload(content) for content in contents]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(caller.start, files))
    ended = [caller.wait(file_id) for file_id in files]
    assert [file["Status"] for file in ended] == ["Imported", "Imported"]
    assert sorted(counts(file) for file in ended) == [(0, count, 0, 0), (count, 0, 0, 0)]
    later = "left" if counts(ended[0])[1] else "right"
    rest = caller.call("POST", "/appdata/wks_family/query", {"Query": {"name": {"$ne": later}}}).json()
    assert (rest["Total"], rest["Data"]) == (0, [])
    assert caller.call("POST", "/appdata/wks_family/query", {"Take": 1}).json()["Total"] == count

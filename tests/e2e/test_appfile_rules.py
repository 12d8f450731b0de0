"""Every rule of a sync file broken in turn, through the API: nothing of a broken file is applied."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.appfile import AppFile, appfile
from tests.stack import LiveStack
from tests.sync_files import FAMILY_COLUMNS, family

ROWS = [family(number) for number in range(12)]


@pytest.fixture(scope="module")
def caller(stack: LiveStack) -> Iterator[AppFile]:
    """Whose workspace stays empty: nothing in this module that uses it is applied."""
    with appfile(stack) as made:
        yield made
        assert made.records() == {}


@pytest.fixture
def filled(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


def without_line(number: int) -> Callable[[AppFile], str]:
    def make(caller: AppFile) -> str:
        lines = caller.file(*ROWS).splitlines(keepends=True)
        return "".join(lines[:number] + lines[number + 1 :])

    return make


def with_changes(**changes: Any) -> Callable[[AppFile], str]:
    return lambda caller: caller.file(*ROWS, **changes)


def with_columns(*columns: str) -> Callable[[AppFile], str]:
    return with_changes(columns=columns)


def validated(algorithm: str, digest: Callable[[bytes], str]) -> Callable[[AppFile], str]:
    """With a validation code of other bytes than those before the footer."""
    return with_changes(footer=f"99|{len(ROWS)}|{algorithm}:{digest(b'something else')}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def crc32(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"


BROKEN: dict[str, tuple[Callable[[AppFile], str | bytes], str]] = {
    "no row 00": (without_line(0), "WrongFormat"),
    "no row 01": (without_line(1), "HeaderInvalid"),
    "no row 02": (without_line(2), "HeaderInvalid"),
    "no row 03": (without_line(3), "HeaderInvalid"),
    "key not declared": (with_changes(keys=["id"]), "HeaderKeyNotDeclared"),
    "key twice": (with_changes(keys=["entityId", "entityId"]), "HeaderInvalid"),
    "unknown type": (with_columns(*FAMILY_COLUMNS[:-1], "disabled: boolean"), "HeaderTypeUnknown"),
    "column twice": (with_columns(*FAMILY_COLUMNS, "name: string"), "HeaderColumnRepeated"),
    "column of no name": (with_columns(*FAMILY_COLUMNS, "$a: string"), "HeaderColumnInvalid"),
    "too many columns": (with_columns(*(f"c{number}" for number in range(2_001))), "TooManyColumns"),
    "required column missing": (with_columns(*FAMILY_COLUMNS[:-1]), "HeaderColumnMissing"),
    "another workspace": (with_changes(workspace="elsewhere"), "WorkspaceMismatch"),
    "another bucket": (with_changes(bucket="elsewhere"), "WorkspaceMismatch"),
    "no footer": (with_changes(footer=""), "FooterMissing"),
    "footer of one too few": (with_changes(footer=f"99|{len(ROWS) - 1}"), "FooterCountMismatch"),
    "footer of one too many": (with_changes(footer=f"99|{len(ROWS) + 1}"), "FooterCountMismatch"),
    "footer of no number": (with_changes(footer="99|twelve"), "FooterInvalid"),
    "row behind the footer": (with_changes(footer=f"99|{len(ROWS)}\n{family('x')}"), "FooterNotLast"),
    "wrong sha256": (validated("sha256", sha256), "ValidationCodeMismatch"),
    "wrong crc32": (validated("crc32", crc32), "ValidationCodeMismatch"),
    "line too long": (lambda caller: caller.file(*ROWS, family("y", "x" * (1 << 20))), "LineTooLong"),
    "nothing": (lambda _: "", "EmptyFile"),
    "another format": (lambda _: "<NessusClientData_v2></NessusClientData_v2>", "WrongFormat"),
    "header alone": (lambda caller: caller.file(footer=""), "FooterMissing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_as_a_whole(caller: AppFile, name: str) -> None:
    make, code = BROKEN[name]
    file = caller.imported(make(caller))
    assert (file["Status"], file["PortalStatus"]) == ("Failed", "failed")
    assert file["Error"]["ErrorCode"] == code, file["Error"]
    assert file["Error"]["Message"]
    assert any(log["Level"] == "Error" and code in log["Message"] for log in file["Logs"])
    assert file["Progress"]["RowsApplied"] == 0


@pytest.mark.parametrize("left", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97, -2])
def test_a_file_that_was_cut_is_refused_as_a_whole(caller: AppFile, left: float) -> None:
    """-2: its last digit is gone, so that it ends with a row 99 of another number."""
    content = caller.file(*ROWS)
    cut = content[: int(left)] if left < 0 else content[: int(len(content) * left)]
    file = caller.imported(cut)
    assert file["Status"] == "Failed"
    assert re.fullmatch("Truncated|FooterMissing|FooterCountMismatch|Header[A-Za-z]+", file["Error"]["ErrorCode"])


# Each a row, and what is wrong with it: code and column.
BAD_ROWS: dict[str, tuple[str, str]] = {
    "10|B1|Garcia|new|3": ("FieldCountMismatch", ""),
    "10|B2|Garcia|new|3|0|more": ("FieldCountMismatch", ""),
    "10|B3|Garcia|new|many|0": ("TypeMismatch", "familySize"),
    "10|B4|Garcia|new|3|maybe": ("TypeMismatch", "disabled"),
    "10||Garcia|new|3|0": ("KeyMissing", "entityId"),
    "10|B6||new|3|0": ("RequiredValueMissing", "name"),
    "10|B7|Garcia|new|3|": ("RequiredValueMissing", "disabled"),
    "10|B8|Garcia|bogus|3|0": ("ValueNotAllowed", "status"),
    "20|B9|Garcia|new|3|0": ("RowTypeUnknown", ""),
    "90|B10|more": ("FieldCountMismatch", ""),
    "90|": ("KeyMissing", "entityId"),
}


def test_bad_rows_are_left_out_and_come_back_to_be_corrected(filled: AppFile) -> None:
    good = [family(number) for number in range(5)]
    content = filled.file(*good[:2], *BAD_ROWS, *good[2:])
    file = filled.imported(content)
    assert (file["Status"], file["PortalStatus"]) == ("ImportedWithErrors", "successful")
    assert [(each["ErrorCode"], each["Field"]) for each in file["RowErrors"]] == list(BAD_ROWS.values())
    assert [each["Position"] for each in file["RowErrors"]] == [f"line {7 + at}" for at in range(len(BAD_ROWS))]
    progress = file["Progress"]
    assert (progress["RowsRead"], progress["RowsInserted"], progress["RowsFailed"]) == (5 + 11, 5, 11)
    assert set(filled.records()) == {f"F{number}" for number in range(5)}

    # The error file is a sync file of what failed, word for word, with a right footer.
    failed = httpx.get(file["ErrorsUrl"]).text
    counted = sum(row.startswith(("10|", "90|")) for row in BAD_ROWS)
    assert failed.splitlines() == [*content.splitlines()[:4], *BAD_ROWS, f"99|{counted}"]
    again = filled.imported(failed)
    assert again["Progress"]["RowsFailed"] == len(BAD_ROWS)

    corrected = filled.file(*(family(f"C{number}") for number in range(3)))
    assert filled.imported(corrected)["Status"] == "Imported"


def test_a_row_that_is_no_text_is_left_out(filled: AppFile) -> None:
    content = filled.file(family(1), family(2, "Garc\u00eda")).encode("latin-1")
    file = filled.imported(content)
    assert file["Status"] == "ImportedWithErrors"
    assert [(each["ErrorCode"], each["Position"]) for each in file["RowErrors"]] == [("InvalidEncoding", "line 6")]
    assert set(filled.records()) == {"F1"}


def test_the_offending_value_is_told_unless_it_is_a_secret(filled: AppFile) -> None:
    columns = ("id: string", "size: int", "password: int")
    content = filled.file("10|1|big|0", "10|2|0|hunter2", entity_type="wks_bus", columns=columns, keys=["id"])
    errors = {each["Field"]: each["Value"] for each in filled.imported(content)["RowErrors"]}
    assert errors["size"] == "big"
    assert "hunter2" not in errors["password"]


ACCEPTED: dict[str, Callable[[AppFile], str | bytes]] = {
    "trailing pipes": lambda caller: "".join(f"{line}|\n" for line in caller.file(*ROWS).splitlines()),
    "carriage returns": lambda caller: caller.file(*ROWS).replace("\n", "\r\n"),
    "a mark at the beginning": lambda caller: caller.file(*ROWS).encode("utf-8-sig"),
    "no end of the last line": lambda caller: caller.file(*ROWS).rstrip("\n"),
    "blank lines": lambda caller: caller.file(*ROWS, "", "  ") + "\n\n",
    "a row 04": lambda caller: caller.file("04|something", *ROWS),
    "an unknown validation code": lambda caller: caller.file(*ROWS, footer=f"99|{len(ROWS)}|abc"),
    "a right sha256": lambda caller: (
        caller.file(*ROWS, footer="") + f"99|{len(ROWS)}|sha256:{sha256(caller.file(*ROWS, footer='').encode())}\n"
    ),
    "a right crc32": lambda caller: (
        caller.file(*ROWS, footer="") + f"99|{len(ROWS)}|crc32:{crc32(caller.file(*ROWS, footer='').encode())}|\n"
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_rules_allow_is_imported(filled: AppFile, name: str) -> None:
    file = filled.imported(ACCEPTED[name](filled))
    assert (file["Status"], file["Error"]) == ("Imported", None)
    assert file["Progress"]["RowsInserted"] == len(ROWS)
    assert set(filled.records()) == {f"F{number}" for number in range(len(ROWS))}


def test_types_and_escapes_come_out_as_they_are_meant(filled: AppFile) -> None:
    columns = (
        *("a: string", "b: string", "whole: int", "size: number", "yes: bool", "day: date", "at: datetime"),
        *("tags: array", "items: list", "address: object", "plain"),
    )
    row = '10|1|x|-7|1.50|true|20260102|2026-01-02T03:04:05Z|new,2026|[1,{"k":"v #/# w"}]|{"zip":"95814"}|a#Enter#b'
    file = filled.imported(
        filled.file(row, entity_type="wks_thing", data_source="ours", keys=["a", "b"], columns=columns)
    )
    assert file["Status"] == "Imported", file
    answer = filled.call("POST", "/appdata/wks_thing/query", {})
    (found,) = answer.json()["Data"]
    assert {name: found[name] for name in CODES_OF_THING} == CODES_OF_THING


CODES_OF_THING = {
    "a": "1",
    "b": "x",
    "whole": -7,
    "size": 1.5,
    "yes": True,
    "day": "20260102",
    "at": "2026-01-02T03:04:05Z",
    "tags": ["new", "2026"],
    "items": [1, {"k": "v | w"}],
    "address": {"zip": "95814"},
    "plain": "a\r\nb",
}

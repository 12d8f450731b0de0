from __future__ import annotations

import csv
import hashlib
import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import CliError
from cli.sync_keys import KeyLog, key_log
from tests.formats.golden import DATA
from tests.unit.cli.conftest import Terminal

SAMPLES = DATA / "cc5"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "families.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "entityId", "disabled", "size"])
        rows.writerow(["Garcia | Lee", "F1", "true", "4"])
        rows.writerow(["two\r\nlines", "F2", "0", ""])
    return path


def made(terminal: Terminal, table: Path, *options: str) -> tuple[int, str]:
    base = ("cc5", "from-csv", table, "--entity", "wks_family", "--datasource", "cc-family", "--key", "entityId")
    return terminal.run(*base, *options).exit_code, table.with_suffix(".cc5txt").read_bytes().decode()


def test_a_sound_file_is_told_with_status_0(terminal: Terminal) -> None:
    done = terminal.run("cc5", "lint", SAMPLES / "one-family.cc5txt")
    assert done.exit_code == 0
    assert "2 rows 10, 1 rows 90, all of use" in done.stdout


def test_the_json_form_is_checked_as_well(terminal: Terminal) -> None:
    done = terminal.run("cc5", "lint", SAMPLES / "one-family.json", "--json")
    assert (done.exit_code, done.json["upserts"], done.json["deletes"]) == (0, 2, 1)
    assert done.json["header"]["reference_id"] == "ref-0001"


def test_rows_that_cannot_be_used_are_listed_with_status_1(terminal: Terminal) -> None:
    done = terminal.run("cc5", "lint", SAMPLES / "rows-that-cannot-be-used.cc5txt", "--no-schemas", "--show", 3)
    assert done.exit_code == 1
    assert "FIELD_COUNT_MISMATCH" in done.stdout
    assert "KEY_MISSING" in done.stdout
    assert "and 17 more" in done.stdout


def test_json_counts_all_errors_and_shows_no_secret(terminal: Terminal) -> None:
    done = terminal.run("cc5", "lint", SAMPLES / "rows-that-cannot-be-used.cc5txt", "--no-schemas", "--json")
    assert done.exit_code == 1
    assert done.json["rejected"] == sum(done.json["codes"].values()) == len(done.json["errors"]) == 20
    assert done.json["errors"][0] == {
        "line": 6,
        "column": "",
        "code": "FIELD_COUNT_MISMATCH",
        "message": "The row has 3 values where 11 are declared.",
        "value": "10|Too few|F2|1",
    }
    assert [each["value"] for each in done.json["errors"] if each["column"] == "apiToken"] == ["[redacted]"]
    assert [each["code"] for each in done.json["warnings"]] == ["COLUMN_RESERVED", "KEY_NOT_FIRST"]


def test_a_file_that_would_be_refused_says_why(terminal: Terminal, tmp_path: Path) -> None:
    cut = tmp_path / "cut.cc5txt"
    cut.write_bytes((SAMPLES / "one-family.cc5txt").read_bytes()[:-6])
    done = terminal.run("cc5", "lint", cut, "--json")
    assert (done.exit_code, done.json["refused"]["code"]) == (1, "FOOTER_MISSING")
    assert terminal.run("cc5", "lint", cut, "--no-footer").exit_code == 0


def test_a_file_of_another_kind_is_wrong_usage(terminal: Terminal, scan: Path) -> None:
    done = terminal.run("cc5", "lint", scan)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "a.nessus" in done.stderr


def test_the_published_schema_is_asked_for(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "one.cc5txt"
    path.write_text("00|A|cc5|2026|r\n01|wks_family|w|b|cc-family|upsert\n02|entityId\n03|entityId\n10|F1\n99|1\n")
    assert terminal.run("cc5", "lint", path, "--json").json["refused"]["code"] == "HEADER_COLUMN_MISSING"
    assert terminal.run("cc5", "lint", path, "--no-schemas").exit_code == 0


def test_a_table_becomes_a_file_whose_footer_is_right(terminal: Terminal, table: Path) -> None:
    status, text = made(terminal, table, "--type", "disabled=bool", "--type", "size=number", "--reference", "ref-9")
    assert status == 0
    lines = text.splitlines()
    assert lines[0].startswith("00||cc5|20")
    assert lines[0].endswith("|ref-9")
    assert lines[1:6] == [
        "01|wks_family|||cc-family|upsert",
        "02|entityId",
        "03|entityId: string|name: string|disabled: bool|size: number",
        "10|F1|Garcia #/# Lee|true|4",
        "10|F2|two#Enter#lines|0|",
    ]
    before = text[: text.index("99|")].encode()
    assert lines[6] == f"99|2|sha256:{hashlib.sha256(before).hexdigest()}"


def test_a_file_without_a_place_is_told_of(terminal: Terminal, table: Path) -> None:
    base = ("cc5", "from-csv", table, "--entity", "wks_family", "--datasource", "x", "--key", "entityId", "--json")
    done = terminal.run(*base, "--bucket", "b")
    assert [(each["code"], "no workspace" in each["message"]) for each in done.json["warnings"]] == [
        ("PLACE_MISSING", True)
    ]
    placed = terminal.run(*base, "--bucket", "b", "--workspace", "w", "--force")
    assert (placed.exit_code, placed.json["warnings"]) == (0, [])


def test_cells_that_do_not_come_back_are_listed(terminal: Terminal, table: Path) -> None:
    with table.open("a", newline="") as file:
        csv.writer(file).writerows(
            [["#/#", "F3", "0", ""], ["half\nan end", "F4", "0", ""], ["#Enter#", "F5", "0", ""]]
        )
    command = ("cc5", "from-csv", table, "--entity", "wks_family", "--datasource", "cc-family", "--key", "entityId")
    done = terminal.run(*command, "--type", "disabled=bool", "--json")
    assert (done.json["rows"], done.json["upserts"], done.json["unwritable"]) == (5, 5, 3)
    assert [cell["column"] for cell in done.json["unwritable_cells"]] == ["name"] * 3


def test_what_comes_back_is_what_was_in_the_table(terminal: Terminal, tmp_path: Path) -> None:
    rng = random.Random(4)
    cells = ["|".join(rng.choices(("a", "é", "\r\n", '"', "#", "", "||", ","), k=4)) for _ in range(200)]
    table = tmp_path / "many.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["k", "v"], *([str(number), cell] for number, cell in enumerate(cells))])
    command = ("cc5", "from-csv", table, "--entity", "e", "--datasource", "d", "--key", "k")
    assert terminal.run(*command).exit_code == 0
    found = [line.split("|") for line in table.with_suffix(".cc5txt").read_bytes().decode().split("\n")[4:-2]]
    assert [each[2].replace("#/#", "|").replace("#Enter#", "\r\n") for each in found] == cells


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--key", "nobody"), "no column 'nobody'"),
        (("--key", "entityId", "--type", "size"), "COLUMN=TYPE"),
        (("--key", "entityId", "--delimiter", "::"), "one character"),
    ],
)
def test_a_wrong_order_makes_no_file(terminal: Terminal, table: Path, options: tuple[str, ...], told: str) -> None:
    done = terminal.run("cc5", "from-csv", table, "--entity", "e", "--datasource", "d", *options)
    assert done.exit_code == 2
    assert told in done.stderr
    assert list(table.parent.glob("*.cc5txt*")) == []


def test_a_row_of_another_length_makes_no_file(terminal: Terminal, table: Path) -> None:
    with table.open("a") as file:
        file.write("one,two\n")
    done = terminal.run("cc5", "from-csv", table, "--entity", "e", "--datasource", "d", "--key", "entityId", "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["message"][:6]) == (1, "Line 5")
    assert [path.name for path in table.parent.iterdir() if path.is_file()] == ["families.csv"]


def test_a_file_that_is_there_is_kept_unless_it_is_forced(terminal: Terminal, table: Path) -> None:
    _, first = made(terminal, table, "--reference", "one")
    status, kept = made(terminal, table, "--reference", "two")
    assert (status, kept) == (2, first)
    assert "two" in made(terminal, table, "--reference", "two", "--force")[1]
    done = terminal.run(
        *("cc5", "from-csv", table, "--entity", "e", "--datasource", "d", "--key", "entityId", "--force"),
        *("--out", table),
    )
    assert done.exit_code == 2


HEADER = "00|A|cc5|2026|r\n01|x_thing|w|b|d|upsert\n02|a|b\n03|a|b: int|name\n"


def repeating(rows: int) -> str:
    """Each key three times, far from each other."""
    return HEADER + "".join(f"10|K{number % (rows // 3)}|{number % (rows // 3)}|n\n" for number in range(rows))


def test_keys_that_come_again_are_told_with_their_lines(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "again.cc5txt"
    rows = ("10|x|7|one", "10|y|7|one", "10|x|007|two", "90|y|7", "10|x|8|one", "10|x|bad|one", "10|x|7|three")
    path.write_text(HEADER + "\n".join(rows) + "\n99|7\n")
    done = terminal.run("cc5", "lint", path, "--json")
    # Of the row that cannot be used nothing is known, and equal keys may be written in two ways.
    assert (done.exit_code, done.json["rejected"], done.json["repeated_keys"], done.json["skipped"]) == (1, 1, 2, 3)
    assert done.json["repeats"] == [
        {"key": '["x",7]', "first_line": 5, "last_line": 11, "rows": 3},
        {"key": '["y",7]', "first_line": 6, "last_line": 8, "rows": 2},
    ]
    told = terminal.run("cc5", "lint", path, "--show", 1).stdout
    assert "2 keys come several times; the last row of each counts. (DUPLICATE_KEY_IN_FILE, 3 rows)" in told
    assert "… and 1 more." in told


def test_keys_that_come_again_are_no_error(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "again.cc5txt"
    path.write_text(repeating(60_000) + "99|60000\n")
    done = terminal.run("cc5", "lint", path, "--show", 2, "--json")
    assert (done.exit_code, done.json["is_clean"], done.json["warnings"]) == (0, True, [])
    assert (done.json["repeated_keys"], done.json["skipped"]) == (20_000, 40_000)
    assert [(each["first_line"], each["rows"]) for each in done.json["repeats"]] == [(5, 3), (6, 3)]


def test_without_keys_that_come_again_nothing_is_said_of_them(terminal: Terminal) -> None:
    done = terminal.run("cc5", "lint", SAMPLES / "one-family.cc5txt")
    assert "several times" not in done.stdout
    assert terminal.run("cc5", "lint", SAMPLES / "one-family.json", "--json").json["repeats"] == []


def test_keys_of_a_file_that_would_be_refused_are_told_as_well(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "cut.cc5txt"
    path.write_text(repeating(6))
    done = terminal.run("cc5", "lint", path, "--json")
    assert (done.json["refused"]["code"], done.json["repeated_keys"], done.json["skipped"]) == ("FOOTER_MISSING", 2, 4)


def test_a_key_that_is_a_secret_is_not_shown(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "secret.cc5txt"
    path.write_text(HEADER.replace("|a|b", "|apiToken|b") + "10|hunter2|1|n\n10|hunter2|1|n\n99|2\n")
    done = terminal.run("cc5", "lint", path)
    assert "1 key comes several times" in done.stdout
    assert "hunter2" not in done.stdout


PEAK = """
import sys
from pathlib import Path
from cli.sync_keys import key_log

count = int(sys.argv[1])
with key_log() as keys:
    for number in range(count):
        keys.add(f'["a key of some length {number % (count - 1)}"]', number + 1)
    found = keys.repeats(10)
status = Path("/proc/self/status").read_text("ascii")
peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
print(found.keys, found.skipped, found.shown[0].last, peak)
"""


def test_the_keys_of_many_rows_take_no_more_memory_than_those_of_few() -> None:
    def peak(count: int) -> int:
        done = subprocess.run([sys.executable, "-c", PEAK, str(count)], capture_output=True, check=True, text=True)
        *found, kibibytes = map(int, done.stdout.split())
        assert found == [1, 1, count]
        return kibibytes

    # Both fill the cache; keys and lines of the half million more are 25 MB.
    assert peak(1_000_000) - peak(500_000) < 6_000


def test_a_disk_without_room_for_the_keys_is_told() -> None:
    with key_log() as keys, pytest.raises(sqlite3.OperationalError, match="full"):
        fill(keys)
    with pytest.raises(CliError, match="room for temporary files"), key_log() as keys:
        fill(keys)


def fill(keys: KeyLog) -> None:
    """As if the disk had twenty pages."""
    keys._database.execute("PRAGMA max_page_count = 20")
    for number in range(100_000):
        keys.add(f'["{number}"]', number)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.gateway import detail
from tests.unit.cli.conftest import Terminal

ERRORS = "/api/v2/my-imports/import-1/errors"
EARLIER = "0198c0de-0000-7000-8000-000000000001"


def test_all_kept_errors_are_shown_page_by_page(terminal: Terminal) -> None:
    outcome = terminal.run("errors", "import-1", "--json")
    assert outcome.exit_code == 0
    assert outcome.json["total_rejected"] == 5_000
    assert [row["record_number"] for row in outcome.json["errors"]] == list(range(1, 1_001))
    assert set(outcome.json["errors"][0]) == {"record_number", "position", "field", "code", "message", "value"}


def test_errors_are_shown_up_to_the_limit_and_no_more_are_asked_for(terminal: Terminal) -> None:
    outcome = terminal.run("errors", "import-1", "--limit", "3")
    assert "5,000 items rejected, 3 shown." in outcome.stdout
    assert "x\\x1by" in outcome.stdout
    assert "hythe errors import-1 --report FILE" in outcome.stderr
    assert len(terminal.gateway.asked("GET", ERRORS)) == 1
    assert terminal.gateway.requests[-1].url.params["limit"] == "3"


def test_an_import_that_is_not_there_has_no_errors(terminal: Terminal) -> None:
    outcome = terminal.run("errors", "nope")
    assert (outcome.exit_code, outcome.stderr) == (2, "Error: There is no such import.\n")


def test_the_report_is_written_whole(terminal: Terminal, tmp_path: Path) -> None:
    target = tmp_path / "errors.csv"
    target.write_text("of yesterday")
    outcome = terminal.run("errors", "import-1", "--report", target)
    assert outcome.exit_code == 0, outcome.stderr
    assert target.read_bytes() == terminal.gateway.report
    assert "Signature" not in outcome.stdout + outcome.stderr
    assert terminal.run("errors", "import-1", "--report", target, "--json").json == {
        "report": str(target),
        "size_bytes": target.stat().st_size,
    }
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["errors.csv"]


def test_without_a_report_nothing_is_written(terminal: Terminal, tmp_path: Path) -> None:
    terminal.gateway.report = None
    outcome = terminal.run("errors", "import-1", "--report", tmp_path / "errors.csv")
    assert (outcome.exit_code, outcome.stderr) == (2, "Error: Import import-1 has no report.\n")
    assert not (tmp_path / "errors.csv").exists()


class Broken(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"record"
        raise httpx.ReadError("gone")


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (httpx.Response(200, stream=httpx.ByteStream(b"")), 0),
        (httpx.Response(200, stream=Broken()), 3),
        (httpx.Response(403, content=b"<Error/>"), 3),
        (httpx.Response(503, json={"message": "Later."}), 3),
        (httpx.ConnectError("refused"), 3),
    ],
)
def test_a_report_that_does_not_arrive_leaves_the_file_as_it_was(
    terminal: Terminal, tmp_path: Path, answer: httpx.Response | Exception, exit_code: int
) -> None:
    target = tmp_path / "errors.csv"
    target.write_text("of yesterday")
    terminal.gateway.failures = iter((None, answer))
    outcome = terminal.run("errors", "import-1", "--report", target)
    assert outcome.exit_code == exit_code
    assert target.read_text() == ("" if exit_code == 0 else "of yesterday")
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["errors.csv"]


def test_a_report_for_a_folder_that_is_not_there_says_so(terminal: Terminal, tmp_path: Path) -> None:
    outcome = terminal.run("errors", "import-1", "--report", tmp_path / "none" / "errors.csv")
    assert outcome.exit_code == 1
    assert "cannot be written" in outcome.stderr


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "SUCCEEDED"),
        ({"dryRun": True}, "SUCCEEDED (dry run)"),
        ({"duplicateOf": EARLIER}, "SUCCEEDED (duplicate)"),
        ({"undoneBy": EARLIER, "dryRun": False}, "SUCCEEDED (undone)"),
    ],
)
def test_the_list_says_what_is_left_of_an_import(terminal: Terminal, members: dict[str, Any], told: str) -> None:
    terminal.gateway.failures = iter((httpx.Response(200, json=[detail("SUCCEEDED", 100, **members)]),))
    outcome = terminal.run("imports")
    assert told in outcome.stdout
    assert ("(" in outcome.stdout) == bool(members)


def test_a_watch_tells_of_a_duplicate_and_of_an_undo(terminal: Terminal) -> None:
    terminal.gateway.life = [detail("SUCCEEDED", 100, duplicateOf=EARLIER, undoneBy="undo-1")]
    outcome = terminal.run("watch", "import-1")
    assert f"The same file was imported before, by {EARLIER}" in outcome.stdout
    assert "taken back by undo-1" in outcome.stdout

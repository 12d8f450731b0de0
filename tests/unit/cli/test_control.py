from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.choices import Choices, OnError
from hythe.importer.v1 import importer_pb2 as importer
from tests.fakes.channel import FakeChannel
from tests.fakes.gateway import detail, refused
from tests.unit.cli.conftest import LIST_SOURCES, Outcome, Terminal, known_sources

ORDER = ("--source", "nessus", "--client", "1", "--report", "5")
TRIGGER = "/api/v2/client/1/report/5/preuploaded-import/nessus"
UNDONE = [
    {"kind": "finding", "action": "removed", "reason": "", "count": 1_234},
    {"kind": "affected_asset", "action": "restored", "reason": "", "count": 5},
    {"kind": "asset", "action": "kept", "reason": "SEEN_LATER", "count": 6},
    {"kind": "asset", "action": "kept", "reason": "OF_A_LATER_VERSION", "count": 7},
]


def undo(state: str = "SUCCEEDED", **members: Any) -> list[dict[str, Any]]:
    members = {"kind": "undo", "originImportId": "first", "options": {"dryRun": False}, "undo": UNDONE, **members}
    return [detail("QUEUED"), detail(state, 100, **members)]


def body_of(terminal: Terminal, verb: str) -> Any:
    [body] = terminal.gateway.asked("POST", f"/api/v2/my-imports/import-1/{verb}")
    return body


# -------------------------------------------------------------------------------------------------------- new imports


def imported(terminal: Terminal, scan: Path, *options: object) -> dict[str, Any]:
    """The members of the trigger that say how it is to be done."""
    outcome = terminal.run("import", scan, *ORDER, *options)
    assert outcome.exit_code == 0, outcome.stderr
    [body] = terminal.gateway.asked("POST", TRIGGER)
    return {name: body[name] for name in body.keys() - {"key", "fileName", "tags", "useParserActions"}}


def test_nothing_is_said_of_how_to_import_unless_asked_to(terminal: Terminal, scan: Path) -> None:
    assert imported(terminal, scan) == {}


def test_every_option_goes_with_the_trigger(terminal: Terminal, scan: Path) -> None:
    assert imported(
        terminal, scan, "--dry-run", "--force", "--on-error", "abort-above", "--max-errors", "0",
        "--max-error-percent", "2.5", "--expect-records", "10", "--sha256", "0A" * 32,
    ) == {
        "dryRun": True, "force": True, "onError": "abortAbove", "maxErrors": 0, "maxErrorPercent": 2.5,
        "expectedRecords": 10, "sha256": "0A" * 32,
    }  # fmt: skip


def test_the_checksum_of_the_file_is_computed_when_asked_to(terminal: Terminal, scan: Path) -> None:
    assert imported(terminal, scan, "--sha256", "auto") == {"sha256": hashlib.sha256(b"abc").hexdigest()}


@pytest.mark.parametrize("option", ["--max-errors", "--max-error-percent"])
def test_a_limit_says_by_itself_what_it_is_for(terminal: Terminal, scan: Path, option: str) -> None:
    assert imported(terminal, scan, option, "3")["onError"] == "abortAbove"


@pytest.mark.parametrize("word", list(OnError))
def test_every_policy_has_its_word_in_both_apis(terminal: Terminal, scan: Path, word: OnError) -> None:
    said = imported(terminal, scan, "--on-error", word)["onError"]
    assert said.lower() == word.replace("-", "")
    name = importer.OnError.Name(Choices(on_error=word).message().policy.on_error)
    assert name == f"ON_ERROR_{word.upper().replace('-', '_')}"


def test_an_import_of_client_assets_takes_the_same_options(terminal: Terminal, scan: Path) -> None:
    answer = importer.CreateImportResponse(**{"import": importer.Import(import_id="import-1")})
    create = "/hythe.importer.v1.ImportService/CreateImport"
    terminal.channel = FakeChannel({LIST_SOURCES: known_sources, create: lambda _: answer})
    terminal.run(
        "import", scan, "--source", "nmap-xml", "--client", "1", "--dry-run", "--max-errors", "0",
        "--expect-records", "0", "--sha256", "0a" * 32,
    )  # fmt: skip
    [request] = terminal.channel.asked("CreateImport")
    assert request.options == importer.ImportOptions(
        dry_run=True,
        policy=importer.Policy(on_error=importer.ON_ERROR_ABORT_ABOVE, max_errors=0),
        expected_sha256="0a" * 32,
        expected_records=0,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ("--sha256", "0a"),
        ("--sha256", "g" * 64),
        ("--max-errors", "-1"),
        ("--max-error-percent", "101"),
        ("--on-error", "explode"),
    ],
)
def test_a_wrong_option_is_a_usage_error_before_the_file_is_sent(
    terminal: Terminal, scan: Path, wrong: tuple[str, str]
) -> None:
    assert terminal.run("import", scan, *ORDER, *wrong).exit_code == 2
    assert terminal.gateway.stored == {}


def test_a_dry_run_is_told_as_one(terminal: Terminal, scan: Path) -> None:
    terminal.gateway.life = [detail("SUCCEEDED", 100, options={"dryRun": True})]
    assert "This was a dry run" in terminal.run("import", scan, *ORDER, "--dry-run").stdout


# ---------------------------------------------------------------------------------------------------- pause and resume


def test_pause_tells_whether_it_has_come_into_effect(terminal: Terminal) -> None:
    outcome = terminal.run("pause", "import-1")
    assert (outcome.exit_code, outcome.stdout) == (0, "Paused import-1.\n")
    assert "hythe resume import-1" in outcome.stderr
    terminal.gateway.commanded = detail("RUNNING")
    assert terminal.run("pause", "import-1").stdout == "import-1 is running and will pause at its next step.\n"
    assert terminal.run("pause", "import-1", "--json").json["state"] == "RUNNING"


def test_resume_lets_it_go_on(terminal: Terminal) -> None:
    outcome = terminal.run("resume", "import-1")
    assert (outcome.exit_code, outcome.stdout) == (0, "import-1 goes on.\n")
    assert terminal.run("resume", "import-1", "--json").json["state"] == "QUEUED"


# --------------------------------------------------------------------------------------------------- retry and re-run


@pytest.mark.parametrize("verb", ["retry", "rerun"])
@pytest.mark.parametrize(("state", "exit_code"), [("SUCCEEDED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_what_is_made_is_followed_to_its_end(terminal: Terminal, verb: str, state: str, exit_code: int) -> None:
    terminal.gateway.life = [detail("QUEUED"), detail(state, 100)]
    outcome = terminal.run(verb, "import-1", "--json")
    assert (outcome.exit_code, outcome.json["state"], outcome.stderr) == (exit_code, state, "")


@pytest.mark.parametrize("verb", ["retry", "rerun", "undo"])
def test_what_is_made_need_not_be_waited_for(terminal: Terminal, verb: str) -> None:
    terminal.gateway.commanded = detail("QUEUED", id="import-2")
    outcome = terminal.run(verb, "import-1", "--no-wait")
    assert (outcome.exit_code, outcome.stdout) == (0, "import-2\n")
    assert terminal.gateway.asked("GET", "/api/v2/my-imports/.*") == []
    assert terminal.run(verb, "import-1", "--no-wait", "--json").json["id"] == "import-2"


def test_a_rerun_says_only_what_is_to_be_different(terminal: Terminal) -> None:
    terminal.run("rerun", "import-1")
    assert body_of(terminal, "rerun") == {}


def test_a_rerun_takes_the_options_of_an_import(terminal: Terminal) -> None:
    terminal.run("rerun", "import-1", "--dry-run", "--on-error", "all-or-nothing", "--sha256", "0a" * 32)
    assert body_of(terminal, "rerun") == {"dryRun": True, "onError": "allOrNothing", "sha256": "0a" * 32}
    # There is no file here to compute it of.
    assert terminal.run("rerun", "import-1", "--sha256", "auto").exit_code == 2


def test_a_rerun_is_repeated_under_the_same_idempotency_key(terminal: Terminal) -> None:
    terminal.gateway.failures = iter([httpx.ReadTimeout("slow")])
    terminal.run("rerun", "import-1", "--no-wait")
    first, second = (request.headers["idempotency-key"] for request in terminal.gateway.requests)
    assert first == second != ""


# --------------------------------------------------------------------------------------------------------------- undo


def cells(outcome: Outcome) -> list[list[str]]:
    """The words of each line, without the rules of a table."""
    return [line.replace("│", " ").replace("┃", " ").split() for line in outcome.stdout.splitlines()]


def test_an_undo_tells_what_it_has_done_and_why(terminal: Terminal) -> None:
    terminal.gateway.life = undo()
    outcome = terminal.run("undo", "import-1")
    assert outcome.exit_code == 0
    told = cells(outcome)
    assert ["Of", "first"] in told
    assert ["removed", "finding", "1,234"] in told
    assert ["restored", "affected", "asset", "5"] in told
    assert ["kept", "asset", "6", "a", "later", "import", "has", "it", "too"] in told
    assert ["kept", "asset", "7", "OF_A_LATER_VERSION"] in told
    assert "dry run" not in outcome.stderr
    assert body_of(terminal, "undo") == {}


def test_an_undo_that_is_watched_tells_the_same(terminal: Terminal) -> None:
    terminal.gateway.life = undo()
    assert ["removed", "finding", "1,234"] in cells(terminal.run("watch", "import-1"))


def test_a_dry_undo_changes_nothing_and_says_so(terminal: Terminal) -> None:
    terminal.gateway.life = undo(options={"dryRun": True})
    outcome = terminal.run("undo", "import-1", "--dry-run")
    assert body_of(terminal, "undo") == {"dryRun": True}
    assert "dry run: nothing was changed" in outcome.stderr


def test_an_undo_of_nothing_says_so(terminal: Terminal) -> None:
    terminal.gateway.life = undo(undo=[])
    assert "nothing to take back" in terminal.run("undo", "import-1").stdout


def test_an_undo_that_failed_ends_with_1_and_its_reason(terminal: Terminal) -> None:
    terminal.gateway.life = undo("FAILED", errorStatus="IMPORT_UNDONE: It is undone already.", undo=[])
    outcome = terminal.run("undo", "import-1")
    assert outcome.exit_code == 1
    assert "IMPORT_UNDONE: It is undone already." in outcome.stdout
    assert "nothing to take back" not in outcome.stdout


def test_an_undo_is_one_json_object(terminal: Terminal) -> None:
    terminal.gateway.life = undo()
    outcome = terminal.run("undo", "import-1", "--json")
    assert (outcome.exit_code, outcome.json["undo"], outcome.stderr) == (0, UNDONE, "")


# ---------------------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("verb", ["pause", "resume", "retry", "rerun", "undo"])
def test_a_refused_command_is_one_line(terminal: Terminal, verb: str) -> None:
    assert terminal.run(verb, "nope").exit_code == 2
    terminal.gateway.failures = iter([refused(409, "It cannot be done.")])
    outcome = terminal.run(verb, "import-1")
    assert (outcome.exit_code, outcome.stderr) == (1, "Error: It cannot be done.\n")

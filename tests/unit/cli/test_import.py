from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from cli import imports, upload
from hythe.importer.v1 import importer_pb2 as importer
from tests.fakes.channel import FakeChannel, bare_failure, refusal
from tests.fakes.gateway import detail, refused
from tests.unit.cli.conftest import LIST_SOURCES, Terminal, known_sources

COUNTERS = {
    "read": 10,
    "inserted": 7,
    "updated": 0,
    "unchanged": 2,
    "deleted": 0,
    "skipped": 0,
    "rejected": 1,
}
JOB = {"processed_findings": 7, "processed_assets": 3, "processed_finding_assets": 9, "processed_evidence": 4}
TIMES = {"startedAt": "2026-01-01T10:00:00.000Z", "endedAt": "2026-01-01T10:01:02.500Z"}


def finished(state: str = "SUCCEEDED", **members: Any) -> list[dict[str, Any]]:
    return [detail("QUEUED"), detail(state, 100, counters=COUNTERS, importJob=JOB, **TIMES, **members)]


def test_a_file_goes_through_the_four_steps(terminal: Terminal, scan: Path) -> None:
    terminal.gateway.life = finished()
    outcome = terminal.run(
        "import", scan, "--source", "nessus", "--client", "Acme", "--report", "5",
        "--tag-assets", "dmz", "--tag-assets", "prod", "--tag-findings", "q1",
    )  # fmt: skip
    assert outcome.exit_code == 0
    assert terminal.gateway.stored == {"c1/a.nessus": b"abc"}
    [body] = terminal.gateway.asked("POST", "/api/v2/client/1/report/5/preuploaded-import/nessus")
    assert json.loads(body.pop("tags")) == {"assets": ["dmz", "prod"], "findings": ["q1"]}
    assert body == {"key": "c1/a.nessus", "fileName": "a.nessus", "useParserActions": False}
    assert "IMPORT COMPLETE" in outcome.stdout
    assert "62.5 s" in outcome.stdout
    assert "10 read: 7 inserted, 2 unchanged, 1 rejected" in outcome.stdout
    assert "hythe errors import-1" in outcome.stderr


def test_an_empty_file_is_sent_too(terminal: Terminal, scan: Path) -> None:
    scan.write_bytes(b"")
    terminal.gateway.life = finished("FAILED", errorStatus="EMPTY_FILE: The file is empty.")
    outcome = terminal.run("import", scan, "--source", "nessus", "--client", "1", "--report", "5")
    assert terminal.gateway.stored == {"c1/a.nessus": b""}
    assert outcome.exit_code == 1
    assert "EMPTY_FILE: The file is empty." in outcome.stdout


@pytest.mark.parametrize(("state", "exit_code"), [("SUCCEEDED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_json_is_one_object_whatever_the_end(terminal: Terminal, scan: Path, state: str, exit_code: int) -> None:
    terminal.gateway.life = finished(state)
    outcome = terminal.run("import", scan, "--source", "nessus", "--client", "1", "--report", "5", "--json")
    assert outcome.exit_code == exit_code
    assert outcome.json["state"] == state
    assert outcome.json["counters"]["inserted"] == 7
    assert outcome.stderr == ""


def test_no_wait_prints_the_id_and_does_not_poll(terminal: Terminal, scan: Path) -> None:
    outcome = terminal.run("import", scan, "--source", "nessus", "--client", "1", "--report", "5", "--no-wait")
    assert (outcome.exit_code, outcome.stdout) == (0, "import-1\n")
    assert terminal.gateway.asked("GET", "/api/v2/my-imports/.*") == []


def test_missing_client_and_report_are_made_only_when_asked_to(terminal: Terminal, scan: Path) -> None:
    order = ["import", scan, "--source", "nessus", "--client", "New", "--report", "First"]
    refusal = terminal.run(*order)
    assert refusal.exit_code == 2
    assert "There is no client 'New'" in refusal.stderr
    assert terminal.gateway.clients == {1: "Acme"}
    assert terminal.run(*order, "--create").exit_code == 0
    assert terminal.gateway.clients == {1: "Acme", 2: "New"}
    assert terminal.gateway.reports[6] == (2, "First")
    assert terminal.run(*order, "--create").exit_code == 0
    assert len(terminal.gateway.clients) == 2


def test_without_a_report_the_assets_of_the_client_are_imported(terminal: Terminal, scan: Path) -> None:
    answer = importer.CreateImportResponse(**{"import": importer.Import(import_id="import-1")})
    create = "/hythe.importer.v1.ImportService/CreateImport"
    terminal.channel = FakeChannel({LIST_SOURCES: known_sources, create: lambda _: answer})
    outcome = terminal.run("import", scan, "--source", "nmap-xml", "--client", "1", "--tag-assets", "dmz")
    assert outcome.exit_code == 0
    [request] = terminal.channel.asked("CreateImport")
    assert (request.client_id, request.report_id, request.source, request.key) == (1, 0, "nmap-xml", "c1/a.nessus")
    assert list(request.asset_tags) == ["dmz"]
    assert terminal.native_options["address"] == "gateway.test:80"


def test_a_wrong_source_is_a_usage_error_before_anything_is_sent(terminal: Terminal, scan: Path) -> None:
    outcome = terminal.run("import", scan, "--source", "acrobat", "--client", "New", "--report", "5", "--create")
    assert outcome.exit_code == 2
    assert outcome.stderr == "Error: There is no source 'acrobat'. Known are: nessus, nmap-xml.\n"
    assert terminal.gateway.requests == []


def test_where_grpc_does_not_get_through_the_server_says_so_later(terminal: Terminal, scan: Path) -> None:
    def fail(_: Any) -> None:
        raise bare_failure(grpc.StatusCode.UNIMPLEMENTED, "Received http2 header with status: 404")

    terminal.channel = FakeChannel({LIST_SOURCES: fail})
    order = ["import", scan, "--client", "1", "--report", "5", "--source"]
    outcome = terminal.run(*order, "acrobat")
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1] == "Error: There is no source acrobat. Known: nessus."
    assert terminal.run(*order, "nessus").exit_code == 0


@pytest.mark.parametrize("file", ["missing.xml", "."])
def test_only_a_file_that_is_there_is_accepted(terminal: Terminal, tmp_path: Path, file: str) -> None:
    outcome = terminal.run("import", tmp_path / file, "--source", "nessus", "--client", "1", "--report", "5")
    assert outcome.exit_code == 2
    assert terminal.gateway.requests == []


def test_an_unreachable_gateway_ends_with_3(terminal: Terminal, scan: Path) -> None:
    terminal.gateway.failures = iter([httpx.ConnectError("Connection refused")] * 3)
    outcome = terminal.run("import", scan, "--source", "nessus", "--client", "1", "--report", "5")
    assert outcome.exit_code == 3
    assert outcome.stderr == "Error: http://gateway.test does not answer: Connection refused.\n"


def test_a_gateway_that_is_away_for_a_moment_does_not_end_the_watch(terminal: Terminal) -> None:
    terminal.gateway.failures = iter([None, httpx.ReadError("reset"), refused(503, "The service is not available.")])
    outcome = terminal.run("watch", "import-1")
    assert outcome.exit_code == 0


def test_interrupting_the_watch_tells_how_to_go_on(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(imports, "follow", interrupt)
    outcome = terminal.run("watch", "import-1")
    assert outcome.exit_code == 130
    assert "hythe watch import-1" in outcome.stderr
    assert "hythe cancel import-1" in outcome.stderr


def test_an_interrupted_upload_imports_nothing(terminal: Terminal, scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(upload, "put_file", interrupt)
    outcome = terminal.run("import", scan, "--source", "nessus", "--client", "1", "--report", "5", "--json")
    assert outcome.exit_code == 130
    assert "nothing is imported" in outcome.json["error"]["message"]
    assert terminal.gateway.asked("POST", ".*preuploaded-import.*") == []


def test_what_a_file_says_never_reaches_the_terminal_raw(terminal: Terminal) -> None:
    terminal.gateway.life = finished(
        "FAILED",
        name="\x1b]0;owned\x07.nessus",
        errorStatus="BAD: \x1b[2J\u202egnp",
        cautions=[{"code": "C", "message": "cut \x9b31m", "count": 2}],
    )
    outcome = terminal.run("watch", "import-1")
    printed = outcome.stdout + outcome.stderr
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(printed)
    assert "\\x1b]0;owned\\x07.nessus" in printed


def test_a_refused_rpc_is_one_line_with_the_reason_of_the_server(terminal: Terminal) -> None:
    def refuse(_: Any) -> None:
        raise refusal(grpc.StatusCode.NOT_FOUND, "IMPORT_NOT_FOUND", "There is no such import.")

    terminal.channel = FakeChannel({LIST_SOURCES: refuse})
    outcome = terminal.run("sources")
    assert (outcome.exit_code, outcome.stderr) == (2, "Error: There is no such import.\n")
    outcome = terminal.run("sources", "--json")
    assert outcome.json == {"error": {"message": "There is no such import.", "reason": "IMPORT_NOT_FOUND"}}

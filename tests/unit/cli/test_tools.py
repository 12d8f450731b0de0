from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import grpc
import pytest

from hythe.importer.v1 import importer_pb2 as importer
from tests.fakes.channel import FakeChannel, bare_failure
from tests.fakes.gateway import detected
from tests.unit.cli.conftest import LIST_SOURCES, Terminal, known_sources

INTO_REPORT = ("--client", "1", "--report", "5", "--no-wait")


def test_without_a_source_the_file_tells(terminal: Terminal, scan: Path) -> None:
    outcome = terminal.run("import", scan, *INTO_REPORT)
    assert (outcome.exit_code, outcome.stdout) == (0, "import-1\n")
    assert terminal.gateway.asked("POST", "/api/v2/sources/detect") == [b"abc"]
    assert len(terminal.gateway.asked("POST", "/api/v2/client/1/report/5/preuploaded-import/nessus")) == 1
    assert "a.nessus looks like a Nessus report: imported as --source nessus.\n" in outcome.stderr


def test_with_a_source_nobody_is_asked(terminal: Terminal, scan: Path) -> None:
    assert terminal.run("import", scan, *INTO_REPORT, "--source", "nessus").exit_code == 0
    assert terminal.gateway.asked("POST", "/api/v2/sources/detect") == []


def test_of_several_sources_the_first_that_fits_is_taken_and_the_others_are_named(
    terminal: Terminal, scan: Path
) -> None:
    sources = [detected("nmap-xml", "assets"), detected("nessus"), detected("tenable")]
    terminal.gateway.detection = {"look": "a scan", "sources": sources}
    outcome = terminal.run("import", scan, *INTO_REPORT)
    assert outcome.exit_code == 0
    assert "imported as --source nessus. Also possible: tenable." in outcome.stderr


def test_without_a_report_it_is_a_source_of_assets(terminal: Terminal, scan: Path) -> None:
    answer = importer.CreateImportResponse(**{"import": importer.Import(import_id="import-1")})
    create = "/hythe.importer.v1.ImportService/CreateImport"
    terminal.channel = FakeChannel({LIST_SOURCES: known_sources, create: lambda _: answer})
    sources = [detected("nmap"), detected("nmap", "assets"), detected("nmap-xml", "assets")]
    terminal.gateway.detection = {"look": "an Nmap report", "sources": sources}
    outcome = terminal.run("import", scan, "--client", "1", "--json")
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    [request] = terminal.channel.asked("CreateImport")
    assert (request.source, request.report_id) == ("nmap", 0)


@pytest.mark.parametrize(
    ("sources", "order", "message"),
    [
        (
            [],
            INTO_REPORT,
            (
                "a.nessus looks like a PDF document, which no format recognises. "
                "Name its --source; known are: nessus, nmap-xml."
            ),
        ),
        (
            [detected("nmap-xml", "assets")],
            INTO_REPORT,
            "a.nessus looks like a PDF document, which brings client assets only: leave --report out.",
        ),
        (
            [detected("nessus")],
            ("--client", "1"),
            "a.nessus looks like a PDF document, which brings findings: name a --report.",
        ),
    ],
)
def test_a_file_that_nothing_takes_is_not_sent(
    terminal: Terminal, scan: Path, sources: list[dict[str, Any]], order: tuple[str, ...], message: str
) -> None:
    terminal.gateway.detection = {"look": "a PDF document", "sources": sources}
    outcome = terminal.run("import", scan, *order, "--create")
    assert (outcome.exit_code, outcome.stderr) == (2, f"Error: {message}\n")
    assert len(terminal.gateway.requests) == 1


def test_where_grpc_does_not_get_through_the_known_sources_are_left_out(terminal: Terminal, scan: Path) -> None:
    def fail(_: Any) -> None:
        raise bare_failure(grpc.StatusCode.UNAVAILABLE)

    terminal.channel = FakeChannel({LIST_SOURCES: fail})
    terminal.gateway.detection = {"look": "a PDF document", "sources": []}
    outcome = terminal.run("import", scan, *INTO_REPORT)
    assert outcome.stderr.endswith("which no format recognises. Name its --source.\n")


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"x" * 10_000, 4096),
        (zipped(b"x" * 1_000_000), 256 * 1024),
        (gzip.compress(b"x" * 1_000, mtime=0), None),
    ],
)
def test_only_the_beginning_is_sent_and_more_of_an_archive(
    terminal: Terminal, scan: Path, content: bytes, sent: int | None
) -> None:
    scan.write_bytes(content)
    terminal.run("import", scan, *INTO_REPORT)
    assert terminal.gateway.asked("POST", "/api/v2/sources/detect") == [content[:sent]]


def test_what_the_look_says_never_reaches_the_terminal_raw(terminal: Terminal, scan: Path) -> None:
    terminal.gateway.detection = {"look": "XML \x1b[2J", "sources": [detected("nessus")]}
    assert "\x1b" not in terminal.run("import", scan, *INTO_REPORT).stderr

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hythe.importer.v1 import importer_pb2 as importer
from hythe.importer.v1 import parser_actions_pb2 as pb
from tests.fakes.channel import FakeChannel
from tests.unit.cli.conftest import LIST_SOURCES, Terminal, known_sources

SERVICE = "/hythe.importer.v1.ParserActionService/"
FORCED = pb.ParserAction(
    source="nessus", action_id="10028", title="BIND version", action=pb.ACTION_CODE_FORCE_SEVERITY,
    severity=pb.SEVERITY_MEDIUM, original_severity=pb.SEVERITY_INFORMATIONAL,
)  # fmt: skip
LINKED = pb.ParserAction(
    source="nessus", action_id="10029", title="Old", action=pb.ACTION_CODE_LINK, severity=pb.SEVERITY_LOW,
    original_severity=pb.SEVERITY_LOW, writeup_id=7, writeup_title="Ours", writeup_deleted=True,
)  # fmt: skip


def answering(terminal: Terminal, method: str, answer: Any) -> FakeChannel:
    terminal.channel = FakeChannel({LIST_SOURCES: known_sources, SERVICE + method: lambda _: answer})
    return terminal.channel


def test_actions_are_listed_with_what_they_do(terminal: Terminal) -> None:
    channel = answering(terminal, "ListParserActions", pb.ListParserActionsResponse(actions=[FORCED, LINKED]))
    table = terminal.run("parser-actions", "list", "nessus", "--action", "severity", "--query", "bind").stdout
    assert "severity medium" in table
    assert "link 7 Ours (deleted)" in table
    (request,) = channel.asked("ListParserActions")
    assert (request.source, request.action, request.query) == ("nessus", pb.ACTION_CODE_FORCE_SEVERITY, "bind")
    found = terminal.run("parser-actions", "list", "nessus", "--limit", "1", "--json").json["actions"]
    assert [one["action_id"] for one in found] == ["10028"]


def test_actions_are_set_together(terminal: Terminal) -> None:
    channel = answering(terminal, "UpdateParserActions", pb.UpdateParserActionsResponse(updated_count=1))
    outcome = terminal.run("parser-actions", "set", "nessus", "1", "2", "--action", "severity", "--severity", "low")
    assert outcome.stdout == "Changed 1 of 2; the others were so already.\n"
    (request,) = channel.asked("UpdateParserActions")
    assert [(each.action_id, each.action, each.severity) for each in request.updates] == [
        ("1", pb.ACTION_CODE_FORCE_SEVERITY, pb.SEVERITY_LOW),
        ("2", pb.ACTION_CODE_FORCE_SEVERITY, pb.SEVERITY_LOW),
    ]
    assert terminal.run("parser-actions", "set", "nessus", "1", "--action", "drop").exit_code == 2


@pytest.mark.parametrize(("command", "enabled"), [("enable", True), ("disable", False)])
def test_the_tenants_switch_is_a_command_each_way(terminal: Terminal, command: str, enabled: bool) -> None:
    settings = pb.ParserActionSettings(enabled=enabled)
    channel = answering(terminal, "SetParserActionSettings", pb.SetParserActionSettingsResponse(settings=settings))
    assert terminal.run("parser-actions", command).stdout == f"Parser actions are {'on' if enabled else 'off'}.\n"
    (request,) = channel.asked("SetParserActionSettings")
    assert request.settings.enabled is enabled


def test_a_file_is_uploaded_to_learn_from(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "scan.nessus"
    path.write_bytes(b"<NessusClientData_v2/>")
    queued = importer.Import(import_id="import-1")
    channel = answering(terminal, "LearnParserActions", pb.LearnParserActionsResponse(**{"import": queued}))
    outcome = terminal.run("parser-actions", "upload", path, "--source", "nessus", "--no-wait")
    assert outcome.stdout == "import-1\n"
    (request,) = channel.asked("LearnParserActions")
    assert (request.source, request.file_name) == ("nessus", "scan.nessus")
    assert request.key
    assert request.request_id

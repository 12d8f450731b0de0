from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.errors import ExitCode
from hythe.importer.v1 import importer_pb2 as importer
from hythe.upload.v1 import upload_pb2 as upload
from tests.unit.cli.conftest import Terminal

CREATE_UPLOAD = "/hythe.upload.v1.UploadService/CreateUpload"
START = "/hythe.importer.v1.ImportService/StartRecordsImport"
CONTENT = b"\xef\xbb\xbf00|A|cc5|20260102|r\r\n01|wks_family|ws|bk|cc-family|upsert\r\n02|id\r\n03|id\r\n99|0\r\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.cc5txt"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def asked(terminal: Terminal) -> list[Any]:
    """The native requests; both calls are answered."""
    requests: list[Any] = []

    def create(request: upload.CreateUploadRequest) -> upload.CreateUploadResponse:
        requests.append(request)
        key = f"c1/{request.file_name}"
        made = upload.Upload(key=key, record_file=upload.RecordFile(file_id="c1"))
        url = f"{terminal.gateway.url}/cloud/uploads/{key}?X-Amz-Signature=s"
        return upload.CreateUploadResponse(upload=made, url=url)

    def start(request: importer.StartRecordsImportRequest) -> importer.StartRecordsImportResponse:
        requests.append(request)
        return importer.StartRecordsImportResponse(**{"import": importer.Import(import_id="import-1")})

    terminal.channel.answers = {**terminal.channel.answers, CREATE_UPLOAD: create, START: start}
    return requests


def test_a_sync_file_is_sent_imported_and_watched(terminal: Terminal, asked: list[Any], file: Path) -> None:
    said = ("--entity", "wks_family", "--datasource", "cc-family", "--workspace", "ws", "--bucket", "bk", "--tag", "t")
    outcome = terminal.run("appfile", "put", file, *said)
    assert outcome.exit_code == 0
    assert "IMPORT COMPLETE" in outcome.stdout
    assert terminal.gateway.stored == {"c1/a.cc5txt": CONTENT}
    reserved, started = asked
    assert (reserved.file_name, reserved.size_bytes) == ("a.cc5txt", len(CONTENT))
    described = reserved.record_file
    assert (described.workspace, described.bucket_id, described.entity_type) == ("ws", "bk", "wks_family")
    assert list(described.tags) == ["t"]
    assert (started.file_id, started.file_type, started.require_footer) == ("c1", "cc5", True)
    assert started.empty_values == importer.EMPTY_VALUES_CLEAR
    assert started.request_id


def test_choices_reach_the_server(terminal: Terminal, asked: list[Any], file: Path) -> None:
    said = ("--dry-run", "--force", "--max-errors", 3, "--keep-empty", "--no-footer", "--no-wait")
    outcome = terminal.run("appfile", "put", file, *said)
    assert (outcome.exit_code, outcome.stdout.strip()) == (0, "import-1")
    started = asked[1]
    assert (started.options.dry_run, started.options.force, started.options.policy.max_errors) == (True, True, 3)
    assert started.options.policy.on_error == importer.ON_ERROR_ABORT_ABOVE
    assert (started.empty_values, started.require_footer) == (importer.EMPTY_VALUES_KEEP, False)


@pytest.mark.parametrize("said", [("--entity", "wks_case"), ("--datasource", "cc-provider")])
def test_a_file_of_another_kind_is_not_sent(
    terminal: Terminal, asked: list[Any], file: Path, said: tuple[str, str]
) -> None:
    outcome = terminal.run("appfile", "put", file, *said)
    assert outcome.exit_code == ExitCode.USAGE
    assert said[1] in outcome.stderr
    assert (asked, terminal.gateway.stored) == ([], {})


def test_the_workspace_may_come_from_the_environment(
    terminal: Terminal, asked: list[Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYTHE_APPFILE_WORKSPACE", "ws-local")
    monkeypatch.setenv("HYTHE_APPFILE_BUCKET", "bk-local")
    assert terminal.run("appfile", "put", file, "--no-wait").exit_code == 0
    assert (asked[0].record_file.workspace, asked[0].record_file.bucket_id) == ("ws-local", "bk-local")

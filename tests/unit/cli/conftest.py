from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import progress
from cli.context import Cli
from cli.main import app
from cli.output import Output, make_console
from cli.settings import Settings
from hythe.importer.v1 import importer_pb2 as importer
from hythe_client import SyncHytheClient
from tests.fakes.channel import FakeChannel
from tests.fakes.gateway import API_KEY, FakeGateway


@dataclass
class Outcome:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


LIST_SOURCES = "/hythe.importer.v1.ImportService/ListSources"


def known_sources(_request: importer.ListSourcesRequest) -> importer.ListSourcesResponse:
    return importer.ListSourcesResponse(
        sources=[
            importer.Source(
                source="nessus",
                display_name="Nessus",
                formats=["nessus"],
                file_formats=[
                    importer.FileFormat(name="nessus", title="a Nessus report", syntax="xml", extensions=[".nessus"])
                ],
                extensions=[".nessus"],
                brings_findings=True,
            ),
            importer.Source(
                source="nmap-xml", display_name="Nmap", assets_only=True, formats=["nmap_assets"], brings_assets=True
            ),
        ]
    )


@dataclass
class Terminal:
    """Runs commands against fakes, as an API key unless the settings say otherwise."""

    home: Path
    gateway: FakeGateway = field(default_factory=FakeGateway)
    channel: FakeChannel = field(default_factory=lambda: FakeChannel({LIST_SOURCES: known_sources}))
    settings: dict[str, Any] = field(default_factory=lambda: {"api_key": SecretStr(API_KEY)})
    native_options: dict[str, Any] = field(default_factory=dict)

    def cli(self, stdout: io.StringIO, stderr: io.StringIO) -> Cli:
        return Cli(
            settings=Settings(**{"url": self.gateway.url, **self.settings}),
            output=Output(make_console(stdout), make_console(stderr)),
            home=self.home,
            transport=self.gateway.transport,
            open_native=self.open_native,
        )

    def open_native(self, address: str, **options: Any) -> SyncHytheClient:
        self.native_options = {"address": address, **options}
        return SyncHytheClient(address, channel=self.channel, **options)  # type: ignore[arg-type] # a fake

    def run(self, *arguments: object, stdin: str = "") -> Outcome:
        stdout, stderr = io.StringIO(), io.StringIO()
        result = CliRunner().invoke(app, [str(one) for one in arguments], obj=self.cli(stdout, stderr), input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, stdout.getvalue() + result.stdout, stderr.getvalue() + result.stderr)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    # A fake import passes through its states without the pauses of a real one.
    monkeypatch.setattr(progress, "FIRST_POLL_SECONDS", 0)
    monkeypatch.setattr(progress, "LONGEST_POLL_SECONDS", 0)
    for name in ("URL", "GRPC", "USER", "PASSWORD", "API_KEY", "CA_FILE"):
        monkeypatch.delenv(f"HYTHE_{name}", raising=False)
    return Terminal(home=tmp_path / "home")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    file = tmp_path / "a.nessus"
    file.write_bytes(b"abc")
    return file

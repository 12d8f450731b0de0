from __future__ import annotations

import io
from pathlib import Path

from pydantic import SecretStr

from cli import demo
from tests.fakes.gateway import PASSWORD, USER
from tests.unit.cli.conftest import Terminal


def run(terminal: Terminal, sample: Path) -> tuple[int, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    with terminal.cli(stdout, stderr) as cli:
        return demo.run(cli, sample), stdout.getvalue()


def test_the_demo_is_a_rest_client_and_may_be_run_again(terminal: Terminal, scan: Path) -> None:
    terminal.settings = {"user": USER, "password": SecretStr(PASSWORD)}
    exit_code, printed = run(terminal, scan)
    assert exit_code == 0
    assert "now holds 3 findings on 2 assets: 1 Critical, 2 Low." in printed
    assert printed.index("Remote code") < printed.index("Another") < printed.index("Old cipher")
    assert "\x1b" not in printed
    assert "/openapi/" in printed
    terminal.gateway.life = terminal.gateway.life[-1:]
    assert run(terminal, scan)[0] == 0
    assert sorted(terminal.gateway.clients.values()) == ["Acme", "Demo client"]
    assert len(terminal.gateway.reports) == 2
    assert terminal.native_options == {}


def test_a_failed_import_fails_the_demo(terminal: Terminal, scan: Path) -> None:
    terminal.settings = {"user": USER, "password": SecretStr(PASSWORD)}
    terminal.gateway.life = [terminal.gateway.life[0] | {"state": "FAILED", "status": "ERROR"}]
    exit_code, printed = run(terminal, scan)
    assert exit_code == 1
    assert "Where to look next" not in printed

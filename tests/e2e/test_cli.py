"""The `hythe` command through the gateway of a running stack.

As a process of its own where that matters; otherwise inside this one, which is several times as fast.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import demo
from cli.context import Cli
from cli.main import app
from cli.output import Output, make_console
from cli.settings import Settings
from deploy.local.ports import free_ports
from tests.scans import nessus
from tests.stack import LiveStack

COMMAND = [sys.executable, "-m", "cli.main"]
# Runs a command and tells on stderr how much memory it had at its peak, in KiB.
MEASURED = (
    "import resource, subprocess, sys; subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
)


@dataclass
class Shell:
    """Runs commands as somebody, with a home of their own."""

    environment: Mapping[str, str]
    home: Path

    def variables(self) -> dict[str, str]:
        outer = {name: value for name, value in os.environ.items() if not name.startswith("HYTHE_")}
        return {**outer, "XDG_CONFIG_HOME": str(self.home), "COLUMNS": "200", **self.environment}

    def run(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], env=self.variables(), input=stdin, capture_output=True, text=True,
            check=False, timeout=100,
        )  # fmt: skip

    def json(self, *arguments: object, exit_code: int = 0) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == exit_code, done.stdout + done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)], env=self.variables(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


class Inside(Shell):
    """The same commands in the process of the test."""

    def run(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        settings = {name.removeprefix("HYTHE_").lower(): value for name, value in self.environment.items()}
        cli = Cli(Settings.model_validate(settings), Output(make_console(stdout), make_console(stderr)), self.home)
        words = [str(one) for one in arguments]
        done = CliRunner().invoke(app, words, obj=cli, input=stdin)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(
            words, done.exit_code, stdout.getvalue() + done.stdout, stderr.getvalue() + done.stderr
        )


@pytest.fixture
def admin(stack: LiveStack, tmp_path: Path) -> Shell:
    return Shell({"HYTHE_URL": stack.url, "HYTHE_API_KEY": stack.api_key}, tmp_path / "home")


@pytest.fixture
def inside(admin: Shell) -> Inside:
    return Inside(admin.environment, admin.home)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    file = tmp_path / "a.nessus"
    file.write_bytes(nessus(hosts=2, plugins=5))
    return file


def unique(name: str) -> str:
    return f"{name} {secrets.token_hex(4)}"


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_file_is_imported_and_found_again(admin: Shell, scan: Path) -> None:
    client = unique("Client")
    order = ["import", scan, "--source", "nessus", "--client", client, "--report", "Q1", "--create"]
    first = admin.json(*order, "--tag-findings", "Q 1")
    assert (first["state"], first["progress"]) == ("SUCCEEDED", 100)
    assert (first["counters"]["read"], first["counters"]["inserted"]) == (10, 10)
    [report] = admin.json("reports", "--client", client)["reports"]
    assert (report["name"], report["findings"]) == ("Q1", 5)
    # The same file again is known, and told so; merged all the same, it brings nothing new.
    second = admin.run(*order, "--tag-findings", "Q 1")
    assert second.returncode == 0
    assert "IMPORT COMPLETE" in second.stdout
    assert "10 read: 10 skipped" in second.stdout
    assert first["id"] in second.stdout
    assert "10 read: 10 unchanged" in admin.run(*order, "--force").stdout
    listed = [row["id"] for row in admin.json("imports")["imports"]]
    assert first["id"] in listed
    assert admin.json("errors", first["id"]) == {"total_rejected": 0, "errors": []}


def test_without_a_source_the_file_itself_tells(inside: Inside, scan: Path, tmp_path: Path) -> None:
    client = unique("Client")
    done = inside.json("import", scan, "--client", client, "--report", "Q1", "--create")
    assert (done["state"], done["source"]) == ("SUCCEEDED", "nessus")
    other = tmp_path / "a.pdf"
    other.write_bytes(b"%PDF-1.7")
    refused = inside.run("import", other, "--client", client, "--report", "Q1")
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: a.pdf looks like a PDF document, which no format recognises. Name its")
    assert "nessus" in refused.stderr


def test_client_assets_are_imported_without_a_report(inside: Inside, tmp_path: Path) -> None:
    file = tmp_path / "hosts.xml"
    file.write_text(
        '<?xml version="1.0"?><nmaprun scanner="nmap" version="7.94" xmloutputversion="1.05">'
        '<host><status state="up"/><address addr="10.9.8.7" addrtype="ipv4"/>'
        '<ports><port protocol="tcp" portid="22"><state state="open"/><service name="ssh"/></port></ports></host>'
        "</nmaprun>"
    )
    done = inside.json("import", file, "--source", "nmap-xml", "--client", unique("Client"), "--create")
    assert done["state"] == "SUCCEEDED"
    assert done["importJob"]["processed_assets"] == 1


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "EMPTY_FILE"), (b"<html></html>", "WRONG_FORMAT"), (nessus()[:400], "TRUNCATED")]
)
def test_a_failed_import_ends_with_1_and_its_reason(
    inside: Inside, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "bad.nessus"
    file.write_bytes(content)
    order = ["import", file, "--source", "nessus", "--client", unique("Client"), "--report", "Q1", "--create"]
    done = inside.json(*order, exit_code=1)
    assert done["state"] == "FAILED"
    assert done["errorStatus"].startswith(f"{reason}: ")
    shown = inside.run("watch", done["id"])
    assert shown.returncode == 1
    assert reason in shown.stdout


def test_mistakes_end_with_2_and_one_line(inside: Inside, scan: Path) -> None:
    client = unique("Client")
    unknown = inside.run("import", scan, "--source", "nessus", "--client", client, "--report", "Q1")
    assert unknown.returncode == 2
    assert unknown.stderr == f"Error: There is no client {client!r}. `hythe clients` lists them, --create makes it.\n"
    source = inside.run("import", scan, "--source", "acrobat", "--client", client, "--report", "Q1", "--create")
    assert source.returncode == 2
    assert "nessus" in source.stderr.splitlines()[-1]
    for command in ("watch", "cancel", "errors", "pause", "resume", "retry", "rerun", "undo"):
        missing = inside.run(command, "0190c2b5-7e1e-7cc3-98c4-dc0c0c07398f")
        assert missing.returncode == 2, command
        assert missing.stderr.startswith("Error: ")
        assert missing.stderr.count("\n") == 1


def test_nobody_there_or_nobody_known_ends_with_3(stack: LiveStack, tmp_path: Path) -> None:
    nobody_there = Shell({"HYTHE_URL": f"http://127.0.0.1:{free_ports().gateway}", "HYTHE_API_KEY": "x"}, tmp_path)
    for command in (["imports"], ["sources"]):
        done = nobody_there.run(*command)
        assert done.returncode == 3
        assert "does not answer" in done.stderr
    stranger = Shell({"HYTHE_URL": stack.url, "HYTHE_API_KEY": "hy_no_such_key"}, tmp_path)
    for command in (["imports"], ["sources"]):
        done = stranger.run(*command)
        assert done.returncode == 3
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1


def test_a_login_lasts_for_the_commands_that_follow(stack: LiveStack, tmp_path: Path) -> None:
    shell = Shell({}, tmp_path / "home")
    done = shell.run("login", stack.url, "--user", stack.user, "--password-stdin", stdin=stack.password + "\n")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "home" / "hythe" / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stack.password not in path.read_text()
    assert shell.run("imports").returncode == 0
    assert {"nessus", "burp", "nmap"} <= {one["source"] for one in shell.json("sources")["sources"]}
    # An old token is renewed on the way.
    kept = json.loads(path.read_text())
    kept["logins"][0]["obtained_at"] -= 600
    path.write_text(json.dumps(kept))
    assert shell.run("clients").returncode == 0
    assert json.loads(path.read_text())["logins"][0]["token"] != kept["logins"][0]["token"]
    assert shell.run("logout").returncode == 0
    assert shell.run("clients").returncode == 3


def test_ctrl_c_leaves_the_import_which_can_then_be_cancelled(stack: LiveStack, admin: Shell, scan: Path) -> None:
    client = unique("Client")
    stack.pause("worker")
    try:
        waiting = admin.start("import", scan, "--source", "nessus", "--client", client, "--report", "Q1", "--create")
        row = wait_for(
            lambda: next((one for one in admin.json("imports")["imports"] if one["clientName"] == client), None)
        )
        assert row["status"] == "IN QUEUE"
        waiting.send_signal(signal.SIGINT)
        _, told = waiting.communicate(timeout=30)
        assert waiting.returncode == 130
        assert f"hythe cancel {row['key']}" in told
        assert "Traceback" not in told
        cancelled = admin.run("cancel", row["id"])
        assert cancelled.returncode == 0, cancelled.stderr
    finally:
        stack.resume("worker")
    ended = admin.json("watch", row["id"], exit_code=1)
    assert ended["state"] == "CANCELLED"
    assert ended["errorStatus"].startswith("CANCELLED: ")
    again = admin.run("cancel", row["id"])
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)


def test_an_import_is_tried_brought_taken_back_and_brought_again(inside: Inside, scan: Path) -> None:
    client = unique("Client")
    order = ["import", scan, "--source", "nessus", "--client", client, "--report", "Q1", "--create"]

    def findings() -> int:
        [report] = inside.json("reports", "--client", client)["reports"]
        return int(report["findings"])

    tried = inside.json(*order, "--dry-run")
    assert (tried["counters"]["inserted"], findings()) == (10, 0)
    brought = inside.json(*order, "--sha256", "auto", "--expect-records", "10", "--on-error", "abort")
    assert findings() == 5
    told = inside.run("undo", brought["id"], "--dry-run")
    assert told.returncode == 0
    assert "removed" in told.stdout
    assert "nothing was changed" in told.stderr
    assert findings() == 5
    undo = inside.json("undo", brought["id"])
    assert {each["action"] for each in undo["undo"]} == {"removed"}
    assert findings() == 0
    refused = inside.run("undo", brought["id"])
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    again = inside.json("rerun", brought["id"])
    assert (again["counters"]["inserted"], findings()) == (10, 5)
    assert inside.json("watch", inside.run("rerun", brought["id"], "--no-wait").stdout.strip())["state"] == "SUCCEEDED"
    missed = inside.json("import", scan, *order[2:], "--expect-records", "11", exit_code=1)
    assert missed["errorStatus"].startswith("COUNT_MISMATCH: ")


def test_a_queued_import_is_paused_and_resumed(stack: LiveStack, inside: Inside, scan: Path) -> None:
    order = ["import", scan, "--source", "nessus", "--client", unique("Client"), "--report", "Q1", "--create"]
    stack.pause("worker")
    try:
        import_id = inside.run(*order, "--no-wait").stdout.strip()
        paused = inside.run("pause", import_id)
        assert (paused.returncode, paused.stdout) == (0, f"Paused {import_id}.\n")
        assert inside.json("pause", import_id)["state"] == "PAUSED"
        assert inside.run("retry", import_id).returncode == 1
        assert inside.json("resume", import_id)["state"] == "QUEUED"
        assert inside.run("resume", import_id).returncode == 1
    finally:
        stack.resume("worker")
    assert inside.json("watch", import_id)["state"] == "SUCCEEDED"


def test_no_wait_gives_the_id_to_watch(admin: Shell, scan: Path) -> None:
    started = admin.run(
        "import", scan, "--source", "nessus", "--client", unique("Client"), "--report", "Q1", "--create", "--no-wait"
    )
    assert started.returncode == 0
    assert admin.json("watch", started.stdout.strip())["state"] == "SUCCEEDED"


def test_a_big_file_is_sent_with_flat_memory(admin: Shell, tmp_path: Path) -> None:
    file = tmp_path / "big.nessus"
    with file.open("wb") as big:
        big.truncate(256 << 20)
    order = ["import", file, "--source", "nessus", "--client", unique("Client"), "--report", "Q1", "--create"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *COMMAND, *map(str, order), "--json"], env=admin.variables(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert json.loads(done.stdout)["fileSize"] == str(256 << 20)
    assert int(done.stderr) < 200 << 10


def test_administration_of_accounts_keys_and_tenants(stack: LiveStack, inside: Inside, tmp_path: Path) -> None:
    robot = f"robot-{secrets.token_hex(4)}@example.org"
    made = inside.json("admin", "service-accounts", "create", robot, "--role", "importer")
    program = Inside({"HYTHE_URL": stack.url, "HYTHE_API_KEY": made["secret"]}, tmp_path)
    assert program.run("imports").returncode == 0
    assert program.run("admin", "users", "list").returncode == 3
    assert robot in inside.run("admin", "service-accounts", "list").stdout
    assert made["secret"] not in inside.run("admin", "keys", "list").stdout
    rotated = inside.json("admin", "service-accounts", "rotate", robot)
    assert Inside({**program.environment, "HYTHE_API_KEY": rotated["secret"]}, tmp_path).run("imports").returncode == 0
    assert inside.run("admin", "service-accounts", "disable", robot).returncode == 0

    tenant = inside.json("admin", "tenants", "create", unique("Tenant"), "--admin-email", f"boss-{robot}")
    boss = Inside(
        {"HYTHE_URL": stack.url, "HYTHE_USER": f"boss-{robot}", "HYTHE_PASSWORD": tenant["admin_password"]}, tmp_path
    )
    assert boss.json("clients") == {"clients": []}
    assert boss.run("admin", "tenants", "list").returncode == 3
    number = tenant["tenant"]["tenant_id"]
    assert inside.run("admin", "limits", number, "--max-file-bytes", 0, "--max-running-imports", 1).returncode == 0
    assert inside.run("admin", "tenants", "disable", number).returncode == 0
    assert inside.run("admin", "tenants", "enable", number).returncode == 0

    user = inside.json("admin", "users", "create", f"ana-{robot}", "--role", "viewer")
    assert inside.json("admin", "users", "role", f"ana-{robot}", "importer")["user"]["role"] == "ROLE_IMPORTER"
    assert inside.json("admin", "users", "rotate", user["user"]["user_id"])["password"] != user["password"]
    workspace = inside.json("admin", "workspaces", "create", unique("Main"), "--dialect", "appfile")["workspace"]
    assert workspace["workspace_id"] in inside.run("admin", "workspaces", "list").stdout


def test_the_imports_of_the_tenant_and_requeue(inside: Inside, scan: Path) -> None:
    order = ["import", scan, "--source", "nessus", "--client", unique("Client"), "--report", "Q1", "--create"]
    done = inside.json(*order)
    listed = inside.json("admin", "imports", "--state", "succeeded")["imports"]
    assert done["id"] in [one["import_id"] for one in listed]
    assert done["id"] not in [one["import_id"] for one in inside.json("admin", "imports", "--stuck")["imports"]]
    finished = inside.run("admin", "requeue", done["id"])
    assert finished.returncode == 1
    assert finished.stderr.startswith("Error: ")


def test_the_demo_works_and_works_again(stack: LiveStack, tmp_path: Path) -> None:
    settings = Settings(url=stack.url, user=stack.user, password=SecretStr(stack.password), api_key=SecretStr(""))
    printed = []
    for _ in range(2):
        stdout = io.StringIO()
        with Cli(settings, Output(make_console(stdout), make_console(io.StringIO())), tmp_path) as cli:
            assert demo.run(cli) == 0
        printed.append(stdout.getvalue())
    first, second = (one.splitlines() for one in printed)
    told = [line for line in first if "now holds" in line]
    assert told == [line for line in second if "now holds" in line]
    assert len(told) == 1

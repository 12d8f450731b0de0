from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.local import postgres, s3
from deploy.local.instance import ROOT, Instance, SettingError
from deploy.local.leftovers import find_leftovers
from deploy.local.ports import LOOPBACK, PortError, is_free
from deploy.local.stack import Stack
from tests.stack import own_instance

SERVERS = ("postgres", "nats", "s3")


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def own_servers() -> Iterator[Stack]:
    """Servers that outlive their starter, as `make up` leaves them."""
    stack = Stack(replace(own_instance("own"), tied_to_caller=False))
    try:
        stack.start_servers()
        yield stack
    finally:
        stack.reset()


def used_ports(instance: Instance) -> list[int]:
    return [instance.ports.named()[name] for name in ("postgres", "nats", "nats_monitor", "s3")]


def test_taken_port_is_named_with_its_setting_and_nothing_is_started() -> None:
    instance = own_instance("busy")
    stack = Stack(instance)
    with socket.create_server((LOOPBACK, instance.ports.nats)):
        with pytest.raises(PortError, match=rf"port {instance.ports.nats} \(nats; .*HYTHE_PORT_NATS"):
            stack.start()
        assert not stack.supervisor.is_running()
    stack.reset()


@pytest.mark.parametrize("name", SERVERS)
def test_killed_server_comes_back_with_its_data(own_servers: Stack, name: str) -> None:
    own_servers.prepare_servers()
    pid = own_servers.supervisor.states()[name].pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: own_servers.supervisor.states()[name].pid not in {0, pid})
    own_servers.wait_until_ready(own_servers.servers())
    with psycopg.connect(postgres.superuser_url(own_servers.instance, own_servers.secrets)) as connection:
        roles = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'hythe_%'").fetchone()
    assert roles == (len(own_servers.secrets.roles),)
    assert s3.client(own_servers.instance, own_servers.secrets).bucket_exists(s3.BUCKET)


def test_down_leaves_no_process_port_or_socket_and_keeps_the_data(own_servers: Stack) -> None:
    own_servers.prepare_servers()
    own_servers.stop()
    assert find_leftovers(own_servers.instance) == []
    assert all(is_free(port) for port in used_ports(own_servers.instance))
    assert not own_servers.supervisor.socket.exists()
    own_servers.start_servers()
    assert s3.client(own_servers.instance, own_servers.secrets).bucket_exists(s3.BUCKET)


def test_up_leaves_alone_what_runs_as_it_should(own_servers: Stack) -> None:
    before = {name: state.pid for name, state in own_servers.supervisor.states().items()}
    again = Stack(own_servers.instance)
    again.start_database()
    again.start_servers()
    assert {name: state.pid for name, state in again.supervisor.states().items()} == before


def test_up_starts_again_what_is_to_run_differently(own_servers: Stack) -> None:
    before = own_servers.supervisor.states()["postgres"].pid
    Stack(replace(own_servers.instance, shared_buffers_mb=64)).start_servers()
    assert own_servers.supervisor.states()["postgres"].pid not in {0, before}


def test_down_also_ends_what_a_killed_supervisor_left(own_servers: Stack) -> None:
    supervisord = psutil.Process(own_servers.supervisor.call("getPID"))
    supervisord.kill()
    supervisord.wait(10)
    assert len(find_leftovers(own_servers.instance)) >= len(SERVERS)
    own_servers.stop()
    assert find_leftovers(own_servers.instance) == []
    assert all(is_free(port) for port in used_ports(own_servers.instance))


def test_up_after_a_killed_supervisor_starts_again_on_the_same_ports(own_servers: Stack) -> None:
    psutil.Process(own_servers.supervisor.call("getPID")).kill()
    wait_for(lambda: not own_servers.supervisor.is_running())
    own_servers.start_servers()
    assert all(own_servers.supervisor.states()[name].pid for name in SERVERS)


def test_reset_removes_every_file(own_servers: Stack) -> None:
    outside = postgres.outside_folder(own_servers.instance)
    own_servers.reset()
    assert not own_servers.instance.state.exists()
    assert not outside.exists()


def test_servers_of_tests_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from deploy.local.stack import Stack\n"
        "from tests.stack import own_instance\n"
        "stack = Stack(own_instance('tied'))\n"
        "stack.start_servers()\n"
        "print(stack.instance.state, flush=True)\n"
        "time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    said = starter.stdout.readline().strip()
    assert said, "the starter failed"
    instance = Instance(state=Path(said))
    try:
        assert len(find_leftovers(instance)) > len(SERVERS)
        starter.kill()
        wait_for(lambda: find_leftovers(instance) == [])
    finally:
        starter.kill()
        starter.communicate()
        Stack(instance).reset()


@pytest.mark.parametrize("state", [Path(), Path("relative"), ROOT])
def test_folder_of_something_else_is_never_taken_for_a_state(state: Path) -> None:
    with pytest.raises(SettingError, match="not a folder"):
        Stack(Instance(state=state))


def test_commands_work_on_a_stack_that_is_down(tmp_path: Path) -> None:
    def hythe(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", "--state", str(tmp_path / "state"), *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    printed = hythe("env")
    assert printed.returncode == 0
    assert dict(line.split("=", 1) for line in printed.stdout.splitlines())["HYTHE_URL"] == "http://127.0.0.1:8080"
    assert hythe("env").stdout == printed.stdout
    status = hythe("status")
    assert status.returncode == 1
    assert "STOPPED" in status.stdout
    assert hythe("down").returncode == 0
    unknown = hythe("logs", "nobody")
    assert (unknown.returncode, unknown.stderr) == (1, "There is no log of nobody.\n")
    assert hythe("reset").returncode == 0
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_database_of_an_unreachable_checkout_lives_outside_until_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "is_reachable", lambda _: False)
    stack = Stack(own_instance("hidden"))
    outside = postgres.outside_folder(stack.instance)
    try:
        postgres.ensure_data(stack.instance, stack.secrets)
        stack.run([postgres.program(stack.instance, stack.secrets)])
        assert (outside / "postgres" / f"data{stack.instance.postgres}" / "PG_VERSION").exists()
        assert not (stack.instance.state / "postgres").exists()
    finally:
        stack.reset()
    assert not outside.exists()

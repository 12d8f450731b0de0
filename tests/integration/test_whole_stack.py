from __future__ import annotations

from ipaddress import ip_address

import psutil
import pytest

from deploy.local.leftovers import find_leftovers
from deploy.local.probes import fetch, is_serving
from tests.stack import LiveStack

SERVICES = ("identity", "upload", "importer", "status", "worker")


@pytest.mark.parametrize("process", SERVICES)
def test_every_service_tells_its_health_and_metrics(stack: LiveStack, process: str) -> None:
    assert is_serving(stack.address(process))
    assert b"# TYPE" in (fetch(stack.metrics_url(process)) or b"")


@pytest.mark.parametrize("process", [*SERVICES, "gateway"])
def test_killed_process_is_started_again_and_works(stack: LiveStack, process: str) -> None:
    gone = stack.kill(process)
    stack.wait_ready(process, not_pid=gone)
    # The gateway holds a backend for healthy again only after it has asked it.
    stack.wait_ready("gateway")


def test_nothing_listens_beyond_this_machine(stack: LiveStack) -> None:
    listening = {
        (process.name(), socket.laddr.ip.removeprefix("::ffff:"))
        for process in find_leftovers(stack.stack.instance)
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert len(listening) >= 5
    assert not [(name, ip) for name, ip in listening if not ip_address(ip).is_loopback]


def test_no_command_line_shows_a_secret(stack: LiveStack) -> None:
    secrets = stack.stack.secrets
    hidden = {
        secrets.postgres, secrets.admin_password, secrets.api_key, secrets.s3_secret_key,
        *secrets.roles.values(), *secrets.nats.values(),
    }  # fmt: skip
    for process in find_leftovers(stack.stack.instance):
        line = " ".join(process.cmdline())
        assert not [secret for secret in hidden if secret in line], process

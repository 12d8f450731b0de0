"""The NATS server from its wheel, with JetStream and one user per service."""

from __future__ import annotations

import sysconfig
from functools import partial
from pathlib import Path

from deploy.local.instance import Instance
from deploy.local.ports import LOOPBACK, address
from deploy.local.probes import answers_ok
from deploy.local.programs import SERVERS, Program
from deploy.local.secrets import NATS_USERS, Secrets, write_private
from gateway.render import render

TEMPLATE = Path(__file__).with_name("nats.conf")


def config_file(instance: Instance) -> Path:
    return instance.state / "nats.conf"


def write_config(instance: Instance, secrets: Secrets) -> None:
    values: dict[str, str | int] = {
        "PORT": instance.ports.nats,
        "MONITOR_PORT": instance.ports.nats_monitor,
        "STORE": str(instance.state / "nats"),
    }
    for user in NATS_USERS:
        values[f"{user.upper()}_PASSWORD"] = secrets.nats[user]
    write_private(config_file(instance), render(TEMPLATE.read_text(), values))


def program(instance: Instance) -> Program:
    binary = Path(sysconfig.get_path("scripts")) / "nats-server"
    return Program(
        name="nats",
        group=SERVERS,
        command=(binary, "-c", config_file(instance)),
        is_ready=partial(is_ready, instance),
        ports=("nats", "nats_monitor"),
    )


def url(instance: Instance, secrets: Secrets, user: str) -> str:
    return f"nats://{user}:{secrets.nats[user]}@{LOOPBACK}:{instance.ports.nats}"


def is_ready(instance: Instance) -> bool:
    return answers_ok(f"http://{address(instance.ports.nats_monitor)}/healthz")

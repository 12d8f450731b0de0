"""A stack of the benchmark's own, on free ports in a temporary folder, with the settings that production has."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from deploy.local import bootstrap, postgres
from deploy.local.environment import printed_environment
from deploy.local.instance import Instance
from deploy.local.ports import free_ports
from deploy.local.stack import Stack

ENDED = ("IMPORT COMPLETE", "ERROR")


@dataclass
class Live:
    """A running stack, a logged-in caller, and one client."""

    stack: Stack
    http: httpx.Client
    client_id: int
    started_seconds: float

    @property
    def database_url(self) -> str:
        """As superuser."""
        return postgres.superuser_url(self.stack.instance, self.stack.secrets, bootstrap.DATABASE)

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def post(self, path: str, body: Any) -> Any:
        response = self.http.post(path, json=body)
        response.raise_for_status()
        return response.json()

    def report(self) -> int:
        """A new, empty report."""
        made = self.post(f"/api/v1/client/{self.client_id}/report/create", {"name": f"r {secrets.token_hex(4)}"})
        return int(made["report_id"])

    def upload(self, path: Path) -> str:
        reserved = self.post("/api/v2/presigned-url", {"name": path.name})
        with path.open("rb") as data:
            size = str(path.stat().st_size)
            httpx.put(reserved["url"], content=data, headers={"content-length": size}, timeout=900).raise_for_status()
        return str(reserved["key"])

    def trigger(self, key: str, report_id: int, source: str) -> str:
        path = f"/api/v2/client/{self.client_id}/report/{report_id}/preuploaded-import/{source}"
        return str(self.post(path, {"key": key, "fileName": "bench"})["operationId"])

    def wait(self, import_id: str, poll_seconds: float = 0.02) -> dict[str, Any]:
        while True:
            detail: dict[str, Any] = self.http.get(f"/api/v2/my-imports/{import_id}").raise_for_status().json()
            if detail["status"] in ENDED:
                if detail["status"] == "ERROR":
                    raise SystemExit(f"the import failed: {detail['errorStatus']}")
                return detail
            time.sleep(poll_seconds)

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self.stack.supervisor.states()[name].pid)


@contextmanager
def live(**settings: str) -> Iterator[Live]:
    """Brings the stack up for the length of the block. `settings` go to every service."""
    instance = Instance(
        state=Path(tempfile.mkdtemp(prefix="hythe-bench-")).resolve(),
        ports=free_ports(),
        service_settings=settings,
        tied_to_caller=True,
    )
    stack = Stack(instance)
    try:
        began = time.monotonic()
        stack.start()
        started = time.monotonic() - began
        printed = printed_environment(instance, stack.secrets)
        with httpx.Client(
            base_url=printed["HYTHE_URL"], headers={"x-api-key": printed["HYTHE_API_KEY"]}, timeout=120
        ) as http:
            made = http.post("/api/v1/client/create", json={"name": "bench"}).raise_for_status().json()
            yield Live(stack, http, made["client_id"], started)
    finally:
        stack.reset()
        shutil.rmtree(instance.state, ignore_errors=True)


class PeakMemory:
    """The most memory (RSS, bytes) that processes and all their children had together, sampled."""

    def __init__(self, *roots: psutil.Process) -> None:
        self._roots = roots
        self.peak = 0

    def sample(self) -> None:
        total = 0
        for root in self._roots:
            for process in (root, *root.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        self.peak = max(self.peak, total)

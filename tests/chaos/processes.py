"""Processes of a test's own in the place of supervised ones: with a bug or a failpoint, killed, frozen, revived.

`Fleet` stops the supervised worker and importer of a stack for as long as it lives. Each worker says in its database
sessions which one it is, and has one slot in each lane, so that the audit knows every writer (tests/chaos/audit.sql).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from deploy.local.instance import ROOT
from deploy.local.ports import address, free_ports
from deploy.local.probes import is_serving
from tests.chaos.audit import named_worker
from tests.stack import LiveStack

MODULES = {
    "worker": "services.importer.worker_main",
    "fetcher": "services.fetcher.main",
    "importer": "services.importer.main",
    "status": "services.status.main",
    "upload": "services.upload.main",
}
# These take what the queue has, so one stands in for another; each has addresses of its own.
TAKERS = ("worker", "fetcher")
LEASE_SECONDS = 3.0
# Short waits, small chunks, one slot a lane.
HURRIED = {
    "HYTHE_LEASE_SECONDS": str(LEASE_SECONDS),
    "HYTHE_CHUNK_RECORDS": "250",
    "HYTHE_SMALL_SLOTS": "1",
    "HYTHE_LARGE_SLOTS": "1",
    "HYTHE_DISPATCH_POLL_SECONDS": "0.5",
    "HYTHE_DISPATCH_FIRST_DELAY_SECONDS": "4",
    "HYTHE_DISPATCH_LAST_DELAY_SECONDS": "8",
}
STOP_SECONDS = 40
REVIVE_SECONDS = 0.2
POLL_SECONDS = 0.05


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Polls; TimeoutError says what never came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"waited {seconds:.0f} s for {what}"
            raise TimeoutError(message)
        time.sleep(POLL_SECONDS)


@dataclass
class Process:
    """One process, and those that follow it when it dies."""

    name: str
    role: str
    bug: str
    environment: Mapping[str, str]
    log: Path
    is_kept: bool = True
    """Whether it is started again when it dies."""
    generation: int = 0
    popen: subprocess.Popen[bytes] = field(init=False)

    def launch(self) -> None:
        environment = dict(self.environment)
        if self.role == "worker":
            # Each life is another worker: what an earlier one left undone, this one must not write.
            who = f"{self.name}.{self.generation}"
            environment["HYTHE_DATABASE_URL"] = named_worker(environment["HYTHE_DATABASE_URL"], who)
        command = [sys.executable, "-m", "tests.chaos.planted", self.bug, MODULES[self.role]]
        with self.log.open("ab") as log:
            # The kernel ends it with the test run, whatever ended that.
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],  # noqa: S607 - as deploy/local does
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.generation += 1

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.popen.pid, number)

    def kill(self) -> None:
        """Kill -9."""
        self.signal(signal.SIGKILL)
        self.popen.wait(STOP_SECONDS)

    def stop(self) -> None:
        """As an operator does."""
        self.is_kept = False
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def held(self) -> tuple[int, int]:
        """Resident bytes and open files of the process and its children; (0, 0) when it has just gone."""
        try:
            process = psutil.Process(self.popen.pid)
            family = [process, *process.children(recursive=True)]
            return sum(each.memory_info().rss for each in family), process.num_fds()
        except psutil.Error:
            return 0, 0


class Fleet:
    """The processes of one run. Use as a context manager."""

    def __init__(self, stack: LiveStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.processes: dict[str, Process] = {}
        self._replaced: list[str] = []
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> Self:
        for name in ("worker", "importer"):
            self._replace(name)
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._keeper.join()
        for process in self.processes.values():
            process.stop()
        for name in self._replaced:
            self.stack.start(name)
        wait_for(self._gateway_is_ready, "the gateway to see all services")

    def _replace(self, name: str) -> None:
        if name not in self._replaced:
            self.stack.stop(name)
            self._replaced.append(name)

    def start(
        self, name: str, bug: str = "none", *, is_kept: bool = True, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Starts `worker`, `worker-2`, `fetcher`, `importer` …; what stands before a dash is its role."""
        role = name.partition("-")[0]
        self._replace(role)
        told = self.stack.env(role) | HURRIED | dict(environment or {})
        if role in TAKERS:
            ports = free_ports()
            told["HYTHE_HEALTH_LISTEN"] = address(ports.worker)
            told["HYTHE_METRICS_LISTEN"] = address(ports.worker_metrics)
        process = Process(name, role, bug, told, self.folder / f"{name}.log", is_kept)
        process.launch()
        self.processes[name] = process
        return process

    def stop(self, name: str) -> None:
        self.processes.pop(name).stop()

    def discard(self, name: str) -> None:
        """Kill -9, and none that follows it. For a process that is idle: quicker than its own end."""
        process = self.processes.pop(name)
        process.is_kept = False
        process.signal(signal.SIGCONT)
        process.kill()

    def wait_ready(self) -> None:
        """Until everything answers and the gateway knows it."""
        for process in list(self.processes.values()):
            where = process.environment.get("HYTHE_LISTEN") or process.environment["HYTHE_HEALTH_LISTEN"]
            wait_for(lambda where=where: is_serving(where), f"{process.name} to serve")  # type: ignore[misc]
        wait_for(self._gateway_is_ready, "the gateway to see all services")

    def _gateway_is_ready(self) -> bool:
        return self.stack.program("gateway").is_ready()

    def workers(self) -> list[Process]:
        return [each for each in self.processes.values() if each.role == "worker"]

    def _keep(self) -> None:
        while not self._is_over.wait(REVIVE_SECONDS):
            for process in list(self.processes.values()):
                if process.is_kept and not process.is_running and not self._is_over.is_set():
                    process.launch()


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    """SIGSTOP for the length of the block."""
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)

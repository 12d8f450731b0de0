"""The supervisord of an instance: it restarts what dies, rotates the logs, and is spoken to over a Unix socket."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from deploy.local.instance import ROOT, Instance
from deploy.local.leftovers import end, find_leftovers
from deploy.local.programs import Program, base_environment, render_config
from deploy.local.secrets import write_private

START_SECONDS = 30
STOP_SECONDS = 60
POLL_SECONDS = 0.05
# sun_path holds 108 bytes, and supervisord first binds a name that is longer by ".<pid>".
LONGEST_SOCKET_PATH = 95


class SupervisionError(Exception):
    """A process cannot be started or stopped; the message says which, and where its log is."""


@dataclass(frozen=True)
class ProcessState:
    name: str
    state: str
    """As supervisord calls it: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL, …"""
    pid: int
    """Zero when it does not run."""
    uptime_seconds: int


class Supervisor:
    """The supervisord of one instance, running or not."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.socket = socket_path(instance.state)
        self.config_file = instance.state / "supervisord.conf"
        self.log = instance.logs / "supervisord.log"
        self.child: subprocess.Popen[bytes] | None = None

    def is_running(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def start(self, programs: Sequence[Program]) -> None:
        """Run supervisord with these programs, none of them started; a running one takes over what has changed."""
        self.instance.logs.mkdir(parents=True, exist_ok=True)
        write_private(self.config_file, render_config(self.instance, self.socket, programs))
        if self.is_running():
            self.take_over_changes()
            return
        command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(self.config_file)]
        if self.instance.tied_to_caller:
            # The kernel signals supervisord when the thread that started it is gone, whatever ended it.
            command = ["setpriv", "--pdeathsig", "TERM", *command, "--nodaemon"]
        with (self.instance.logs / "supervisord.start").open("wb") as said:
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=base_environment(self.instance),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            if child.poll() or time.monotonic() > deadline:
                message = f"supervisord did not start: {Path(said.name).read_text().strip()}"
                raise SupervisionError(message)
            time.sleep(POLL_SECONDS)
        if self.instance.tied_to_caller:
            self.child = child
        else:
            # supervisord has gone into the background; what was started is gone.
            child.wait(START_SECONDS)

    def end_orphans(self) -> None:
        """End what a supervisord that was killed has left running."""
        if not self.is_running():
            end(find_leftovers(self.instance))

    def take_over_changes(self) -> None:
        added, changed, removed = self.call("reloadConfig")[0]
        for group in [*removed, *changed]:
            self.call("stopProcessGroup", group)
            self.call("removeProcessGroup", group)
        for group in [*changed, *added]:
            self.call("addProcessGroup", group)

    def call(self, method: str, *arguments: object) -> Any:
        """One call of supervisord's RPC interface; raises xmlrpc.client.Fault when it refuses."""
        transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
        with ServerProxy("http://supervisor", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)

    def start_programs(self, programs: Iterable[Program]) -> None:
        """Ask for all of them to run, without waiting."""
        for program in programs:
            try:
                self.call("startProcess", program.full_name, False)
            except Fault as fault:
                if fault.faultCode != Faults.ALREADY_STARTED:
                    message = f"{program.name} cannot be started: {fault.faultString}; see {self.log_of(program.name)}."
                    raise SupervisionError(message) from fault

    def stop_program(self, program: Program) -> None:
        try:
            self.call("stopProcess", program.full_name)
        except Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:
                raise

    def states(self) -> dict[str, ProcessState]:
        if not self.is_running():
            return {}
        return {
            info["name"]: ProcessState(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                uptime_seconds=max(0, info["now"] - info["start"]) if info["pid"] else 0,
            )
            for info in self.call("getAllProcessInfo")
        }

    def log_of(self, name: str) -> Path:
        return self.instance.logs / f"{name}.log"

    def stop(self) -> None:
        """Stop everything, services first; then end whatever still carries the mark of the instance."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            try:
                self.call("shutdown")
            except (Fault, OSError, HTTPException):
                # It is shutting down already, or has just gone.
                time.sleep(POLL_SECONDS)
        end(find_leftovers(self.instance))
        if self.child:
            self.child.wait(STOP_SECONDS)
        self.socket.unlink(missing_ok=True)


def socket_path(state: Path) -> Path:
    path = state / "supervisor.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.gettempdir()) / f"hythe-{sha256(str(state).encode()).hexdigest()[:12]}.sock"

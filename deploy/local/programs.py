"""What a supervised process is, and the supervisord configuration that says so."""

from __future__ import annotations

import os
import shlex
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.instance import ROOT, Instance

SERVERS = "servers"
SERVICES = "services"
# A group with a higher number stops earlier: services before the servers they use.
GROUP_PRIORITIES = {SERVERS: 10, SERVICES: 20}

# Carried by every process of an instance, so that it is found even when its supervisord was killed.
MARKER = "HYTHE_LOCAL_STATE"


@dataclass(frozen=True)
class Program:
    name: str
    group: str
    command: tuple[str | Path, ...]
    is_ready: Callable[[], bool]
    """Does it do its work, not only run?"""
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    """The names of the ports it listens on."""
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    """How long the process may take to stop before it is killed."""

    @property
    def full_name(self) -> str:
        return f"{self.group}:{self.name}"


def base_environment(instance: Instance) -> dict[str, str]:
    """What every process gets: nothing of the caller's environment but where temporary files go."""
    return {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(instance.state),
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": tempfile.gettempdir(),
        MARKER: str(instance.state),
    }


def render_config(instance: Instance, socket: Path, programs: Sequence[Program]) -> str:
    root = "user=root\n" if os.geteuid() == 0 else ""
    head = f"""\
[supervisord]
logfile={instance.logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile={instance.state}/supervisord.pid
directory={ROOT}
umask=077
minfds=4096
{root}
[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    groups = [
        f"[group:{group}]\npriority={priority}\nprograms={','.join(names)}\n"
        for group, priority in GROUP_PRIORITIES.items()
        if (names := [program.name for program in programs if program.group == group])
    ]
    return "\n".join([head, *(render_program(instance, program) for program in programs), *groups])


def render_program(instance: Instance, program: Program) -> str:
    variables = ",".join(f"{name}={quote(value)}" for name, value in program.environment.items())
    user = f"user={program.user}\n" if program.user else ""
    # What ends within startsecs is tried again after one second, then two, and so on: it may wait for another.
    return f"""\
[program:{program.name}]
command={escape(shlex.join(str(part) for part in program.command))}
environment={variables}
autostart=false
autorestart=true
startsecs=1
startretries=60
stopsignal={program.stop_signal}
stopwaitsecs={program.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={instance.logs}/{program.name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
{user}"""


def escape(text: str) -> str:
    return text.replace("%", "%%")


def quote(value: str) -> str:
    """A value for supervisord's `environment`, which it splits like a shell."""
    return escape('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"')

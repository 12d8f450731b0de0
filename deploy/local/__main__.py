"""The local stack on the command line: `python -m deploy.local up` and its like, behind the targets of the Makefile."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from deploy.local import bootstrap, gateway, postgres
from deploy.local.bootstrap import BootstrapError
from deploy.local.environment import printed_environment
from deploy.local.gateway import InvalidGateway
from deploy.local.instance import DEFAULT_STATE, Instance, SettingError, checkout_instance
from deploy.local.ports import PortError, address, free_ports
from deploy.local.postgres import PostgresError
from deploy.local.services import public_url
from deploy.local.stack import Stack
from deploy.local.supervision import SupervisionError
from gateway.render import TemplateError

REFUSALS = (BootstrapError, InvalidGateway, PortError, PostgresError, SettingError, SupervisionError, TemplateError)


def up(instance: Instance) -> int:
    start = time.monotonic()
    Stack(instance, say=lambda what: print(f"{time.monotonic() - start:5.1f} s  {what}")).start()
    if postgres.is_outside(instance):
        print(f"The data of PostgreSQL is in {postgres.outside_folder(instance)}: its user cannot reach this folder.")
    print(f"Hythe is up at {public_url(instance)}. `make env` prints addresses and credentials, `make down` stops it.")
    return 0


def down(instance: Instance) -> int:
    Stack(instance).stop()
    print(f"Stopped. The data stays in {instance.state}; `make reset` removes it.")
    return 0


def reset(instance: Instance) -> int:
    Stack(instance).reset()
    print("Stopped, and all data, logs and credentials removed.")
    return 0


def status(instance: Instance) -> int:
    stack = Stack(instance)
    states = stack.supervisor.states()
    ports = instance.ports.named()
    for program in [*stack.servers(), *stack.services()]:
        found = states.get(program.name)
        where = " ".join(f"{name}={address(ports[name])}" for name in program.ports)
        how_long = str(timedelta(seconds=found.uptime_seconds)) if found and found.pid else "-"
        state, pid = (found.state, found.pid) if found else ("STOPPED", 0)
        print(f"{program.name:10} {state:9} {pid or '-':>8} {how_long:>10}  {where}")
    return 0 if states and all(state.state == "RUNNING" for state in states.values()) else 1


def logs(instance: Instance, processes: list[str], *, follow: bool) -> int:
    supervisor = Stack(instance).supervisor
    files = [supervisor.log_of(name) for name in processes] or sorted(instance.logs.glob("*.log"))
    if missing := [file.stem for file in files if not file.exists()]:
        raise SettingError(f"There is no log of {', '.join(missing)}.")
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(["tail", "-n", "30", *(["-F"] if follow else []), *files], check=True)  # noqa: S607 - coreutils
    return 0


def env(instance: Instance) -> int:
    for name, value in printed_environment(instance, Stack(instance).secrets).items():
        print(f"{name}={value}")
    return 0


def validate_gateway() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        gateway.validate(Instance(state=Path(scratch)))
    return 0


def migration(name: str) -> int:
    """Compare with a fresh database of its own, so that no running stack is needed or touched."""
    stack = Stack(Instance(state=Path(tempfile.mkdtemp(prefix="hythe-")), ports=free_ports(), tied_to_caller=True))
    try:
        stack.start_database()
        bootstrap.migrate(stack.instance, stack.secrets)
        bootstrap.write_migration(stack.instance, stack.secrets, name)
    finally:
        stack.reset()
    print("Read what was written to migrations/versions/ before you commit it.")
    return 0


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold a lock, so that two commands never start or stop the same stack at once."""
    state.mkdir(mode=0o711, parents=True, exist_ok=True)
    descriptor = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def run(arguments: argparse.Namespace) -> int:
    if arguments.command == "validate-gateway":
        return validate_gateway()
    if arguments.command == "migration":
        return migration(arguments.name)
    instance = checkout_instance(os.environ, arguments.state)
    if arguments.command == "logs":
        return logs(instance, arguments.process, follow=arguments.follow)
    if arguments.command in {"env", "status"}:
        return {"env": env, "status": status}[arguments.command](instance)
    with alone(instance.state):
        return {"up": up, "down": down, "reset": reset}[arguments.command](instance)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="Hythe's local stack.")
    parser.add_argument(
        "--state",
        type=lambda text: Path(text).resolve(),
        default=DEFAULT_STATE,
        help="where its state lives (default: .state)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, meaning in (
        ("up", "start it and wait until it is ready"),
        ("down", "stop it; the data stays"),
        ("reset", "stop it and remove its data, logs and credentials"),
        ("status", "show its processes"),
        ("env", "print KEY=value lines"),
        ("validate-gateway", "let Envoy judge its configuration"),
    ):
        commands.add_parser(name, help=meaning)
    revision = commands.add_parser("migration", help="write a migration from what schema/ has changed")
    revision.add_argument("name")
    log = commands.add_parser("logs", help="show the newest log lines")
    log.add_argument("process", nargs="*")
    log.add_argument("--follow", action="store_true")
    return parser.parse_args()


def main() -> int:
    try:
        return run(parse())
    except REFUSALS as refusal:
        print(refusal, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

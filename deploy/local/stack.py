"""One local stack as a whole: up in the right order, ready when everything answers, down without a trace."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import bootstrap, collector, gateway, nats, postgres, s3, services
from deploy.local.instance import Instance, SettingError
from deploy.local.ports import refuse_busy
from deploy.local.programs import Program
from deploy.local.secrets import ensure_secrets, has_secrets
from deploy.local.supervision import SupervisionError, Supervisor

READY_SECONDS = 60
POLL_SECONDS = 0.05
# So often may a process die while it is waited for.
DEATHS = 4
LOG_TAIL_CHARACTERS = 2000


class Stack:
    def __init__(self, instance: Instance, say: Callable[[str], None] = lambda _: None) -> None:
        """`say` is told what has been reached."""
        claim_folder(instance.state)
        self.instance = instance
        self.secrets = ensure_secrets(instance.state)
        self.supervisor = Supervisor(instance)
        self.say = say

    def servers(self) -> list[Program]:
        return [
            postgres.program(self.instance, self.secrets),
            nats.program(self.instance),
            s3.program(self.instance, self.secrets),
            *([collector.program(self.instance)] if self.instance.profile == "observability" else []),
        ]

    def services(self) -> list[Program]:
        return [*services.programs(self.instance, self.secrets), gateway.program(self.instance)]

    def start(self) -> None:
        # Every port is looked at before anything runs, so that a refusal leaves nothing behind.
        self.refuse_busy_ports([*self.servers(), *self.services()])
        self.start_servers()
        self.say("PostgreSQL, NATS and S3 are ready")
        self.prepare_servers()
        self.fill_and_serve()

    def fill_and_serve(self) -> None:
        """Tables, the first administrator, and the services; the servers are prepared."""
        bootstrap.migrate(self.instance, self.secrets)
        self.say("the tables are there")
        with ThreadPoolExecutor() as pool:
            # The services need the tables only; most of their start is Python's imports.
            administrator = pool.submit(bootstrap.ensure_administrator, self.instance, self.secrets)
            self.start_services()
        administrator.result()
        self.say("services, gateway and the first administrator are ready")

    def start_servers(self) -> None:
        """PostgreSQL, NATS and S3, ready."""
        self.refuse_busy_ports(self.servers())
        self.instance.remember()
        with ThreadPoolExecutor() as pool:
            database = pool.submit(postgres.ensure_data, self.instance, self.secrets)
            objects = pool.submit(s3.ensure_data, self.instance)
        database.result()
        objects.result()
        nats.write_config(self.instance, self.secrets)
        self.run(self.servers())

    def start_database(self) -> None:
        """PostgreSQL alone, with its roles and an empty database."""
        self.refuse_busy_ports([postgres.program(self.instance, self.secrets)])
        postgres.ensure_data(self.instance, self.secrets)
        self.run([postgres.program(self.instance, self.secrets)])
        bootstrap.ensure_database(self.instance, self.secrets)

    def prepare_servers(self) -> None:
        """Roles, an empty database, and the bucket."""
        bootstrap.ensure_database(self.instance, self.secrets)
        s3.ensure_bucket(self.instance, self.secrets)

    def start_services(self) -> None:
        gateway.write_config(self.instance)
        self.run(self.services())

    def run(self, programs: Sequence[Program]) -> None:
        """Have these programs started and ready, under a supervisor that knows them all."""
        self.supervisor.start([*self.servers(), *self.services()])
        self.supervisor.start_programs(programs)
        self.wait_until_ready(programs)

    def refuse_busy_ports(self, programs: Sequence[Program]) -> None:
        self.supervisor.end_orphans()
        running = {name for name, state in self.supervisor.states().items() if state.pid}
        refuse_busy(self.instance.ports, [port for one in programs if one.name not in running for port in one.ports])

    def wait_until_ready(self, programs: Sequence[Program], seconds: float = READY_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        waiting = {program.name: program for program in programs}
        lives: dict[str, set[int]] = defaultdict(set)
        while waiting:
            waiting = {name: program for name, program in waiting.items() if not program.is_ready()}
            states = self.supervisor.states()
            for name in waiting:
                lives[name].add(states[name].pid)
                if states[name].state == "FATAL" or len(lives[name] - {0}) > DEATHS:
                    raise SupervisionError(self.obituary(name, "does not stay up"))
                if time.monotonic() > deadline:
                    raise SupervisionError(self.obituary(name, f"is not ready after {seconds:.0f} seconds"))
            time.sleep(POLL_SECONDS)

    def obituary(self, name: str, what: str) -> str:
        log = self.supervisor.log_of(name)
        end = log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:] if log.exists() else ""
        return f"{name} {what}. The end of {log}:\n{end.strip()}"

    def stop(self) -> None:
        self.supervisor.stop()

    def reset(self) -> None:
        """Stop, and remove all that the stack has written."""
        self.stop()
        shutil.rmtree(postgres.outside_folder(self.instance), ignore_errors=True)
        shutil.rmtree(self.instance.state, ignore_errors=True)


def claim_folder(state: Path) -> None:
    """Make the folder of the state, and refuse one that has something else in it: `reset` removes it whole."""
    if not state.is_absolute() or (state.exists() and not has_secrets(state) and any(state.iterdir())):
        message = f"{state} is not a folder of Hythe's local stack."
        raise SettingError(message)
    # PostgreSQL may run as another user, who must walk through this folder and read nothing in it.
    state.mkdir(mode=0o711, parents=True, exist_ok=True)
    state.chmod(0o711)

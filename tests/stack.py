"""A whole local stack of the test run's own: on free ports, in a temporary folder, gone with the run.

The code that starts it is the one behind `make up`. HYTHE_TEST_PG (18 or 16) and HYTHE_TEST_S3 (juicefs or minio)
choose its servers.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nats import connect as connect_to_nats

from deploy.local import bootstrap, nats, postgres, s3, services
from deploy.local.environment import printed_environment
from deploy.local.instance import ROOT, Instance, parse_postgres, parse_s3
from deploy.local.ports import LOOPBACK, address, free_ports
from deploy.local.programs import Program
from deploy.local.stack import Stack

KEPT_LOGS = ROOT / "build" / "test-logs"

# A MinIO server lists unfinished uploads of one exact key only; what rests there the upload service aborts.
LISTS_ALL_UPLOADS = os.environ.get("HYTHE_TEST_S3", "juicefs") != "minio"

LOGINS_A_MINUTE = 20

# A test must not wait a minute for what a lost lease sets off, nor long for a heartbeat; and all tests share an
# address, many of them a user.
SHORT_SETTINGS = {
    "HYTHE_LOGINS_PER_USER": str(LOGINS_A_MINUTE),
    "HYTHE_LOGINS_PER_ADDRESS": "1000",
    "HYTHE_LEASE_SECONDS": os.environ.get("HYTHE_TEST_LEASE_SECONDS", "5"),
    "HYTHE_WATCH_REPEAT_SECONDS": "1",
}


@dataclass(frozen=True)
class Database:
    """One database of the run's PostgreSQL, with all migrations applied."""

    stack: Stack
    name: str

    @property
    def superuser_url(self) -> str:
        """For psycopg and psql, outside row-level security."""
        return postgres.superuser_url(self.stack.instance, self.stack.secrets, self.name)

    def url(self, role: str, driver: str = "postgresql+psycopg") -> str:
        """For SQLAlchemy, or with driver "postgresql" for psycopg, as one of the services' roles."""
        return postgres.url(self.stack.instance, role, self.stack.secrets.roles[role], self.name, driver=driver)


@dataclass(frozen=True)
class ObjectStore:
    """One empty bucket of the run's S3 server."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str = s3.REGION
    secure: bool = False


@dataclass(frozen=True)
class NatsServer:
    """A NATS server with the users of the services and no stream."""

    stack: Stack

    def url(self, user: str = "operator") -> str:
        """As `operator`, who may do everything, `dispatcher` or `worker`."""
        return nats.url(self.stack.instance, self.stack.secrets, user)

    async def wipe(self) -> None:
        """Leave no stream, as a test that counts messages needs it."""
        client = await connect_to_nats(self.url())
        try:
            for stream in await client.jetstream().streams_info():
                await client.jetstream().delete_stream(stream.config.name or "")
        finally:
            await client.close()


class LiveStack:
    """The stack as a test sees it: where it is, who may log in, and how to hurt one of its processes."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.state: Path = stack.instance.state
        printed = printed_environment(stack.instance, stack.secrets)
        self.url = printed["HYTHE_URL"]
        self.grpc = printed["HYTHE_GRPC"]
        self.user = printed["HYTHE_USER"]
        self.password = printed["HYTHE_PASSWORD"]
        self.tenant = printed["HYTHE_TENANT"]
        self.api_key = printed["HYTHE_API_KEY"]
        self.database = Database(stack, bootstrap.DATABASE)
        self.nats_url = printed["HYTHE_NATS_URL"]
        self.object_store = ObjectStore(
            printed["HYTHE_S3_ENDPOINT"],
            printed["HYTHE_S3_ACCESS_KEY"],
            printed["HYTHE_S3_SECRET_KEY"],
            printed["HYTHE_S3_BUCKET"],
        )

    def address(self, service: str) -> str:
        """Where a service itself listens for gRPC, past the gateway."""
        return address(self.stack.instance.ports.named()[service])

    def metrics_url(self, process: str) -> str:
        return f"http://{LOOPBACK}:{self.stack.instance.ports.named()[f'{process}_metrics']}/metrics"

    def env(self, process: str) -> dict[str, str]:
        """The environment of a service or of the worker, to start one more of it."""
        return services.environment(self.stack.instance, self.stack.secrets, process)

    def log(self, process: str) -> str:
        return self.stack.supervisor.log_of(process).read_text(errors="replace")

    def pid(self, process: str) -> int:
        """Zero while it does not run."""
        return self.stack.supervisor.states()[process].pid

    def kill(self, process: str) -> int:
        """Kill -9, and give the pid that is gone. The supervisor starts the process again by itself."""
        pid = self.pid(process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pause(self, process: str) -> None:
        os.kill(self.pid(process), signal.SIGSTOP)

    def resume(self, process: str) -> None:
        os.kill(self.pid(process), signal.SIGCONT)

    def stop(self, process: str) -> None:
        """Stop it, as an operator would, until `start`."""
        self.stack.supervisor.stop_program(self.program(process))

    def start(self, process: str) -> None:
        program = self.program(process)
        self.stack.supervisor.start_programs([program])
        self.wait_ready(process)

    def restart(self, process: str) -> None:
        self.stop(process)
        self.start(process)

    def wait_ready(self, process: str, not_pid: int = 0) -> None:
        """Until the process does its work; with `not_pid`, until another process than that one does."""
        deadline = time.monotonic() + 30
        while self.pid(process) in {0, not_pid}:
            if time.monotonic() > deadline:
                raise TimeoutError(self.stack.obituary(process, "was not started again"))
            time.sleep(0.05)
        self.stack.wait_until_ready([self.program(process)])

    def program(self, process: str) -> Program:
        return next(one for one in [*self.stack.servers(), *self.stack.services()] if one.name == process)


def own_instance(name: str) -> Instance:
    return Instance(
        state=Path(tempfile.mkdtemp(prefix=f"hythe-{name}-")).resolve(),
        ports=free_ports(),
        postgres=parse_postgres(os.environ.get("HYTHE_TEST_PG", "18")),
        s3=parse_s3(os.environ.get("HYTHE_TEST_S3", "juicefs")),
        shared_buffers_mb=128,
        service_settings=SHORT_SETTINGS,
        tied_to_caller=True,
        outlives_power=False,
    )


def keep_logs(stack: Stack) -> Path:
    """Copy the logs of a failed run to where the next person looks for them."""
    kept = KEPT_LOGS / stack.instance.state.name
    shutil.copytree(stack.instance.logs, kept, dirs_exist_ok=True)
    return kept

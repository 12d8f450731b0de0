"""A MariaDB or MySQL server of a test's own, from the program that HYTHE_TEST_MYSQLD names."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from deploy.local.ports import free_ports

MYSQLD = os.environ.get("HYTHE_TEST_MYSQLD", "")
START_SECONDS = 60
STOP_SECONDS = 60
SYSTEM_TABLES = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")


@dataclass(frozen=True)
class Server:
    """It listens on 127.0.0.1. `socket`: root needs no password there."""

    port: int
    socket: Path
    is_mariadb: bool

    @property
    def dialect(self) -> str:
        return "mariadb" if self.is_mariadb else "mysql"

    def execute(self, *statements: str) -> list[dict[str, Any]]:
        """As root; the rows of the last one."""
        with pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            charset="utf8mb4",
            autocommit=True,
            cursorclass=pymysql.cursors.DictCursor,
        ) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """With tables of its own, until the block ends."""
    base = Path(MYSQLD).resolve().parents[1]
    # Where a package was unpacked into a folder of its own, its libraries are there as well.
    libraries = [str(each.parent) for each in base.glob("lib/*-linux-gnu/lib*.so.*")] if base != Path("/usr") else []
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(dict.fromkeys(libraries))}
    version = subprocess.run([MYSQLD, "--version"], env=environment, check=True, capture_output=True, text=True).stdout
    is_mariadb = "MariaDB" in version
    ours = [
        *(MYSQLD, "--no-defaults", f"--datadir={folder / 'data'}", f"--basedir={base}"),
        *(["--user=root"] if os.getuid() == 0 else []),
        *(["--innodb-use-native-aio=0"] if is_mariadb else []),
        *(f"--lc-messages-dir={messages}" for messages in [_share(base)] if messages),
    ]
    (folder / "data").mkdir()
    with (folder / "log").open("ab") as log:
        _prepare(ours, environment, base, is_mariadb=is_mariadb, log=log)
        server = Server(free_ports().upload, folder / "socket", is_mariadb)
        listening = [f"--port={server.port}", "--bind-address=127.0.0.1", f"--socket={server.socket}"]
        program = subprocess.Popen([*ours, *listening, *options], env=environment, stdout=log, stderr=log)
        try:
            _wait(server, program)
            yield server
        finally:
            program.terminate()
            program.wait(STOP_SECONDS)


def _share(base: Path) -> Path | None:
    found = [base / "share" / name for name in ("mysql", "mariadb") if (base / "share" / name).is_dir()]
    return found[0] if found else None


def _prepare(ours: Sequence[str], environment: dict[str, str], base: Path, *, is_mariadb: bool, log: Any) -> None:
    if not is_mariadb:
        subprocess.run([*ours, "--initialize-insecure"], env=environment, check=True, stdout=log, stderr=log)
        return
    share = _share(base) or base / "share"
    tables = "\n".join((share / name).read_text() for name in SYSTEM_TABLES)
    script = f"create database mysql;\nuse mysql;\n{tables}"
    bootstrap = [*ours, "--bootstrap", "--innodb-log-file-size=16M"]
    subprocess.run(bootstrap, env=environment, check=True, stdout=log, stderr=log, input=script.encode())


def _wait(server: Server, program: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(server.socket)):
            assert program.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.1)

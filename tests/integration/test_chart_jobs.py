"""The Jobs of the chart's trial do their work: their own commands and variables, on servers of this machine."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from deploy.local import postgres, s3
from deploy.local.instance import ROOT
from deploy.local.ports import LOOPBACK, address
from deploy.local.stack import Stack
from tests.chart.rendering import TRIAL, Manifest, of_kind, pod_of, render


@pytest.fixture(scope="module")
def trial() -> list[Manifest]:
    return render(TRIAL)


class Cluster:
    """Runs a Job's container here: files for volumes, this machine's servers for the trial's."""

    def __init__(self, servers: Stack, trial: list[Manifest], database: str, folder: Path) -> None:
        self.servers, self.database, self._trial, self._folder = servers, database, trial, folder
        self.secret = {
            key: base64.b64decode(value).decode() for key, value in of_kind(trial, "Secret")["dev"]["data"].items()
        }

    def local(self, text: str) -> str:
        """A URL of the trial as it is here."""
        ports = self.servers.instance.ports
        text = text.replace("t-hythe-postgresql:5432/hythe", f"{LOOPBACK}:{ports.postgres}/{self.database}")
        return text.replace("t-hythe-s3:8333", address(ports.s3))

    def run(self, job: str, **changed: str) -> None:
        pod = pod_of(self._trial, job)
        (container,) = pod.spec["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        told = {
            each["name"]: self.local(
                each["value"] if "value" in each else self.secret[each["valueFrom"]["secretKeyRef"]["key"]]
            )
            for each in container["env"]
        }
        command = list(container["command"])
        for volume in pod.spec["volumes"]:
            here = self._lay_out(volume)
            command = [word.replace(mounts[volume["name"]], str(here)) for word in command]
            told = {name: value.replace(mounts[volume["name"]], str(here)) for name, value in told.items()}
        binaries = [sysconfig.get_path("scripts"), str(postgres.binaries(self.servers.instance))]
        told |= {"PATH": os.pathsep.join([*binaries, os.environ["PATH"]]), **changed}
        done = subprocess.run(command, cwd=ROOT, env=told, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def _lay_out(self, volume: Manifest) -> Path:
        folder = self._folder / secrets.token_hex(4)
        folder.mkdir()
        if "configMap" in volume:
            name = volume["configMap"]["name"].removeprefix("t-hythe-")
            for key, text in of_kind(self._trial, "ConfigMap")[name]["data"].items():
                (folder / key).write_text(text)
        if "secret" in volume:
            for item in volume["secret"]["items"]:
                (folder / item["path"]).write_text(self.secret[item["key"]])
        return folder


@pytest.fixture
def cluster(servers: Stack, trial: list[Manifest], tmp_path: Path) -> Iterator[Cluster]:
    name = f"trial_{secrets.token_hex(6)}"
    admin_url = postgres.superuser_url(servers.instance, servers.secrets, "postgres")
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield Cluster(servers, trial, name, tmp_path)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            # Roles belong to the whole server: the other tests' passwords again.
            for role, password in servers.secrets.roles.items():
                admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))


def test_roles_migration_and_administrator_also_twice(cluster: Cluster) -> None:
    ports, password = cluster.servers.instance.ports, cluster.servers.secrets.postgres
    server = {"PGHOST": LOOPBACK, "PGPORT": str(ports.postgres), "PGPASSWORD": password, "PGDATABASE": cluster.database}
    for _ in range(2):
        cluster.run("dev-roles", **server)
        cluster.run("migrate")
        cluster.run("first-admin")
    for role in ("identity", "worker", "audit"):
        url = cluster.local(cluster.secret[f"{role}-url"]).replace("postgresql+psycopg", "postgresql")
        assert urlsplit(url).password == cluster.secret[f"{role}-password"]
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (f"hythe_{role}",)
    url = postgres.superuser_url(cluster.servers.instance, cluster.servers.secrets, cluster.database)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT name FROM identity.tenants").fetchall() == [("main",)]


def test_the_bucket_is_made_once(cluster: Cluster) -> None:
    bucket = f"trial-{secrets.token_hex(6)}"
    keys = cluster.servers.secrets
    credentials = {"HYTHE_S3_ACCESS_KEY": keys.s3_access_key, "HYTHE_S3_SECRET_KEY": keys.s3_secret_key}
    for _ in range(2):
        cluster.run("dev-bucket", HYTHE_S3_BUCKET=bucket, **credentials)
    store = s3.client(cluster.servers.instance, keys)
    assert store.bucket_exists(bucket)
    store.remove_bucket(bucket)

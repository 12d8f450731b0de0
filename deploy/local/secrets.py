"""The credentials of one local stack: made once, at random, and kept in files that only their owner reads."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.sealing import new_key

# The login roles that migrations/roles.sql makes.
DATABASE_ROLES = (
    "hythe_owner",
    "hythe_upload",
    "hythe_importer",
    "hythe_dispatch",
    "hythe_worker",
    "hythe_fetcher",
    "hythe_status",
    "hythe_identity",
    "hythe_audit",
)
NATS_USERS = ("operator", "dispatcher", "worker", "fetcher", "listener")


@dataclass(frozen=True)
class Secrets:
    admin_password: str
    api_key: str
    s3_access_key: str
    s3_secret_key: str
    postgres: str
    """Password of the database's superuser."""
    roles: dict[str, str]
    nats: dict[str, str]
    sealing_key: str
    """Seals in the database what must be read again."""


def make_secrets() -> Secrets:
    return Secrets(
        admin_password=secrets.token_urlsafe(18),
        api_key="hythe_" + secrets.token_urlsafe(32),
        s3_access_key="hythe" + secrets.token_hex(6),
        s3_secret_key=secrets.token_urlsafe(30),
        postgres=secrets.token_urlsafe(24),
        roles={role: secrets.token_urlsafe(24) for role in DATABASE_ROLES},
        nats={user: secrets.token_urlsafe(24) for user in NATS_USERS},
        sealing_key=new_key(),
    )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def ensure_secrets(state: Path) -> Secrets:
    """The secrets kept in `state`. What is missing there, all of it at first, is made and kept."""
    path = secrets_file(state)
    kept = json.loads(path.read_text()) if path.exists() else {}
    made = dataclasses.asdict(make_secrets())
    whole: dict[str, Any] = {
        name: {**fresh, **kept.get(name, {})} if isinstance(fresh, dict) else kept.get(name, fresh)
        for name, fresh in made.items()
    }
    if whole != kept:
        write_private(path, json.dumps(whole, indent=2))
    for file, text in ((admin_password_file(state), whole["admin_password"]), (api_key_file(state), whole["api_key"])):
        write_private(file, text)
    if not jwt_key_file(state).exists():
        write_private(jwt_key_file(state), make_signing_key())
    return Secrets(**whole)


def secrets_file(state: Path) -> Path:
    return state / "secrets.json"


def has_secrets(state: Path) -> bool:
    return secrets_file(state).exists()


def make_signing_key() -> str:
    """A private key for ES256, as PEM."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )  # fmt: skip


def admin_password_file(state: Path) -> Path:
    return state / "admin_password"


def api_key_file(state: Path) -> Path:
    return state / "api_key"


def jwt_key_file(state: Path) -> Path:
    return state / "jwt_private_key.pem"

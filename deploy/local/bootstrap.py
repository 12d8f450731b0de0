"""What must be in the servers before the services start: roles, tables, the bucket, the first administrator.

Every step may be repeated.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import psycopg
from psycopg import sql

from deploy.local import postgres
from deploy.local.instance import ROOT, Instance
from deploy.local.programs import base_environment
from deploy.local.secrets import Secrets, admin_password_file, api_key_file
from deploy.local.services import database_url

DATABASE = "hythe"
OWNER = "hythe_owner"
ROLES = ROOT / "migrations" / "roles.sql"
TENANT = "local"
USER = "admin@hythe.local"
WORKSPACE = "ws-local"
BUCKET = "bk-local"
ASSETS_WORKSPACE = "assets-local"
ADMINISTRATOR_MODULE = "services.identity.bootstrap"


class BootstrapError(Exception):
    """A step failed; the message says which, and what it printed."""


def ensure_database(instance: Instance, secrets: Secrets, name: str = DATABASE) -> None:
    """An empty database and the login roles of the services, each with its password."""
    with psycopg.connect(postgres.superuser_url(instance, secrets, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(postgres.superuser_url(instance, secrets, name)) as connection:
        connection.execute(ROLES.read_bytes())
        for role, password in secrets.roles.items():
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            connection.execute(statement)


def migrate(instance: Instance, secrets: Secrets, database: str = DATABASE) -> None:
    url = owner_url(instance, secrets, database)
    run_module(instance, "The migrations", ["alembic", "upgrade", "head"], {"HYTHE_DATABASE_URL": url})


def owner_url(instance: Instance, secrets: Secrets, database: str) -> str:
    return postgres.url(instance, OWNER, secrets.roles[OWNER], database, driver="postgresql+psycopg")


def write_migration(instance: Instance, secrets: Secrets, name: str) -> None:
    """A new revision with what stands in schema/ and not yet in the migrated database."""
    run_module(instance, "Writing the migration", ["alembic", "revision", "--autogenerate", "-m", name], {
        "HYTHE_DATABASE_URL": owner_url(instance, secrets, DATABASE)
    })  # fmt: skip


def ensure_administrator(instance: Instance, secrets: Secrets) -> None:
    """The first tenant, its administrator with an API key, and its workspaces, by the identity service's own means."""
    if find_spec(ADMINISTRATOR_MODULE) is None:
        message = f"There is no {ADMINISTRATOR_MODULE} to make the first administrator."
        raise BootstrapError(message)
    settings = {
        "HYTHE_DATABASE_URL": database_url(instance, secrets, "hythe_identity"),
        "HYTHE_ADMIN_PASSWORD_FILE": str(admin_password_file(instance.state)),
        "HYTHE_BOOTSTRAP_TENANT": TENANT,
        "HYTHE_BOOTSTRAP_USER": USER,
        "HYTHE_BOOTSTRAP_API_KEY_FILE": str(api_key_file(instance.state)),
        "HYTHE_BOOTSTRAP_WORKSPACE": WORKSPACE,
        "HYTHE_BOOTSTRAP_BUCKET": BUCKET,
        "HYTHE_BOOTSTRAP_ASSETS_WORKSPACE": ASSETS_WORKSPACE,
    }
    run_module(instance, "Making the first administrator", [ADMINISTRATOR_MODULE], settings)


def run_module(instance: Instance, what: str, arguments: list[str], settings: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        check=False,
        cwd=ROOT,
        env=base_environment(instance) | settings,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        message = f"{what} failed:\n{done.stdout}{done.stderr}".rstrip()
        raise BootstrapError(message)

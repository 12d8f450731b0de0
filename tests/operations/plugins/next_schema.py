# noqa: INP001 - pytest finds it by itself, in a tree that has packages of the same names.
"""A pytest plugin that runs in the tree of an older release: its databases get the schema of a newer one.

It stands alone: what it imports is the older release's. Of that it needs `deploy.local.bootstrap` to migrate by
`migrate(instance, secrets, database)` and to know `owner_url`, as it has since the first release.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.local import bootstrap, postgres
from deploy.local.programs import base_environment

NEXT_ROOT = Path(os.environ["HYTHE_NEXT_ROOT"])
NEXT_PYTHON = os.environ["HYTHE_NEXT_PYTHON"]

migrate_to_own = bootstrap.migrate
migrated: set[str] = set()


def migrate(instance: Any, secrets: Any, database: str = bootstrap.DATABASE) -> None:
    """Its own migrations, once, because they do not know a newer revision; then what an upgrade does."""
    url = bootstrap.owner_url(instance, secrets, database)
    if url not in migrated:
        migrate_to_own(instance, secrets, database)
    with psycopg.connect(postgres.superuser_url(instance, secrets, database)) as connection:
        connection.execute((NEXT_ROOT / "migrations" / "roles.sql").read_bytes())
    done = subprocess.run(
        [NEXT_PYTHON, "-m", "alembic", "upgrade", "head"],
        check=False,
        cwd=NEXT_ROOT,
        env=base_environment(instance) | {"HYTHE_DATABASE_URL": url},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        message = f"The migrations of {NEXT_ROOT} failed:\n{done.stdout}{done.stderr}".rstrip()
        raise bootstrap.BootstrapError(message)
    migrated.add(url)


def pytest_configure(config: pytest.Config) -> None:
    bootstrap.migrate = migrate


def pytest_report_header(config: pytest.Config) -> str:
    return f"schema: of {NEXT_ROOT}"

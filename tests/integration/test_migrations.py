"""Migrations lead to what schema/ describes, in small steps that never wait long."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy.exc import OperationalError

from deploy.local import bootstrap
from deploy.local.instance import ROOT
from deploy.local.stack import Stack
from tests.stack import Database

CONFIG = ROOT / "alembic.ini"


@pytest.fixture
def config(database: Database, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("HYTHE_DATABASE_URL", database.url("hythe_owner"))
    return Config(CONFIG)


@pytest.fixture
def empty(servers: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database with its roles' rights and no table."""
    database = Database(servers, "migrations_from_nothing")
    bootstrap.ensure_database(servers.instance, servers.secrets, database.name)
    monkeypatch.setenv("HYTHE_DATABASE_URL", database.url("hythe_owner"))
    yield database
    admin_url = Database(servers, "postgres").superuser_url
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))


def test_migrations_and_table_definitions_agree(config: Config) -> None:
    command.check(config)


def test_staging_tables_of_single_imports_are_not_a_difference(config: Config, database: Database) -> None:
    with psycopg.connect(database.url("hythe_worker", "postgresql")) as connection:
        connection.execute("CREATE UNLOGGED TABLE staging.findings_0193 (LIKE staging.findings)")
    command.check(config)


def test_revisions_are_counted_in_one_line() -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(Config(CONFIG)).walk_revisions()]
    assert revisions == [f"{number:04}" for number in range(len(revisions), 0, -1)]


def test_running_them_again_changes_nothing(config: Config) -> None:
    command.upgrade(config, "head")
    command.check(config)


def test_a_database_that_a_later_release_has_migrated_is_left_alone(config: Config, database: Database) -> None:
    config.stdout = said = StringIO()
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        command.upgrade(config, "head")
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0999",)]
        assert "The database is at 0999" in said.getvalue()
        with pytest.raises(CommandError, match="0999"):
            command.check(config)
        connection.execute("UPDATE alembic_version SET version_num = 'elsewhere'")
        with pytest.raises(CommandError, match="elsewhere"):
            command.upgrade(config, "head")


def test_every_step_can_be_taken_by_itself(empty: Database) -> None:
    config = Config(CONFIG)
    for _ in ScriptDirectory.from_config(config).walk_revisions():
        command.upgrade(config, "+1")
    command.check(config)


def test_a_run_that_must_wait_for_a_lock_gives_up_and_leaves_all_as_it_was(empty: Database) -> None:
    config = Config(CONFIG)
    command.upgrade(config, "0001")
    with psycopg.connect(empty.superuser_url) as other:
        other.execute("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(OperationalError, match="lock timeout"):
            command.upgrade(config, "head")
    with psycopg.connect(empty.superuser_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert connection.execute("SELECT to_regclass('imports')").fetchone() == (None,)


def test_runs_at_the_same_time_are_one_after_the_other(empty: Database) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HYTHE_DATABASE_URL": empty.url("hythe_owner")}
    command_line = [sys.executable, "-m", "alembic", "upgrade", "head"]
    with ExitStack() as running:
        runs = [
            running.enter_context(
                subprocess.Popen(command_line, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        ]
        said = [run.communicate(timeout=100)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    command.check(Config(CONFIG))


def test_the_statements_can_be_printed_for_an_administrator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYTHE_DATABASE_URL", "")
    command.upgrade(Config(CONFIG), "head", sql=True)
    printed = capsys.readouterr().out
    assert "SET LOCAL lock_timeout" in printed
    assert "ALTER TABLE imports FORCE ROW LEVEL SECURITY;" in printed


def test_a_new_migration_gets_the_next_number(config: Config, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    copy = Config(shutil.copy(CONFIG, tmp_path))
    newest = ScriptDirectory.from_config(copy).get_current_head()
    assert newest
    command.revision(copy, "add something", autogenerate=True)
    number = f"{int(newest) + 1:04}"
    written = tmp_path / "migrations" / "versions" / f"{number}_add_something.py"
    text = written.read_text()
    assert f'revision = "{number}"' in text
    assert f'down_revision = "{newest}"' in text
    # Nothing has changed in schema/, so there is nothing to do.
    assert "op.create" not in text
    assert "op.drop" not in text


def test_roles_may_be_made_again_and_again(database: Database) -> None:
    text = (ROOT / "migrations" / "roles.sql").read_bytes()
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(text)
        connection.execute(text)


def test_a_role_with_more_rights_than_it_should_have_is_refused(database: Database) -> None:
    text = (ROOT / "migrations" / "roles.sql").read_bytes()
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("ALTER ROLE hythe_upload BYPASSRLS")
        with pytest.raises(psycopg.errors.RaiseException, match="hythe_upload"):
            connection.execute(text)
        connection.rollback()

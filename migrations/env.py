"""How Alembic reaches the database: as hythe_owner, one migration run at a time, and never waiting long for a lock.

All pending migrations run in one transaction, so a failed one leaves the database as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool, text
from sqlalchemy.schema import SchemaItem

import schema.assets
import schema.findings
import schema.identity
import schema.importer
import schema.parser_actions
import schema.records
import schema.staging
import schema.upload  # noqa: F401  # Each module adds its tables to the metadata.
from migrations.settings import MigrationSettings
from runtime.settings import load
from schema.base import metadata

# Any number will do as long as nothing else takes it.
MIGRATION_LOCK = 7_240_211

Revision = str | Iterable[str | None] | Iterable[str]


def number_revision(_migration: MigrationContext, _revision: Revision, directives: list[MigrationScript]) -> None:
    """Revisions are counted, 0001 and on: they stand in the order they run in, and two cannot both be next."""
    newest = ScriptDirectory.from_config(context.config).get_current_head()
    for directive in directives:
        directive.rev_id = f"{int(newest or 0) + 1:04}"


def is_ours(item: SchemaItem, _name: str | None, kind: str, reflected: bool, counterpart: SchemaItem | None) -> bool:
    """Leaves the staging tables of single imports out of comparisons: the worker makes and drops them."""
    return not (kind == "table" and reflected and counterpart is None and getattr(item, "schema", None) == "staging")


def is_upgrade() -> bool:
    """Whether migrations are to run, unlike where revisions are made, compared or shown."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def newer_than_known(migration: MigrationContext) -> str:
    """The revision of a database that a later release has migrated; empty for any other."""
    newest = ScriptDirectory.from_config(context.config).get_current_head()
    later = [one for one in migration.get_current_heads() if one.isdecimal() and int(one) > int(newest or 0)]
    return max(later, default="")


def run_online() -> None:
    settings = load(MigrationSettings)
    engine = create_engine(
        settings.database_url.get_secret_value(),
        poolclass=pool.NullPool,
        connect_args={"application_name": "hythe-migrations"},
    )
    with engine.connect() as connection, connection.begin():
        # First the place in the queue, however long the one in front takes; only then the short patience.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        context.configure(
            connection=connection,
            target_metadata=metadata,
            include_schemas=True,
            include_object=is_ours,
            compare_server_default=True,
            process_revision_directives=number_revision,
        )
        if is_upgrade() and (newer := newer_than_known(context.get_context())):
            # After a rollback: the code runs on tables that later releases have added to, and there is nothing to do.
            context.config.print_stdout("The database is at %s, which is newer than this release. It stays so.", newer)
            return
        with context.begin_transaction():
            context.run_migrations()


def run_offline() -> None:
    """`alembic upgrade head --sql` prints the statements for an administrator who runs them himself."""
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.execute("SET LOCAL lock_timeout = '2s'")
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()

"""Who may do what on which table, as data; and the statements that make the database agree.

Two walls. Grants say which role reaches a table at all: a role that is not named here for a table has nothing on it.
Row-level security says which rows: those of the tenant that the transaction has set, and none when it has set none.
Three exceptions, and tests/integration/test_row_level_security.py sees to it that there is no fourth: the schema
`identity` has grants to one role only, the policy `dispatch` shows every tenant's queue to the dispatcher, and the
schema `staging` belongs to the worker's role.

Migrations carry the statements as text, so that an old migration stays what it was; `python -m schema.security TABLE…`
prints them for a new table, and a test compares the migrated database with this module.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Table

import schema.assets
import schema.findings
import schema.identity
import schema.importer
import schema.parser_actions
import schema.records
import schema.staging
import schema.upload
from schema.base import metadata

OWNER = "hythe_owner"
STAGING_OWNER = "hythe_worker"
ROLES = (
    OWNER,
    "hythe_upload",
    "hythe_importer",
    "hythe_dispatch",
    "hythe_worker",
    "hythe_fetcher",
    "hythe_status",
    "hythe_identity",
    "hythe_audit",
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege of one role on one table, or on some of its columns."""

    role: str
    table: str
    privilege: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of row-level security: `using` also checks what is written. `role` None is every role."""

    table: str
    name: str
    command: str
    using: str
    role: str | None = None


READ = ("SELECT",)
APPEND = ("INSERT", "SELECT")
EXPIRE = ("DELETE", "SELECT")
EDIT = ("INSERT", "SELECT", "UPDATE")
WRITE = ("DELETE", "INSERT", "SELECT", "UPDATE")

TENANT_TABLES = tuple(sorted(table.name for table in metadata.tables.values() if table.schema is None))
FINDINGS_TARGET = tuple(sorted(name for name, item in vars(schema.findings).items() if isinstance(item, Table)))


def _each(names: Iterable[str], privileges: Sequence[str]) -> dict[str, Sequence[str]]:
    return dict.fromkeys(names, privileges)


# The read side shows neither the audit log nor signing keys and what was sent with them, and needs no parser actions.
# Of import sources it reads all but their credentials, by columns.
UNREAD = (
    "audit_log",
    "webhooks",
    "webhook_deliveries",
    "parser_action_settings",
    "parser_actions",
    "writeups",
    "import_sources",
)

PRIVILEGES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "hythe_upload": {
        "files": WRITE,
        "record_files": WRITE,
        # A file that says its size is refused before it is sent.
        "tenant_limits": READ,
    },
    "hythe_importer": {
        **_each(("clients", "reports", "imports", "outbox", "row_errors", "tenant_limits"), WRITE),
        **_each(
            ("import_claims", "import_inputs", "import_leases", "import_progress", "import_requests"),
            WRITE,
        ),
        **_each(("webhooks", "webhook_deliveries"), WRITE),
        # Nothing of these is ever deleted.
        **_each(("parser_action_settings", "parser_actions", "writeups"), EDIT),
        "undo_items": EXPIRE,
        "files": READ,
        "record_files": READ,
        # Of what the workers have written it edits objects; retention alone reaches the rest.
        **_each((*FINDINGS_TARGET, "records", "before_images", "sightings"), EXPIRE),
        "record_schemas": WRITE,
        **_each(("object_schemas", "object_types", "object_attributes"), WRITE),
        **_each(("import_sources", "import_schedules", "mapping_changes"), WRITE),
        **_each(("objects", "object_references"), WRITE),
        "object_edits": ("DELETE", "INSERT", "SELECT"),
    },
    "hythe_dispatch": {
        "outbox": ("DELETE", "SELECT"),
        "import_leases": READ,
    },
    "hythe_worker": {
        "imports": ("SELECT", "UPDATE"),
        **_each(("clients", "reports", "import_inputs"), READ),
        **_each(("import_claims", "import_leases", "import_progress", "import_requests"), WRITE),
        "outbox": WRITE,
        **_each(("row_errors", "undo_items"), ("DELETE", "INSERT", "SELECT")),
        **_each(FINDINGS_TARGET, WRITE),
        **_each(("records", "objects", "object_references"), WRITE),
        **_each(("parser_action_settings", "writeups", "record_files", "record_schemas"), READ),
        **_each(("object_schemas", "object_edits"), READ),
        # A flip says what the keys of a type are made of, and adds options that it has met.
        **_each(("object_types", "object_attributes"), ("SELECT", "UPDATE")),
        # A file that is uploaded for that adds actions, and changes none.
        "parser_actions": APPEND,
        # An undo takes away what the undone import has left, and hands on what a later one keeps.
        **_each(("before_images", "sightings"), WRITE),
    },
    # Lands what sources are asked for, and merges nothing.
    "hythe_fetcher": {
        "imports": ("SELECT", "UPDATE"),
        **_each(("import_claims", "import_leases", "import_progress", "import_requests", "outbox"), WRITE),
        "import_inputs": ("DELETE", "INSERT", "SELECT"),
        "import_sources": READ,
        "tenant_limits": READ,
    },
    "hythe_status": _each((name for name in TENANT_TABLES if name not in UNREAD), READ),
    "hythe_identity": {
        **_each(("identity.tenants", "identity.users", "identity.api_keys"), ("INSERT", "SELECT", "UPDATE")),
        "identity.workspaces": ("INSERT", "SELECT", "UPDATE"),
        "identity.login_attempts": ("DELETE", "INSERT", "SELECT"),
        "identity.container_tokens": WRITE,
        "audit_log": READ,
    },
    "hythe_audit": {"audit_log": ("INSERT",)},
}

# What the dispatcher sees of every tenant: that an import waits, and not what is in it.
COLUMN_PRIVILEGES: tuple[Grant, ...] = (
    Grant(
        "hythe_dispatch",
        "imports",
        "SELECT",
        ("tenant_id", "import_id", "state", "lane", "not_before", "created_at", "started_at", "ended_at", "open_until"),
    ),
    Grant("hythe_dispatch", "import_schedules", "SELECT", ("tenant_id", "schedule_id", "is_active", "next_at")),
    Grant(
        "hythe_status",
        "import_sources",
        "SELECT",
        tuple(column.name for column in schema.assets.import_sources.columns if column.name != "secret"),
    ),
    # A flip looks whether another source tells objects apart otherwise.
    Grant(
        "hythe_worker",
        "import_sources",
        "SELECT",
        ("tenant_id", "import_source_id", "object_schema_id", "name", "is_enabled", "plan"),
    ),
    # An object that neither an input nor an import source names is nobody's and may be removed.
    Grant("hythe_dispatch", "import_sources", "SELECT", ("tenant_id", "import_source_id", "file_key")),
    Grant("hythe_dispatch", "import_inputs", "SELECT", ("tenant_id", "import_id", "number", "object_key")),
    Grant("hythe_dispatch", "outbox", "UPDATE", ("dispatch_number", "stream_sequence", "published_at", "next_at")),
)

# Identity columns hand out ids without a privilege; the flip also draws ids for rows that it joins before writing them.
SEQUENCE_PRIVILEGES: Mapping[str, Sequence[str]] = {
    "hythe_worker": (
        "affected_assets_affected_id_seq",
        "assets_asset_id_seq",
        "evidence_evidence_id_seq",
        "findings_finding_id_seq",
        "flip_numbers",
        "objects_object_id_seq",
    ),
    "hythe_importer": ("execution_numbers",),
}

# On the database itself, by migrations/roles.sql: the flip keeps what it has matched in temporary tables.
DATABASE_PRIVILEGES: Mapping[str, Sequence[str]] = {
    "CONNECT": ROLES,
    "CREATE": (OWNER,),
    "TEMPORARY": ("hythe_worker",),
}

SCHEMA_USAGE: Mapping[str, Sequence[str]] = {"hythe_identity": ("identity",)}

TENANT_RULE = "tenant_id = (SELECT NULLIF(current_setting('hythe.tenant', true), '')::int)"
POLICIES: tuple[Policy, ...] = (
    *(Policy(table, "tenant", "ALL", TENANT_RULE) for table in TENANT_TABLES),
    Policy("import_inputs", "dispatch", "SELECT", "true", "hythe_dispatch"),
    Policy("imports", "dispatch", "SELECT", "true", "hythe_dispatch"),
    # When a schedule is due, and whose it is; which files sources read.
    Policy("import_schedules", "dispatch", "SELECT", "true", "hythe_dispatch"),
    Policy("import_sources", "dispatch", "SELECT", "true", "hythe_dispatch"),
    # Publishing marks rows of many tenants at once; which columns it may mark, the grants say.
    Policy("outbox", "dispatch", "ALL", "true", "hythe_dispatch"),
)


def grants() -> Iterator[Grant]:
    """Every grant on a table, one privilege each."""
    for role, tables in PRIVILEGES.items():
        for table, privileges in tables.items():
            for privilege in privileges:
                yield Grant(role, table, privilege)
    yield from COLUMN_PRIVILEGES


def grant_statements(tables: Collection[str]) -> Iterator[str]:
    """The GRANTs on these tables: one statement per role and set of privileges."""
    alike: dict[tuple[str, str], list[str]] = {}
    for role, privileges in PRIVILEGES.items():
        for table in (table for table in privileges if table in tables):
            alike.setdefault((role, ", ".join(privileges[table])), []).append(table)
    for (role, words), names in alike.items():
        yield f"GRANT {words} ON {', '.join(sorted(names))} TO {role}"
    for grant in COLUMN_PRIVILEGES:
        if grant.table in tables:
            yield f"GRANT {grant.privilege} ({', '.join(grant.columns)}) ON {grant.table} TO {grant.role}"


def policy_statements(tables: Iterable[str]) -> Iterator[str]:
    """Row-level security switched on for these tables, for their owner too, and their policies."""
    for table in tables:
        mine = [policy for policy in POLICIES if policy.table == table]
        if not mine:
            continue
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        for policy in mine:
            check = "" if policy.command == "SELECT" else f" WITH CHECK ({policy.using})"
            yield (
                f"CREATE POLICY {policy.name} ON {table} FOR {policy.command} TO {policy.role or 'PUBLIC'} "
                f"USING ({policy.using}){check}"
            )


if __name__ == "__main__":
    for statement in (*grant_statements(sys.argv[1:]), *policy_statements(sys.argv[1:])):
        sys.stdout.write(f"{statement};\n")

"""Parser actions: what a tenant wants done with findings of a scanner, writeups, and what imports say of both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TENANT_RULE = "tenant_id = (SELECT NULLIF(current_setting('hythe.tenant', true), '')::int)"

GRANTS = (
    "GRANT INSERT, SELECT, UPDATE ON parser_action_settings, parser_actions, writeups TO hythe_importer",
    "GRANT SELECT ON parser_action_settings, writeups TO hythe_worker",
    "GRANT INSERT, SELECT ON parser_actions TO hythe_worker",
)
COUNTERS = (
    ("ignored", "findings, by a parser action"),
    ("forced", None),
    ("linked", None),
    ("learned", "parser actions that it has added"),
)


def upgrade() -> None:
    op.create_table(
        "parser_action_settings",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "version",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="raised by whatever makes the same file come out differently: actions, writeups, the switch",
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_parser_action_settings")),
    )
    op.create_table(
        "writeups",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("writeup_id", sa.Integer(), sa.Identity(always=False, start=100_000), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False, comment="0 Critical … 4 Informational"),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("recommendations", sa.Text(), server_default="", nullable=False),
        sa.Column("references", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), server_default="Custom", nullable=False),
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="{label: value}",
        ),
        sa.Column("abbreviation", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "repository_id",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="as the client says it; no meaning here",
        ),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "writeup_id", name=op.f("pk_writeups")),
    )
    op.create_table(
        "parser_actions",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="the slug of the import"),
        sa.Column(
            "action_id",
            sa.Text(),
            nullable=False,
            comment="what people know the finding by: its public number, or key",
        ),
        sa.Column(
            "key", sa.Text(), nullable=True, comment="findings.key, where a file has taught it; null: made by hand"
        ),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False, comment="0 Critical … 4 Informational"),
        sa.Column("original_severity", sa.SmallInteger(), nullable=False, comment="that of its creation"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("writeup_id", sa.Integer(), nullable=True),
        sa.Column(
            "log_trail",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="the last changes: [{user_id, user_email, at, action, severity, writeup_id}]",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "action IN ('PASS_THROUGH', 'DEFAULT', 'LINK', 'IGNORE')", name=op.f("ck_parser_actions_action")
        ),
        sa.CheckConstraint("(action = 'LINK') = (writeup_id IS NOT NULL)", name=op.f("ck_parser_actions_writeup")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "writeup_id"],
            ["writeups.tenant_id", "writeups.writeup_id"],
            name=op.f("fk_parser_actions_tenant_id_writeup_id_writeups"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "source", "action_id", name=op.f("pk_parser_actions")),
    )
    op.create_index(
        "uq_parser_actions_key",
        "parser_actions",
        ["tenant_id", "source", "key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.add_column(
        "imports",
        sa.Column(
            "parser_actions_version",
            sa.BigInteger(),
            nullable=True,
            comment="which state of the tenant's actions it has applied",
        ),
    )
    for name, comment in COUNTERS:
        op.add_column(
            "import_progress",
            sa.Column(name, sa.BigInteger(), server_default="0", nullable=False, comment=comment),
        )
    op.alter_column("imports", "client_id", comment="0: what it brings belongs to no client")
    op.alter_column("imports", "report_id", comment="null: an import of client assets, or of what belongs to no client")
    op.alter_column("imports", "target", comment="findings, parser_actions, records or objects")
    for statement in GRANTS:
        op.execute(statement)
    for table in ("parser_action_settings", "writeups", "parser_actions"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} FOR ALL TO PUBLIC USING ({TENANT_RULE}) WITH CHECK ({TENANT_RULE})"
        )

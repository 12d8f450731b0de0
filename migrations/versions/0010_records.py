"""Records of workspaces, what is asked of them, and what uploads, imports and rejected items say of sync files."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TENANT_RULE = "tenant_id = (SELECT NULLIF(current_setting('hythe.tenant', true), '')::int)"
LIVE = "state IN ('OPEN', 'QUEUED', 'RUNNING', 'PAUSED')"

GRANTS = (
    "GRANT DELETE, INSERT, SELECT, UPDATE ON record_files TO hythe_upload",
    "GRANT SELECT ON record_files TO hythe_importer",
    "GRANT DELETE, SELECT ON records TO hythe_importer",
    "GRANT DELETE, INSERT, SELECT, UPDATE ON record_schemas TO hythe_importer",
    "GRANT DELETE, INSERT, SELECT, UPDATE ON records TO hythe_worker",
    "GRANT SELECT ON record_files, record_schemas TO hythe_worker",
    "GRANT SELECT ON record_files, record_schemas, records TO hythe_status",
)
IMPORT_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("workspace_id", sa.UUID(), nullable=True),
    sa.Column("entity_type", sa.Text(), nullable=True),
    sa.Column("data_source", sa.Text(), nullable=True),
    sa.Column("action_id", sa.Text(), nullable=True, comment="what the client follows the action by"),
    sa.Column("description", sa.Text(), nullable=True, comment="what the client says of the action"),
    sa.Column(
        "columns",
        sa.ARRAY(sa.Text()),
        nullable=True,
        comment="codes of the header; an undo asks whether a later file has said a field",
    ),
    sa.Column("reference_id", sa.Text(), nullable=True, comment="of the file's header"),
    sa.Column("validation_code", sa.Text(), nullable=True, comment="of the file's footer, as it stands there"),
    sa.Column(
        "file_header",
        sa.Text(),
        nullable=True,
        comment="the header as it stands in the file; its error file begins with it",
    ),
)


def upgrade() -> None:
    _create_records()
    _create_record_schemas()
    _create_record_files()
    _widen_imports()
    op.add_column(
        "row_errors",
        sa.Column(
            "raw",
            sa.Text(),
            nullable=True,
            comment="the item as it stands in the file, where its error file repeats it",
        ),
    )
    op.add_column(
        "workspaces",
        sa.Column(
            "bucket_id",
            sa.Text(),
            nullable=True,
            comment="what clients of the AppFile API call its bucket; null: made of the workspace's id",
        ),
        schema="identity",
    )
    for statement in GRANTS:
        op.execute(statement)
    for table in ("records", "record_schemas", "record_files"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} FOR ALL TO PUBLIC USING ({TENANT_RULE}) WITH CHECK ({TENANT_RULE})"
        )
    _stage_records()


def _create_records() -> None:
    op.create_table(
        "records",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("record_id", sa.BigInteger(), sa.Identity(always=False, cache=1000), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=False),
        sa.Column("data_source", sa.Text(), nullable=False),
        sa.Column(
            "key",
            sa.Text(collation="C"),
            nullable=False,
            comment="JSON array of the key's values; a SHA-256 when longer than 255 characters",
        ),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="{code: value}, the key's columns too; null: the record is deleted",
        ),
        sa.Column("import_id", sa.UUID(), nullable=True, comment="the import that inserted the row"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "record_id", name=op.f("pk_records")),
        sa.UniqueConstraint(
            "tenant_id",
            "workspace_id",
            "entity_type",
            "data_source",
            "key",
            name=op.f("uq_records_tenant_id_workspace_id_entity_type_data_source_key"),
        ),
    )


def _create_record_schemas() -> None:
    op.create_table(
        "record_schemas",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("entity_type", sa.Text(collation="C"), nullable=False),
        sa.Column("data_source", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "columns",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="[{code, type, presence, values}]",
        ),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="who has said so last"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "workspace_id", "entity_type", "data_source", name=op.f("pk_record_schemas")
        ),
    )


def _create_record_files() -> None:
    op.create_table(
        "record_files",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False, comment="the first segment of the key"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False, comment="its name when the URL was asked for"),
        sa.Column("bucket_id", sa.Text(), nullable=False),
        sa.Column("entity_type", sa.Text(), server_default="", nullable=False),
        sa.Column("folder", sa.Text(), server_default="", nullable=False),
        sa.Column("category", sa.Text(), server_default="", nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("action_id", sa.Text(), nullable=False, comment="what the client follows its action by"),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "key"],
            ["files.tenant_id", "files.key"],
            name=op.f("fk_record_files_tenant_id_key_files"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "file_id", name=op.f("pk_record_files")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_record_files_tenant_id_key")),
    )


def _widen_imports() -> None:
    for column in IMPORT_COLUMNS:
        op.add_column("imports", column)
    op.create_index(
        "ix_imports_file",
        "imports",
        ["tenant_id", "key", sa.literal_column("import_id DESC")],
        unique=False,
        postgresql_where=sa.text("workspace_id IS NOT NULL"),
    )
    op.create_index(
        "ix_imports_reference",
        "imports",
        ["tenant_id", "workspace_id", "reference_id"],
        unique=False,
        postgresql_where=sa.text("reference_id IS NOT NULL"),
    )
    op.create_index(
        "uq_imports_file",
        "imports",
        ["tenant_id", "workspace_id", "key"],
        unique=True,
        postgresql_where=sa.text(f"workspace_id IS NOT NULL AND kind = 'import' AND NOT dry_run AND {LIVE}"),
    )


def _stage_records() -> None:
    op.execute("SET LOCAL ROLE hythe_worker")
    op.create_table(
        "records",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("key", sa.Text(collation="C"), nullable=False, comment="as in records"),
        sa.Column(
            "document",
            sa.Text(),
            nullable=True,
            comment="JSON of what the row says; null: it deletes the record",
        ),
        sa.Column(
            "cleared", sa.Text(), nullable=True, comment="columns that it empties, U+001F between them; null: none"
        ),
        sa.Column("line", sa.BigInteger(), nullable=False),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.add_column(
        "errors",
        sa.Column(
            "raw",
            sa.Text(),
            nullable=True,
            comment="the item as it stands in the file, of targets that repeat it",
        ),
        schema="staging",
    )
    op.execute("RESET ROLE")

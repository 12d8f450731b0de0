"""Tables of the importer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "before_images",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="finding, asset, affected_asset, evidence, …"),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "image", postgresql.JSONB(), nullable=True, comment="the row before this import changed or deleted it"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", "kind", "row_id", name=op.f("pk_before_images")),
        sa.UniqueConstraint(
            "tenant_id", "kind", "row_id", "import_id", name=op.f("uq_before_images_tenant_id_kind_row_id_import_id")
        ),
    )
    op.create_table(
        "clients",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client_id", sa.Integer(), sa.Identity(always=False, start=1000), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("poc", sa.Text(), server_default="", nullable=False),
        sa.Column("poc_email", sa.Text(), server_default="", nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", name=op.f("pk_clients")),
    )
    op.create_table(
        "imports",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=True, comment="null: an import of client assets"),
        sa.Column("target", sa.Text(), nullable=False, comment="findings, records or objects"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="files.key"),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_type", sa.Text(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False, comment="small or large, by size"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_position", sa.Text(), nullable=True),
        sa.Column(
            "crashes", sa.Integer(), server_default="0", nullable=False, comment="attempts that ended without a word"
        ),
        sa.Column(
            "retries",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="attempts that ended in a retryable error",
        ),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asset_tags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("finding_tags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("use_parser_actions", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("user_email", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True, comment="the caller's idempotency key"),
        sa.Column(
            "request_digest", sa.LargeBinary(), nullable=True, comment="SHA-256 of the request that came with it"
        ),
        sa.Column(
            "traceparent", sa.Text(), server_default="", nullable=False, comment="W3C trace context of the trigger"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('OPEN', 'QUEUED', 'RUNNING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELLED')",
            name=op.f("ck_imports_state"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", name=op.f("pk_imports")),
    )
    op.create_index("ix_imports_ended", "imports", ["tenant_id", "ended_at"], unique=False)
    op.create_index(
        "ix_imports_live",
        "imports",
        ["tenant_id", "state", "import_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('OPEN', 'QUEUED', 'RUNNING', 'PAUSED')"),
    )
    op.create_index(
        "ix_imports_user", "imports", ["tenant_id", "user_id", sa.literal_column("import_id DESC")], unique=False
    )
    op.create_index(
        "uq_imports_request",
        "imports",
        ["tenant_id", "user_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_table(
        "sightings",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "row_id", "import_id", name=op.f("pk_sightings")),
    )
    op.create_index("ix_sightings_import", "sightings", ["tenant_id", "import_id"], unique=False)
    op.create_table(
        "tenant_limits",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("max_file_bytes", sa.BigInteger(), nullable=True),
        sa.Column("max_running_imports", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_limits")),
    )
    op.create_table(
        "import_cancellations",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("requested_by", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_import_cancellations_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", name=op.f("pk_import_cancellations")),
    )
    op.create_table(
        "import_claims",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_import_claims_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", name=op.f("pk_import_claims")),
    )
    op.create_table(
        "import_inputs",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="from 0, in reading order"),
        sa.Column("object_key", sa.Text(), nullable=False, comment="the whole key in the bucket"),
        sa.Column("etag", sa.Text(), nullable=False, comment="of the trigger; every read carries If-Match with it"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_import_inputs_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", "number", name=op.f("pk_import_inputs")),
    )
    op.create_table(
        "import_leases",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="host:pid of the worker"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_import_leases_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", name=op.f("pk_import_leases")),
    )
    op.create_table(
        "import_progress",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("phase", sa.Text(), server_default="queued", nullable=False),
        sa.Column("percent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("processed_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("processed_findings", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("processed_assets", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("processed_finding_assets", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("processed_evidence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("inserted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("deleted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "cautions", postgresql.JSONB(), server_default="[]", nullable=False, comment="[{code, message, count}]"
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_import_progress_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", name=op.f("pk_import_progress")),
    )
    op.create_table(
        "outbox",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column(
            "dispatch_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="publishes so far; part of the message id",
        ),
        sa.Column("stream_sequence", sa.BigInteger(), nullable=True, comment="of the last PubAck"),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("traceparent", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_outbox_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_next", "outbox", ["next_at", "tenant_id"], unique=False)
    op.create_table(
        "reports",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("report_id", sa.Integer(), sa.Identity(always=False, start=500000), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="Draft", nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(),
            server_default="{}",
            nullable=False,
            comment="template, logistics, start_date, …",
        ),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name=op.f("fk_reports_tenant_id_client_id_clients"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "report_id", name=op.f("pk_reports")),
    )
    op.create_index("ix_reports_client", "reports", ["tenant_id", "client_id", "report_id"], unique=False)
    op.create_table(
        "row_errors",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("record_number", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_row_errors_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", "record_number", name=op.f("pk_row_errors")),
    )

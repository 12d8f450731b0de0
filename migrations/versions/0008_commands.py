"""What the commands on imports need: retry, pause, re-run, undo, dry run, policies, parts of uploads, webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TENANT_RULE = "tenant_id = (SELECT NULLIF(current_setting('hythe.tenant', true), '')::int)"

GRANTS = (
    "GRANT DELETE, INSERT, SELECT, UPDATE ON webhook_deliveries, webhooks TO hythe_importer",
    "GRANT DELETE, SELECT ON undo_items TO hythe_importer",
    "GRANT DELETE, INSERT, SELECT ON undo_items TO hythe_worker",
    "GRANT SELECT ON undo_items TO hythe_status",
    "GRANT INSERT ON outbox TO hythe_worker",
    "GRANT DELETE, UPDATE ON before_images, sightings, tags TO hythe_worker",
    "GRANT USAGE ON SEQUENCE flip_numbers TO hythe_worker",
    "GRANT SELECT (object_key) ON import_inputs TO hythe_dispatch",
)


def upgrade() -> None:
    op.rename_table("import_cancellations", "import_requests")
    for kind in ("pk_{}", "fk_{}_tenant_id_import_id_imports"):
        old, new = kind.format("import_cancellations"), kind.format("import_requests")
        op.execute(f"ALTER TABLE import_requests RENAME CONSTRAINT {old} TO {new}")
    op.add_column(
        "import_requests",
        sa.Column("action", sa.Text(), nullable=False, server_default="cancel", comment="cancel or pause"),
    )
    op.alter_column("import_requests", "action", server_default=None)
    op.create_check_constraint("action", "import_requests", "action IN ('cancel', 'pause')")
    op.execute("CREATE SEQUENCE IF NOT EXISTS flip_numbers")
    op.create_table(
        "webhooks",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("webhook_id", sa.Integer(), sa.Identity(always=False, start=1000), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="signing key, encrypted with the installation's"),
        sa.Column("client_id", sa.Integer(), nullable=True, comment="only imports of this client; null: all"),
        sa.Column(
            "states", sa.ARRAY(sa.Text()), server_default="{}", nullable=False, comment="only these ends; empty: all"
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "webhook_id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "undo_items",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column(
            "number", sa.BigInteger(), autoincrement=False, nullable=False, comment="from 1: kept first, then the rest"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="finding, asset, affected_asset, evidence, …"),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what people call the row"),
        sa.Column("action", sa.Text(), nullable=False, comment="removed, restored or kept"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it was kept; empty for the others"),
        sa.Column("by_import_id", sa.UUID(), nullable=True, comment="the later import that keeps it"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_undo_items_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", "number", name=op.f("pk_undo_items")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("delivery_id", sa.UUID(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False, comment="the same in every delivery of one event"),
        sa.Column("payload", sa.Text(), nullable=False, comment="the body as it is signed and sent"),
        sa.Column("state", sa.Text(), server_default="PENDING", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True, comment="of the last answer"),
        sa.Column("error", sa.Text(), server_default="", nullable=False, comment="why the last attempt failed"),
        sa.Column("replay_of", sa.UUID(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('PENDING', 'DELIVERED', 'FAILED')", name=op.f("ck_webhook_deliveries_state")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["imports.tenant_id", "imports.import_id"],
            name=op.f("fk_webhook_deliveries_tenant_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "webhook_id"],
            ["webhooks.tenant_id", "webhooks.webhook_id"],
            name=op.f("fk_webhook_deliveries_tenant_id_webhook_id_webhooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "delivery_id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index("ix_webhook_deliveries_import", "webhook_deliveries", ["tenant_id", "import_id"], unique=False)
    op.create_index(
        "ix_webhook_deliveries_webhook",
        "webhook_deliveries",
        ["tenant_id", "webhook_id", sa.literal_column("delivery_id DESC")],
        unique=False,
    )
    op.create_index(
        "uq_webhook_deliveries_event",
        "webhook_deliveries",
        ["tenant_id", "webhook_id", "event_id"],
        unique=True,
        postgresql_where=sa.text("replay_of IS NULL"),
    )
    op.add_column(
        "before_images",
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column(
        "files",
        sa.Column(
            "sha256",
            sa.LargeBinary(),
            nullable=True,
            comment="of the bytes, where the client says so; the import checks it",
        ),
    )
    op.add_column(
        "files",
        sa.Column("multipart_id", sa.Text(), nullable=True, comment="the object store's id of an upload in parts"),
    )
    op.add_column(
        "files", sa.Column("part_size", sa.BigInteger(), nullable=True, comment="bytes of each part but the last")
    )
    op.add_column("files", sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "import_progress",
        sa.Column(
            "undo",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="[{kind, action, reason, count}] of an undo",
        ),
    )
    op.add_column(
        "imports",
        sa.Column("kind", sa.Text(), server_default="import", nullable=False, comment="import, or undo of another one"),
    )
    op.add_column(
        "imports", sa.Column("origin", sa.Text(), nullable=True, comment="retry, rerun or undo: what it was made for")
    )
    op.add_column(
        "imports",
        sa.Column(
            "origin_import_id", sa.UUID(), nullable=True, comment="the import that it retries, repeats or undoes"
        ),
    )
    op.add_column("imports", sa.Column("dry_run", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "imports",
        sa.Column(
            "force",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="merge a file seen before again",
        ),
    )
    op.add_column(
        "imports",
        sa.Column(
            "policy",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="services/importer/policy.py",
        ),
    )
    op.add_column("imports", sa.Column("expected_sha256", sa.LargeBinary(), nullable=True))
    op.add_column(
        "imports",
        sa.Column(
            "content_sha256",
            sa.LargeBinary(),
            nullable=True,
            comment="of all bytes of its inputs, once they have been read",
        ),
    )
    op.add_column(
        "imports",
        sa.Column("duplicate_of", sa.UUID(), nullable=True, comment="the import that brought the same file before"),
    )
    op.add_column(
        "imports",
        sa.Column(
            "flip_number",
            sa.BigInteger(),
            nullable=True,
            comment="order of flips; given under the lock of the import's owner",
        ),
    )
    op.add_column(
        "imports", sa.Column("undone_by", sa.UUID(), nullable=True, comment="the undo that took this import back")
    )
    op.add_column("imports", sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("imports", sa.Column("resumable_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_import_inputs_object", "import_inputs", ["object_key"], unique=False)
    op.create_index(
        "ix_imports_content",
        "imports",
        ["tenant_id", "content_sha256"],
        unique=False,
        postgresql_where=sa.text("content_sha256 IS NOT NULL"),
    )
    op.create_index(
        "ix_imports_flip",
        "imports",
        ["tenant_id", "flip_number"],
        unique=True,
        postgresql_where=sa.text("flip_number IS NOT NULL"),
    )
    op.create_index(
        "ix_imports_origin",
        "imports",
        ["tenant_id", "origin_import_id"],
        unique=False,
        postgresql_where=sa.text("origin_import_id IS NOT NULL"),
    )
    op.create_index(
        "uq_imports_retry",
        "imports",
        ["tenant_id", "origin_import_id"],
        unique=True,
        postgresql_where=sa.text(
            "origin = 'retry' AND (state IN ('OPEN', 'QUEUED', 'RUNNING', 'PAUSED') OR state = 'SUCCEEDED')"
        ),
    )
    op.create_index(
        "uq_imports_undo",
        "imports",
        ["tenant_id", "origin_import_id"],
        unique=True,
        postgresql_where=sa.text(
            "origin = 'undo' AND NOT dry_run AND "
            "(state IN ('OPEN', 'QUEUED', 'RUNNING', 'PAUSED') OR state = 'SUCCEEDED')"
        ),
    )
    op.add_column(
        "outbox",
        sa.Column(
            "topic",
            sa.Text(),
            server_default="run",
            nullable=False,
            comment="run: send it to a worker. ended: announce its end. webhook: make one delivery",
        ),
    )
    op.add_column(
        "outbox",
        sa.Column(
            "item_id",
            sa.UUID(),
            server_default="00000000-0000-0000-0000-000000000000",
            nullable=False,
            comment="webhook_deliveries.delivery_id",
        ),
    )
    op.add_column(
        "tags",
        sa.Column(
            "import_id",
            sa.UUID(),
            nullable=True,
            comment="the import that brought it; null: a person; zeros: one that is undone",
        ),
    )
    op.create_check_constraint("kind", "imports", "kind IN ('import', 'undo')")
    op.create_check_constraint("origin", "imports", "(origin IS NULL) = (origin_import_id IS NULL)")
    op.create_check_constraint("topic", "outbox", "topic IN ('run', 'ended', 'webhook')")
    op.drop_constraint("pk_outbox", "outbox")
    op.create_primary_key("pk_outbox", "outbox", ["tenant_id", "import_id", "topic", "item_id"])
    for statement in GRANTS:
        op.execute(statement)
    for table in ("webhooks", "webhook_deliveries", "undo_items"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} FOR ALL TO PUBLIC USING ({TENANT_RULE}) WITH CHECK ({TENANT_RULE})"
        )

"""What people do to objects: the importer's API writes them, and keeps what they were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TENANT_RULE = "tenant_id = (SELECT NULLIF(current_setting('hythe.tenant', true), '')::int)"
GRANTS = (
    "GRANT INSERT, UPDATE ON object_references, objects TO hythe_importer",
    "GRANT DELETE, INSERT, SELECT ON object_edits TO hythe_importer",
    "GRANT SELECT ON object_edits TO hythe_worker",
    "GRANT SELECT ON object_edits TO hythe_status",
)


def upgrade() -> None:
    op.create_table(
        "object_edits",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("edit_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "before",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="its document; null: it was not there",
        ),
        sa.Column("is_creation", sa.Boolean(), nullable=False, comment="the edit has inserted the row"),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("user_email", sa.Text(), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "edit_id", name=op.f("pk_object_edits")),
    )
    op.create_index("ix_object_edits_object", "object_edits", ["tenant_id", "object_id"], unique=False)
    for statement in GRANTS:
        op.execute(statement)
    op.execute("ALTER TABLE object_edits ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE object_edits FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON object_edits FOR ALL TO PUBLIC USING ({TENANT_RULE}) WITH CHECK ({TENANT_RULE})"
    )

"""Tables of the upload service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="<cuid>/<safe file name>, without the store's prefix"),
        sa.Column("file_name", sa.Text(), nullable=False, comment="as the client wrote it, up to 255 characters"),
        sa.Column("declared_size", sa.BigInteger(), server_default="0", nullable=False, comment="bytes; 0: not said"),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_files")),
    )
    op.create_index("ix_files_created", "files", ["tenant_id", "created_at"], unique=False)

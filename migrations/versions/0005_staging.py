"""The schema staging with the templates of its tables; both belong to the worker's role."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA staging AUTHORIZATION hythe_worker")
    op.execute("SET LOCAL ROLE hythe_worker")
    op.create_table(
        "affected",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the record within its item"),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("place", sa.UUID(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("parameters", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "assets",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("keys", sa.ARRAY(sa.Text()), nullable=False, comment="`kind:value`, normalised, as in asset_keys"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("ips", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("netbios", sa.Text(), nullable=False),
        sa.Column("operating_systems", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("ports", postgresql.JSONB(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "checkpoints",
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("input", sa.Integer(), nullable=False, comment="number of the input being read"),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="last item staged"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="of all inputs, read so far"),
        sa.Column("complete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("tally", postgresql.JSONB(), nullable=False, comment="counters and cautions up to here"),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "slice", name=op.f("pk_checkpoints")),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "errors",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "evidence",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the affected asset within its item"),
        sa.Column("digest", sa.UUID(), nullable=False),
        sa.Column("caption", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "findings",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("recommendations", sa.Text(), nullable=False),
        sa.Column("references", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("cves", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("cwes", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("scores", postgresql.JSONB(), nullable=False),
        sa.Column("fields", postgresql.JSONB(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.execute("RESET ROLE")

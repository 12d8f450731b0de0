"""Tables of the findings target."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "affected_assets",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("affected_id", sa.BigInteger(), sa.Identity(always=False, cache=1000), nullable=False),
        sa.Column("finding_id", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.UUID(), nullable=False, comment="digest of port, protocol, location, parameters"),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("parameters", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="Open", nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "affected_id", name=op.f("pk_affected_assets")),
        sa.UniqueConstraint(
            "tenant_id",
            "finding_id",
            "asset_id",
            "place",
            name=op.f("uq_affected_assets_tenant_id_finding_id_asset_id_place"),
        ),
    )
    op.create_index(
        "ix_affected_assets_asset", "affected_assets", ["tenant_id", "asset_id", "finding_id"], unique=False
    )
    op.create_table(
        "asset_keys",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="normalised; a SHA-256 when longer than 255 characters"),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", "kind", "value", name=op.f("pk_asset_keys")),
    )
    op.create_index("ix_asset_keys_asset", "asset_keys", ["tenant_id", "asset_id"], unique=False)
    op.create_table(
        "assets",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asset_id", sa.BigInteger(), sa.Identity(always=False, cache=100), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("ips", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("netbios", sa.Text(), nullable=False),
        sa.Column("operating_systems", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column(
            "ports", postgresql.JSONB(), nullable=False, comment="{'443/tcp': {number, protocol, service, version}}"
        ),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "asset_id", name=op.f("pk_assets")),
    )
    op.create_index("ix_assets_client", "assets", ["tenant_id", "client_id", "asset_id"], unique=False)
    op.create_table(
        "evidence",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("evidence_id", sa.BigInteger(), sa.Identity(always=False, cache=1000), nullable=False),
        sa.Column("affected_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.UUID(), nullable=False, comment="of caption and code"),
        sa.Column("caption", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False, comment="characters before the kit's cut"),
        sa.Column("import_id", sa.UUID(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "evidence_id", name=op.f("pk_evidence")),
        sa.UniqueConstraint(
            "tenant_id", "affected_id", "digest", name=op.f("uq_evidence_tenant_id_affected_id_digest")
        ),
    )
    op.create_table(
        "findings",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("finding_id", sa.BigInteger(), sa.Identity(always=False, cache=100), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("flaw_id", sa.Integer(), nullable=False, comment="the public id, unique in its report"),
        sa.Column("family", sa.Text(), nullable=False, comment="tool family"),
        sa.Column("key", sa.Text(), nullable=False, comment="the scanner's id, or the SHA-256 of the normalised title"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False, comment="0 Critical … 4 Informational"),
        sa.Column("status", sa.Text(), server_default="Open", nullable=False),
        sa.Column("visibility", sa.Text(), server_default="published", nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("recommendations", sa.Text(), nullable=False),
        sa.Column("references", sa.Text(), nullable=False),
        sa.Column("cves", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("cwes", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("scores", postgresql.JSONB(), nullable=False, comment="[{system, vector, base, temporal}]"),
        sa.Column("fields", postgresql.JSONB(), nullable=False, comment="{label: value}"),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=True, comment="the import that inserted the row"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "finding_id", name=op.f("pk_findings")),
        sa.UniqueConstraint(
            "tenant_id", "report_id", "family", "key", name=op.f("uq_findings_tenant_id_report_id_family_key")
        ),
        sa.UniqueConstraint("tenant_id", "report_id", "flaw_id", name=op.f("uq_findings_tenant_id_report_id_flaw_id")),
    )
    op.create_table(
        "tags",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False, comment="lower case with underscores, at most 255 characters"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "tag", name=op.f("pk_tags")),
    )

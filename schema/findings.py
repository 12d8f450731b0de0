"""Tables of the findings target: what a scan import leaves behind. Workers write them, the status service reads them.

Texts are never indexed as they are: a scanner may send a megabyte where an index takes 2,704 bytes. Keys are at
most 128 characters or digests.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schema.base import metadata, tenant_id, timestamp

findings = Table(
    "findings",
    metadata,
    tenant_id(),
    Column("finding_id", BigInteger, Identity(cache=100), primary_key=True),
    Column("client_id", Integer, nullable=False),
    Column("report_id", Integer, nullable=False),
    Column("flaw_id", Integer, nullable=False, comment="the public id, unique in its report"),
    Column("family", Text, nullable=False, comment="tool family"),
    Column("key", Text, nullable=False, comment="the scanner's id, or the SHA-256 of the normalised title"),
    Column("title", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False, comment="0 Critical … 4 Informational"),
    Column("status", Text, nullable=False, server_default="Open"),
    Column("visibility", Text, nullable=False, server_default="published"),
    Column("source", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("recommendations", Text, nullable=False),
    Column("references", Text, nullable=False),
    Column("cves", ARRAY(Text), nullable=False),
    Column("cwes", ARRAY(Integer), nullable=False),
    Column("scores", JSONB, nullable=False, comment="[{system, vector, base, temporal}]"),
    Column("fields", JSONB, nullable=False, comment="{label: value}"),
    Column("tags", ARRAY(Text), nullable=False),
    Column("import_id", UUID(as_uuid=True), comment="the import that inserted the row"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    timestamp("closed_at", nullable=True),
    UniqueConstraint("tenant_id", "report_id", "family", "key"),
    UniqueConstraint("tenant_id", "report_id", "flaw_id"),
)

assets = Table(
    "assets",
    metadata,
    tenant_id(),
    Column("asset_id", BigInteger, Identity(cache=100), primary_key=True),
    Column("client_id", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("ips", ARRAY(Text), nullable=False),
    Column("mac", Text, nullable=False),
    Column("netbios", Text, nullable=False),
    Column("operating_systems", ARRAY(Text), nullable=False),
    Column("type", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("ports", JSONB, nullable=False, comment="{'443/tcp': {number, protocol, service, version}}"),
    Column("tags", ARRAY(Text), nullable=False),
    Column("import_id", UUID(as_uuid=True)),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    Index("ix_assets_client", "tenant_id", "client_id", "asset_id"),
)

# What an asset is matched by: kind `name` (name or hostname, case-folded) or `ip`. A key names one asset of its client.
asset_keys = Table(
    "asset_keys",
    metadata,
    tenant_id(),
    Column("client_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True, comment="normalised; a SHA-256 when longer than 255 characters"),
    Column("asset_id", BigInteger, nullable=False),
    Column("import_id", UUID(as_uuid=True)),
    Index("ix_asset_keys_asset", "tenant_id", "asset_id"),
)

# One place where a finding is on an asset. The public `affected_assets` map groups these by asset.
affected_assets = Table(
    "affected_assets",
    metadata,
    tenant_id(),
    Column("affected_id", BigInteger, Identity(cache=1000), primary_key=True),
    Column("finding_id", BigInteger, nullable=False),
    Column("asset_id", BigInteger, nullable=False),
    Column("place", UUID(as_uuid=True), nullable=False, comment="digest of port, protocol, location, parameters"),
    Column("port", Integer, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("parameters", ARRAY(Text), nullable=False),
    Column("notes", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="Open"),
    Column("import_id", UUID(as_uuid=True)),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    UniqueConstraint("tenant_id", "finding_id", "asset_id", "place"),
    Index("ix_affected_assets_asset", "tenant_id", "asset_id", "finding_id"),
)

evidence = Table(
    "evidence",
    metadata,
    tenant_id(),
    Column("evidence_id", BigInteger, Identity(cache=1000), primary_key=True),
    Column("affected_id", BigInteger, nullable=False),
    Column("digest", UUID(as_uuid=True), nullable=False, comment="of caption and code"),
    Column("caption", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("length", BigInteger, nullable=False, comment="characters before the kit's cut"),
    Column("import_id", UUID(as_uuid=True)),
    timestamp("created_at", default=True),
    UniqueConstraint("tenant_id", "affected_id", "digest"),
)

# Tags in use, as the tenant's tag list shows them.
tags = Table(
    "tags",
    metadata,
    tenant_id(),
    Column("tag", Text, primary_key=True, comment="lower case with underscores, at most 255 characters"),
    Column(
        "import_id", UUID(as_uuid=True), comment="the import that brought it; null: a person; zeros: one that is undone"
    ),
    timestamp("created_at", default=True),
)

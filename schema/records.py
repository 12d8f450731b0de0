"""Tables of the records target: what sync files leave behind in a workspace, and what its records look like.

Workers write records, the status service reads them. A workspace is one of `identity.workspaces`, which no other
service reaches; its id comes from there.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schema.base import metadata, tenant_id, timestamp

# A deleted record stays as a row without a document: an undo brings the document back, and a later file the record.
# Retention takes such a row away once nothing is left that could be undone.
records = Table(
    "records",
    metadata,
    tenant_id(),
    Column("record_id", BigInteger, Identity(cache=1000), primary_key=True),
    Column("workspace_id", UUID(as_uuid=True), nullable=False),
    Column("entity_type", Text, nullable=False),
    Column("data_source", Text, nullable=False),
    # Bytes compare faster than words, and pages of records go by key.
    Column(
        "key",
        Text(collation="C"),
        nullable=False,
        comment="JSON array of the key's values; a SHA-256 when longer than 255 characters",
    ),
    Column("document", JSONB, comment="{code: value}, the key's columns too; null: the record is deleted"),
    Column("import_id", UUID(as_uuid=True), comment="the import that inserted the row"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    UniqueConstraint("tenant_id", "workspace_id", "entity_type", "data_source", "key"),
)

# What a workspace says of its own records. It goes before what is published (services/importer/targets/records/).
record_schemas = Table(
    "record_schemas",
    metadata,
    tenant_id(),
    Column("workspace_id", UUID(as_uuid=True), primary_key=True),
    Column("entity_type", Text(collation="C"), primary_key=True),
    Column("data_source", Text(collation="C"), primary_key=True),
    Column("columns", JSONB, nullable=False, comment="[{code, type, presence, values}]"),
    Column("user_id", Integer, nullable=False, comment="who has said so last"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
)

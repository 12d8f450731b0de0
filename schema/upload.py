"""Tables of the upload service."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schema.base import metadata, tenant_id, timestamp

# One row per reserved key. Whether the object is there is asked of the object store, not kept here.
files = Table(
    "files",
    metadata,
    tenant_id(),
    Column("key", Text, primary_key=True, comment="<cuid>/<safe file name>, without the store's prefix"),
    Column("file_name", Text, nullable=False, comment="as the client wrote it, up to 255 characters"),
    Column("declared_size", BigInteger, nullable=False, server_default="0", comment="bytes; 0: not said"),
    Column("sha256", LargeBinary, comment="of the bytes, where the client says so; the import checks it"),
    Column("multipart_id", Text, comment="the object store's id of an upload in parts"),
    Column("part_size", BigInteger, comment="bytes of each part but the last"),
    timestamp("completed_at", nullable=True),
    Column("user_id", Integer, nullable=False),
    timestamp("created_at", default=True),
    timestamp("expires_at"),
    Index("ix_files_created", "tenant_id", "created_at"),
)

# What a client of the AppFile API says of a file when it asks for its URL; the file itself is in `files`.
record_files = Table(
    "record_files",
    metadata,
    tenant_id(),
    Column("file_id", Text, primary_key=True, comment="the first segment of the key"),
    Column("key", Text, nullable=False),
    Column("workspace_id", UUID(as_uuid=True), nullable=False),
    Column("workspace", Text, nullable=False, comment="its name when the URL was asked for"),
    Column("bucket_id", Text, nullable=False),
    Column("entity_type", Text, nullable=False, server_default=""),
    Column("folder", Text, nullable=False, server_default=""),
    Column("category", Text, nullable=False, server_default=""),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("action_id", Text, nullable=False, comment="what the client follows its action by"),
    Column("description", Text, nullable=False, server_default=""),
    UniqueConstraint("tenant_id", "key"),
    ForeignKeyConstraint(["tenant_id", "key"], ["files.tenant_id", "files.key"], ondelete="CASCADE"),
)

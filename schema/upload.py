"""Tables of the upload service."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

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

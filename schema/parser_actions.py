"""Tables of parser actions: what a tenant wants done with findings of a scanner, and the writeups that replace them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schema.base import metadata, tenant_id, timestamp

# One row at most per tenant; none: switched on, version 0.
parser_action_settings = Table(
    "parser_action_settings",
    metadata,
    tenant_id(),
    Column("is_enabled", Boolean, nullable=False, server_default=text("true")),
    Column(
        "version",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="raised by whatever makes the same file come out differently: actions, writeups, the switch",
    ),
)

# Texts that findings are replaced by. A row stays when the writeup is deleted: actions and logs name it.
writeups = Table(
    "writeups",
    metadata,
    tenant_id(),
    Column("writeup_id", Integer, Identity(start=100_000), primary_key=True),
    Column("title", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False, comment="0 Critical … 4 Informational"),
    Column("description", Text, nullable=False, server_default=""),
    Column("recommendations", Text, nullable=False, server_default=""),
    Column("references", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default="Custom"),
    Column("fields", JSONB, nullable=False, server_default="{}", comment="{label: value}"),
    Column("abbreviation", Text, nullable=False, server_default=""),
    Column("repository_id", Text, nullable=False, server_default="", comment="as the client says it; no meaning here"),
    Column("is_deleted", Boolean, nullable=False, server_default=text("false")),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
)

# What is done with one finding of one source. Never deleted.
parser_actions = Table(
    "parser_actions",
    metadata,
    tenant_id(),
    Column("source", Text, primary_key=True, comment="the slug of the import"),
    Column("action_id", Text, primary_key=True, comment="what people know the finding by: its public number, or key"),
    Column("key", Text, comment="findings.key, where a file has taught it; null: made by hand"),
    Column("action", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False, comment="0 Critical … 4 Informational"),
    Column("original_severity", SmallInteger, nullable=False, comment="that of its creation"),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("writeup_id", Integer),
    Column(
        "log_trail",
        JSONB,
        nullable=False,
        server_default="[]",
        comment="the last changes: [{user_id, user_email, at, action, severity, writeup_id}]",
    ),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    CheckConstraint("action IN ('PASS_THROUGH', 'DEFAULT', 'LINK', 'IGNORE')", name="action"),
    CheckConstraint("(action = 'LINK') = (writeup_id IS NOT NULL)", name="writeup"),
    ForeignKeyConstraint(["tenant_id", "writeup_id"], ["writeups.tenant_id", "writeups.writeup_id"]),
    Index(
        "uq_parser_actions_key",
        "tenant_id",
        "source",
        "key",
        unique=True,
        postgresql_where=text("key IS NOT NULL"),
    ),
)

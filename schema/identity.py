"""Tables of the identity service, in a schema of their own that no other role reaches; and the audit log."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schema.base import metadata, tenant_id, timestamp

SCHEMA = "identity"

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Integer, Identity(start=1), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    timestamp("created_at", default=True),
    schema=SCHEMA,
)

users = Table(
    "users",
    metadata,
    Column("user_id", Integer, Identity(start=1000), primary_key=True),
    Column("tenant_id", Integer, ForeignKey("identity.tenants.tenant_id"), nullable=False),
    Column("email", Text, nullable=False, unique=True, comment="lower case; logins come before a tenant is known"),
    Column("password_hash", Text, comment="argon2id; null for a service account"),
    Column("role", SmallInteger, nullable=False, comment="hythe.options.v1.Role"),
    Column("operator", Boolean, nullable=False, server_default=text("false")),
    Column("service_account", Boolean, nullable=False, server_default=text("false")),
    Column("client_ids", ARRAY(Integer), nullable=False, server_default="{}", comment="empty: every client"),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    timestamp("tokens_valid_after", default=True),
    timestamp("created_at", default=True),
    Index("ix_users_tenant", "tenant_id", "user_id"),
    schema=SCHEMA,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("api_key_id", Integer, Identity(start=1), primary_key=True),
    Column("tenant_id", Integer, ForeignKey("identity.tenants.tenant_id"), nullable=False),
    Column("user_id", Integer, ForeignKey("identity.users.user_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True, comment="SHA-256 of 256 random bits"),
    Column("previous_hash", LargeBinary, unique=True),
    timestamp("previous_until", nullable=True),
    Column("scopes", ARRAY(Text), nullable=False, server_default="{}"),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    timestamp("created_at", default=True),
    timestamp("expires_at", nullable=True),
    Index("ix_api_keys_tenant", "tenant_id", "api_key_id"),
    schema=SCHEMA,
)

# One of each import source: whoever holds it may push data into that source, and nothing else.
container_tokens = Table(
    "container_tokens",
    metadata,
    Column("tenant_id", Integer, ForeignKey("identity.tenants.tenant_id"), nullable=False),
    Column("import_source_id", UUID(as_uuid=True), primary_key=True),
    Column("workspace_id", UUID(as_uuid=True), nullable=False),
    Column("user_id", Integer, ForeignKey("identity.users.user_id"), nullable=False, comment="on whose behalf"),
    Column("secret_hash", LargeBinary, nullable=False, unique=True, comment="SHA-256 of 256 random bits"),
    Column("sealed", LargeBinary, nullable=False, comment="the token, encrypted with the installation's key"),
    timestamp("created_at", default=True),
    timestamp("used_at", nullable=True),
    schema=SCHEMA,
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("attempt_id", BigInteger, Identity(), primary_key=True),
    Column("subject", Text, nullable=False, comment="user:<sha256 of the name> or address:<ip>"),
    timestamp("attempted_at", default=True),
    Index("ix_login_attempts_subject", "subject", "attempted_at"),
    schema=SCHEMA,
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("workspace_id", UUID(as_uuid=True), primary_key=True),
    Column("tenant_id", Integer, ForeignKey("identity.tenants.tenant_id"), nullable=False),
    Column("dialect", Text, nullable=False, comment="appfile or assets"),
    Column("name", Text, nullable=False),
    Column(
        "bucket_id", Text, comment="what clients of the AppFile API call its bucket; null: made of the workspace's id"
    ),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    timestamp("created_at", default=True),
    Index("ix_workspaces_tenant", "tenant_id", "dialect"),
    schema=SCHEMA,
)

# Who did what, and who was refused. Written by the role `hythe_audit`, which may insert and nothing else.
audit_log = Table(
    "audit_log",
    metadata,
    tenant_id(),
    Column("event_id", BigInteger, Identity(), primary_key=True),
    timestamp("at", default=True),
    Column("user_id", Integer, comment="null: not authenticated"),
    Column("service", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("outcome", Text, nullable=False, comment="OK, or the gRPC status"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("request_id", Text, nullable=False),
    Column("object", JSONB, nullable=False, server_default="{}", comment="ids of what was touched"),
    Index("ix_audit_log_at", "tenant_id", "at"),
)

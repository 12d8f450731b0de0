"""Tables of the importer: what can be imported into, imports, and how they are dispatched, claimed and watched.

State, claim, lease, progress and cancel request are separate rows on purpose: a data transaction holds the claim
row and nothing that a heartbeat, a progress report or a cancel needs.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schema.base import metadata, tenant_id, timestamp

STATES = ("OPEN", "QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED")
LIVE = "state IN ('OPEN', 'QUEUED', 'RUNNING', 'PAUSED')"


def _import_key() -> tuple[Column[int], Column[object]]:
    return tenant_id(), Column("import_id", UUID(as_uuid=True), primary_key=True)


def _of_import() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "import_id"], ["imports.tenant_id", "imports.import_id"], ondelete="CASCADE"
    )


# Public ids come from one sequence for all tenants, so that another tenant's id is never also one's own.
clients = Table(
    "clients",
    metadata,
    tenant_id(),
    Column("client_id", Integer, Identity(start=1000), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("poc", Text, nullable=False, server_default=""),
    Column("poc_email", Text, nullable=False, server_default=""),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
)

reports = Table(
    "reports",
    metadata,
    tenant_id(),
    Column("report_id", Integer, Identity(start=500_000), primary_key=True),
    Column("client_id", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("status", Text, nullable=False, server_default="Draft"),
    Column("details", JSONB, nullable=False, server_default="{}", comment="template, logistics, start_date, …"),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    ForeignKeyConstraint(["tenant_id", "client_id"], ["clients.tenant_id", "clients.client_id"]),
    Index("ix_reports_client", "tenant_id", "client_id", "report_id"),
)

imports = Table(
    "imports",
    metadata,
    *_import_key(),
    Column("client_id", Integer, nullable=False),
    Column("report_id", Integer, comment="null: an import of client assets"),
    Column("target", Text, nullable=False, comment="findings, records or objects"),
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False, comment="files.key"),
    Column("file_name", Text, nullable=False),
    Column("file_type", Text, nullable=False),
    Column("file_size", BigInteger, nullable=False),
    Column("lane", Text, nullable=False, comment="small or large, by size"),
    Column("state", Text, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("error_position", Text),
    Column("crashes", Integer, nullable=False, server_default="0", comment="attempts that ended without a word"),
    Column("retries", Integer, nullable=False, server_default="0", comment="attempts that ended in a retryable error"),
    timestamp("not_before", nullable=True),
    Column("asset_tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("finding_tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("use_parser_actions", Boolean, nullable=False, server_default=text("false")),
    Column("user_id", Integer, nullable=False),
    Column("user_email", Text, nullable=False),
    Column("request_id", Text, comment="the caller's idempotency key"),
    Column("request_digest", LargeBinary, comment="SHA-256 of the request that came with it"),
    Column("traceparent", Text, nullable=False, server_default="", comment="W3C trace context of the trigger"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    timestamp("started_at", nullable=True),
    timestamp("ended_at", nullable=True),
    CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in STATES) + ")", name="state"),
    Index("ix_imports_user", "tenant_id", "user_id", text("import_id DESC")),
    Index("ix_imports_ended", "tenant_id", "ended_at"),
    Index("ix_imports_live", "tenant_id", "state", "import_id", postgresql_where=text(LIVE)),
    Index(
        "uq_imports_request",
        "tenant_id",
        "user_id",
        "request_id",
        unique=True,
        postgresql_where=text("request_id IS NOT NULL"),
    ),
)

import_inputs = Table(
    "import_inputs",
    metadata,
    *_import_key(),
    Column("number", Integer, primary_key=True, comment="from 0, in reading order"),
    Column("object_key", Text, nullable=False, comment="the whole key in the bucket"),
    Column("etag", Text, nullable=False, comment="of the trigger; every read carries If-Match with it"),
    Column("size", BigInteger, nullable=False),
    timestamp("purged_at", nullable=True),
    _of_import(),
)

# The fence: a claim takes this row FOR UPDATE NOWAIT and raises `attempt`; every data transaction holds it FOR SHARE.
import_claims = Table(
    "import_claims",
    metadata,
    *_import_key(),
    Column("attempt", Integer, nullable=False, server_default="0"),
    _of_import(),
)

import_leases = Table(
    "import_leases",
    metadata,
    *_import_key(),
    Column("attempt", Integer, nullable=False),
    Column("owner", Text, nullable=False, comment="host:pid of the worker"),
    timestamp("expires_at"),
    _of_import(),
)

import_cancellations = Table(
    "import_cancellations",
    metadata,
    *_import_key(),
    Column("requested_by", Integer, nullable=False),
    timestamp("requested_at", default=True),
    _of_import(),
)

import_progress = Table(
    "import_progress",
    metadata,
    *_import_key(),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("phase", Text, nullable=False, server_default="queued"),
    Column("percent", Integer, nullable=False, server_default="0"),
    Column("processed_bytes", BigInteger, nullable=False, server_default="0"),
    Column("processed_findings", BigInteger, nullable=False, server_default="0"),
    Column("processed_assets", BigInteger, nullable=False, server_default="0"),
    Column("processed_finding_assets", BigInteger, nullable=False, server_default="0"),
    Column("processed_evidence", BigInteger, nullable=False, server_default="0"),
    Column("read", BigInteger, nullable=False, server_default="0"),
    Column("inserted", BigInteger, nullable=False, server_default="0"),
    Column("updated", BigInteger, nullable=False, server_default="0"),
    Column("unchanged", BigInteger, nullable=False, server_default="0"),
    Column("deleted", BigInteger, nullable=False, server_default="0"),
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("cautions", JSONB, nullable=False, server_default="[]", comment="[{code, message, count}]"),
    timestamp("updated_at", default=True),
    _of_import(),
)

# The first 1,000 rejected items of an import; all of them are in the report object.
row_errors = Table(
    "row_errors",
    metadata,
    *_import_key(),
    Column("record_number", BigInteger, primary_key=True, comment="of the item in the file, from 1"),
    Column("position", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("value", Text, nullable=False),
    _of_import(),
)

# One row per import that still has to reach a worker; it goes when the import is terminal.
outbox = Table(
    "outbox",
    metadata,
    *_import_key(),
    Column("lane", Text, nullable=False),
    Column(
        "dispatch_number",
        Integer,
        nullable=False,
        server_default="0",
        comment="publishes so far; part of the message id",
    ),
    Column("stream_sequence", BigInteger, comment="of the last PubAck"),
    timestamp("published_at", nullable=True),
    timestamp("next_at", default=True),
    timestamp("created_at", default=True),
    Column("traceparent", Text, nullable=False, server_default=""),
    _of_import(),
    Index("ix_outbox_next", "next_at", "tenant_id"),
)

# What a tenant may use at most, where it differs from the installation's settings.
tenant_limits = Table(
    "tenant_limits",
    metadata,
    tenant_id(),
    Column("max_file_bytes", BigInteger),
    Column("max_running_imports", Integer),
)

# Undo needs these from the first import on. An inserted row carries its import in its own `import_id`.
before_images = Table(
    "before_images",
    metadata,
    *_import_key(),
    Column("kind", Text, primary_key=True, comment="finding, asset, affected_asset, evidence, …"),
    Column("row_id", BigInteger, primary_key=True),
    Column("image", JSONB, comment="the row before this import changed or deleted it"),
    UniqueConstraint("tenant_id", "kind", "row_id", "import_id"),
)

# An unchanged row that an import has seen: append-only, so that the second identical run rewrites nothing.
sightings = Table(
    "sightings",
    metadata,
    tenant_id(),
    Column("kind", Text, primary_key=True),
    Column("row_id", BigInteger, primary_key=True),
    Column("import_id", UUID(as_uuid=True), primary_key=True),
    Index("ix_sightings_import", "tenant_id", "import_id"),
)

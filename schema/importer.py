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
    Sequence,
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
    Column("client_id", Integer, nullable=False, comment="0: what it brings belongs to no client"),
    Column("report_id", Integer, comment="null: an import of client assets, or of what belongs to no client"),
    Column("target", Text, nullable=False, comment="findings, parser_actions, records or objects"),
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False, comment="files.key"),
    Column("file_name", Text, nullable=False),
    Column("file_type", Text, nullable=False),
    Column("file_size", BigInteger, nullable=False),
    Column("lane", Text, nullable=False, comment="small or large, by size; fetch while its inputs are to be landed"),
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
    Column("parser_actions_version", BigInteger, comment="which state of the tenant's actions it has applied"),
    # Of records only. What the file says comes with its first bytes, and is null until then.
    Column("workspace_id", UUID(as_uuid=True)),
    Column("entity_type", Text),
    Column("data_source", Text),
    Column("action_id", Text, comment="what the client follows the action by"),
    Column("description", Text, comment="what the client says of the action"),
    Column("columns", ARRAY(Text), comment="codes of the header; an undo asks whether a later file has said a field"),
    Column("reference_id", Text, comment="of the file's header"),
    Column("validation_code", Text, comment="of the file's footer, as it stands there"),
    Column("file_header", Text, comment="the header as it stands in the file; its error file begins with it"),
    # Of objects only.
    Column("import_source_id", UUID(as_uuid=True)),
    Column("plan", JSONB, comment="the source's mapping when it was started: targets/objects/plan.py"),
    Column("execution_number", Integer, comment="what clients call the run beside its id"),
    Column("is_scheduled", Boolean, nullable=False, server_default=text("false")),
    Column("waits", Boolean, nullable=False, server_default=text("false"), comment="for the end of another run"),
    Column("needs_fetch", Boolean, nullable=False, server_default=text("false"), comment="its inputs are to be landed"),
    timestamp("open_until", nullable=True),
    Column("told_progress", JSONB, comment="what a client that sends the data has said of its own work"),
    Column("kind", Text, nullable=False, server_default="import", comment="import, or undo of another one"),
    Column("origin", Text, comment="retry, rerun or undo: what it was made for"),
    Column("origin_import_id", UUID(as_uuid=True), comment="the import that it retries, repeats or undoes"),
    Column("dry_run", Boolean, nullable=False, server_default=text("false")),
    Column("force", Boolean, nullable=False, server_default=text("false"), comment="merge a file seen before again"),
    Column("policy", JSONB, nullable=False, server_default="{}", comment="services/importer/policy.py"),
    Column("expected_sha256", LargeBinary),
    Column("content_sha256", LargeBinary, comment="of all bytes of its inputs, once they have been read"),
    Column("duplicate_of", UUID(as_uuid=True), comment="the import that brought the same file before"),
    Column("flip_number", BigInteger, comment="order of flips; given under the lock of the import's owner"),
    Column("undone_by", UUID(as_uuid=True), comment="the undo that took this import back"),
    timestamp("undone_at", nullable=True),
    timestamp("resumable_until", nullable=True),
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
    CheckConstraint("kind IN ('import', 'undo')", name="kind"),
    CheckConstraint("(origin IS NULL) = (origin_import_id IS NULL)", name="origin"),
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
    Index("ix_imports_content", "tenant_id", "content_sha256", postgresql_where=text("content_sha256 IS NOT NULL")),
    Index("ix_imports_flip", "tenant_id", "flip_number", unique=True, postgresql_where=text("flip_number IS NOT NULL")),
    Index("ix_imports_origin", "tenant_id", "origin_import_id", postgresql_where=text("origin_import_id IS NOT NULL")),
    # One undo of an import at a time, and none after one that succeeded. The same for a retry.
    Index(
        "uq_imports_undo",
        "tenant_id",
        "origin_import_id",
        unique=True,
        postgresql_where=text(f"origin = 'undo' AND NOT dry_run AND ({LIVE} OR state = 'SUCCEEDED')"),
    ),
    Index(
        "uq_imports_retry",
        "tenant_id",
        "origin_import_id",
        unique=True,
        postgresql_where=text(f"origin = 'retry' AND ({LIVE} OR state = 'SUCCEEDED')"),
    ),
    Index(
        "ix_imports_file",
        "tenant_id",
        "key",
        text("import_id DESC"),
        postgresql_where=text("workspace_id IS NOT NULL"),
    ),
    Index(
        "ix_imports_reference",
        "tenant_id",
        "workspace_id",
        "reference_id",
        postgresql_where=text("reference_id IS NOT NULL"),
    ),
    # A sync file is imported once at a time.
    Index(
        "uq_imports_file",
        "tenant_id",
        "workspace_id",
        "key",
        unique=True,
        postgresql_where=text(
            f"workspace_id IS NOT NULL AND import_source_id IS NULL AND kind = 'import' AND NOT dry_run AND {LIVE}"
        ),
    ),
    # A source runs once at a time; others of it wait.
    Index(
        "uq_imports_source",
        "tenant_id",
        "import_source_id",
        unique=True,
        postgresql_where=text(f"import_source_id IS NOT NULL AND kind = 'import' AND NOT waits AND {LIVE}"),
    ),
    Index(
        "ix_imports_source",
        "tenant_id",
        "import_source_id",
        text("import_id DESC"),
        postgresql_where=text("import_source_id IS NOT NULL"),
    ),
    Index("ix_imports_open", "open_until", postgresql_where=text("state = 'OPEN'")),
)

execution_numbers = Sequence("execution_numbers", metadata=metadata)

# Commit order of flips of one owner. UUIDv7 says when an import was made, which is not when it was merged.
flip_numbers = Sequence("flip_numbers", metadata=metadata)

import_inputs = Table(
    "import_inputs",
    metadata,
    *_import_key(),
    Column("number", Integer, primary_key=True, comment="from 0, in reading order"),
    Column("object_key", Text, nullable=False, comment="the whole key in the bucket"),
    Column("etag", Text, nullable=False, comment="of the trigger; every read carries If-Match with it"),
    Column("size", BigInteger, nullable=False),
    Column("chunk_id", Text, comment="what the client calls it, of data that comes in pieces"),
    Column("digest", LargeBinary, comment="SHA-256 of such a piece"),
    timestamp("purged_at", nullable=True),
    _of_import(),
    Index(
        "uq_import_inputs_chunk",
        "tenant_id",
        "import_id",
        "chunk_id",
        unique=True,
        postgresql_where=text("chunk_id IS NOT NULL"),
    ),
    # Across tenants: the dispatcher asks whether anybody reads an object.
    Index("ix_import_inputs_object", "object_key"),
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

# What somebody asks of the worker that runs an import. A cancel replaces a pause.
import_requests = Table(
    "import_requests",
    metadata,
    *_import_key(),
    Column("action", Text, nullable=False, comment="cancel or pause"),
    Column("requested_by", Integer, nullable=False),
    timestamp("requested_at", default=True),
    CheckConstraint("action IN ('cancel', 'pause')", name="action"),
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
    Column("ignored", BigInteger, nullable=False, server_default="0", comment="findings, by a parser action"),
    Column("forced", BigInteger, nullable=False, server_default="0"),
    Column("linked", BigInteger, nullable=False, server_default="0"),
    Column("learned", BigInteger, nullable=False, server_default="0", comment="parser actions that it has added"),
    Column("cautions", JSONB, nullable=False, server_default="[]", comment="[{code, message, count}]"),
    Column("undo", JSONB, nullable=False, server_default="[]", comment="[{kind, action, reason, count}] of an undo"),
    Column("entities", JSONB, nullable=False, server_default="{}", comment="counts by object type id, of objects"),
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
    Column("raw", Text, comment="the item as it stands in the file, where its error file repeats it"),
    _of_import(),
)

# What an undo has done, or would do: the first rows of each action; all of them are in its report object.
undo_items = Table(
    "undo_items",
    metadata,
    *_import_key(),
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="from 1: kept first, then the rest"),
    Column("kind", Text, nullable=False, comment="finding, asset, affected_asset, evidence, …"),
    Column("row_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False, comment="what people call the row"),
    Column("action", Text, nullable=False, comment="removed, restored or kept"),
    Column("reason", Text, nullable=False, comment="why it was kept; empty for the others"),
    Column("by_import_id", UUID(as_uuid=True), comment="the later import that keeps it"),
    _of_import(),
)

NO_ITEM = "00000000-0000-0000-0000-000000000000"

# What still has to be done outside the database about an import, one row each. It has ids and times only: the
# dispatcher sees it for all tenants.
outbox = Table(
    "outbox",
    metadata,
    *_import_key(),
    Column(
        "topic",
        Text,
        primary_key=True,
        server_default="run",
        comment="run: send it to a worker. ended: announce its end. webhook: make one delivery",
    ),
    Column(
        "item_id",
        UUID(as_uuid=True),
        primary_key=True,
        server_default=NO_ITEM,
        comment="webhook_deliveries.delivery_id",
    ),
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
    CheckConstraint("topic IN ('run', 'ended', 'webhook')", name="topic"),
    _of_import(),
    Index("ix_outbox_next", "next_at", "tenant_id"),
)

# Who wants to hear of imports that have ended.
webhooks = Table(
    "webhooks",
    metadata,
    tenant_id(),
    Column("webhook_id", Integer, Identity(start=1000), primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("secret", LargeBinary, nullable=False, comment="signing key, encrypted with the installation's"),
    Column("client_id", Integer, comment="only imports of this client; null: all"),
    Column("states", ARRAY(Text), nullable=False, server_default="{}", comment="only these ends; empty: all"),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("user_id", Integer, nullable=False),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
)

# One event to one webhook: what was tried, and what came back.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    tenant_id(),
    Column("delivery_id", UUID(as_uuid=True), primary_key=True),
    Column("webhook_id", Integer, nullable=False),
    Column("import_id", UUID(as_uuid=True), nullable=False),
    Column("event_id", Text, nullable=False, comment="the same in every delivery of one event"),
    Column("payload", Text, nullable=False, comment="the body as it is signed and sent"),
    Column("state", Text, nullable=False, server_default="PENDING"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("status_code", Integer, comment="of the last answer"),
    Column("error", Text, nullable=False, server_default="", comment="why the last attempt failed"),
    Column("replay_of", UUID(as_uuid=True)),
    timestamp("created_at", default=True),
    timestamp("attempted_at", nullable=True),
    timestamp("next_at", nullable=True),
    timestamp("delivered_at", nullable=True),
    CheckConstraint("state IN ('PENDING', 'DELIVERED', 'FAILED')", name="state"),
    ForeignKeyConstraint(
        ["tenant_id", "webhook_id"], ["webhooks.tenant_id", "webhooks.webhook_id"], ondelete="CASCADE"
    ),
    _of_import(),
    Index("ix_webhook_deliveries_webhook", "tenant_id", "webhook_id", text("delivery_id DESC")),
    Index("ix_webhook_deliveries_import", "tenant_id", "import_id"),
    Index(
        "uq_webhook_deliveries_event",
        "tenant_id",
        "webhook_id",
        "event_id",
        unique=True,
        postgresql_where=text("replay_of IS NULL"),
    ),
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
    timestamp("changed_at", default=True),
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

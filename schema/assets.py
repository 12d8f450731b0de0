"""Tables of the objects target: object schemas and types, their objects, and the sources that objects come from.

The importer's API writes what people decide (schemas, types, attributes, sources, schedules, edits of objects), workers
write objects and references, the status service reads all but what sources keep to themselves. A workspace is one of
`identity.workspaces`, which no other service reaches; its id comes from there.
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
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schema.base import metadata, tenant_id, timestamp

object_schemas = Table(
    "object_schemas",
    metadata,
    tenant_id(),
    Column("object_schema_id", Integer, Identity(), primary_key=True),
    Column("workspace_id", UUID(as_uuid=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False, comment="what the keys of its objects begin with"),
    Column("description", Text, nullable=False, server_default=""),
    Column("icons", JSONB, nullable=False, server_default="[]", comment="[{key, name, png48}]"),
    Column("statuses", JSONB, nullable=False, server_default="[]", comment="[{name, description, category}]"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    UniqueConstraint("tenant_id", "workspace_id", "key"),
)

object_types = Table(
    "object_types",
    metadata,
    tenant_id(),
    Column("object_type_id", Integer, Identity(), primary_key=True),
    Column("object_schema_id", Integer, nullable=False),
    Column("parent_id", Integer, comment="the object type that it stands under"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("icon", Text, nullable=False, server_default="", comment="key of one of the schema's icons"),
    Column("external_id", Text),
    Column("position", Integer, nullable=False, server_default="0"),
    Column(
        "is_inherited", Boolean, nullable=False, server_default=text("false"), comment="has its parent's attributes"
    ),
    Column("is_abstract", Boolean, nullable=False, server_default=text("false"), comment="may have no objects itself"),
    Column(
        "identifiers",
        ARRAY(Integer),
        nullable=False,
        server_default="{}",
        comment="attributes that the keys of its objects are made of, ascending; a flip writes it",
    ),
    Column("ignores_case", Boolean, nullable=False, server_default=text("false"), comment="of those keys"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    ForeignKeyConstraint(
        ["tenant_id", "object_schema_id"], ["object_schemas.tenant_id", "object_schemas.object_schema_id"]
    ),
    Index(
        "uq_object_types_name",
        "tenant_id",
        "object_schema_id",
        text("COALESCE(parent_id, 0)"),
        text("lower(name)"),
        unique=True,
    ),
    Index(
        "uq_object_types_external_id",
        "tenant_id",
        "object_schema_id",
        "external_id",
        unique=True,
        postgresql_where=text("external_id IS NOT NULL"),
    ),
)

object_attributes = Table(
    "object_attributes",
    metadata,
    tenant_id(),
    Column("attribute_id", Integer, Identity(), primary_key=True),
    Column("object_type_id", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("type", Text, nullable=False, comment="text, integer, boolean, …: dialects/assets/attributes.py"),
    Column("options", ARRAY(Text), nullable=False, server_default="{}", comment="of a select or status"),
    Column("is_label", Boolean, nullable=False, server_default=text("false")),
    Column("is_unique", Boolean, nullable=False, server_default=text("false")),
    Column("minimum_cardinality", Integer, nullable=False, server_default="0"),
    Column("maximum_cardinality", Integer, nullable=False, server_default="1", comment="-1: any number"),
    Column("reference_type_id", Integer, comment="object type that a reference leads to"),
    Column("external_id", Text),
    Column("position", Integer, nullable=False, server_default="0"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    ForeignKeyConstraint(["tenant_id", "object_type_id"], ["object_types.tenant_id", "object_types.object_type_id"]),
    Index("uq_object_attributes_name", "tenant_id", "object_type_id", text("lower(name)"), unique=True),
)

# A removed object keeps its row without a document: an undo brings it back, and a later run the object.
objects = Table(
    "objects",
    metadata,
    tenant_id(),
    Column("object_id", BigInteger, Identity(cache=1000), primary_key=True),
    Column("object_type_id", Integer, nullable=False),
    Column(
        "key",
        Text(collation="C"),
        comment="JSON array of the identifiers' values; a SHA-256 when longer than 255 characters; null: none",
    ),
    Column("label", Text, nullable=False),
    Column("document", JSONB, comment="{attribute id: value, or array of values}; null: the object is removed"),
    Column("source_id", UUID(as_uuid=True), comment="the import source that has inserted it"),
    Column("missed", SmallInteger, nullable=False, server_default="0", comment="runs of that source without it"),
    Column("import_id", UUID(as_uuid=True), comment="the import that inserted the row"),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    UniqueConstraint("tenant_id", "object_type_id", "key"),
)

# Made of the documents, for reading against their direction; nothing else says what refers to an object.
object_references = Table(
    "object_references",
    metadata,
    tenant_id(),
    Column("object_id", BigInteger, primary_key=True),
    Column("attribute_id", Integer, primary_key=True),
    Column("target_id", BigInteger, primary_key=True),
    Index("ix_object_references_target", "tenant_id", "target_id"),
)

# What people have done to objects: their history, and how an undo knows which references are a person's.
object_edits = Table(
    "object_edits",
    metadata,
    tenant_id(),
    Column("edit_id", BigInteger, Identity(), primary_key=True),
    Column("object_id", BigInteger, nullable=False),
    Column("before", JSONB, comment="its document; null: it was not there"),
    Column("is_creation", Boolean, nullable=False, comment="the edit has inserted the row"),
    Column("user_id", Integer, nullable=False),
    Column("user_email", Text, nullable=False),
    timestamp("edited_at"),
    Index("ix_object_edits_object", "tenant_id", "object_id"),
)

import_sources = Table(
    "import_sources",
    metadata,
    tenant_id(),
    Column("import_source_id", UUID(as_uuid=True), primary_key=True),
    Column("workspace_id", UUID(as_uuid=True), nullable=False),
    Column("object_schema_id", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("type", Text, nullable=False, comment="csv, json, external, database, ldap, rest or custom"),
    Column("is_enabled", Boolean, nullable=False, server_default=text("true")),
    Column("settings", JSONB, nullable=False, server_default="{}", comment="of its type; no secrets"),
    Column("secret", LargeBinary, comment="credentials, as JSON, encrypted with the installation's key"),
    Column("file_key", Text, comment="files.key of what a csv or json source reads"),
    Column("concatenator", Text, nullable=False, server_default=","),
    Column("empty_values", Text, nullable=False, server_default="IGNORE"),
    Column("unknown_values", Text, nullable=False, server_default="IGNORE"),
    Column("date_format", Text, nullable=False, server_default="yyyy-MM-dd"),
    Column("date_time_format", Text, nullable=False, server_default="", comment="empty: ISO 8601"),
    Column("document", JSONB, comment="{schema, mapping} as it was put; null: there is no mapping"),
    Column("plan", JSONB, comment="the mapping by ids: services/importer/targets/objects/plan.py"),
    Column("user_id", Integer, nullable=False, comment="who has made it"),
    timestamp("token_created_at", nullable=True),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    CheckConstraint("type IN ('csv', 'json', 'external', 'database', 'ldap', 'rest', 'custom')", name="type"),
    CheckConstraint("empty_values IN ('IGNORE', 'REMOVE')", name="empty_values"),
    CheckConstraint("unknown_values IN ('IGNORE', 'ADD')", name="unknown_values"),
    ForeignKeyConstraint(
        ["tenant_id", "object_schema_id"], ["object_schemas.tenant_id", "object_schemas.object_schema_id"]
    ),
    Index("ix_import_sources_schema", "tenant_id", "object_schema_id", "import_source_id"),
    Index("ix_import_sources_workspace", "tenant_id", "workspace_id", "import_source_id"),
)

import_schedules = Table(
    "import_schedules",
    metadata,
    tenant_id(),
    Column("schedule_id", UUID(as_uuid=True), primary_key=True),
    Column("import_source_id", UUID(as_uuid=True), nullable=False),
    Column("frequency", Text, nullable=False, comment="ONCE, DAILY, WEEKLY, MONTHLY or CRON"),
    Column("cron", Text, comment="five fields, of a CRON schedule"),
    Column("timezone", Text, nullable=False, server_default="UTC", comment="IANA name"),
    timestamp("start_at"),
    Column("callback_url", Text),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    timestamp("next_at", nullable=True),
    timestamp("fired_at", nullable=True),
    Column("last_import_id", UUID(as_uuid=True)),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("user_id", Integer, nullable=False, comment="on whose behalf it runs"),
    Column("user_email", Text, nullable=False),
    timestamp("created_at", default=True),
    timestamp("updated_at", default=True),
    CheckConstraint("frequency IN ('ONCE', 'DAILY', 'WEEKLY', 'MONTHLY', 'CRON')", name="frequency"),
    ForeignKeyConstraint(
        ["tenant_id", "import_source_id"],
        ["import_sources.tenant_id", "import_sources.import_source_id"],
        ondelete="CASCADE",
    ),
    # Across tenants: the dispatcher asks what is due.
    Index("ix_import_schedules_next", "next_at", postgresql_where=text("is_active AND next_at IS NOT NULL")),
    Index("ix_import_schedules_source", "tenant_id", "import_source_id"),
)

# How changes of mappings ended that somebody does not want to wait for.
mapping_changes = Table(
    "mapping_changes",
    metadata,
    tenant_id(),
    Column("resource_id", UUID(as_uuid=True), primary_key=True),
    Column("import_source_id", UUID(as_uuid=True), nullable=False),
    Column("result", Text, nullable=False, comment="OK or ERROR"),
    Column("message", Text, nullable=False, server_default=""),
    timestamp("created_at", default=True),
    ForeignKeyConstraint(
        ["tenant_id", "import_source_id"],
        ["import_sources.tenant_id", "import_sources.import_source_id"],
        ondelete="CASCADE",
    ),
)

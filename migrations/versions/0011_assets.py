"""Object schemas and their objects; import sources, their schedules and tokens; what imports say of their source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TENANT_RULE = "tenant_id = (SELECT NULLIF(current_setting('hythe.tenant', true), '')::int)"
LIVE = "state IN ('OPEN', 'QUEUED', 'RUNNING', 'PAUSED')"
TABLES = (
    "object_schemas",
    "object_types",
    "object_attributes",
    "objects",
    "object_references",
    "import_sources",
    "import_schedules",
    "mapping_changes",
)
GRANTS = (
    (
        "GRANT DELETE, INSERT, SELECT, UPDATE ON import_schedules, import_sources, mapping_changes, "
        "object_attributes, object_schemas, object_types TO hythe_importer"
    ),
    "GRANT DELETE, SELECT ON object_references, objects TO hythe_importer",
    "GRANT DELETE, INSERT, SELECT, UPDATE ON object_references, objects TO hythe_worker",
    "GRANT SELECT ON object_schemas TO hythe_worker",
    "GRANT SELECT, UPDATE ON object_attributes, object_types TO hythe_worker",
    "GRANT SELECT ON import_sources TO hythe_fetcher",
    (
        "GRANT SELECT ON import_schedules, mapping_changes, object_attributes, object_references, "
        "object_schemas, object_types, objects TO hythe_status"
    ),
    "GRANT SELECT (tenant_id, schedule_id, is_active, next_at) ON import_schedules TO hythe_dispatch",
    (
        "GRANT SELECT (tenant_id, import_source_id, workspace_id, object_schema_id, name, description, type, "
        "is_enabled, settings, file_key, concatenator, empty_values, unknown_values, date_format, "
        "date_time_format, document, plan, user_id, token_created_at, created_at, updated_at) "
        "ON import_sources TO hythe_status"
    ),
    "GRANT SELECT, UPDATE ON imports TO hythe_fetcher",
    (
        "GRANT DELETE, INSERT, SELECT, UPDATE ON import_claims, import_leases, import_progress, "
        "import_requests, outbox TO hythe_fetcher"
    ),
    "GRANT DELETE, INSERT, SELECT ON import_inputs TO hythe_fetcher",
    "GRANT SELECT ON tenant_limits TO hythe_fetcher",
    "GRANT SELECT (open_until) ON imports TO hythe_dispatch",
    "GRANT SELECT (tenant_id, import_source_id, file_key) ON import_sources TO hythe_dispatch",
    "GRANT DELETE, INSERT, SELECT, UPDATE ON identity.container_tokens TO hythe_identity",
    "GRANT USAGE ON SEQUENCE objects_object_id_seq TO hythe_worker",
    "GRANT USAGE ON SEQUENCE execution_numbers TO hythe_importer",
)


def upgrade() -> None:
    _create_types()
    _create_objects()
    _create_sources()
    _create_container_tokens()
    _widen_imports()
    for statement in GRANTS:
        op.execute(statement)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} FOR ALL TO PUBLIC USING ({TENANT_RULE}) WITH CHECK ({TENANT_RULE})"
        )
    op.execute("CREATE POLICY dispatch ON import_schedules FOR SELECT TO hythe_dispatch USING (true)")
    op.execute("CREATE POLICY dispatch ON import_sources FOR SELECT TO hythe_dispatch USING (true)")
    _stage_objects()


def _create_types() -> None:
    op.create_table(
        "object_schemas",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_schema_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="what the keys of its objects begin with"),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "icons",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="[{key, name, png48}]",
        ),
        sa.Column(
            "statuses",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="[{name, description, category}]",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "object_schema_id", name=op.f("pk_object_schemas")),
        sa.UniqueConstraint(
            "tenant_id", "workspace_id", "key", name=op.f("uq_object_schemas_tenant_id_workspace_id_key")
        ),
    )
    op.create_table(
        "object_types",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_type_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("object_schema_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True, comment="the object type that it stands under"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("icon", sa.Text(), server_default="", nullable=False, comment="key of one of the schema's icons"),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "is_inherited",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="has its parent's attributes",
        ),
        sa.Column(
            "is_abstract",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="may have no objects itself",
        ),
        sa.Column(
            "identifiers",
            sa.ARRAY(sa.Integer()),
            server_default="{}",
            nullable=False,
            comment="attributes that the keys of its objects are made of, ascending; a flip writes it",
        ),
        sa.Column(
            "ignores_case", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="of those keys"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "object_schema_id"],
            ["object_schemas.tenant_id", "object_schemas.object_schema_id"],
            name=op.f("fk_object_types_tenant_id_object_schema_id_object_schemas"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "object_type_id", name=op.f("pk_object_types")),
    )
    op.create_index(
        "uq_object_types_external_id",
        "object_types",
        ["tenant_id", "object_schema_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index(
        "uq_object_types_name",
        "object_types",
        [
            "tenant_id",
            "object_schema_id",
            sa.literal_column("COALESCE(parent_id, 0)"),
            sa.literal_column("lower(name)"),
        ],
        unique=True,
    )
    op.create_table(
        "object_attributes",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attribute_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("object_type_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "type", sa.Text(), nullable=False, comment="text, integer, boolean, …: dialects/assets/attributes.py"
        ),
        sa.Column("options", sa.ARRAY(sa.Text()), server_default="{}", nullable=False, comment="of a select or status"),
        sa.Column("is_label", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_unique", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("minimum_cardinality", sa.Integer(), server_default="0", nullable=False),
        sa.Column("maximum_cardinality", sa.Integer(), server_default="1", nullable=False, comment="-1: any number"),
        sa.Column("reference_type_id", sa.Integer(), nullable=True, comment="object type that a reference leads to"),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "object_type_id"],
            ["object_types.tenant_id", "object_types.object_type_id"],
            name=op.f("fk_object_attributes_tenant_id_object_type_id_object_types"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "attribute_id", name=op.f("pk_object_attributes")),
    )
    op.create_index(
        "uq_object_attributes_name",
        "object_attributes",
        ["tenant_id", "object_type_id", sa.literal_column("lower(name)")],
        unique=True,
    )


def _create_objects() -> None:
    op.create_table(
        "object_references",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("attribute_id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "object_id", "attribute_id", "target_id", name=op.f("pk_object_references")
        ),
    )
    op.create_table(
        "objects",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_id", sa.BigInteger(), sa.Identity(always=False, cache=1000), nullable=False),
        sa.Column("object_type_id", sa.Integer(), nullable=False),
        sa.Column(
            "key",
            sa.Text(collation="C"),
            nullable=True,
            comment="JSON array of the identifiers' values; a SHA-256 when longer than 255 characters; null: none",
        ),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="{attribute id: value, or array of values}; null: the object is removed",
        ),
        sa.Column("source_id", sa.UUID(), nullable=True, comment="the import source that has inserted it"),
        sa.Column(
            "missed", sa.SmallInteger(), server_default="0", nullable=False, comment="runs of that source without it"
        ),
        sa.Column("import_id", sa.UUID(), nullable=True, comment="the import that inserted the row"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "object_id", name=op.f("pk_objects")),
        sa.UniqueConstraint("tenant_id", "object_type_id", "key", name=op.f("uq_objects_tenant_id_object_type_id_key")),
    )
    op.create_index("ix_object_references_target", "object_references", ["tenant_id", "target_id"], unique=False)


def _create_sources() -> None:
    op.create_table(
        "import_sources",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_source_id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("object_schema_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="csv, json, external, database, ldap, rest or custom"),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="of its type; no secrets",
        ),
        sa.Column(
            "secret",
            sa.LargeBinary(),
            nullable=True,
            comment="credentials, as JSON, encrypted with the installation's key",
        ),
        sa.Column("file_key", sa.Text(), nullable=True, comment="files.key of what a csv or json source reads"),
        sa.Column("concatenator", sa.Text(), server_default=",", nullable=False),
        sa.Column("empty_values", sa.Text(), server_default="IGNORE", nullable=False),
        sa.Column("unknown_values", sa.Text(), server_default="IGNORE", nullable=False),
        sa.Column("date_format", sa.Text(), server_default="yyyy-MM-dd", nullable=False),
        sa.Column("date_time_format", sa.Text(), server_default="", nullable=False, comment="empty: ISO 8601"),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="{schema, mapping} as it was put; null: there is no mapping",
        ),
        sa.Column(
            "plan",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the mapping by ids: services/importer/targets/objects/plan.py",
        ),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="who has made it"),
        sa.Column("token_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("empty_values IN ('IGNORE', 'REMOVE')", name=op.f("ck_import_sources_empty_values")),
        sa.CheckConstraint(
            "type IN ('csv', 'json', 'external', 'database', 'ldap', 'rest', 'custom')",
            name=op.f("ck_import_sources_type"),
        ),
        sa.CheckConstraint("unknown_values IN ('IGNORE', 'ADD')", name=op.f("ck_import_sources_unknown_values")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "object_schema_id"],
            ["object_schemas.tenant_id", "object_schemas.object_schema_id"],
            name=op.f("fk_import_sources_tenant_id_object_schema_id_object_schemas"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_source_id", name=op.f("pk_import_sources")),
    )
    op.create_index(
        "ix_import_sources_schema",
        "import_sources",
        ["tenant_id", "object_schema_id", "import_source_id"],
        unique=False,
    )
    op.create_index(
        "ix_import_sources_workspace", "import_sources", ["tenant_id", "workspace_id", "import_source_id"], unique=False
    )
    op.create_table(
        "import_schedules",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("schedule_id", sa.UUID(), nullable=False),
        sa.Column("import_source_id", sa.UUID(), nullable=False),
        sa.Column("frequency", sa.Text(), nullable=False, comment="ONCE, DAILY, WEEKLY, MONTHLY or CRON"),
        sa.Column("cron", sa.Text(), nullable=True, comment="five fields, of a CRON schedule"),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False, comment="IANA name"),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_import_id", sa.UUID(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="on whose behalf it runs"),
        sa.Column("user_email", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "frequency IN ('ONCE', 'DAILY', 'WEEKLY', 'MONTHLY', 'CRON')", name=op.f("ck_import_schedules_frequency")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_source_id"],
            ["import_sources.tenant_id", "import_sources.import_source_id"],
            name=op.f("fk_import_schedules_tenant_id_import_source_id_import_sources"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "schedule_id", name=op.f("pk_import_schedules")),
    )
    op.create_table(
        "mapping_changes",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("resource_id", sa.UUID(), nullable=False),
        sa.Column("import_source_id", sa.UUID(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False, comment="OK or ERROR"),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_source_id"],
            ["import_sources.tenant_id", "import_sources.import_source_id"],
            name=op.f("fk_mapping_changes_tenant_id_import_source_id_import_sources"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "resource_id", name=op.f("pk_mapping_changes")),
    )
    op.create_index(
        "ix_import_schedules_next",
        "import_schedules",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("is_active AND next_at IS NOT NULL"),
    )
    op.create_index("ix_import_schedules_source", "import_schedules", ["tenant_id", "import_source_id"], unique=False)


def _create_container_tokens() -> None:
    op.create_table(
        "container_tokens",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("import_source_id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False, comment="on whose behalf"),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of 256 random bits"),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=False, comment="the token, encrypted with the installation's key"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["identity.tenants.tenant_id"], name=op.f("fk_container_tokens_tenant_id_tenants")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity.users.user_id"], name=op.f("fk_container_tokens_user_id_users")
        ),
        sa.PrimaryKeyConstraint("import_source_id", name=op.f("pk_container_tokens")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_container_tokens_secret_hash")),
        schema="identity",
    )


def _widen_imports() -> None:
    op.add_column(
        "import_inputs",
        sa.Column(
            "chunk_id", sa.Text(), nullable=True, comment="what the client calls it, of data that comes in pieces"
        ),
    )
    op.add_column(
        "import_inputs", sa.Column("digest", sa.LargeBinary(), nullable=True, comment="SHA-256 of such a piece")
    )
    op.create_index(
        "uq_import_inputs_chunk",
        "import_inputs",
        ["tenant_id", "import_id", "chunk_id"],
        unique=True,
        postgresql_where=sa.text("chunk_id IS NOT NULL"),
    )
    op.add_column(
        "import_progress",
        sa.Column(
            "entities",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="counts by object type id, of objects",
        ),
    )
    op.add_column("imports", sa.Column("import_source_id", sa.UUID(), nullable=True))
    op.add_column(
        "imports",
        sa.Column(
            "plan",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the source's mapping when it was started: targets/objects/plan.py",
        ),
    )
    op.add_column(
        "imports",
        sa.Column("execution_number", sa.Integer(), nullable=True, comment="what clients call the run beside its id"),
    )
    op.add_column("imports", sa.Column("is_scheduled", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "imports",
        sa.Column(
            "waits", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="for the end of another run"
        ),
    )
    op.add_column(
        "imports",
        sa.Column(
            "needs_fetch",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="its inputs are to be landed",
        ),
    )
    op.add_column("imports", sa.Column("open_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "imports",
        sa.Column(
            "told_progress",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what a client that sends the data has said of its own work",
        ),
    )
    op.alter_column(
        "imports",
        "lane",
        existing_type=sa.TEXT(),
        comment="small or large, by size; fetch while its inputs are to be landed",
        existing_comment="small or large, by size",
        existing_nullable=False,
    )
    op.create_index(
        "ix_imports_open", "imports", ["open_until"], unique=False, postgresql_where=sa.text("state = 'OPEN'")
    )
    op.create_index(
        "ix_imports_source",
        "imports",
        ["tenant_id", "import_source_id", sa.literal_column("import_id DESC")],
        unique=False,
        postgresql_where=sa.text("import_source_id IS NOT NULL"),
    )
    op.create_index(
        "uq_imports_source",
        "imports",
        ["tenant_id", "import_source_id"],
        unique=True,
        postgresql_where=sa.text(f"import_source_id IS NOT NULL AND kind = 'import' AND NOT waits AND {LIVE}"),
    )
    op.drop_index("uq_imports_file", table_name="imports")
    op.create_index(
        "uq_imports_file",
        "imports",
        ["tenant_id", "workspace_id", "key"],
        unique=True,
        postgresql_where=sa.text(
            f"workspace_id IS NOT NULL AND import_source_id IS NULL AND kind = 'import' AND NOT dry_run AND {LIVE}"
        ),
    )
    op.execute("CREATE SEQUENCE execution_numbers")


def _stage_objects() -> None:
    op.execute("SET LOCAL ROLE hythe_worker")
    op.create_table(
        "objects",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False, comment="of the item in the file, from 1"),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the object within its item"),
        sa.Column("object_type_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=True, comment="as in objects"),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False, comment="JSON {attribute id: value}, without references"),
        sa.Column("cleared", sa.ARRAY(sa.Integer()), nullable=True, comment="attributes that it empties; null: none"),
        sa.Column(
            "lookups",
            sa.Text(),
            nullable=True,
            comment="its references: JSON [[attribute id, [value of each placeholder]]]; null: none",
        ),
        sa.Column("line", sa.BigInteger(), nullable=False),
        schema="staging",
        prefixes=["UNLOGGED"],
    )
    op.execute("RESET ROLE")
